//! Tests of the file delivery, by subject, and what they share.

mod limits;
mod refusals;
mod removing;
mod writing;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::geteuid;
use tempfile::TempDir;

use super::directory::Directory;
use super::swap::copy_file;
use crate::delivery::{Difference, ProjectFile, ProjectLock, SecretFile, SecretsDir};
use crate::error::{Code, Error};
use crate::secret::SecretValue;

fn project() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn file(path: &str, value: &str) -> SecretFile {
    SecretFile { path: path.into(), value: SecretValue::new(value.into()), mode: 0o400, owner: None }
}

fn secrets(project: &TempDir) -> SecretsDir {
    SecretsDir::open(project.path(), Path::new("data/secrets")).unwrap()
}

fn in_sight(project: &TempDir) -> SecretsDir {
    let mut dir = secrets(project);
    dir.exchange = false;
    dir
}

fn paths(names: &[&str]) -> Vec<PathBuf> {
    names.iter().map(PathBuf::from).collect()
}

/// Everything below a directory, but its `.git`.
fn tree(top: &Path) -> Vec<String> {
    fn walk(top: &Path, at: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(at).unwrap().map(Result::unwrap) {
            found.push(entry.path().strip_prefix(top).unwrap().display().to_string());
            if entry.file_type().unwrap().is_dir() && entry.file_name() != ".git" {
                walk(top, &entry.path(), found);
            }
        }
    }
    let mut found = Vec::new();
    walk(top, top, &mut found);
    found.sort();
    found
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn refused<T>(result: Result<T, Error>, code: Code, words: &[&str]) {
    let Err(error) = result else { panic!("not refused; expected {}", code.token()) };
    let text = error.to_string();
    assert_eq!(error.code, code, "{text}");
    assert!(text.contains("fix: "), "no remedy: {text}");
    for word in words {
        assert!(text.contains(word), "{word:?} is missing in: {text}");
    }
}

/// Runs one test of this file again, behind a command (`unshare -m …`), with a directory to work on.
fn rerun(test: &str, dir: &Path, command: &[&str]) {
    let binary = dir.join("test-binary");
    // By another process: a child that a test beside this one starts meanwhile would hold the copy open for writing, and
    // the kernel would refuse to run it.
    let copied = Command::new("cp").arg(std::env::current_exe().unwrap()).arg(&binary).status().unwrap();
    assert!(copied.success());
    let name = format!("delivery::files::tests::limits::{test}");
    let run = Command::new(command[0])
        .args(&command[1..])
        .args([binary.to_str().unwrap(), "--exact", &name, "--nocapture"])
        .env("DELIVERY_TEST_DIR", dir)
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&run.stdout) + String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success() && output.contains("1 passed"), "{output}");
}

fn given_dir() -> Option<PathBuf> {
    std::env::var_os("DELIVERY_TEST_DIR").map(PathBuf::from)
}

fn can_mount() -> bool {
    let can = Command::new("unshare").args(["-m", "true"]).status().is_ok_and(|s| s.success());
    if !can {
        println!("skipped: needs root and unshare(1)");
    }
    can
}

fn git(dir: &Path, args: &[&str]) {
    let done = Command::new("git").current_dir(dir).args(args).output().expect("git is installed");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}
