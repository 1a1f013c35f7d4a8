//! The files by which a step tells GitHub's runner its outputs and its summary.
//!
//! The runner names them in `GITHUB_OUTPUT` and `GITHUB_STEP_SUMMARY`, and reads them when the
//! step has ended. Under `act` in host mode they may name a directory that the container does not have; then
//! writing fails with [`FileError::Io`], and the caller may go on.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::workflow::random_token;

/// A summary above this many bytes is not shown at all.
/// <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#step-isolation-and-limits>
pub const SUMMARY_LIMIT: u64 = 1024 * 1024;

/// What stands at the end of a summary that was too long.
const CUT: &str = "\n_The rest is left out: a summary ends at 1 MiB._\n";

/// Why a file for the runner could not be written.
#[derive(Debug)]
pub enum FileError {
    /// The name of an output or state entry is not letters, digits, `_` and `-` with no digit or `-` first.
    Name(String),
    /// The value of this entry holds the delimiter that was to end it.
    Delimiter(String),
    /// The file could not be read or written.
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

impl fmt::Display for FileError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(out, "\"{}\" cannot be the name of an output", name.escape_debug()),
            Self::Delimiter(name) => write!(out, "the value of {name} holds the delimiter that would end it"),
            Self::Io { path, .. } => write!(out, "cannot write {}", path.display()),
        }
    }
}

impl std::error::Error for FileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Name(_) | Self::Delimiter(_) => None,
        }
    }
}

/// Adds one output to the file that `GITHUB_OUTPUT` names. Several lines are allowed in the value.
///
/// # Errors
/// A name that the runner would misread, or a file that cannot be written.
pub fn write_output(path: &Path, name: &str, value: &str) -> Result<(), FileError> {
    write_entry(path, name, value)
}

/// Adds Markdown to the file that `GITHUB_STEP_SUMMARY` names. Returns whether all of it is there: above 1 MiB,
/// counted with what the file holds already, GitHub would show nothing, so the text is cut at the end of a line
/// and says so.
///
/// # Errors
/// A file that cannot be written.
pub fn write_summary(path: &Path, markdown: &str) -> Result<bool, FileError> {
    append(path, |present| {
        let room = usize::try_from(SUMMARY_LIMIT.saturating_sub(present)).unwrap_or(usize::MAX);
        let text = ended(markdown);
        if text.len() <= room {
            return (text, true);
        }
        (cut(markdown, room, CUT), false)
    })
}

fn write_entry(path: &Path, name: &str, value: &str) -> Result<(), FileError> {
    let token = random_token().map_err(|source| FileError::Io { path: path.to_owned(), source })?;
    let entry = entry(name, value, &format!("ghadelimiter_{token}"))?;
    append(path, |_| (entry, ()))
}

/// One entry in the form of several lines, which holds any value.
fn entry(name: &str, value: &str, delimiter: &str) -> Result<String, FileError> {
    // An equals sign before `<<` would turn the line into the other form, `NAME=VALUE`; a line break would begin
    // another entry.
    let mut characters = name.chars();
    let first = characters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    if !first || !characters.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')) {
        return Err(FileError::Name(name.to_owned()));
    }
    if name.contains(delimiter) || value.contains(delimiter) {
        return Err(FileError::Delimiter(name.to_owned()));
    }
    Ok(format!("{name}<<{delimiter}\n{value}\n{delimiter}\n"))
}

/// Appends in one write what `text` makes of the length that the file has, after ending its last line.
fn append<T>(path: &Path, text: impl FnOnce(u64) -> (String, T)) -> Result<T, FileError> {
    let open = || -> io::Result<(File, u64, bool)> {
        let mut file = opened(path)?;
        let length = file.seek(SeekFrom::End(0))?;
        let mut last = [b'\n'];
        if length > 0 {
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
        }
        Ok((file, length, last == *b"\n"))
    };
    let failed = |source| FileError::Io { path: path.to_owned(), source };
    let (mut file, length, ended) = open().map_err(failed)?;
    let separator = if ended { "" } else { "\n" };
    let (text, outcome) = text(length + separator.len() as u64);
    file.write_all(format!("{separator}{text}").as_bytes()).map_err(failed)?;
    Ok(outcome)
}

/// Opens a file of the runner's, which makes it before the step. A link there would be somebody else's, and a pipe would
/// keep the run until somebody reads.
#[expect(clippy::disallowed_methods, reason = "it is written to, and only its last byte is read")]
fn opened(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let flags = flags.bits().cast_signed();
    let file = OpenOptions::new().read(true).append(true).create(true).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"))
}

/// The text with a line break at its end.
fn ended(text: &str) -> String {
    let separator = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    format!("{text}{separator}")
}

/// As many lines of `markdown` as fit into `room` bytes together with the note that the rest is missing.
pub(super) fn cut(markdown: &str, room: usize, note: &str) -> String {
    const FENCE: &str = "```";
    let Some(lines_room) = room.checked_sub(note.len() + FENCE.len() + 1) else {
        return String::new();
    };
    let mut end = lines_room.min(markdown.len());
    while !markdown.is_char_boundary(end) {
        end -= 1;
    }
    let kept = markdown[..end].rfind('\n').map_or("", |last| &markdown[..=last]);
    // A code block that is cut open would swallow the note.
    let fences = kept.lines().filter(|line| line.trim_start().starts_with(FENCE)).count();
    let close = if fences % 2 == 1 { "```\n" } else { "" };
    format!("{kept}{close}{note}")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    /// What the runner reads from a file of entries: `NAME=VALUE` or `NAME<<DELIMITER`, whichever sign is first.
    fn read(text: &str) -> Vec<(String, String)> {
        let mut lines = text.split_inclusive('\n');
        let mut entries = Vec::new();
        while let Some(line) = lines.next() {
            let line = line.trim_end_matches(['\r', '\n']);
            if line.is_empty() {
                continue;
            }
            let (equals, heredoc) = (line.find('='), line.find("<<"));
            match (equals, heredoc) {
                (Some(equals), heredoc) if heredoc.is_none_or(|heredoc| equals < heredoc) => {
                    entries.push((line[..equals].to_owned(), line[equals + 1..].to_owned()));
                }
                (_, Some(heredoc)) => {
                    let delimiter = &line[heredoc + 2..];
                    let mut value = String::new();
                    loop {
                        let next = lines.next().expect("the delimiter is missing");
                        if next.trim_end_matches(['\r', '\n']) == delimiter {
                            break;
                        }
                        value.push_str(next);
                    }
                    let value = value.strip_suffix('\n').unwrap_or(&value).to_owned();
                    entries.push((line[..heredoc].to_owned(), value));
                }
                _ => panic!("invalid format"),
            }
        }
        entries
    }

    fn file() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        (directory, path)
    }

    #[test]
    fn outputs_arrive_as_they_were() {
        let (_directory, path) = file();
        fs::write(&path, "earlier=step without line end").unwrap();
        let values =
            ["deployed", "", "a\nb", "\n", "{\n  \"a\": 1\n}\n", "x=y", "x<<EOF\ny\nEOF", "ghadelimiter_"];
        for value in values {
            write_output(&path, "result", value).unwrap();
        }
        write_output(&path, "error-code", "missing").unwrap();
        let entries = read(&fs::read_to_string(&path).unwrap());
        assert_eq!(entries[0], ("earlier".to_owned(), "step without line end".to_owned()));
        let found: Vec<&str> = entries[1..=values.len()].iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(found, values);
        assert_eq!(entries.last().unwrap().0, "error-code");
    }

    #[test]
    fn a_name_that_the_runner_would_misread_is_refused() {
        let (_directory, path) = file();
        for name in ["", "a=b", "a<<b", "a b", "a\nb", "1a", "-a", "é", "a\r"] {
            let error = write_output(&path, name, "value").unwrap_err();
            assert!(matches!(error, FileError::Name(_)), "{name:?}: {error}");
        }
        assert!(!path.exists());
    }

    #[test]
    fn a_value_that_holds_the_delimiter_is_refused_and_not_shown() {
        let error = entry("result", "x\nDELIM\ny", "DELIM").unwrap_err();
        assert_eq!(error.to_string(), "the value of result holds the delimiter that would end it");
        assert!(entry("DELIM", "x", "DELIM").is_err());
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let error = write_output(Path::new("/nowhere/at/all"), "result", "x").unwrap_err();
        assert_eq!(error.to_string(), "cannot write /nowhere/at/all");
        assert!(std::error::Error::source(&error).is_some());
    }

    #[test]
    fn a_summary_is_appended_line_by_line() {
        let (_directory, path) = file();
        assert!(write_summary(&path, "# Title").unwrap());
        assert!(write_summary(&path, "text\n").unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "# Title\ntext\n");
    }

    #[test]
    fn a_summary_above_the_limit_is_cut_at_a_line_end_and_says_so() {
        let (_directory, path) = file();
        fs::write(&path, "present").unwrap();
        let long = format!("```\n{}```\n", "a line of the löng log\n".repeat(60_000));
        assert!(!write_summary(&path, &long).unwrap());
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.len() as u64 <= SUMMARY_LIMIT && text.len() as u64 > SUMMARY_LIMIT - 200);
        assert!(text.starts_with("present\n```\na line"));
        assert!(text.ends_with(&format!("a line of the löng log\n```\n{CUT}")));
        assert!(!write_summary(&path, &long).unwrap(), "once more, though it is full");
        assert!(fs::metadata(&path).unwrap().len() <= SUMMARY_LIMIT);
    }

    #[test]
    fn a_summary_of_exactly_the_limit_is_kept_whole() {
        let (_directory, path) = file();
        let exact = "x".repeat(usize::try_from(SUMMARY_LIMIT).unwrap() - 1) + "\n";
        assert!(write_summary(&path, &exact).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().len(), SUMMARY_LIMIT);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_value_arrives_as_it_was(values in proptest::collection::vec("[a=<\n DELIM\\PC]*", 0..5)) {
            let mut text = String::new();
            for value in &values {
                text += &entry("name", value, "ghadelimiter_0123").unwrap();
            }
            let found: Vec<String> = read(&text).into_iter().map(|(_, value)| value).collect();
            prop_assert_eq!(found, values);
        }
    }
}
