//! The interface: the names of its variables, how a list is written and read, and what `--version` and `--help` say.
//!
//! It outlives releases: a service whose launcher is of an older release is up to date as long as this holds. What is
//! added must be such that both sides can do without it; anything else is another [`VERSION`].

use std::fmt::Write as _;
use std::os::unix::ffi::OsStringExt as _;

use crate::message::Message;

/// The version of the interface.
pub const VERSION: &str = "1";
/// The name of its program, in a release and in the secrets directory.
pub const FILE: &str = "claude-secrets-exec";
/// Where a container has the launcher.
pub const PATH: &str = "/run/claude-secrets/exec";
/// The directory that relative file names are in.
pub const SECRETS: &str = "/run/secrets";
/// The variable that lists which variables come from which files: `NAME=FILE`, blank-separated.
pub const VARIABLES: &str = "CLAUDE_SECRETS_VARIABLES";
/// The variable that lists the variables that the program must not have.
pub const UNSET: &str = "CLAUDE_SECRETS_UNSET";
/// The variable that lists what completes arguments: `NAME=FILE`, blank-separated.
pub const ARGUMENTS: &str = "CLAUDE_SECRETS_ARGUMENTS";
/// What a placeholder in an argument begins with; its name and a dot follow.
pub const PLACEHOLDER: &str = "claude-secrets-placeholder.";

/// The text that stands for a value in an argument. `name` holds no dot.
pub fn placeholder(name: &str) -> String {
    format!("{PLACEHOLDER}{name}.")
}

/// A list for [`VARIABLES`] or [`ARGUMENTS`]: each name with the file that its value is in.
pub fn pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let pairs: Vec<String> =
        pairs.into_iter().map(|(name, file)| format!("{}={}", escape(name), escape(file))).collect();
    pairs.join(" ")
}

/// A list for [`UNSET`].
pub fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.into_iter().map(escape).collect();
    names.join(" ")
}

/// A name or a file name as it is written in a list: control characters, blanks, `%` and `=` as `%` and two hexadecimal
/// digits.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_control() || matches!(c, ' ' | '%' | '=') {
            let _ = write!(escaped, "%{:02X}", u32::from(c));
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// One value that is asked for: the name that it gets, and the path of its file.
pub(crate) struct Pair {
    pub(crate) name: Vec<u8>,
    pub(crate) path: Vec<u8>,
}

/// What the three variables ask for.
pub(crate) struct Asked {
    pub(crate) variables: Vec<Pair>,
    pub(crate) unset: Vec<Vec<u8>>,
    pub(crate) arguments: Vec<Pair>,
}

impl Asked {
    /// Reads the three variables of this process; fails at the first that cannot be read.
    pub(crate) fn of_this_process() -> Result<Self, Message> {
        Ok(Self { variables: pairs_of(VARIABLES)?, unset: names_of(UNSET)?, arguments: pairs_of(ARGUMENTS)? })
    }
}

/// What `--version` prints: the interface and the release.
pub(crate) fn version() -> Message {
    Message::new("claude-secrets-exec interface ")
        .and(VERSION)
        .and(" release ")
        .and(env!("CARGO_PKG_VERSION"))
}

/// What `--help` prints, and what is said of a command line that is none.
pub(crate) fn usage() -> Message {
    Message::new("usage: ").and(PATH).and(
        " [--] PROGRAM [ARGUMENT...]
       ... --version   the version of the interface and the release",
    )
}

fn pairs_of(variable: &str) -> Result<Vec<Pair>, Message> {
    read(variable, |word| {
        let (name, file) = word.split_once('=').ok_or("an entry has no `=`")?;
        if file.contains('=') {
            return Err("an entry has more than one `=`");
        }
        Ok(Pair { name: unescape(name)?, path: path(unescape(file)?) })
    })
}

fn names_of(variable: &str) -> Result<Vec<Vec<u8>>, Message> {
    read(variable, |word| if word.contains('=') { Err("an entry has a `=`") } else { unescape(word) })
}

fn read<T>(variable: &str, entry: impl Fn(&str) -> Result<T, &'static str>) -> Result<Vec<T>, Message> {
    let text = std::env::var_os(variable).unwrap_or_default().into_vec();
    list(&text, entry).map_err(|fault| {
        Message::new("the variable ").and(variable).and(" is not what claude-secrets writes: ").and(fault)
    })
}

/// The entries of a list. Entries are told apart by blanks, and nothing else that is not printed is in them.
fn list<T>(text: &[u8], entry: impl Fn(&str) -> Result<T, &'static str>) -> Result<Vec<T>, &'static str> {
    let text = std::str::from_utf8(text).map_err(|_| "it is not UTF-8")?;
    if text.contains(|c: char| c.is_ascii_control()) {
        return Err("it holds a control character");
    }
    text.split(' ').filter(|word| !word.is_empty()).map(entry).collect()
}

fn unescape(text: &str) -> Result<Vec<u8>, &'static str> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (high, low) = (rest.next().and_then(digit), rest.next().and_then(digit));
        match (high, low) {
            (Some(0), Some(0)) => return Err("an entry holds `%00`"),
            (Some(high), Some(low)) => bytes.push(high << 4 | low),
            _ => return Err("a `%` is not followed by two hexadecimal digits"),
        }
    }
    if bytes.is_empty() { Err("an entry has an empty part") } else { Ok(bytes) }
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

fn path(file: Vec<u8>) -> Vec<u8> {
    if file.starts_with(b"/") { file } else { [SECRETS.as_bytes(), b"/", &file].concat() }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Read = Vec<(Vec<u8>, Vec<u8>)>;

    fn read_back(text: &str) -> Result<Read, &'static str> {
        list(text.as_bytes(), |word| {
            let (name, file) = word.split_once('=').ok_or("none")?;
            Ok((unescape(name)?, unescape(file)?))
        })
    }

    #[test]
    fn what_is_written_is_read_back() {
        for (name, file) in
            [("A", "a"), ("A.b-c", "/run/x y"), ("%", "=%20\n\t\u{7f}"), ("Ü", "ü 100%"), ("N", "a$b\"'\\")]
        {
            let text = pairs([(name, file), ("Z", "z")]);
            let wanted = vec![(name.into(), file.into()), (b"Z".to_vec(), b"z".to_vec())];
            assert_eq!(read_back(&text), Ok(wanted), "{text}");
            assert!(!text.contains(|c: char| c.is_ascii_control()), "{text}");
        }
        assert_eq!(names(["A B", "C"]), "A%20B C");
    }

    #[test]
    fn a_list_that_we_did_not_write_is_refused() {
        for text in ["A=%", "A=%4", "A=%zz", "A=%+1", "A=%00", "A=", "=a", "A=a\nB=b", "A=a\tb"] {
            assert!(read_back(text).is_err(), "{text}");
        }
        assert_eq!(read_back("  A=a   B=%2f ").unwrap().len(), 2);
    }

    #[test]
    fn a_relative_file_is_in_the_directory_of_secrets() {
        assert_eq!(path(b"db".to_vec()), b"/run/secrets/db");
        assert_eq!(path(b"/x/db".to_vec()), b"/x/db");
    }
}
