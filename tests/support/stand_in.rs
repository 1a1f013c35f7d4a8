//! The program of the stand-in services: checks that it finds what it asked for, in the form in which it asked, and ends
//! with status 1 otherwise. It prints names, never values.
//!
//! `rustc` makes it a static program out of the standard library alone, which runs in any image, also an empty one.
//! The image holds its checks: `/checks/ROLE`, where the variable `STAND_IN_ROLE` names the role. Each line is `SECTION
//! KIND NAME DIGEST`. The section is `run`, or the first argument when it is `health`, `hook` or `build`, or the name by
//! which the program was called when the file says that this one is a `helper`.

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
    let role = env::var("STAND_IN_ROLE").unwrap_or_else(|_| "run".to_owned());
    let Ok(text) = fs::read_to_string(Path::new("/checks").join(&role)) else {
        eprintln!("stand-in: {role}: there is no file of checks for this role");
        return ExitCode::FAILURE;
    };
    let checks: Vec<Check> = text.lines().filter_map(parse).collect();
    let section = section_of(&checks, &called, &mut words);

    let mut wrong = false;
    for check in checks.iter().filter(|check| check.section == section) {
        if let Some(what) = check.fault(&words) {
            eprintln!("stand-in: {role}: {section}: {} {}: {what}", check.kind, check.name);
            wrong = true;
        }
    }
    if wrong {
        return ExitCode::FAILURE;
    }
    println!("stand-in: {role}: {section}: {FOUND}");
    let ends = section != "run" || checks.iter().any(|check| check.kind == "ends");
    while !ends {
        thread::sleep(Duration::from_secs(3600));
    }
    ExitCode::SUCCESS
}

fn parse(line: &str) -> Option<Check<'_>> {
    let mut words = line.split(' ');
    Some(Check { section: words.next()?, kind: words.next()?, name: words.next()?, digest: words.next()? })
}

/// The section, and the arguments without the word that named it.
fn section_of(checks: &[Check], called: &OsString, words: &mut Vec<OsString>) -> String {
    let called = Path::new(called).file_name().unwrap_or_default().to_string_lossy().into_owned();
    if checks.iter().any(|check| check.kind == "helper" && check.name == called) {
        return called;
    }
    match words.first().and_then(|word| word.to_str()) {
        Some(word @ ("health" | "hook" | "build")) => {
            let section = word.to_owned();
            words.remove(0);
            section
        }
        _ => "run".to_owned(),
    }
}

impl Check<'_> {
    /// What is wrong, in words that hold no value.
    fn fault(&self, words: &[OsString]) -> Option<&'static str> {
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
                let any = words.iter().any(|word| digest(word.as_bytes()) == self.digest);
                (!any).then_some("is not given")
            }
            "user" => (user().as_deref() != Some(self.name)).then_some("is another"),
            "process" => (std::process::id().to_string() != self.name).then_some("is another"),
            "granted" => {
                let ours = Path::new("/run/claude-secrets").exists();
                let there = fs::symlink_metadata(self.name).is_ok();
                (ours && !there).then_some("is not there beside the variable")
            }
            "ends" | "helper" => None,
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

/// The user that this process runs as.
fn user() -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_whitespace().next().map(str::to_owned)
}
