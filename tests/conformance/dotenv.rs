//! A `.env` file. What its lines cannot hold stands in a file that an entry `NAME_FILE` names.

use std::fmt::Write as _;

use super::fixture::{Case, File, Fixture, Reach, State};
use super::local::{self, Items};

#[derive(Default)]
struct Dotenv(Items);

/// The fixture.
pub(crate) fn start() -> Box<dyn Fixture> {
    Box::<Dotenv>::default()
}

impl Fixture for Dotenv {
    fn kind(&self) -> &'static str {
        "dotenv"
    }

    fn gap(&self, case: Case) -> Option<&'static str> {
        local::gap(case)
    }

    fn reach(&self, _: State) -> Reach {
        let mut lines = String::new();
        let mut files = Vec::new();
        for (name, bytes) in self.0.all() {
            let variable = local::variable(&name);
            match std::str::from_utf8(&bytes) {
                Ok(text) if local::mode(&name) != 0 && !text.contains(['\'', '\0', '\r']) => {
                    writeln!(lines, "{variable}='{text}'").unwrap();
                }
                _ => {
                    let path = format!("files/{name}");
                    writeln!(lines, "{variable}_FILE={path}").unwrap();
                    files.push(File { path, bytes, mode: local::mode(&name) });
                }
            }
        }
        files.push(File { path: ".env".to_owned(), bytes: lines.into_bytes(), mode: 0o600 });
        Reach { files, unprivileged: true, ..Reach::default() }
    }

    fn reference(&self, name: &str) -> String {
        format!("dotenv:{}", local::variable(name))
    }

    fn put(&self, name: &str, value: &[u8]) {
        self.0.put(name, value);
    }

    fn empty_is_absent(&self) -> bool {
        true
    }
}
