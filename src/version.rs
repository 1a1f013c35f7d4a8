//! What `claude-secrets --version` prints: the version, the commit that it was built from, and the programs that it would
//! start here.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};

use crate::compose::program::plugin;
use crate::settings::Environment;

/// The commit, where the build says it (`Dockerfile`, `scripts/release`).
const COMMIT: Option<&str> = option_env!("CLAUDE_SECRETS_COMMIT");

/// The programs that runs use, with the words that make each print its version.
const PROGRAMS: &[(&str, &[&str])] = &[
    ("docker", &["--version"]),
    ("docker", &["compose", "version"]),
    ("docker", &["buildx", "version"]),
    ("op", &["--version"]),
];

/// All of it, a line for each part. `variables` says where the programs are.
pub fn text(variables: &Environment) -> String {
    let commit = COMMIT.filter(|commit| !commit.is_empty()).unwrap_or("unknown");
    let mut text = format!("claude-secrets {} (commit {commit})\n", env!("CARGO_PKG_VERSION"));
    for (program, words) in PROGRAMS {
        let name = words.iter().filter(|word| !word.contains("version"));
        let name = std::iter::once(program).chain(name).copied().collect::<Vec<_>>().join(" ");
        let said = said(program, words, variables).unwrap_or_else(|| "not found".to_owned());
        let _ = writeln!(text, "{name}: {said}");
    }
    text
}

/// The first line that a program prints, with no more of the environment than finding programs and plugins takes.
fn said(program: &str, words: &[&str], variables: &Environment) -> Option<String> {
    let home = variables.value("HOME").map(|home| OsStr::from_bytes(home.expose()).to_owned());
    // Where there is no `docker`, as in the image, runs use the plugins all the same.
    let path = words.split_last().and_then(|(_, name)| plugin(name.first()?, home.as_deref()));
    let (program, words) =
        path.as_ref().map_or((OsStr::new(program), words), |path| (path.as_os_str(), &words[1..]));
    let mut command = Command::new(program);
    command.args(words).env_clear().stdin(Stdio::null()).stderr(Stdio::null());
    for name in ["PATH", "HOME", "DOCKER_CONFIG"] {
        if let Some(value) = variables.value(name) {
            command.env(name, OsStr::from_bytes(value.expose()));
        }
    }
    let output = command.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().next().map(str::to_owned)
}
