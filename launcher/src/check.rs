//! `--check`: can this user read every file that is asked for?

use std::process::ExitCode;

use crate::file;
use crate::interface::{Asked, Pair};
use crate::message::Message;
use crate::{OURS, failed};

/// Reads every file that the variables name, and the given ones. Exits with 0 when all could be read, else with 1 after
/// a line for each that could not, on standard output.
pub(crate) fn run(given: &[Vec<u8>]) -> ExitCode {
    let asked = match Asked::of_this_process() {
        Ok(asked) => asked,
        Err(message) => return failed(&[message], OURS),
    };
    let pairs = asked.variables.iter().chain(&asked.arguments);
    let named = pairs.filter_map(|Pair { name, path }| fault(path, Some(name)));
    let messages: Vec<_> = named.chain(given.iter().filter_map(|path| fault(path, None))).collect();
    for message in &messages {
        let _ = message.print();
    }
    if messages.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints a text that was asked for.
pub(crate) fn say(message: &Message) -> ExitCode {
    if message.print() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn fault(path: &[u8], name: Option<&[u8]>) -> Option<Message> {
    let mut bytes = Vec::new();
    file::append(path, &mut bytes).err().map(|fault| file::fact(path, name, &fault))
}
