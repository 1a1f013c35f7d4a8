//! Replaces this process by the program, which is looked for as a shell and env(1) look.

use std::ffi::{CStr, CString};

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

use crate::message::Message;
use crate::{environment, inherited};

/// What env(1) exits with when there is no such program, and when it cannot be started.
const NOT_FOUND: u8 = 127;
const CANNOT_RUN: u8 = 126;
/// Where programs are looked for without a PATH, as by the C library.
const DEFAULT_PATH: &[u8] = b"/bin:/usr/bin";
/// From here on the kernel refuses one variable or argument, on most platforms.
const LONGEST: usize = 128 * 1024;

/// Why the program did not start.
struct Refusal {
    error: Errno,
    /// It is there, and what it needs to run is not.
    is_there: bool,
}

/// Starts the program in this process's place. Returns only when that is not possible: why, and the exit status.
/// `told` is the program as it was asked for: completed, its name may hold a value.
pub(crate) fn replace(told: &[u8], words: &[CString], variables: &[CString]) -> (Message, u8) {
    inherited::restore();
    let refusal = search(words, variables);
    let status = if refusal.error == Errno::ENOENT { NOT_FOUND } else { CANNOT_RUN };
    let message = match refusal.error {
        Errno::E2BIG => too_big(words, variables),
        _ => refused(told, &refusal),
    };
    (message, status)
}

/// Tries each place where the program may be. What is found and may not be started counts more than what is not found.
fn search(words: &[CString], variables: &[CString]) -> Refusal {
    let mut refusal = Refusal { error: Errno::ENOENT, is_there: false };
    for place in places(words, variables) {
        match execute(&place, words, variables) {
            Errno::EACCES => refusal.error = Errno::EACCES,
            Errno::ENOENT => refusal.is_there |= access(place.as_c_str(), AccessFlags::F_OK).is_ok(),
            Errno::ENOTDIR | Errno::ESTALE | Errno::ENODEV | Errno::ETIMEDOUT => {}
            error => return Refusal { error, is_there: true },
        }
    }
    refusal
}

/// The program's path, or each that PATH makes of its name.
fn places(words: &[CString], variables: &[CString]) -> Vec<CString> {
    let Some(program) = words.first().filter(|program| !program.is_empty()) else { return Vec::new() };
    let name = program.to_bytes();
    if name.contains(&b'/') {
        return vec![program.clone()];
    }
    let path = environment::get(variables, b"PATH").unwrap_or(DEFAULT_PATH);
    // An empty directory is the current one.
    let place = |directory: &[u8]| match directory {
        b"" => CString::new([b"./", name].concat()),
        _ => CString::new([directory, b"/", name].concat()),
    };
    path.split(|byte| *byte == b':').flat_map(place).collect()
}

fn execute(place: &CStr, words: &[CString], variables: &[CString]) -> Errno {
    match nix::unistd::execve(place, words, variables) {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

fn refused(told: &[u8], refusal: &Refusal) -> Message {
    let said = Message::new("cannot start ").and(told).and(": ");
    match refusal.error {
        Errno::ENOENT if refusal.is_there => {
            said.and("the interpreter that its first line names, or its dynamic loader, is not there")
        }
        Errno::ENOENT if !told.contains(&b'/') => said.and("no such program in PATH"),
        Errno::ENOEXEC => said.and("it is no program for this platform, or a script without a `#!` line"),
        error => said.error(error),
    }
}

/// The kernel does not say what was too big: one text, or all of them together.
fn too_big(words: &[CString], variables: &[CString]) -> Message {
    let said = Message::new("the kernel does not take so much: ");
    let long = |text: &&CString| text.as_bytes().len() >= LONGEST;
    let remedy = "\n  Set `deliver: file` for it in `services:` of claude-secrets.yml.";
    if let Some(entry) = variables.iter().find(long) {
        let entry = entry.as_bytes();
        let name = entry.split(|byte| *byte == b'=').next().unwrap_or_default();
        let length = entry.len().saturating_sub(name.len() + 1);
        return said
            .and("the variable ")
            .and(name)
            .and(" is ")
            .number(length)
            .and(" bytes long, and at most 128 KiB can be")
            .and(remedy);
    }
    if let Some(at) = words.iter().position(|word| long(&word)) {
        let length = words.get(at).map_or(0, |word| word.as_bytes().len());
        return said
            .and("argument ")
            .number(at)
            .and(" is ")
            .number(length)
            .and(" bytes long, and at most 128 KiB can be")
            .and(remedy);
    }
    let sum = words.iter().chain(variables).map(|text| text.as_bytes().len() + 1).sum();
    said.and("the variables and arguments are ")
        .number(sum)
        .and(" bytes together, more than a program's stack may hold")
        .and("\n  Set `deliver: file` for the largest in `services:` of claude-secrets.yml.")
}
