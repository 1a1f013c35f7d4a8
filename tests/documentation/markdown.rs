//! As much of Markdown as our own pages use: fenced blocks, links, headings, and command lines in code.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

/// A page: its path from the top directory, and its text.
pub(crate) struct Page {
    pub(crate) path: PathBuf,
    text: String,
}

/// A fenced block.
pub(crate) struct Block {
    /// The line of its fence, counted from 1.
    pub(crate) line: usize,
    language: String,
    pub(crate) text: String,
}

impl Page {
    pub(crate) fn new(path: PathBuf, text: String) -> Self {
        Self { path, text }
    }

    /// The fenced blocks of a language.
    pub(crate) fn blocks(&self, language: &str) -> Vec<Block> {
        let mut all = self.split().0;
        all.retain(|block| block.language == language);
        all
    }

    /// Where links lead to, as written.
    pub(crate) fn links(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (_, line) in self.split().1 {
            // Code may hold what looks like a link.
            let prose: String = line.split('`').step_by(2).collect();
            for part in prose.split("](").skip(1) {
                found.push(part.split(')').next().unwrap_or_default().to_owned());
            }
        }
        found
    }

    /// The anchors of the headings, as GitHub makes them.
    pub(crate) fn anchors(&self) -> BTreeSet<String> {
        let headings = self.split().1.into_iter().filter(|(_, line)| line.starts_with('#'));
        headings
            .map(|(_, line)| {
                let title = line.trim_start_matches('#').trim().to_lowercase();
                let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
                kept.map(|c| if c == ' ' { '-' } else { c }).collect()
            })
            .collect()
    }

    /// Every command line of ours that is shown in a block of a shell or in the text, as words, with its line.
    pub(crate) fn command_lines(&self) -> Vec<(usize, Vec<String>)> {
        let mut found = Vec::new();
        for language in ["sh", "console"] {
            for block in self.blocks(language) {
                let joined = block.text.replace("\\\n", " ");
                for line in joined.lines() {
                    found.extend(command(line).map(|words| (block.line, words)));
                }
            }
        }
        for (number, line) in self.split().1 {
            for code in line.split('`').skip(1).step_by(2).filter(|code| code.starts_with("claude-secrets "))
            {
                found.extend(command(&code.replace("\\|", "|")).map(|words| (number, words)));
            }
        }
        found
    }

    /// The fenced blocks, and the other lines with their numbers.
    fn split(&self) -> (Vec<Block>, Vec<(usize, &str)>) {
        let (mut blocks, mut others): (Vec<Block>, Vec<_>) = (Vec::new(), Vec::new());
        let mut inside = false;
        for (index, line) in self.text.lines().enumerate() {
            match line.strip_prefix("```") {
                Some(language) if !inside => {
                    inside = true;
                    blocks.push(Block {
                        line: index + 1,
                        language: language.to_owned(),
                        text: String::new(),
                    });
                }
                Some(_) => inside = false,
                None if inside => {
                    let block = blocks.last_mut().expect("a block was opened");
                    block.text += line;
                    block.text += "\n";
                }
                None => others.push((index + 1, line)),
            }
        }
        assert!(!inside, "{} has a block without an end", self.path.display());
        (blocks, others)
    }
}

/// A relative link's target, as a path from the top directory.
pub(crate) fn joined(page: &Path, link: &str) -> PathBuf {
    let mut target = page.parent().unwrap_or(Path::new("")).to_owned();
    for part in Path::new(link).components() {
        match part {
            Component::ParentDir => assert!(target.pop(), "{link} leads out of the repository"),
            Component::Normal(name) => target.push(name),
            _ => {}
        }
    }
    target
}

/// The words of a line that calls our program, after a prompt and variables for this call; `None` for another line.
fn command(line: &str) -> Option<Vec<String>> {
    let line = line.trim_start_matches("$ ").split(" # ").next().unwrap_or_default();
    let words = words(line);
    let start = words.iter().position(|word| !is_assignment(word))?;
    let own = words.get(start..)?;
    (own.first()? == "claude-secrets").then(|| own.to_vec())
}

fn is_assignment(word: &str) -> bool {
    let name = word.split_once('=').map(|(name, _)| name);
    name.is_some_and(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
}

/// Words as a shell makes them, with quotes.
fn words(line: &str) -> Vec<String> {
    let (mut all, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => all.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    all.extend(word);
    all
}
