//! What Docker Compose says of env files, without what it quotes of them.
//!
//! Compose interpolates `.env` and `env_file`. Of a value `p$tail` it warns that the variable `tail` is not set, which no
//! mask of the value matches; and what it rejects it prints (Compose v2.40, compose-go `dotenv`).

use std::borrow::Cow;
use std::collections::BTreeSet;

/// How a message begins that quotes an env file.
const FAILED: &str = "failed to read ";
/// The reasons that Compose gives. What follows each of them is quoted from the file.
const REASONS: &[&str] = &[
    "unterminated quoted value",
    "Invalid template",
    "key cannot contain a space",
    "unexpected character",
    "required variable",
];
const UNSET: &str = " variable is not set";
/// What every build in our image is warned of (it has neither program), and nobody can do anything about.
const ABOUT_BUILDS: &[&str] = &[
    "Docker Compose is configured to build using Bake, but buildx isn't installed",
    "current commit information was not captured by the build",
];

/// A line of Compose without anything that it quotes of an env file; `None` when nothing is left of it.
pub fn without_quotes(line: &str) -> Option<Cow<'_, str>> {
    if line.contains(UNSET) || ABOUT_BUILDS.iter().any(|warning| line.contains(warning)) {
        return None;
    }
    let Some(at) = line.find(FAILED) else {
        return Some(Cow::Borrowed(line));
    };
    let (before, rest) = line.split_at(at + FAILED.len());
    // A file that cannot be opened is told with `open PATH: …`, and nothing of it is quoted.
    let Some((path, why)) = rest.split_once(": ").filter(|(path, _)| path.starts_with('/')) else {
        return Some(Cow::Borrowed(line));
    };
    let (place, why) = match why.split_once(": ") {
        Some((place, why)) if place.starts_with("line ") => (format!("{place}: "), why),
        _ => (String::new(), why),
    };
    let reason = REASONS.iter().find(|reason| why.starts_with(**reason));
    let reason = reason.unwrap_or(&"it is malformed");
    Some(Cow::Owned(format!("{before}{path}: {place}{reason}")))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_an_env_file_is_quoted() {
        for (said, kept) in [
            (
                r#"failed to read /p/.env: line 3: unterminated quoted value "canary"#,
                "failed to read /p/.env: line 3: unterminated quoted value",
            ),
            (
                r#"failed to read /p/a.env: Invalid template: "abc${canary""#,
                "failed to read /p/a.env: Invalid template",
            ),
            (
                "failed to read /p/.env: required variable V is missing a value: canary",
                "failed to read /p/.env: required variable",
            ),
            ("failed to read /p/.env: something new: canary", "failed to read /p/.env: it is malformed"),
            ("Container x  Started", "Container x  Started"),
        ] {
            assert_eq!(without_quotes(said).as_deref(), Some(kept));
        }
        let warning = r#"time="2026" level=warning msg="The \"w0rdTail\" variable is not set. Defaulting to a blank string.""#;
        assert_eq!(without_quotes(warning), None);
        assert_eq!(unset_variables(warning), BTreeSet::from(["w0rdTail".to_owned()]));
    }

    #[test]
    fn what_every_build_is_warned_of_is_not_printed() {
        for warning in [
            r#"time="2026" level=warning msg="Docker Compose is configured to build using Bake, but buildx isn't installed""#,
            r#"time="2026" level=warning msg="current commit information was not captured by the build" error="git was not found in the system""#,
        ] {
            assert_eq!(without_quotes(warning), None);
        }
        let other = r#"time="2026" level=warning msg="the attribute `version` is obsolete""#;
        assert_eq!(without_quotes(other).as_deref(), Some(other));
    }
}
