//! The pattern of `matches`: a regular expression that a whole value must match. It is compiled into a table that looks at
//! each byte of a value once, so that no pattern is slow; a pattern whose table would be too large is refused.

use std::fmt;
use std::sync::Arc;

use regex_automata::dfa::{Automaton, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::primitives::StateID;
use regex_automata::util::start;
use regex_automata::{Anchored, MatchKind};
use regex_syntax::ParserBuilder;

/// The most bytes that a pattern may take in each of its forms. Usual patterns for tokens and keys take a hundredth.
const LARGEST: usize = 1024 * 1024;

/// A pattern. The meaning of its text is ASCII's: `\w` and `\d` are letters and digits of ASCII, `.` is any byte
/// but a line feed.
#[derive(Clone)]
pub struct Pattern(Arc<dense::DFA<Vec<u32>>>);

/// Why a text is not a pattern.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PatternError {
    /// It is not a regular expression; holds what is wrong, without anything of the text.
    Malformed(String),
    /// It would take more than [`LARGEST`].
    TooLarge,
}

impl Pattern {
    /// Takes a regular expression.
    ///
    /// # Errors
    /// It is malformed, or too large.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let mut parser = ParserBuilder::new().unicode(false).utf8(false).nest_limit(100).build();
        let parsed = parser.parse(text).map_err(|error| PatternError::Malformed(told(&error)))?;
        let states = thompson::Config::new().utf8(false).nfa_size_limit(Some(LARGEST));
        let nfa = thompson::Compiler::new().configure(states).build_from_hir(&parsed);
        let nfa = nfa.map_err(|error| match error.size_limit() {
            Some(_) => PatternError::TooLarge,
            None => PatternError::Malformed("it cannot be compiled".to_owned()),
        })?;
        let table = dense::Config::new()
            .start_kind(regex_automata::dfa::StartKind::Anchored)
            .match_kind(MatchKind::All)
            .dfa_size_limit(Some(LARGEST))
            .determinize_size_limit(Some(LARGEST));
        // What the library cannot compile into a table at all counts as too large.
        let table = dense::Builder::new().configure(table).build_from_nfa(&nfa);
        table.map(|table| Self(Arc::new(table))).map_err(|_| PatternError::TooLarge)
    }

    /// Whether the whole value matches.
    pub fn matches(&self, value: &[u8]) -> bool {
        let table = &self.0;
        let start = start::Config::new().anchored(Anchored::Yes);
        let Ok(mut state) = table.start_state(&start) else { return false };
        for byte in value {
            state = table.next_state(state, *byte);
            if table.is_dead_state(state) || table.is_quit_state(state) {
                return false;
            }
        }
        let end: StateID = table.next_eoi_state(state);
        table.is_match_state(end)
    }
}

/// What is wrong with a text, and where. The library's whole message quotes the text, which may be a misplaced value.
fn told(error: &regex_syntax::Error) -> String {
    let (what, span) = match error {
        regex_syntax::Error::Parse(error) => (error.kind().to_string(), error.span()),
        regex_syntax::Error::Translate(error) => (error.kind().to_string(), error.span()),
        _ => return "it cannot be parsed".to_owned(),
    };
    match span.start.line {
        1 => format!("{what} (character {})", span.start.column),
        line => format!("{what} (line {line}, character {})", span.start.column),
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pattern")
    }
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(why) => write!(f, "is not a valid regular expression: {why}"),
            Self::TooLarge => write!(
                f,
                "is too large: compiled, it would take more than {} MiB, usually because of nested repetitions",
                LARGEST >> 20
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_value_is_held_against_a_pattern() {
        for (pattern, value, matches) in [
            ("a|ab", "ab", true),
            ("sk-ant-[A-Za-z0-9_-]{8,}", "sk-ant-0123abcd", true),
            ("sk-ant-[A-Za-z0-9_-]{8,}", "xsk-ant-0123abcd", false),
            ("sk-ant-[A-Za-z0-9_-]{8,}", "sk-ant-0123abcd\n", false),
            ("^abc$", "abc", true),
            ("", "", true),
            ("", "a", false),
            (r"\d{6}", "123456", true),
            (r"\d{6}", "12345\u{0663}", false),
            ("(?i)token_.*", "TOKEN_x", true),
            ("(?s).*b", "a\nb", true),
            (".*b", "a\nb", false),
            (r"(?m)^a$\n^b$", "a\nb", true),
            (r"\bword\b", "word", true),
            ("(?x) a b # a comment", "ab", true),
            ("ä+", "ää", true),
            (r"-----BEGIN [A-Z ]+-----\n[\s\S]*", "-----BEGIN KEY-----\nx\n", true),
        ] {
            let parsed = Pattern::parse(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
            assert_eq!(parsed.matches(value.as_bytes()), matches, "{pattern} on {value:?}");
        }
        assert!(Pattern::parse(r"(?s).+").unwrap().matches(b"\xff\x00"), "bytes that are no text");
    }

    #[test]
    fn a_pattern_that_would_take_minutes_is_refused() {
        for pattern in [
            "(a{0,200}){0,200}b",
            "((a{0,100}){0,100}){0,100}",
            "(((((a{0,9}){0,9}){0,9}){0,9}){0,9}){0,9}",
            "[ab]*a[ab]{30}",
            ".*(a|b|c)*.*x.{20}",
            "a{4294967295}",
        ] {
            let error = Pattern::parse(pattern).err().unwrap_or_else(|| panic!("{pattern}"));
            let shown = error.to_string();
            assert!(
                matches!(error, PatternError::TooLarge) || pattern.contains("4294967295"),
                "{pattern}: {shown}"
            );
        }
        for malformed in ["(", "a)b(", "[", "a**{", r"\1", "(?=a)", "(?<n"] {
            assert!(matches!(Pattern::parse(malformed), Err(PatternError::Malformed(_))), "{malformed}");
        }
    }

    /// What people write for real tokens has room.
    #[test]
    fn patterns_of_real_tokens_are_accepted() {
        for pattern in [
            r"sk-ant-api03-[\w-]{93}AA",
            r"gh[pousr]_[A-Za-z0-9_]{36,255}",
            r"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}",
            r"xox[baprs]-([0-9a-zA-Z]{10,48})?",
            r"AKIA[0-9A-Z]{16}",
            r"eyJ[A-Za-z0-9_-]+\.eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+",
            r"postgres(ql)?://[^:@/]+:[^:@/]+@[\w.-]+(:\d{1,5})?/\w+(\?.*)?",
            r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
            r"-----BEGIN (RSA |EC |OPENSSH )?PRIVATE KEY-----[\s\S]+-----END (RSA |EC |OPENSSH )?PRIVATE KEY-----\n?",
            r".{1,4096}",
            r"[!-~]{12,128}",
        ] {
            assert!(Pattern::parse(pattern).is_ok(), "{pattern}");
        }
    }
}
