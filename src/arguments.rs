//! The arguments of a program: words of ours, options with their values, and names, none of which can be an option.

use std::ffi::{OsStr, OsString};

/// What follows the name of a program. Words are the program's own text, so that no user's name gets among them: those
/// are values of options, which are one argument with their option (`--label=VALUE`), or come last, behind `--`. A
/// service, image or volume with the name `--push` is then a name and nothing else.
///
/// None of it may be a secret: arguments can be read by everyone on the machine.
#[derive(Clone, Default)]
pub struct Arguments {
    words: Vec<OsString>,
    names: Vec<OsString>,
}

impl Arguments {
    /// Arguments that begin with these words.
    pub fn new(words: &[&'static str]) -> Self {
        let mut arguments = Self::default();
        arguments.words(words);
        arguments
    }

    /// Adds words: commands and switches.
    pub fn words(&mut self, words: &[&'static str]) {
        self.words.extend(words.iter().map(Into::into));
    }

    /// Adds a long option with its value, which may be anything.
    pub fn option(&mut self, option: &'static str, value: impl AsRef<OsStr>) {
        debug_assert!(option.starts_with("--"), "a short option has no form that keeps its value apart");
        let mut argument = OsString::from(option);
        argument.push("=");
        argument.push(value);
        self.words.push(argument);
    }

    /// Adds names, which come behind everything else.
    pub fn names<S: AsRef<OsStr>>(&mut self, names: impl IntoIterator<Item = S>) {
        self.names.extend(names.into_iter().map(|name| name.as_ref().to_owned()));
    }

    /// The arguments in their order.
    pub fn into_vec(self) -> Vec<OsString> {
        let mut all = self.words;
        if !self.names.is_empty() {
            all.push("--".into());
            all.extend(self.names);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_option() {
        let mut arguments = Arguments::new(&["up", "--detach"]);
        arguments.names(["--push"]);
        arguments.option("--profile", "--help");
        arguments.names(["-x", "web"]);
        assert_eq!(
            arguments.into_vec(),
            ["up", "--detach", "--profile=--help", "--", "--push", "-x", "web"].map(OsString::from)
        );
    }
}
