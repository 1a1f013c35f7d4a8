//! `init`: proposes the manifest, the workflow and the list of secrets for an existing Compose project. Shows what it would
//! write; `--write` writes what is not there. Nothing that is there is changed, and no value is printed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use crate::compose::discovery::ComposeFiles;
use crate::compose::program;
use crate::compose::service::Written;
use crate::console::Console;
use crate::count::count;
use crate::delivery::ProjectFile;
use crate::engine::tools::Tools;
use crate::error::{Code, Error, Result};
use crate::files::{self, LARGEST_VALUES};
use crate::init::{self, Project, Proposal};
use crate::interrupt::Interrupt;
use crate::manifest;
use crate::mask::{Plan, Redactor};
use crate::secret::SecretValue;
use crate::sensitive::Sensitive;
use crate::settings::Settings;
use crate::sources::dotenv::{self, parse};
use crate::stages::declared;
use crate::tracked;

/// The workflow, below the repository's top.
const WORKFLOW: &str = ".github/workflows/deploy.yml";

/// Variables by name, with their values.
type Values = BTreeMap<String, SecretValue>;

/// One file of the proposal.
struct Proposed {
    /// The repository's top, or the project directory where there is none.
    top: PathBuf,
    /// The directory that it is reached from, and the path below that.
    base: PathBuf,
    below: &'static str,
    /// The path as it is shown.
    shown: String,
    text: String,
}

impl Proposed {
    fn path(&self) -> PathBuf {
        self.base.join(self.below)
    }
}

/// Makes the proposal and returns it for standard output. With `write` the files that are not there are written.
///
/// # Errors
/// There is no project, Compose rejects it, or a file cannot be written.
pub async fn init(
    settings: &Settings,
    console: &Arc<Console>,
    interrupt: &Interrupt,
    write: bool,
) -> Result<String> {
    let files = declared::find_project(settings)?.files;
    let tools = Tools::new(Sensitive::docker_alone(&settings.variables), console.clone(), interrupt.clone());
    let written = written(&tools, settings, &files).await?;
    let env = dotenv::default_file(&files.directory)?;
    let env_files = env_files(&written);
    let is_tracked = tracked::is_tracked(&files.directory.join(dotenv::DEFAULT_FILE)) == Some(true);
    let basis = Project { written: &written, env: &env, env_files: &env_files, is_tracked };
    let proposal = init::read(&basis)
        .ok_or_else(|| Error::new(Code::Internal, "Docker Compose printed a model that is none"))?;
    let proposed = proposed(settings, &files, &proposal);
    let mut text = String::new();
    for file in &proposed {
        text.push_str(&shown(file, write)?);
    }
    text.push_str(&rest(&proposal));
    // What is secret by its name alone is redacted as well: a file that is there may have been given a value by hand.
    let all = env.iter().chain(env_files.values().flatten());
    let values =
        all.filter(|(name, value)| value.expose().len() >= 6 && proposal.secrets.contains_key(*name));
    let values: Vec<(&str, &[u8])> = values.map(|(name, value)| (name.as_str(), value.expose())).collect();
    let redactor = Redactor::new(&Plan::new(values));
    Ok(String::from_utf8_lossy(&redactor.redact_line(text.as_bytes())).into_owned())
}

/// The project as it is written, merged by Compose.
async fn written(tools: &Tools, settings: &Settings, files: &ComposeFiles) -> Result<Value> {
    let mut call = program::compose(tools, &[]).option("--project-directory", &files.directory);
    for file in &files.files {
        call = call.option("--file", file);
    }
    if let Some(name) = &settings.compose.name {
        call = call.option("--project-name", name);
    }
    let call =
        call.words(&["--profile=*", "config", "--format=json", "--no-interpolate", "--no-path-resolution"]);
    let answer = call.output().await?;
    if !answer.success {
        return Err(Error::new(
            Code::ComposeFileInvalid,
            format!("Docker Compose rejects the project of {}: {}", files.directory.display(), answer.stderr),
        ));
    }
    let mut written = answer
        .json()
        .ok_or_else(|| Error::new(Code::Internal, "Docker Compose printed a model that is no JSON"))?;
    // Paths are as they are written, so that a proposal shows none of this machine; env files are read from the project.
    let directory = files.directory.clone();
    let services = written.get_mut("services").and_then(Value::as_object_mut);
    for definition in services.into_iter().flat_map(|all| all.values_mut()) {
        let list = definition.get_mut("env_file").and_then(Value::as_array_mut).into_iter().flatten();
        for entry in list {
            let path = entry.get("path").unwrap_or(entry).as_str().map(|path| directory.join(path));
            *entry = Value::from(path.unwrap_or_default().display().to_string());
        }
    }
    Ok(written)
}

/// What the env files of each service have. What cannot be read, or is no such file, Compose tells of when it starts.
fn env_files(written: &Value) -> BTreeMap<String, Values> {
    let services = written.get("services").and_then(Value::as_object).into_iter().flatten();
    let of = |definition: &Value| -> Values {
        let mut all = Values::new();
        for path in Written::new(definition).env_files {
            let Ok(contents) = files::read(Path::new(&path), LARGEST_VALUES) else { continue };
            let Ok(parsed) = parse::parse(contents.value.expose(), parse::Interpolation::Literal) else {
                continue;
            };
            all.extend(parsed.entries.into_iter().map(|entry| (entry.key, entry.value.into())));
        }
        all
    };
    services
        .map(|(name, definition)| (name.clone(), of(definition)))
        .filter(|(_, all)| !all.is_empty())
        .collect()
}

fn proposed(settings: &Settings, files: &ComposeFiles, proposal: &Proposal) -> Vec<Proposed> {
    let top =
        files.directory.ancestors().find(|above| above.join(".git").exists()).unwrap_or(&files.directory);
    let project = files.directory.strip_prefix(top).unwrap_or(Path::new(""));
    let named: Vec<String> = settings
        .compose
        .files
        .iter()
        .map(|file| file.strip_prefix(top).unwrap_or(file).display().to_string())
        .collect();
    let mut all = Vec::new();
    if !proposal.secrets.is_empty() {
        all.push(Proposed {
            top: top.to_owned(),
            base: files.directory.clone(),
            below: manifest::FILE_NAME,
            shown: project.join(manifest::FILE_NAME).display().to_string(),
            text: init::manifest(proposal),
        });
        all.push(Proposed {
            top: top.to_owned(),
            base: top.to_owned(),
            below: WORKFLOW,
            shown: WORKFLOW.to_owned(),
            text: init::workflow(proposal, project, &named),
        });
    }
    all
}

/// What is done about a file, as a difference to what is there; with `write`, does it.
fn shown(file: &Proposed, write: bool) -> Result<String> {
    let mut text = String::new();
    refuse_outside(file)?;
    match files::read(&file.path(), LARGEST_VALUES) {
        Ok(contents) => {
            let there = String::from_utf8_lossy(contents.value.expose()).into_owned();
            if there == file.text {
                let _ = writeln!(text, "# {} is there already, as proposed\n", file.shown);
                return Ok(text);
            }
            let _ = writeln!(text, "# {} is there and stays as it is; the proposal differs:", file.shown);
            let difference = similar::TextDiff::from_lines(there.as_str(), file.text.as_str());
            let _ = writeln!(
                text,
                "{}",
                difference.unified_diff().context_radius(2).header(&file.shown, "proposal")
            );
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let place = ProjectFile::to_commit(&file.base, Path::new(file.below));
            let place = place.map_err(|error| match error.code {
                Code::PathUnsafe => by_a_link(error.fact),
                _ => error,
            })?;
            if write {
                place.create(file.text.as_bytes(), 0o644)?;
            }
            let done = if write { "written" } else { "would be written" };
            let _ = writeln!(text, "# {}: {done}\n--- /dev/null\n+++ {}", file.shown, file.shown);
            for line in file.text.lines() {
                let _ = writeln!(text, "+{line}");
            }
            text.push('\n');
        }
        Err(error) => return Err(Error::io(Code::NotWritable, "read", &file.path(), &error)),
    }
    Ok(text)
}

/// Refuses a file that is somewhere else than in the repository or in the directory that the user named: it would be shown.
fn refuse_outside(file: &Proposed) -> Result<()> {
    let Ok(real) = file.path().canonicalize() else { return Ok(()) };
    let is_below =
        |directory: &Path| directory.canonicalize().is_ok_and(|directory| real.starts_with(directory));
    if is_below(&file.top) || is_below(&file.base) {
        return Ok(());
    }
    Err(by_a_link(format!("{} leads out of the repository by a symbolic link", file.shown)))
}

fn by_a_link(fact: String) -> Error {
    Error::new(Code::PathUnsafe, fact).help("Put a real file or directory in the place of the link.")
}

/// What is left to do by hand.
fn rest(proposal: &Proposal) -> String {
    let mut text = String::new();
    if proposal.secrets.is_empty() {
        text.push_str(
            "# No variable of this project looks like a secret: nothing is proposed. What is one is declared in \
             claude-secrets.yml.\n",
        );
    } else {
        let _ = writeln!(
            text,
            "# Give GitHub {}; each command asks for its value:",
            count(proposal.commands().len(), "value")
        );
        for command in proposal.commands() {
            let _ = writeln!(text, "{command}");
        }
    }
    for note in &proposal.notes {
        let _ = writeln!(text, "# note: {note}.");
    }
    if !proposal.secrets.is_empty() {
        text.push_str("# Then: claude-secrets validate --offline\n");
    }
    text
}
