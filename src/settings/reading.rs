//! Reads single inputs, and notes every invalid one.

use std::cell::RefCell;
use std::time::Duration;

use super::address::{Address, Server};
use super::inputs::INPUTS;
use super::{EngineSettings, Given, RegistryLogin, input_variable};
use crate::count::count;
use crate::error::{Code, Error, Result};
use crate::files::{self, LARGEST_VALUES};
use crate::nearest::meant;
use crate::secret::SecretValue;

/// Nobody waits longer than this, and adding much longer times to a clock would overflow.
const LONGEST: Duration = Duration::from_hours(100 * 365 * 24);

/// The inputs of a run while they are read.
pub(super) struct Reading<'a> {
    pub(super) given: &'a Given<'a>,
    wrong: RefCell<Vec<Error>>,
}

impl<'a> Reading<'a> {
    pub(super) fn of(given: &'a Given<'a>) -> Self {
        Self { given, wrong: RefCell::default() }
    }

    /// Everything that was noted.
    pub(super) fn wrong(self) -> Option<Error> {
        Error::together(self.wrong.into_inner())
    }

    pub(super) fn note(&self, error: Error) {
        self.wrong.borrow_mut().push(error);
    }

    /// What there is, or nothing of it when it was wrong.
    pub(super) fn sound<T: Default>(&self, result: Result<T>) -> T {
        result.unwrap_or_else(|error| {
            self.note(error);
            T::default()
        })
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        (self.given.flags)(name)
            .or_else(|| self.given.variables.text(&input_variable(name)).map(str::to_owned))
            .filter(|text| !text.trim().is_empty())
            .or_else(|| {
                INPUTS.iter().find(|i| i.name == name && !i.default.is_empty()).map(|i| i.default.to_owned())
            })
    }

    pub(super) fn required(&self, name: &str) -> String {
        self.optional(name).unwrap_or_default()
    }

    pub(super) fn optional(&self, name: &str) -> Option<String> {
        self.text(name).map(|text| text.trim().to_owned())
    }

    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let text = self.text(name).unwrap_or_default();
        text.split(['\n', ',']).map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
    }

    pub(super) fn switch(&self, name: &str) -> bool {
        let words = [
            ("true", true),
            ("True", true),
            ("TRUE", true),
            ("false", false),
            ("False", false),
            ("FALSE", false),
        ];
        self.one_of(name, &words, "`true` or `false`")
    }

    pub(super) fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> T {
        let tokens: Vec<_> = choices.iter().map(|(token, _)| format!("`{token}`")).collect();
        self.one_of(name, choices, &tokens.join(", "))
    }

    /// The value of the input's word; that of the first word if it is unknown.
    fn one_of<T: Copy>(&self, name: &str, words: &[(&str, T)], expected: &str) -> T {
        let text = self.required(name);
        let found = words.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let error = unexpected(name, &text, expected);
            self.note(match meant(&text, words.iter().map(|(word, _)| *word)) {
                Some(word) => error.help(format!("Did you mean `{word}`?")),
                None => error,
            });
        }
        found.unwrap_or(&words[0]).1
    }

    pub(super) fn duration(&self, name: &str) -> Duration {
        let text = self.required(name);
        let seconds = text.parse::<u64>().map(Duration::from_secs);
        let time = seconds
            .or_else(|_| humantime::parse_duration(&text))
            .map_err(|_| unexpected(name, &text, "a duration such as `90s`, `2m` or a number of seconds"));
        self.sound(time).min(LONGEST)
    }

    /// A secret input: `INPUT_…`, or the file that the flag `--NAME-file` names.
    pub(super) fn secret(&self, name: &str) -> Option<SecretValue> {
        let Some(path) = (self.given.flags)(&format!("{name}-file")) else {
            return self.given.variables.value(&input_variable(name)).cloned();
        };
        let path = self.given.current_directory.join(path);
        let contents = files::read(&path, LARGEST_VALUES).map_err(|error| {
            Error::io(Code::Usage, &format!("read the file of --{name}-file,"), &path, &error)
                .help("Use a file of at most 4 MiB that this user can read.")
        });
        self.sound(contents.map(|contents| Some(contents.value)))
    }

    /// `docker-host` and the inputs that belong to it.
    pub(super) fn engine(&self) -> EngineSettings {
        let host = self.optional("docker-host").map(|text| Address::parse("docker-host", &text)).transpose();
        let jumps = self.list("ssh-jump");
        let jumps = jumps.iter().map(|text| Server::parse("ssh-jump", text)).collect::<Result<_>>();
        EngineSettings {
            host: self.sound(host),
            known_hosts: self.optional("ssh-known-hosts"),
            fingerprint: self.optional("ssh-fingerprint"),
            key: self.optional("ssh-key"),
            sign: self.optional("ssh-sign"),
            jumps: self.sound(jumps),
            tls_ca: self.optional("docker-tls-ca"),
        }
    }

    /// The logins of the `registries` input.
    pub(super) fn registries(&self) -> Vec<RegistryLogin> {
        self.sound(registries(self.secret("registries")))
    }
}

pub(super) fn unexpected(name: &str, text: &str, expected: &str) -> Error {
    Error::new(
        Code::Usage,
        format!(
            "{name}: expected {expected}, got another value ({})",
            count(text.chars().count(), "character")
        ),
    )
    .help(format!("Correct the input `{name}`."))
}

fn registries(text: Option<SecretValue>) -> Result<Vec<RegistryLogin>> {
    let Some(text) = text else { return Ok(Vec::new()) };
    let lines = std::str::from_utf8(text.expose())
        .map_err(|_| Error::new(Code::Usage, "registries: the input is not UTF-8"))?;
    let mut logins = Vec::new();
    for (number, line) in lines.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let mut words = line.split_whitespace();
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some(host), Some(user), Some(password), None) => logins.push(RegistryLogin {
                host: host.to_owned(),
                user: user.to_owned(),
                password: SecretValue::new(password.as_bytes().to_vec()),
            }),
            _ => {
                return Err(Error::new(
                    Code::Usage,
                    format!(
                        "registries: line {} has {} words, expected 3",
                        number + 1,
                        line.split_whitespace().count()
                    ),
                )
                .help("Write one login per line: `host user password`."));
            }
        }
    }
    Ok(logins)
}
