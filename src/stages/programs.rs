//! Docker's programs and paths for a run: what they get before any secret is known, and after.

use std::collections::BTreeMap;
use std::path::Path;

use crate::access::Owners;
use crate::compose::placeholder::placeholder;
use crate::engine::host_paths::HostPaths;
use crate::engine::tools::Tools;
use crate::error::{Code, Error, Result};
use crate::manifest::Secret;
use crate::reserved;
use crate::resolve::Resolution;
use crate::secret::SecretValue;
use crate::sensitive::{Sensitive, StandIns};
use crate::settings::Address;
use crate::sources::dotenv;
use crate::stages::run::Run;
use crate::stages::writing;

/// Log drivers that keep a container's output on this machine.
const LOCAL_LOG_DRIVERS: &[&str] = &["json-file", "local", "none"];

/// Docker's programs before any secret is known: they get only what a Docker client needs.
pub(crate) fn early_tools(run: &Run) -> Tools {
    let variables = Sensitive::docker_alone(&run.settings.variables);
    let tools = Tools::new(variables, run.console.clone(), run.interrupt.clone());
    match &run.settings.engine.host {
        Some(Address::Unix(socket)) => tools.for_socket(socket),
        _ => tools,
    }
}

/// Finds our own container, if we are in one, and refuses to print masks where its output leaves the machine.
pub(crate) async fn host_paths(run: &mut Run, tools: &Tools) -> Result<HostPaths> {
    let platform = &run.settings.platform;
    let is_remote = run.settings.engine.is_remote();
    if is_remote && !platform.actions {
        return Ok(HostPaths::without_engine());
    }
    if platform.in_container {
        check_socket(tools)?;
    }
    let host = HostPaths::find(tools, platform).await?;
    let report = writing::report_path(&run.settings);
    run.report_on_host = report.and_then(|path| host.to_host(&path).ok());
    let platform = &run.settings.platform;
    if platform.actions && host.is_lost() {
        // Where our output goes is not known either, so that no mask may be printed.
        host.to_host(&run.settings.workspace)?;
    }
    match host.log_driver.as_deref() {
        Some(driver) if platform.actions && !LOCAL_LOG_DRIVERS.contains(&driver) => Err(Error::new(
            Code::UnsafeLogDriver,
            format!("the engine sends this container's output to its log driver `{driver}`"),
        )
        .help(
            "Masking a value means to print it once for the runner, and that log driver would ship it off the machine in \
             clear. Set the engine's default log driver to `json-file` or `local` (daemon.json: `\"log-driver\": \"local\"`).",
        )),
        _ if is_remote => Ok(host.of_another_machine()),
        _ => Ok(host),
    }
}

/// Docker's programs for the rest of the run: with the step's variables, without any secret, and with a placeholder for
/// each declared one, so that Compose's interpolation (`${NAME:?}`) passes.
///
/// `directory` is the project's: Compose reads the `.env` file there by itself.
pub(crate) fn tools(
    run: &Run,
    directory: &Path,
    secrets: &[&Secret],
    resolution: Option<&Resolution>,
) -> Tools {
    let values: Vec<&SecretValue> =
        resolution.into_iter().flat_map(|r| r.values().map(|(_, value)| value)).collect();
    let mut placeholders = BTreeMap::new();
    let absent = resolution.map(Resolution::absent_names).unwrap_or_default();
    let plain_texts = resolution.map(Resolution::plain_texts).unwrap_or_default();
    // One that nobody should read was refused when the project was looked for.
    let in_env_file =
        if absent.is_empty() { BTreeMap::new() } else { dotenv::default_file(directory).unwrap_or_default() };
    // Without what they need themselves (`env:DOCKER_HOST`) Docker's programs find nothing.
    let replaceable = |(variable, _): &(&str, &Secret)| reserved::reader(variable).is_none();
    for (variable, secret) in Owners::new(secrets.iter().copied()).iter().filter(replaceable) {
        // One that has no value though it should has one in the run after this one.
        let text = match (secret.sensitive, !absent.contains(&secret.name)) {
            (true, true) => Some(placeholder(variable)),
            // The step's environment is not asked, whatever it has under this name. Compose takes its own default; what
            // its `.env` has it would take as well, if the variable were not there.
            (true, false) => in_env_file.contains_key(variable).then(String::new),
            (false, _) => plain_texts.get(&secret.name).cloned(),
        };
        placeholders.extend(text.map(|text| (variable.to_owned(), text)));
    }
    let available = resolution.into_iter().flat_map(Resolution::available);
    let available = available
        .filter(|(secret, _)| secret.sensitive)
        .map(|(secret, value)| (placeholder(secret.name.as_str()), value))
        .collect();
    let stand_ins = StandIns { variables: placeholders, values: available };
    let variables = run.sensitive.child_variables(&run.settings.variables, &values, stand_ins);
    for_engine(run, Tools::new(variables, run.console.clone(), run.interrupt.clone()))
}

/// The project's socket: missing it is the commonest mistake, and the client's own words for it are long.
pub(crate) fn check_socket(tools: &Tools) -> Result<()> {
    let host = tools.variable("DOCKER_HOST").and_then(|host| host.to_str());
    let elsewhere = host.is_some_and(|host| !host.starts_with("unix://"));
    let path = tools.socket();
    if elsewhere || path.exists() {
        return Ok(());
    }
    Err(Error::new(Code::DockerSocketMissing, format!("there is no Docker socket at {}", path.display()))
        .help("GitHub's runner mounts it by itself. On a self-hosted runner: is the engine installed, and is this its socket? (Kubernetes runners without Docker cannot deploy with Compose.)"))
}

/// Docker's programs for the engine that `docker-host` names. Before the session with its machine they reach none at all.
pub(crate) fn for_engine(run: &Run, tools: Tools) -> Tools {
    match (&run.settings.engine.host, &run.remote) {
        (_, Some(remote)) => tools.for_socket(remote.socket()),
        (Some(Address::Unix(socket)), None) => tools.for_socket(socket),
        (Some(_), None) => tools.for_socket(Path::new("/dev/null")),
        (None, None) => tools,
    }
}
