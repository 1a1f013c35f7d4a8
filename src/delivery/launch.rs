//! The launcher before a service's program: it sets the variables that the program asks for, completes its arguments, and
//! replaces itself by the program.
//!
//! The container's configuration names variables and files, and holds no value. What the Compose file and the image say
//! of the program is repeated behind the launcher, as the engine would put it together.

use std::collections::BTreeMap;
use std::path::PathBuf;

use claude_secrets_launcher::interface;
pub use claude_secrets_launcher::interface::{ARGUMENTS, UNSET, VARIABLES, VERSION};
use serde_json::{Value, json};

use crate::access::ServiceAccess;
use crate::compose::placeholder::literal;
use crate::compose::placeholder::variables_in;
use crate::compose::service::Service;
use crate::engine::objects::Image;
use crate::error::{Code, Error, Result};
use crate::files::{self, LARGEST_PROGRAM};
use crate::secret::SecretValue;

/// Where the launcher is in a container.
pub const DIRECTORY: &str = "/run/claude-secrets";
/// Its name there.
pub const PROGRAM: &str = "exec";
/// The launcher's file in the secrets directory.
pub use claude_secrets_launcher::interface::FILE;
/// A service's program behind the launcher. All texts are as Compose reads them: a dollar sign is doubled.
#[derive(Clone, Default)]
pub struct Launch {
    /// `entrypoint`.
    pub entrypoint: Vec<String>,
    /// `command`, where it must be said.
    pub command: Option<Vec<String>>,
    /// `healthcheck.test`, where there is a health check.
    pub healthcheck: Option<Vec<String>>,
    /// `post_start` and `pre_stop`.
    pub hooks: BTreeMap<&'static str, Vec<Value>>,
}

impl Launch {
    /// Puts the launcher before the service's program; `None` when it is not known, since the image is not here.
    pub fn new(service: &Service, image: Option<&Image>) -> Option<Self> {
        // As the engine merges the two: an entry point of the Compose file takes the image's command away.
        let of_image = |list: &[String]| -> Vec<String> { list.iter().map(|word| literal(word)).collect() };
        let (entrypoint, command) = match &service.entrypoint {
            Some(list) if !list.is_empty() => (as_written(service, list), None),
            given => {
                let known = image?;
                let entrypoint = if given.is_none() { of_image(&known.entrypoint) } else { Vec::new() };
                let command = service.command.is_empty().then(|| of_image(&known.command));
                (entrypoint, command)
            }
        };
        // A word that a secret is interpolated into keeps its placeholder, also when Compose is run by hand.
        let completed = service.command.iter().any(|word| !variables_in(word).is_empty());
        let command = command.or_else(|| completed.then(|| service.command.clone()));
        let test = match (&service.healthcheck[..], image) {
            ([], Some(image)) => of_image(&image.healthcheck),
            (own, _) => own.to_vec(),
        };
        let hooks =
            service.hooks.iter().map(|(key, hooks)| (*key, hooks.iter().map(hook).collect())).collect();
        Some(Self { entrypoint: behind(entrypoint), command, healthcheck: healthcheck(&test, image), hooks })
    }
}

/// The variables of the launcher for a service. `unset` are names that Compose could only empty.
pub fn variables(access: &ServiceAccess, unset: &[String]) -> BTreeMap<String, Option<String>> {
    let arguments = access.arguments.iter().map(|(name, file)| (name.as_str(), file.as_str()));
    let lists = [
        (VARIABLES, interface::pairs(access.at_start())),
        (ARGUMENTS, interface::pairs(arguments)),
        (UNSET, interface::names(unset.iter().map(String::as_str))),
    ];
    let given = lists.into_iter().filter(|(_, list)| !list.is_empty());
    given.map(|(name, list)| (name.to_owned(), Some(literal(&list)))).collect()
}

/// The launcher's bytes: the program that lies beside this one.
pub fn program() -> Result<SecretValue> {
    let path = std::env::current_exe().unwrap_or_default().with_file_name(FILE);
    match files::read(&path, LARGEST_PROGRAM) {
        Ok(contents) => Ok(contents.value),
        Err(error) => Err(Error::io(Code::LauncherMissing, "read the launcher", &path, &error).help(
            "It is installed beside `claude-secrets`, and sets variables when a program starts. Install it there, or let \
             the service read files: `deliver: file` in the manifest's `services:`.",
        )),
    }
}

/// Where the launcher is in the secrets directory.
pub fn path() -> PathBuf {
    PathBuf::from(FILE)
}

/// The name of a project's volume that holds the launcher.
pub fn volume(project: &str) -> String {
    format!("{project}_{FILE}-{VERSION}")
}

/// Whether a name is that of a volume with a launcher, of any project and any version.
pub fn is_volume(name: &str) -> bool {
    let version = name.rsplit_once(FILE).and_then(|(_, rest)| rest.strip_prefix('-'));
    version.is_some_and(|version| !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit()))
}

fn launcher() -> [String; 2] {
    [interface::PATH.to_owned(), "--".to_owned()]
}

fn behind(words: Vec<String>) -> Vec<String> {
    launcher().into_iter().chain(words).collect()
}

/// The words of an entry point as the Compose file has them, but for those that hold a placeholder.
fn as_written(service: &Service, list: &[String]) -> Vec<String> {
    let written = &service.written.entrypoint;
    if written.len() != list.len() {
        return list.to_vec();
    }
    let word = |(text, written): (&String, &String)| {
        if variables_in(text).is_empty() { written.clone() } else { text.clone() }
    };
    list.iter().zip(written).map(word).collect()
}

fn healthcheck(test: &[String], image: Option<&Image>) -> Option<Vec<String>> {
    let (kind, words) = test.split_first()?;
    let program = match kind.as_str() {
        "CMD" => words.to_vec(),
        "CMD-SHELL" => {
            let shell = image.map(|image| image.shell.clone()).filter(|shell| !shell.is_empty());
            let shell = shell.unwrap_or_else(|| vec!["/bin/sh".to_owned(), "-c".to_owned()]);
            shell.iter().map(|word| literal(word)).chain(words.iter().cloned()).collect()
        }
        _ => return None,
    };
    Some(std::iter::once("CMD".to_owned()).chain(behind(program)).collect())
}

fn hook(hook: &Value) -> Value {
    let mut hook = hook.clone();
    if let Some(Value::Array(words)) = hook.get_mut("command") {
        let own = std::mem::take(words);
        words.extend(launcher().into_iter().map(Value::from).chain(own));
    }
    hook
}

/// What a label remembers of a launch: everything that makes the container what it is, but for the image's part, which
/// the image's id tells.
pub fn remembered(access: &ServiceAccess) -> Value {
    json!([interface::VERSION, access.at_start(), access.arguments])
}
