//! The launcher: it sets variables from files, completes arguments, and replaces itself by the program.
//!
//! A service gets it at `/run/claude-secrets/exec`, before its entry point and its health check. The program keeps the
//! process: its number, signals, exit status, standard streams and working directory are what they would be without
//! us. Values are in this process's memory and in what the kernel hands to the program, and nowhere else; the memory is
//! not wiped before the kernel drops it with the process that was.
mod arguments;
mod environment;
mod file;
mod inherited;
pub mod interface;
mod message;
mod program;

use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt as _;
use std::process::ExitCode;

use interface::Asked;
use message::Message;

/// The launcher itself failed.
const OURS: u8 = 125;

/// Does what the command line asks for. Returns only when no program was started: after `--version` and
/// `--help`, or with the exit status of a failure, which was told on standard error.
pub fn run() -> ExitCode {
    let words: Vec<Vec<u8>> = std::env::args_os().skip(1).map(OsString::into_vec).collect();
    let Some((first, others)) = words.split_first() else { return failed(&[interface::usage()], OURS) };
    match first.as_slice() {
        b"--version" => said(&interface::version()),
        b"--help" => said(&interface::usage()),
        b"--" => start(others),
        option if option.starts_with(b"-") => failed(&[interface::usage()], OURS),
        _ => start(&words),
    }
}

/// Replaces this process by a program, with these arguments (the program first) and variables (`NAME=VALUE`). What was
/// inherited stays, signals too. Returns only when that is not possible: what to say, and the exit status.
pub fn replace(words: &[CString], variables: &[CString]) -> (String, u8) {
    let told = words.first().map_or(&[][..], |word| word.as_bytes());
    let (message, status) = program::replace(told, words, variables);
    (message.into_text(), status)
}

/// Starts the program, or tells why not.
fn start(words: &[Vec<u8>]) -> ExitCode {
    let Some(told) = words.first() else { return failed(&[interface::usage()], OURS) };
    match prepared(words) {
        Ok((words, variables)) => {
            let (message, status) = program::replace(told, &words, &variables);
            failed(&[message], status)
        }
        Err(messages) => failed(&messages, OURS),
    }
}

/// The arguments and the environment of the program.
fn prepared(words: &[Vec<u8>]) -> Result<(Vec<CString>, Vec<CString>), Vec<Message>> {
    let asked = Asked::of_this_process().map_err(|message| vec![message])?;
    Ok((arguments::complete(words, &asked)?, environment::with(&asked)?))
}

/// Prints a text that was asked for.
fn said(message: &Message) -> ExitCode {
    if message.print() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn failed(messages: &[Message], status: u8) -> ExitCode {
    for message in messages {
        message.complain();
    }
    ExitCode::from(status)
}
