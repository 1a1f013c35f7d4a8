//! A run killed at any instant leaves the last good set of secret files or the new one.
//!
//! The writer is this test binary itself, started again; it is killed with SIGKILL at random instants.

#![allow(clippy::unwrap_used, clippy::panic)] // clippy.toml allows it in test functions, and the rest here serves these

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use claude_secrets::delivery::{ProjectLock, SecretFile, SecretsDir};
use claude_secrets::secret::SecretValue;

const DIR: &str = "data/secrets";
const PROJECT: &str = "CRASH_TEST_PROJECT";

/// The files of set A or B: every content carries its set's stamp; some names are in one set only.
fn set(stamp: char) -> BTreeMap<PathBuf, Vec<u8>> {
    let of = |length: usize| stamp.to_string().repeat(length).into_bytes();
    let own = format!("only_{stamp}");
    let mut files: BTreeMap<PathBuf, Vec<u8>> = [
        ("anthropic_api_key", of(108)),
        ("github_token", of(if stamp == 'A' { 40 } else { 93 })),
        ("pem", of(20_000)),
        ("bot/anthropic_api_key", of(108)),
        ("bot/large", of(300_000)),
        ("worker/x", of(1)),
        (&own, of(7)),
    ]
    .map(|(path, bytes)| (path.into(), bytes))
    .into();
    files.insert(format!("service_{stamp}/x").into(), of(9));
    files.insert("same".into(), b"in both sets".to_vec());
    files
}

fn wanted(stamp: char) -> Vec<SecretFile> {
    let file = |(path, bytes): (PathBuf, Vec<u8>)| SecretFile {
        path,
        value: SecretValue::new(bytes),
        mode: 0o400,
        owner: None,
    };
    set(stamp).into_iter().map(file).collect()
}

/// Not a test by itself: what the child does, until it is killed.
#[test]
fn the_writer() {
    let Some(project) = std::env::var_os(PROJECT).map(PathBuf::from) else {
        return;
    };
    let _lock = ProjectLock::lock(&project, Duration::from_secs(10)).unwrap();
    let dir = SecretsDir::open(&project, Path::new(DIR)).unwrap();
    println!("ready");
    // At most for a while, should nobody be left to kill us.
    for stamp in ['A', 'B'].into_iter().cycle().take(1000) {
        dir.write(&wanted(stamp)).unwrap();
    }
}

fn start_writer(project: &Path) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_writer", "--nocapture"])
        .env(PROJECT, project)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.contains("ready")), "the writer did not start");
    child
}

fn kill_after(mut child: Child, wait: Duration) {
    std::thread::sleep(wait);
    child.kill().unwrap(); // SIGKILL
    let status = child.wait().unwrap();
    assert!(!status.success(), "the writer was not killed but ended");
}

fn random(below: u64) -> u64 {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).unwrap();
    u64::from_ne_bytes(bytes) % below
}

/// The set in sight, as its stamp; whatever is neither A nor B as a whole is a failure.
fn in_sight(top: &Path) -> char {
    let mut found = BTreeMap::new();
    for sub in ["", "bot", "worker", "service_A", "service_B"] {
        let Ok(entries) = fs::read_dir(top.join(sub)) else {
            continue;
        };
        for entry in entries.map(Result::unwrap).filter(|e| e.file_type().unwrap().is_file()) {
            let path = entry.path().strip_prefix(top).unwrap().to_owned();
            let name = entry.file_name();
            if name.to_string_lossy().starts_with('.') || name == "theirs" {
                continue;
            }
            assert_eq!(entry.metadata().unwrap().mode() & 0o7777, 0o400, "mode of {}", path.display());
            found.insert(path, fs::read(entry.path()).unwrap());
        }
    }
    assert_eq!(fs::metadata(top).unwrap().mode() & 0o7777, 0o700);
    let whole = ['A', 'B'].into_iter().find(|stamp| found == set(*stamp));
    let seen: Vec<_> =
        found.iter().map(|(p, b)| (p.display().to_string(), b.first().map(|b| *b as char))).collect();
    whole.unwrap_or_else(|| panic!("a mixed set is in sight: {seen:?}"))
}

fn hidden(parent: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.to_string_lossy().contains(".claude-secrets.")).collect()
}

#[test]
fn a_run_killed_at_any_instant_leaves_all_of_one_set_and_what_others_put_there() {
    const KILLS: usize = 250;
    let project = tempfile::tempdir().unwrap();
    let top = project.path().join(DIR);
    let dir = || SecretsDir::open(project.path(), Path::new(DIR)).unwrap();
    dir().write(&wanted('A')).unwrap();
    fs::create_dir_all(top.join("others/deep")).unwrap();
    for path in ["theirs", "bot/theirs", "others/deep/x"] {
        fs::write(top.join(path), format!("kept: {path}")).unwrap();
    }
    let look = |path: &str| {
        let stat = fs::metadata(top.join(path)).unwrap();
        (stat.ino(), stat.uid(), stat.mode(), stat.mtime(), stat.mtime_nsec())
    };
    let files = ["theirs", "bot/theirs"];
    let before = files.map(look);
    let directories =
        || ["", "bot", "others", "others/deep"].map(|path| fs::metadata(top.join(path)).unwrap().ino());
    let directories_before = directories();

    // How long a write takes here, so that kills fall into every part of one.
    let start = Instant::now();
    for stamp in ['B', 'A', 'B', 'A'] {
        dir().write(&wanted(stamp)).unwrap();
    }
    let two_writes = u64::try_from(start.elapsed().as_micros() / 2).unwrap();

    let (mut seen, mut mid_swap, mut with_leftovers) = (BTreeMap::new(), 0, 0);
    for _ in 0..KILLS {
        let child = start_writer(project.path());
        kill_after(child, Duration::from_micros(random(2 * two_writes)));
        *seen.entry(in_sight(&top)).or_insert(0) += 1;
        assert_eq!(files.map(look), before, "what others put there is in sight at every instant");
        for path in files {
            assert_eq!(fs::read_to_string(top.join(path)).unwrap(), format!("kept: {path}"));
        }
        with_leftovers += usize::from(!hidden(&project.path().join("data")).is_empty());
        mid_swap += usize::from(!top.join("others").exists());
    }
    println!(
        "{KILLS} kills, {two_writes} us for two writes: in sight {seen:?}, {with_leftovers} with leftovers, {mid_swap} between the swaps"
    );
    assert!(seen.len() == 2, "the kills did not reach both sets: {seen:?}");
    assert!(with_leftovers > KILLS / 20, "the kills did not fall into writes: {with_leftovers}");

    let stamp = in_sight(&top);
    dir().write(&wanted(stamp)).unwrap();
    assert_eq!(in_sight(&top), stamp);
    assert_eq!(hidden(&project.path().join("data")), Vec::<PathBuf>::new(), "the next run tidies up");
    assert_eq!(directories(), directories_before, "every directory is the one that it was");
    assert_eq!(files.map(look), before);
    assert_eq!(fs::read_to_string(top.join("others/deep/x")).unwrap(), "kept: others/deep/x");
    for path in files {
        assert_eq!(fs::metadata(top.join(path)).unwrap().nlink(), 1, "no second name is left of {path}");
    }
}

#[test]
fn a_first_run_killed_at_any_instant_leaves_nothing_or_the_whole_set() {
    // The writer's own speed at this moment sets the range, so that a busy machine is hit in the middle too.
    let measured = tempfile::tempdir().unwrap();
    let start = Instant::now();
    let first = SecretsDir::open(measured.path(), Path::new(DIR)).unwrap().write(&wanted('A'));
    assert!(first.is_ok());
    let one_write = u64::try_from(start.elapsed().as_micros()).unwrap();

    let (mut nothing, mut whole) = (0, 0);
    for _ in 0..100 {
        let project = tempfile::tempdir().unwrap();
        let top = project.path().join(DIR);
        kill_after(start_writer(project.path()), Duration::from_micros(random(3 * one_write)));
        if top.exists() {
            in_sight(&top);
            whole += 1;
        } else {
            nothing += 1;
        }
        let dir = SecretsDir::open(project.path(), Path::new(DIR)).unwrap();
        dir.write(&wanted('B')).unwrap();
        assert_eq!(in_sight(&top), 'B');
        assert_eq!(hidden(&project.path().join("data")), Vec::<PathBuf>::new());
        dir.remove().unwrap();
        assert!(!top.exists());
    }
    println!("nothing: {nothing}, the whole set: {whole}");
    assert!(nothing > 0 && whole > 0, "the kills did not reach both: {nothing} and {whole}");
}
