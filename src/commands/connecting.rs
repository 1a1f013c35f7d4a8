//! The session with the machine of the engine, where `docker-host` names another one.

use std::path::Path;

use super::{Run, gather};
use crate::docker::command::Tools;
use crate::docker::host_paths::HostPaths;
use crate::error::{Code, Error, Result};
use crate::manifest::{self, Manifest};
use crate::remote::{Address, Remote};
use crate::resolve::{self, resolve};
use crate::secret::SecretValue;
use crate::sources;

/// Opens the session with the engine's machine, where that is another one. Its key may be in a store that the manifest knows.
pub(super) async fn connect(
    run: &mut Run,
    manifest: Option<&Manifest>,
    directory: &Path,
    early: &Tools,
    host: &HostPaths,
) -> Result<()> {
    let Some(address) = run.settings.engine.host.clone().filter(Address::is_remote) else { return Ok(()) };
    run.begin_stage("Engine");
    let key = match run.settings.engine.key.clone() {
        Some(reference) => Some(ssh_key(run, &reference, manifest, directory, early, host).await?),
        None => None,
    };
    let opening = Box::pin(Remote::open(&run.settings, key.as_ref()));
    run.remote = run.interrupt.or(opening).await??;
    run.console.line(&format!("the engine is at {address}"));
    Ok(())
}

/// What a store has for `ssh-key`; from here on it is not printed.
async fn ssh_key(
    run: &mut Run,
    reference: &str,
    manifest: Option<&Manifest>,
    directory: &Path,
    early: &Tools,
    host: &HostPaths,
) -> Result<SecretValue> {
    let known = sources::known();
    let line = format!("SSH_PRIVATE_KEY = {reference}");
    let reading = manifest::examine(&manifest::Given {
        lines: Some(&line),
        prefix: run.settings.prefix.as_deref(),
        environment: run.settings.environment.as_deref(),
        ..known.given()
    });
    let Some(alone) = gather::sound(reading).ok().filter(|read| read.secrets.len() == 1) else {
        return Err(Error::new(Code::ReferenceInvalid, "ssh-key: the input is not a reference")
            .hint("Write it like `vault:secret/deploy#key`. The key itself is given as SSH_PRIVATE_KEY under the step's `env:`."));
    };
    let known = manifest.unwrap_or(&alone).clone();
    let manifest = Manifest { secrets: alone.secrets, imports: Vec::new(), ..known };
    let opened = gather::open(run, &manifest, directory, early, host).await?;
    let resolving = resolve(manifest, &opened, &run.settings);
    let resolved = run.interrupt.or(resolving).await;
    resolve::close(&opened).await;
    let resolution = resolved?;
    let value = resolution.values().next().map(|(_, value)| value.clone());
    resolution.check()?;
    let value =
        value.ok_or_else(|| Error::new(Code::SshKeyInvalid, "ssh-key: the store has no such secret"))?;
    run.sensitive.add_credential("ssh-key", &value);
    run.console.know(run.sensitive.clone());
    Ok(value)
}

/// Docker's programs for the engine that `docker-host` names. Before the session with its machine they reach none at all.
pub(super) fn for_engine(run: &Run, tools: Tools) -> Tools {
    match (&run.settings.engine.host, &run.remote) {
        (_, Some(remote)) => tools.for_socket(remote.socket()),
        (Some(Address::Unix(socket)), None) => tools.for_socket(socket),
        (Some(_), None) => tools.for_socket(Path::new("/dev/null")),
        (None, None) => tools,
    }
}
