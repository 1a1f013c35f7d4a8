//! Variables. What a variable cannot hold stands in a file that a variable `NAME_FILE` names.

use std::string::FromUtf8Error;

use super::fixture::{Case, File, Fixture, Reach, State};
use super::local::{self, Items};

#[derive(Default)]
struct Env(Items);

/// The fixture.
pub(crate) fn start() -> Box<dyn Fixture> {
    Box::<Env>::default()
}

impl Fixture for Env {
    fn kind(&self) -> &'static str {
        "env"
    }

    fn gap(&self, case: Case) -> Option<&'static str> {
        local::gap(case)
    }

    fn reach(&self, _: State) -> Reach {
        let mut reach = Reach { unprivileged: true, ..Reach::default() };
        for (name, bytes) in self.0.all() {
            let variable = local::variable(&name);
            match String::from_utf8(bytes) {
                Ok(text) if local::mode(&name) != 0 && !text.contains('\0') => {
                    reach.variables.push((variable, text));
                }
                text => {
                    let bytes = text.map_or_else(FromUtf8Error::into_bytes, String::into_bytes);
                    let path = format!("files/{name}");
                    reach.variables.push((format!("{variable}_FILE"), path.clone()));
                    reach.files.push(File { path, bytes, mode: local::mode(&name) });
                }
            }
        }
        reach
    }

    fn reference(&self, name: &str) -> String {
        format!("env:{}", local::variable(name))
    }

    fn put(&self, name: &str, value: &[u8]) {
        self.0.put(name, value);
    }

    fn empty_is_absent(&self) -> bool {
        true
    }
}
