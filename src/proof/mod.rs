//! The proof at the end of a deployment, also of one that changed nothing: no secret value is anywhere but in the secrets
//! themselves, and every service can read what it was granted.

mod documents;
pub mod mounts;
pub mod readers;
pub mod workspace;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use futures_util::future::join_all;

use self::documents::{Answers, ask};
use self::readers::GrantedFile;
use crate::compose::images::Images;
use crate::compose::project::Project;
use crate::console::Console;
use crate::delivery::in_clear::InClear;
use crate::diagnostic::Diagnostic;
use crate::engine::host_paths::HostPath;
use crate::engine::inspection;
use crate::engine::objects::Container;
use crate::engine::tools::Tools;
use crate::error::{Code, Error, Result};
use crate::report::Report;

/// What is searched.
pub struct Subject<'a> {
    /// The project.
    pub project: &'a Project,
    /// Its containers, as they were inspected last.
    pub containers: Vec<&'a Container>,
    /// Containers that the next deployment replaces: what they show is worth a warning.
    pub replaced: Vec<&'a Container>,
    /// Containers with the project's label that are no service's: what `docker compose run` started, or somebody by hand.
    pub beside: Vec<Container>,
    /// Images that have already been inspected.
    pub images: &'a Images,
    /// The existing override file: its path here, its path on the Docker host, and its bytes.
    pub override_file: Option<(PathBuf, &'a HostPath, Vec<u8>)>,
    /// The report as far as it is known.
    pub report: &'a Report,
    /// The files that services were granted.
    pub granted: BTreeMap<String, Vec<GrantedFile>>,
    /// Files and directories that this run reads secrets from.
    pub inputs: Vec<PathBuf>,
    /// Whose secrets the containers may mount.
    pub own: mounts::Own<'a>,
    /// Services whose containers are older than what is deployed: what they mount was theirs before.
    pub outdated: &'a BTreeSet<String>,
    /// The values that services have in clear, as the manifest says.
    pub in_clear: InClear,
}

/// The result of a successful proof.
#[derive(Debug)]
pub struct Proved {
    /// What was done, in lines for the log.
    pub lines: Vec<String>,
    /// Problems that do not fail the run.
    pub warnings: Vec<Diagnostic>,
}

/// Searches everything and checks which processes can read their secrets. Errors: [`Code::Leak`] with every place and
/// secret, then what cannot be read; [`Code::SecretUnreadable`] if that is the only problem. `reads` says when to look at the
/// processes, and whether.
pub async fn prove(
    tools: &Tools,
    console: &Console,
    subject: &Subject<'_>,
    reads: impl Future<Output = bool>,
) -> Result<Proved> {
    let secrets_in = |text: &str| console.secrets_in(text.as_bytes());
    let search = subject.project.search(&secrets_in);
    let searched = async {
        let answers = ask(tools, &search, subject).await?;
        let searched = documents::search(&search, subject, &answers);
        Ok((answers, searched, workspace::search(&subject.project.files.directory, &search)))
    };
    let readers = async { if reads.await { readers(tools, subject).await } else { Ok(Readers::default()) } };
    let (searched, readers) = tokio::join!(searched, readers);
    let ((answers, mut searched, files), readers) = (searched?, readers?);
    let mut warnings = std::mem::take(&mut searched.warnings);
    let (inputs, others): (Vec<_>, Vec<_>) =
        files.found.iter().partition(|(path, _)| subject.reads_from(path));
    warnings.extend(inputs.into_iter().map(|(path, names)| {
        Diagnostic::new(format!(
            "git would add {}, which contains the value of {}",
            path.display(),
            names.join(", ")
        ))
        .help(format!("Add the file to .gitignore: `{}`.", path.display()))
    }));
    searched.leaks.extend(others.into_iter().map(|(path, names)| {
        let fact = format!(
            "{} contains the value of {} and is not ignored by git",
            path.display(),
            names.join(", ")
        );
        Diagnostic::new(fact)
            .help("Delete the file, or add it to .gitignore; rotate the secret if it was committed.")
    }));
    // A container of a service that the project no longer has mounts what was granted to that.
    let is_current = |container: &&Container| {
        subject.own.files.contains_key(&container.service) && !subject.outdated.contains(&container.service)
    };
    let current = subject.containers.iter().copied().chain(&subject.beside);
    let current = current.filter(|container| is_current(container));
    let foreign = current.flat_map(|container| mounts::foreign(&subject.own, container, &answers.volumes));
    searched.leaks.extend(foreign.map(|fact| {
        Diagnostic::new(fact).help(
            "Take the mount out of the Compose file, and rotate the secrets: the service could read them.",
        )
    }));
    warnings.extend(readers.warnings);
    if !searched.leaks.is_empty() {
        return Err(Error::new(Code::Leak, "secret values found where they must not be")
            .problems(searched.leaks)
            .problems(readers.problems)
            .help("Remove the value from the place that shows it, rotate the secret, and deploy again."));
    }
    if !readers.problems.is_empty() {
        return Err(Error::new(
            Code::SecretUnreadable,
            "services cannot read secrets that they were granted",
        )
        .problems(readers.problems));
    }
    let mut lines = vec![format!("searched {}: no secret value found", told(subject, &answers, &files))];
    lines.extend(readers.lines);
    Ok(Proved { lines, warnings })
}

/// What was searched, in words.
fn told(subject: &Subject, answers: &Answers, files: &workspace::Status) -> String {
    let count = |number: usize, one: &str| match number {
        1 => format!("1 {one}"),
        _ => format!("{number} {one}s"),
    };
    let mut all = vec![
        count(subject.all().count(), "container"),
        count(answers.networks.len(), "network"),
        count(answers.volumes.len(), "volume"),
        count(answers.images.len(), "image"),
        "the Compose model".to_owned(),
    ];
    all.extend(subject.override_file.is_some().then(|| "the override file".to_owned()));
    all.push("the report".to_owned());
    if files.is_repository {
        let part = if files.cut_short { " (not all of them)" } else { "" };
        all.push(format!("{} that git does not ignore{part}", count(files.searched, "new or changed file")));
    }
    let last = all.pop().unwrap_or_default();
    format!("{} and {last}", all.join(", "))
}

/// Which processes can read their secrets.
#[derive(Default)]
struct Readers {
    problems: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
    lines: Vec<String>,
}

/// Asks for the processes of each running container that has restricted files.
async fn readers(tools: &Tools, subject: &Subject<'_>) -> Result<Readers> {
    let none = Vec::new();
    let granted = |container: &Container| subject.granted.get(&container.service).unwrap_or(&none);
    let running = subject.containers.iter().copied().filter(|container| container.pid().is_some());
    let (asked, others): (Vec<&Container>, Vec<&Container>) =
        running.filter(|c| !granted(c).is_empty()).partition(|c| readers::are_restricted(granted(c)));
    let answers = join_all(asked.iter().map(|container| inspection::processes(tools, &container.id))).await;
    let mut all = Readers::default();
    let mut read = others.len();
    for (container, processes) in asked.into_iter().zip(answers) {
        let Some(processes) = processes? else {
            all.lines.push(format!(
                "cannot tell which users read secrets in {}: `docker top` does not list its processes",
                container.name
            ));
            continue;
        };
        let hindered = readers::hindered(container, &processes, granted(container));
        read += usize::from(hindered.is_empty());
        for hindered in hindered {
            let fact = format!(
                "{} runs as user {} and group {} and cannot read {}",
                if hindered.is_main {
                    container.name.clone()
                } else {
                    format!("a process of {}", container.name)
                },
                hindered.uid,
                hindered.gid,
                hindered.files.join(", "),
            );
            let help = help(container, hindered.uid, hindered.gid);
            if hindered.is_main {
                all.problems.push(Diagnostic::new(fact).help(help));
            } else {
                all.warnings.push(Diagnostic::new(fact).help(help));
            }
        }
    }
    if read > 0 {
        let containers = if read == 1 { "1 container can" } else { &format!("{read} containers can") };
        all.lines.push(format!("the processes of {containers} read the secrets that are granted"));
    }
    Ok(all)
}

fn help(container: &Container, uid: u32, gid: u32) -> String {
    let why = if uid != 0 && readers::starts_as_root(container) {
        "It started as root and dropped its privileges. "
    } else {
        ""
    };
    format!(
        "{why}Set the user in the manifest: `services: {{ {}: {{ uid: {uid}, gid: {gid}, secrets: […] }} }}`. A secret's own \
         `file: {{ mode, uid, gid }}` takes precedence.",
        container.service
    )
}

impl Subject<'_> {
    /// Every container.
    fn all(&self) -> impl Iterator<Item = &Container> {
        self.containers.iter().chain(&self.replaced).copied().chain(&self.beside)
    }

    /// Whether a file of the repository is one that this run reads secrets from.
    fn reads_from(&self, relative: &Path) -> bool {
        let directory = self.project.files.directory.canonicalize();
        let Some((top, _)) = directory.ok().and_then(|path| crate::tracked::repository(&path)) else {
            return false;
        };
        let path = top.join(relative);
        self.inputs.iter().any(|input| path.starts_with(input))
    }
}
