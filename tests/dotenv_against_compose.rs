//! The same dotenv files through our parser and through real Docker Compose: as env file of a service, values read back.
//!
//! Compose is the one that `CLAUDE_SECRETS_COMPOSE` names, else `docker-compose`, else `docker compose`; without one the test
//! fails. `config` needs no engine. It prints each `$` twice, and each byte that is not UTF-8 as U+FFFD, as does the JSON in
//! which Compose hands variables to the engine: for such bytes the comparison can only see that something stands there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "dotenv_against_compose/files.rs"]
mod files;
#[path = "dotenv_against_compose/generated.rs"]
mod generated;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::process::{Command, Stdio};

use claude_secrets::sources::dotenv::parse::{Interpolation, Parsed, WarningKind, parse};
use zeroize::Zeroizing;

/// All that the files can inherit or refer to outside of themselves.
const ENVIRONMENT: [(&str, &str); 3] =
    [("OUTER", "from outside"), ("BLANK", ""), ("DOLLARS", "a$b$$c${OUTER}")];

type Variables = BTreeMap<String, String>;

#[test]
fn we_read_what_compose_reads() {
    let cases: Vec<Vec<u8>> =
        files::FILES.iter().map(|file| file.to_vec()).chain(generated::files(400)).collect();
    let (expected, rejected): (Vec<_>, Vec<_>) =
        cases.iter().partition::<Vec<&Vec<u8>>, _>(|file| interpolated(file).is_some());

    let compose = Compose::find();
    let mut readings: Vec<_> = expected.iter().copied().zip(compose.read_all(&expected)).collect();
    // A rejected file ends the whole run of Compose, so these go one by one.
    readings.extend(rejected.iter().map(|file| (*file, compose.read(&[*file]).map(|mut one| one.remove(0)))));

    let mut tally = Tally::default();
    let eager = compose.is_version_2();
    for (file, theirs) in &readings {
        tally.compare(file, theirs.as_ref(), eager);
    }
    println!("{tally:?}");
    assert!(tally.agreed >= 150, "too few cases: {tally:?}");
    assert!(tally.rejected_by_both >= 30, "too few malformed files: {tally:?}");
    assert!(tally.entries_warned_of >= 50, "too few dollars: {tally:?}");
}

#[test]
fn a_value_of_a_mebibyte_is_what_compose_reads() {
    let mut file = b"BIG='".to_vec();
    file.extend((0..1_048_576_u32).map(|at| b"abcdefghijklmnopqrstuvwxyz$\n \\#\""[at as usize % 31]));
    file.extend(b"'\nAFTER=x\n");
    let theirs = Compose::find().read(&[&file]).expect("Compose reads it").remove(0);
    assert_eq!(theirs.get("BIG").map(String::len), Some(1_048_576));
    assert!(interpolated(&file) == Some(theirs), "the values differ");
}

#[derive(Default, Debug)]
struct Tally {
    agreed: usize,
    rejected_by_both: usize,
    entries: usize,
    entries_warned_of: usize,
}

impl Tally {
    /// `eager`: Compose rejects a file also for what is wrong in a default that it does not use.
    fn compare(&mut self, file: &[u8], theirs: Option<&Variables>, eager: bool) {
        let shown = file.escape_ascii().to_string();
        let ours = interpolated(file);
        let may_be_eager =
            eager && theirs.is_none() && file.windows(2).filter(|two| two == b"${").count() > 1;
        if ours.is_none() || !may_be_eager {
            assert_eq!(ours.as_ref(), theirs, "interpolating, ours and theirs differ: {shown}");
        }
        self.agreed += 1;
        self.rejected_by_both += usize::from(theirs.is_none());

        let Ok(literal) = parse(file, Interpolation::Literal) else {
            assert!(theirs.is_none(), "only we reject: {shown}");
            return;
        };
        let Some(theirs) = theirs else {
            let told = literal.warnings.iter().any(|warning| warning.kind == WarningKind::WouldInterpolate);
            assert!(told, "Compose rejects, we neither do nor warn: {shown}");
            return;
        };
        let ours = variables(&literal);
        assert!(ours.keys().all(|key| theirs.contains_key(key)), "a key only we have: {shown}");
        for (key, value) in theirs {
            self.entries += 1;
            let warned = literal.warnings.iter().any(|warning| {
                warning.is_about(key)
                    && matches!(warning.kind, WarningKind::WouldInterpolate | WarningKind::Bare)
            });
            self.entries_warned_of += usize::from(warned);
            assert!(warned || ours.get(key) == Some(value), "{key} differs without a warning: {shown}");
        }
    }
}

/// What we read when we interpolate as Compose does; nothing when we reject the file.
fn interpolated(file: &[u8]) -> Option<Variables> {
    let lookup = |name: &str| {
        let value = ENVIRONMENT.iter().find(|(known, _)| *known == name)?.1;
        Some(Zeroizing::new(value.as_bytes().to_vec()))
    };
    parse(file, Interpolation::Compose(&lookup)).ok().map(|parsed| variables(&parsed))
}

fn variables(parsed: &Parsed) -> Variables {
    parsed.entries.iter().map(|entry| (entry.key.clone(), as_json_would(&entry.value))).collect()
}

/// U+FFFD for each byte that is not UTF-8 (the standard library puts one for several).
fn as_json_would(bytes: &[u8]) -> String {
    bytes.utf8_chunks().fold(String::new(), |mut text, chunk| {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '\u{FFFD}'));
        text
    })
}

struct Compose(Vec<OsString>);

impl Compose {
    fn find() -> Self {
        let named = std::env::var_os("CLAUDE_SECRETS_COMPOSE").map(|path| vec![path]);
        let usual = [vec!["docker-compose".into()], vec!["docker".into(), "compose".into()]];
        let works = |command: &Vec<OsString>| {
            let version = Self(command.clone()).command().args(["version", "--short"]).output();
            version.is_ok_and(|output| output.status.success())
        };
        let found = match named {
            Some(named) => Some(named).filter(works),
            None => usual.into_iter().find(works),
        };
        Self(
            found
                .expect("Docker Compose is needed: set CLAUDE_SECRETS_COMPOSE or put docker-compose on PATH"),
        )
    }

    fn is_version_2(&self) -> bool {
        let version = self.command().args(["version", "--short"]).output().unwrap().stdout;
        String::from_utf8_lossy(&version).trim_start_matches('v').starts_with("2.")
    }

    /// Compose with nothing in its environment but what it is found by and what the files may refer to.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.0[0]);
        command.args(&self.0[1..]).env_clear().stdin(Stdio::null());
        command.envs(["PATH", "HOME"].iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.envs(ENVIRONMENT);
        command
    }

    /// Each file by itself, nothing where Compose rejects it; in as few calls as possible.
    fn read_all(&self, files: &[&Vec<u8>]) -> Vec<Option<Variables>> {
        match (self.read(files), files.len()) {
            (Some(all), _) => all.into_iter().map(Some).collect(),
            (None, 0 | 1) => files.iter().map(|_| None).collect(),
            (None, several) => {
                let (left, right) = files.split_at(several / 2);
                [self.read_all(left), self.read_all(right)].concat()
            }
        }
    }

    /// All files in one project, one service each; nothing when Compose rejects any of them.
    fn read(&self, files: &[&Vec<u8>]) -> Option<Vec<Variables>> {
        let directory = tempfile::tempdir().unwrap();
        let mut project = "name: dotenv-differential\nservices:\n".to_owned();
        for (number, file) in files.iter().enumerate() {
            fs::write(directory.path().join(format!("{number}.env")), file).unwrap();
            writeln!(project, "  s{number}: {{image: none, env_file: {number}.env}}").unwrap();
        }
        fs::write(directory.path().join("compose.yaml"), project).unwrap();
        let output = self
            .command()
            .args(["config", "--format", "json"])
            .current_dir(directory.path())
            .output()
            .expect("Compose starts");
        if !output.status.success() {
            // Anything but a complaint about an env file would make "both reject" mean nothing.
            let message = String::from_utf8_lossy(&output.stderr);
            assert!(message.contains(".env: ") || message.contains("required variable"), "{message}");
            return None;
        }
        let model: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        Some((0..files.len()).map(|number| environment(&model["services"][format!("s{number}")])).collect())
    }
}

fn environment(service: &serde_json::Value) -> Variables {
    assert!(service["image"].is_string(), "the service is in the model");
    let Some(variables) = service["environment"].as_object() else {
        return Variables::new();
    };
    let text = |value: &serde_json::Value| value.as_str().expect("a string").replace("$$", "$");
    // Of lines without a key Compose makes an entry without a name, which no secret can be.
    variables
        .iter()
        .filter(|(key, _)| !key.is_empty())
        .map(|(key, value)| (key.clone(), text(value)))
        .collect()
}
