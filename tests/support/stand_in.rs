//! The program of the stand-in services: checks that it finds what it asked for, in the form in which it asked, and ends
//! with status 1 otherwise. It prints names, never values.
//!
//! `rustc` makes it a static program out of the standard library alone, which runs in any image, also an empty one.
//! The image holds its checks: `/checks/ROLE`, where the variable `STAND_IN_ROLE` names the role. Each line is `SECTION
//! KIND NAME DIGEST`. The section is `run`; or the first argument when it is `health`, `hook` or `build`; or `exec` where
//! the program was started from outside of the container, under another name, as a health check is.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

/// What the program prints when all is well: by it others know that everything was looked at.
pub const FOUND: &str = "found all that it asked for";

/// The name of the program itself; an image may have others for it.
const OWN_NAME: &str = "stand-in";

/// What health checks look for in what their programs print.
const ANSWERS: &str = "PONG OK ok";

/// The digest by which values are compared without being told: FNV-1a of 128 bits.
pub fn digest(bytes: &[u8]) -> String {
    let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    for byte in bytes {
        hash ^= u128::from(*byte);
        hash = hash.wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
    }
    format!("{hash:032x}")
}

/// The digest of a list of arguments.
pub fn digest_of_all<T: AsRef<[u8]>>(arguments: &[T]) -> String {
    let all: Vec<&[u8]> = arguments.iter().map(AsRef::as_ref).collect();
    digest(&all.join(&0))
}

/// One line of the checks.
struct Check<'a> {
    section: &'a str,
    kind: &'a str,
    name: &'a str,
    digest: &'a str,
}

/// Checks, and then runs on, or ends when its file says that it is of the kind that ends.
pub fn main() -> ExitCode {
    let mut words: Vec<OsString> = env::args_os().collect();
    let called = if words.is_empty() { OsString::new() } else { words.remove(0) };
    let called = Path::new(&called).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let role = env::var("STAND_IN_ROLE").unwrap_or_else(|_| "run".to_owned());
    let Ok(text) = fs::read_to_string(Path::new("/checks").join(&role)) else {
        eprintln!("stand-in: {role}: there is no file of checks for this role");
        return ExitCode::FAILURE;
    };
    let checks: Vec<Check> = text.lines().filter_map(parse).collect();
    let section = section_of(&called, &mut words);

    let mut wrong = false;
    for check in checks.iter().filter(|check| check.section == section) {
        if let Some(what) = check.fault(&called, &words) {
            eprintln!("stand-in: {role}: {section}: {} {}: {what}", check.kind, check.name);
            wrong = true;
        }
    }
    if wrong {
        return ExitCode::FAILURE;
    }
    println!("stand-in: {role}: {section}: {FOUND}");
    if section == "exec" {
        println!("{ANSWERS}");
    }
    let ends = section != "run" || checks.iter().any(|check| check.kind == "ends");
    if ends {
        return ExitCode::SUCCESS;
    }
    loop {
        thread::sleep(Duration::from_hours(1));
    }
}

fn parse(line: &str) -> Option<Check<'_>> {
    let mut words = line.split(' ');
    Some(Check { section: words.next()?, kind: words.next()?, name: words.next()?, digest: words.next()? })
}

/// The section, and the arguments without the word that named it.
fn section_of(called: &str, words: &mut Vec<OsString>) -> &'static str {
    let named = words.first().and_then(|word| word.to_str());
    let known = ["health", "hook", "build"].into_iter().find(|section| named == Some(section));
    if known.is_some() {
        words.remove(0);
    }
    known.unwrap_or(if called != OWN_NAME && is_from_outside() { "exec" } else { "run" })
}

/// Whether no ancestor of this process is the container's first one.
fn is_from_outside() -> bool {
    let mut process = std::process::id().to_string();
    while process != "1" {
        match of_status(&process, "PPid:") {
            Some(parent) if parent != "0" => process = parent,
            _ => return true,
        }
    }
    false
}

/// A field of a process's status.
fn of_status(process: &str, field: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next().map(str::to_owned)
}

impl Check<'_> {
    /// What is wrong, in words that hold no value.
    fn fault(&self, called: &str, words: &[OsString]) -> Option<&'static str> {
        match self.kind {
            "variable" => self.of_variable(),
            "no-variable" => env::var_os(self.name)
                .map(|value| if value.is_empty() { "is set, and empty" } else { "is set" }),
            "no-value" => env::var_os(self.name).filter(|value| !value.is_empty()).map(|_| "has a value"),
            "file" => self.of_file(),
            "no-file" => Path::new(self.name).exists().then_some("is there"),
            "arguments" => {
                let all: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
                (digest_of_all(&all) != self.digest).then_some("are others")
            }
            "argument" => {
                let meant = self.name == "-" || self.name == called;
                let any = words.iter().any(|word| digest(word.as_bytes()) == self.digest);
                (meant && !any).then_some("is not given")
            }
            "user" => (of_status("self", "Uid:").as_deref() != Some(self.name)).then_some("is another"),
            "process" => (std::process::id().to_string() != self.name).then_some("is another"),
            "granted" => {
                let ours = Path::new("/run/claude-secrets").exists();
                let there = fs::symlink_metadata(self.name).is_ok();
                (ours && !there).then_some("is not there beside the variable")
            }
            "ends" => None,
            _ => Some("is no kind of check"),
        }
    }

    fn of_variable(&self) -> Option<&'static str> {
        let Some(value) = env::var_os(self.name) else {
            return Some("is not set");
        };
        if digest(value.as_bytes()) == self.digest {
            None
        } else if value.is_empty() {
            Some("is empty")
        } else if value.to_string_lossy().contains("claude-secrets") {
            Some("holds a placeholder or a path of ours")
        } else {
            Some("has another value")
        }
    }

    fn of_file(&self) -> Option<&'static str> {
        match fs::read(self.name) {
            Ok(bytes) if digest(&bytes) == self.digest => None,
            Ok(bytes) if bytes.is_empty() => Some("is empty"),
            Ok(_) => Some("has another content"),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Some("is not there"),
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Some("cannot be read"),
            Err(_) => Some("is no file"),
        }
    }
}
