//! What Docker Compose says, without what it quotes.
//!
//! Compose reads env files, interpolates them, and prints what it rejects: a line, a part of a value, a byte for each
//! number. None of that matches the mask of a value. So its words are passed on by what they may be, not by how its
//! messages begin. Where it rejects a project ([`Said::rejection`]) only words remain that Compose itself uses or that stand
//! in the Compose files. In all else ([`Said::line`]) words are taken out that stand in a file that it reads, unless they
//! stand in the Compose files as well or are Compose's own.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use zeroize::Zeroizing;

use super::discovery::ComposeFiles;
use super::read_by_compose::ReadByCompose;
use crate::engine::call::Judge;
use crate::mask::MASK;
use crate::secret::SecretValue;

/// Words of the messages of Compose, of its libraries and of the engine.
const WORDS: &str = include_str!("said_words.txt");
const UNSET: &str = " variable is not set";
/// What builds are warned of where a program is missing that they do not need: buildx for Compose v2, and git, which is not in
/// our image.
const ABOUT_BUILDS: &[&str] = &[
    "Docker Compose is configured to build using Bake, but buildx isn't installed",
    "current commit information was not captured by the build",
];
/// A shorter word is found in most files by chance.
const SHORTEST: usize = 4;

/// What is known of the files behind Compose's words. It has no `Debug`: it holds their contents.
#[derive(Default)]
pub struct Said {
    files: Option<ComposeFiles>,
    env_files: Vec<PathBuf>,
    /// Names that are no values: of the project, its services, images, volumes.
    names: Mutex<HashSet<String>>,
    read: OnceLock<Contents>,
}

struct Contents {
    /// Words that may be printed: those of the Compose files, of paths, Compose's own.
    known: HashSet<String>,
    others: Vec<SecretValue>,
    /// What stands in lines of the others, the longest first: as it is, and quoted.
    values: Vec<Zeroizing<String>>,
    complete: bool,
}

impl Said {
    /// For calls of Compose that read this project. `env_files` are those that `COMPOSE_ENV_FILES` names. Nothing is read
    /// before Compose says something.
    pub fn of(files: &ComposeFiles, env_files: Vec<PathBuf>) -> Arc<Self> {
        Arc::new(Self { files: Some(files.clone()), env_files, ..Self::default() })
    }

    /// Takes these texts for names that may be printed, before Compose says its first line.
    pub fn learn(&self, names: impl IntoIterator<Item = String>) {
        let mut known = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(names.into_iter().flat_map(|name| pieces(&name).map(str::to_owned).collect::<Vec<_>>()));
    }

    fn is_known(&self, contents: &Contents, word: &str) -> bool {
        contents.known.contains(word)
            || contents.known.contains(&word.to_lowercase()) && word.chars().all(char::is_alphabetic)
            || self.names.lock().unwrap_or_else(PoisonError::into_inner).contains(word)
    }

    fn contents(&self) -> &Contents {
        self.read.get_or_init(|| {
            let read = match &self.files {
                Some(files) => ReadByCompose::of(files, &self.env_files),
                None => ReadByCompose::default(),
            };
            let mut known: HashSet<String> = WORDS.split_whitespace().map(str::to_owned).collect();
            let paths = self.files.iter().flat_map(|files| files.files.iter().chain([&files.directory]));
            let paths: Vec<String> = paths.map(|path| path.display().to_string()).collect();
            for text in read.compose.iter().chain(&paths) {
                known.extend(pieces(text).map(str::to_owned));
            }
            let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
            let lines = read.others.iter().flat_map(|file| values(file.expose()));
            let is_word = |text: &str| {
                pieces(text).next().is_some()
                    && pieces(text).all(|piece| known.contains(piece) || names.contains(piece))
            };
            // What is no text cannot be in a line of text.
            let texts = lines.filter_map(|line| std::str::from_utf8(line).ok()).filter(|text| !is_word(text));
            let mut values: Vec<Zeroizing<String>> = texts
                .flat_map(|text| {
                    let quoted = Zeroizing::new(serde_json::to_string(text).unwrap_or_default());
                    let inner = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
                    [Zeroizing::new(text.to_owned()), Zeroizing::new(inner.to_owned())]
                })
                .collect();
            values.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
            values.dedup();
            Contents { values, known, others: read.others, complete: read.complete }
        })
    }
}

impl Judge for Said {
    fn rejection(&self, text: &str) -> String {
        let contents = self.contents();
        let text: Vec<String> =
            text.lines().filter(|line| !line.contains(UNSET)).map(without_frame).collect();
        Strict { is_known: &|word| self.is_known(contents, word) }.pass(&text.join("\n"))
    }

    fn line(&self, line: &str) -> Option<String> {
        if line.contains(UNSET) || ABOUT_BUILDS.iter().any(|warning| line.contains(warning)) {
            return None;
        }
        let contents = self.contents();
        let line = without_frame(line);
        if !contents.complete {
            return Some(Strict { is_known: &|word| self.is_known(contents, word) }.pass(&line));
        }
        let line = contents.without_values(line);
        let mut out = String::new();
        for token in line.split_inclusive(char::is_whitespace) {
            let (word, end) = token.split_at(token.trim_end().len());
            let quoted = |piece: &str| {
                piece.len() >= SHORTEST
                    && !self.is_known(contents, piece)
                    && contents.others.iter().any(|file| contains(file.expose(), piece.as_bytes()))
            };
            out.push_str(if pieces(word).any(quoted) { MASK } else { word });
            out.push_str(end);
        }
        Some(out)
    }
}

impl Contents {
    fn without_values(&self, line: String) -> String {
        self.values.iter().fold(line, |line, value| {
            if contains(line.as_bytes(), value.as_bytes()) {
                line.replace(value.as_str(), MASK)
            } else {
                line
            }
        })
    }
}

/// Names of the variables that Compose says are not set. Some may be parts of values in env files.
pub fn unset_variables(text: &str) -> BTreeSet<String> {
    let names = text.lines().filter_map(|line| {
        let (before, _) = line.split_once(UNSET)?;
        let before = before.trim_end_matches(['\\', '"']);
        before.rsplit(['"', ' ']).next()
    });
    names.map(str::to_owned).collect()
}

/// The runs of letters and digits in a text.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|piece| !piece.is_empty())
}

/// What an env file says, line by line: what follows its `=` or `:`, or all of it. A file with a zero byte has no lines, but
/// words.
fn values(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    let text = if memchr::memchr(0, file).is_none() { file } else { &[] };
    text.split(|byte| matches!(byte, b'\n' | b'\r')).flat_map(|line| {
        let line = line.trim_ascii();
        let value =
            line.iter().position(|byte| matches!(byte, b'=' | b':')).map_or(line, |at| &line[at + 1..]);
        let bare = value.trim_ascii();
        let bare = bare.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(bare);
        let bare = bare.strip_prefix(b"'").and_then(|v| v.strip_suffix(b"'")).unwrap_or(bare);
        [line, bare].into_iter().filter(|value| value.len() >= SHORTEST)
    })
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    memchr::memmem::find(text, word).is_some()
}

/// A line of Compose's logger as the message that it is about.
fn without_frame(line: &str) -> String {
    let Some((level, message)) = line.split_once(" level=").and_then(|(time, rest)| {
        let (level, message) = rest.split_once(" msg=\"")?;
        (time.starts_with("time=") && !level.contains(' ')).then_some((level, message))
    }) else {
        return line.to_owned();
    };
    let message = message.strip_suffix('"').unwrap_or(message);
    format!("{level}: {}", message.replace("\\\"", "\"").replace("\\n", "\n"))
}

/// Passes on known words alone.
struct Strict<'a> {
    is_known: &'a dyn Fn(&str) -> bool,
}

impl Strict<'_> {
    fn pass(&self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        let mut before = String::new();
        while let Some(first) = rest.chars().next() {
            if first.is_whitespace() {
                out.push(first);
                rest = &rest[first.len_utf8()..];
                continue;
            }
            let (token, length) = if matches!(first, '"' | '\'' | '`') {
                let inner = quotation(rest, first);
                let closed = rest[first.len_utf8()..].len() > inner.len();
                let shown = if self.quotation_is_known(inner) { inner } else { MASK };
                let mut token = format!("{first}{shown}");
                if closed {
                    token.push(first);
                }
                (token, first.len_utf8() * (1 + usize::from(closed)) + inner.len())
            } else {
                let end =
                    rest.find(|c: char| c.is_whitespace() || matches!(c, '"' | '`')).unwrap_or(rest.len());
                (self.word(&rest[..end], &before), end)
            };
            before.clear();
            before.push_str(&rest[..length]);
            rest = &rest[length..];
            // One mask for a sequence of words that are not known.
            if token == MASK && out.trim_end().ends_with(MASK) && !out.ends_with('\n') {
                out.truncate(out.trim_end().len());
            } else {
                out.push_str(&token);
            }
        }
        out
    }

    fn quotation_is_known(&self, inner: &str) -> bool {
        inner.split_whitespace().all(|word| self.word(word, "") == word)
    }

    /// A word, or a mask with the punctuation that ends it.
    fn word(&self, word: &str, before: &str) -> String {
        let bare = word.trim_end_matches([':', ',', ';', '.', ')']);
        let is_path = bare.starts_with('/') && Path::new(bare).symlink_metadata().is_ok();
        let is_number = |piece: &str| piece.bytes().all(|byte| byte.is_ascii_digit());
        let is_line_number = is_number(bare) && matches!(before, "line" | "column");
        let has_letters = pieces(bare).any(|piece| !is_number(piece));
        let is_known = |piece: &str| {
            if is_number(piece) { has_letters && piece.len() < 3 } else { (self.is_known)(piece) }
        };
        let plain = bare.chars().all(|c| c.is_alphanumeric() || "._-/:[](),;='\"*@|<>".contains(c));
        let short = has_letters || bare.len() < 3;
        if bare == "$" || is_path || is_line_number || plain && short && pieces(bare).all(is_known) {
            word.to_owned()
        } else {
            format!("{MASK}{}", &word[bare.len()..])
        }
    }
}

/// What stands in a quotation that begins a text, up to the quotation mark that ends it or the end of the text.
fn quotation(text: &str, mark: char) -> &str {
    let inner = &text[mark.len_utf8()..];
    let mut escaped = false;
    let end = inner.char_indices().find(|(_, c)| {
        let ends = *c == mark && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    end.map_or(inner, |(at, _)| &inner[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(env: &str) -> (tempfile::TempDir, Arc<Said>) {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(
            root.path().join("compose.yaml"),
            "services:\n  web: {image: nginx, env_file: [app.env]}\n",
        )
        .unwrap();
        std::fs::write(root.path().join("app.env"), env).unwrap();
        let files =
            ComposeFiles { directory: root.path().to_owned(), files: vec![root.path().join("compose.yaml")] };
        let said = Said::of(&files, Vec::new());
        (root, said)
    }

    #[test]
    fn of_a_rejection_only_words_of_compose_and_of_the_compose_files_remain() {
        let (root, said) = said("KEY=canary\n");
        let path = root.path().join("app.env");
        let path = path.display();
        for (text, kept) in [
            (
                format!("failed to read {path}: line 1234: unterminated quoted value \"canary two"),
                format!("failed to read {path}: line 1234: unterminated quoted value \"***"),
            ),
            (
                format!("failed to parse env_file {path}: variable '{{\"a\": \"canary\"}}' contains whitespaces"),
                format!("failed to parse env_file {path}: variable '***' contains whitespaces"),
            ),
            (
                "invalid utf8 bytes at line 1: [255 254 32 99 97]".to_owned(),
                "invalid utf8 bytes at line 1: ***".to_owned(),
            ),
            ("invalid hostPort: 8374".to_owned(), "invalid hostPort: ***".to_owned()),
            ("invalid hostPort: ?!#%&=+".to_owned(), "invalid hostPort: ***".to_owned()),
            (
                "services.web.cpus: strconv.ParseFloat: parsing \"x\": invalid syntax".to_owned(),
                "services.web.cpus: strconv.ParseFloat: parsing \"***\": invalid syntax".to_owned(),
            ),
            (
                "service \"web\" refers to undefined volume can.ary: invalid compose project".to_owned(),
                "service \"web\" refers to undefined volume ***: invalid compose project".to_owned(),
            ),
            ("-----BEGIN PRIVATE KEY-----\nMIIxyz+/a=\n-----END".to_owned(), "*** KEY-----\n***\n***".to_owned()),
            (
                "time=\"2026-11-26T11:12:44Z\" level=warning msg=\"The \\\"w0rdTail\\\" variable is not set.\"\nyaml: line 3: did not find expected key".to_owned(),
                "yaml: line 3: did not find expected key".to_owned(),
            ),
        ] {
            assert_eq!(said.rejection(&text), kept);
        }
    }

    #[test]
    fn of_what_compose_prints_while_it_works_words_of_env_files_are_taken_out() {
        let (_root, said) = said(
            "KEY=p$w0rdTail\nURL='http://u:canary pw@db'\nSTAGE=web\nSYMBOLS=a-b!c?d\nQUOTED=!\"?\\!\nIMAGE=acme/shop\n",
        );
        said.learn(["acme/shop:v1".to_owned()]);
        for (text, kept) in [
            ("Container shop-web-1  Started", Some("Container shop-web-1  Started")),
            ("Error: no such thing: w0rdTail", Some("Error: no such thing: ***")),
            ("exec: canary: not found", Some("exec: *** not found")),
            ("got a-b!c?d here", Some("got *** here")),
            ("got \"!\\\"?\\\\!\" here", Some("got \"***\" here")),
            ("acme/shop:v1 Pulled", Some("acme/shop:v1 Pulled")),
            ("time=\"x\" level=warning msg=\"The \\\"w0rdTail\\\" variable is not set.\"", None),
            (
                "time=\"x\" level=warning msg=\"/p/compose.yaml: the attribute `version` is obsolete\"",
                Some("warning: /p/compose.yaml: the attribute `version` is obsolete"),
            ),
        ] {
            assert_eq!(said.line(text).as_deref(), kept);
        }
        let warning = r#"time="2026" level=warning msg="The \"w0rdTail\" variable is not set. Defaulting to a blank string.""#;
        assert_eq!(unset_variables(warning), BTreeSet::from(["w0rdTail".to_owned()]));
    }

    #[test]
    fn what_every_build_is_warned_of_is_not_printed() {
        for warning in [
            r#"time="2026" level=warning msg="Docker Compose is configured to build using Bake, but buildx isn't installed""#,
            r#"time="2026" level=warning msg="current commit information was not captured by the build" error="git was not found in the system""#,
        ] {
            assert_eq!(Said::default().line(warning), None);
        }
        let other = r#"time="2026" level=warning msg="the attribute `version` is obsolete""#;
        assert!(Said::default().line(other).is_some());
    }
}
