//! What Docker Compose reads beside the Compose files: env files above all. Their contents are treated as values wherever
//! Compose speaks.
//!
//! Compose is not asked which files it reads: when it complains of one it gives no answer. So every word of a Compose file
//! that names a file is taken for one that is read (`env_file`, `include`, `extends`, `label_file`, `configs`, `secrets`
//! in all their forms), and where a name has a variable in it, every file of that directory.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::discovery::ComposeFiles;
use crate::files::{self, Contents, Links};
use crate::secret::SecretValue;
use claude_secrets_launcher::interface;

/// A file that is larger (bytes) is not read; Compose's words are then taken for quotations of it.
const LARGEST: u64 = 1024 * 1024;
/// More files are not read, with the same effect.
const MOST_FILES: usize = 256;

/// The contents of the files that Compose reads. It has no `Debug`: they hold values.
#[derive(Default)]
pub struct ReadByCompose {
    /// The text of the Compose files: what stands there is no value.
    pub compose: Vec<String>,
    /// The contents of everything else.
    pub others: Vec<SecretValue>,
    /// Whether nothing was left out.
    pub complete: bool,
}

impl ReadByCompose {
    /// Reads the files of a project, and those that `env_files` (`COMPOSE_ENV_FILES`) names.
    pub fn of(files: &ComposeFiles, env_files: &[PathBuf]) -> Self {
        let mut this = Self { complete: true, ..Self::default() };
        let mut seen = BTreeSet::new();
        let mut open: Vec<PathBuf> = files.files.clone();
        open.push(files.directory.join(".env"));
        open.extend(env_files.iter().map(|path| files.directory.join(path)));
        while let Some(path) = open.pop() {
            let Ok(path) = path.canonicalize() else { continue };
            if !seen.insert(path.clone()) {
                continue;
            }
            if seen.len() > MOST_FILES {
                this.complete = false;
                break;
            }
            let Ok(Contents { value, .. }) = files::read(&path, LARGEST) else {
                this.complete &= !path.is_file();
                continue;
            };
            let text = String::from_utf8_lossy(value.expose()).into_owned();
            let is_compose =
                files.files.iter().any(|file| file.canonicalize().is_ok_and(|file| file == path))
                    || is_compose_file(&path, &text);
            if is_compose {
                let own = path.parent().unwrap_or(Path::new("/"));
                for directory in [own, &files.directory] {
                    let named = named(&text, directory);
                    open.extend(named.into_iter().filter(|path| !is_launcher(path)));
                }
                this.compose.push(text);
            } else {
                this.others.push(value);
            }
        }
        this
    }
}

/// An included project. Its words are as public as those of the project's own Compose files.
fn is_compose_file(path: &Path, text: &str) -> bool {
    let is_yaml = path.extension().is_some_and(|end| end == "yml" || end == "yaml");
    is_yaml && text.lines().any(|line| line.starts_with("services:"))
}

/// Our launcher, which the override file names: a program, which Compose does not read.
fn is_launcher(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == interface::FILE) && {
        let mut magic = Vec::new();
        let read = files::read_beginning(path, 4, Links::Followed, |piece| magic.extend_from_slice(piece));
        read.is_ok() && magic == b"\x7fELF"
    }
}

/// The files that words of a text name, from a directory.
fn named(text: &str, directory: &Path) -> BTreeSet<PathBuf> {
    let mut all = BTreeSet::new();
    for line in text.lines() {
        // A name may have blanks in it, as what follows `key:` or `- `.
        let whole = line.split_once(": ").map_or(line, |(_, rest)| rest).trim().trim_start_matches("- ");
        let separators = |c: char| c.is_whitespace() || "\"'[]{},".contains(c);
        for word in line.split(separators).chain([whole.trim_matches(['"', '\''])]) {
            // `name.env:/target`
            for word in [word, word.split(':').next().unwrap_or(word), word.trim_end_matches(':')] {
                if word.is_empty() || word.len() > 4096 {
                    continue;
                }
                match word.split_once('$') {
                    None => all.extend(Some(directory.join(word)).filter(|path| path.is_file())),
                    Some((before, _)) => {
                        let parent = before.rsplit_once('/').map_or("", |(parent, _)| parent);
                        all.extend(files_of(&directory.join(parent)));
                    }
                }
            }
        }
    }
    all
}

fn files_of(directory: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_file()).take(MOST_FILES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_that_a_compose_file_names_in_any_form_is_read() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write(
            "compose.yaml",
            "include:\n  - path: sub/more.yaml\n    env_file: sub/included.env\nservices:\n  web:\n    env_file:\n      \
             - path: a.env\n        format: raw\n      - ./with blank.env\n      - env/${STAGE}.env\n    label_file: \
             [\"labels\"]\n    extends: {file: base.yml, service: x}\nsecrets: {s: {file: s.txt}}\n",
        );
        write("sub/more.yaml", "services:\n  db:\n    env_file: db.env\n");
        write("base.yml", "services:\n  x: {env_file: base.env}\n");
        let others = [
            ".env",
            "given.env",
            "a.env",
            "with blank.env",
            "env/prod.env",
            "labels",
            "s.txt",
            "sub/included.env",
            "sub/db.env",
            "base.env",
        ];
        for name in others {
            write(name, &format!("content of {name}"));
        }
        write("unrelated.txt", "content");
        let files =
            ComposeFiles { directory: root.path().to_owned(), files: vec![root.path().join("compose.yaml")] };
        let found = ReadByCompose::of(&files, &["given.env".into()]);
        let mut texts: Vec<_> =
            found.others.iter().map(|b| String::from_utf8(b.expose().to_vec()).unwrap()).collect();
        let mut expected: Vec<_> = others.iter().map(|name| format!("content of {name}")).collect();
        texts.sort();
        expected.sort();
        assert_eq!(texts, expected);
        assert_eq!(found.compose.len(), 3);
        assert!(found.complete);
        write("compose.yaml", "services:\n  web:\n    volumes: [data/claude-secrets-exec:/exec]\n");
        write("data/claude-secrets-exec", "\x7fELF is no text");
        assert!(ReadByCompose::of(&files, &[]).others.iter().all(|file| !file.expose().starts_with(b"\x7f")));
        write("compose.yaml", "services:\n  web: { env_file: a.env }\n");
        write("a.env", &"x".repeat(1024 * 1024 + 1));
        assert!(!ReadByCompose::of(&files, &[]).complete);
    }
}
