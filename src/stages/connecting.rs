//! The session with the machine of the engine, where `docker-host` names another one.

use std::collections::BTreeSet;
use std::path::Path;

use crate::diagnostic::Diagnostic;
use crate::engine::host_paths::HostPaths;
use crate::engine::tools::Tools;
use crate::error::{Code, Error, Result};
use crate::manifest::{self, Manifest};
use crate::remote::{self, Credential, Remote};
use crate::resolve::{self, resolve};
use crate::secret::SecretValue;
use crate::settings::Address;
use crate::settings::Settings;
use crate::sources::{self, Signing, Source};
use crate::stages::declared;
use crate::stages::resolving;
use crate::stages::run::Run;

/// Opens the session with the engine's machine, where that is another one. Its key may be in a store that the manifest knows.
pub(crate) async fn connect(
    run: &mut Run,
    manifest: Option<&Manifest>,
    directory: &Path,
    early: &Tools,
    host: &HostPaths,
) -> Result<()> {
    let Some(address) = run.settings.engine.host.clone().filter(Address::is_remote) else { return Ok(()) };
    run.begin_stage("Engine");
    let engine = &run.settings.engine;
    let store = Store { manifest, directory, early, host };
    let credential = match (engine.key.clone(), engine.sign.clone()) {
        (Some(_), Some(_)) => {
            return Err(Error::new(Code::Usage, "`ssh-key` and `ssh-sign` are both given")
                .help("Leave out `ssh-key`: with `ssh-sign` there is no key to keep."));
        }
        (Some(reference), None) => Some(Credential::Key(ssh_key(run, &reference, &store).await?)),
        (None, Some(reference)) => ssh_certificate(run, &reference, &store).await?,
        (None, None) => None,
    };
    let opening = Box::pin(Remote::open(&run.settings, credential));
    run.remote = run.interrupt.or(opening).await??;
    run.console.line(&format!("the engine is at {address}"));
    Ok(())
}

/// What a store is opened with.
struct Store<'a> {
    manifest: Option<&'a Manifest>,
    directory: &'a Path,
    early: &'a Tools,
    host: &'a HostPaths,
}

impl Store<'_> {
    /// Opens what the one secret of a manifest names, also where the project's secrets are in other sources.
    async fn open(&self, run: &Run, alone: Manifest) -> Result<(Manifest, Vec<Box<dyn Source>>)> {
        let known = self.manifest.unwrap_or(&alone).clone();
        let named = alone.secrets.iter().flat_map(|secret| secret.from.iter().flatten());
        let named: BTreeSet<String> = named.map(|reference| reference.source.to_string()).collect();
        let settings =
            Settings { sources: named.into_iter().collect(), source: None, ..run.settings.clone() };
        let manifest = Manifest { secrets: alone.secrets, imports: Vec::new(), ..known };
        let opened = resolving::open(&settings, &manifest, self.directory, self.early, self.host).await?;
        Ok((manifest, opened))
    }
}

/// The reference that an input is, as a manifest of one secret.
fn reference(run: &Run, input: &str, text: &str, example: &str) -> Result<Manifest> {
    let known = sources::known();
    let line = format!("SSH_PRIVATE_KEY = {text}");
    let reading = manifest::examine(&manifest::Given {
        lines: Some(&line),
        prefix: run.settings.prefix.as_deref(),
        environment: run.settings.environment.as_deref(),
        ..known.given()
    });
    declared::sound(reading).ok().filter(|read| read.secrets.len() == 1).ok_or_else(|| {
        Error::new(Code::ReferenceInvalid, format!("{input}: the input is not a reference")).help(format!(
            "Write it like `{example}`. The key itself is given as SSH_PRIVATE_KEY under the step's `env:`."
        ))
    })
}

/// What a store has for `ssh-key`; from here on it is not printed.
async fn ssh_key(run: &mut Run, text: &str, store: &Store<'_>) -> Result<SecretValue> {
    let alone = reference(run, "ssh-key", text, "vault:secret/deploy#key")?;
    let (manifest, opened) = store.open(run, alone).await?;
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

/// A key of this run with what the store of `ssh-sign` signed for it; `None` where nobody logs in by SSH.
async fn ssh_certificate(run: &mut Run, text: &str, store: &Store<'_>) -> Result<Option<Credential>> {
    let Some(key) = remote::own_key(&run.settings).await? else { return Ok(None) };
    let example = "vault:ssh-client-signer/sign/deploy";
    let alone = reference(run, "ssh-sign", text, example)?;
    let wanted = alone.secrets.first().and_then(|secret| secret.from.as_ref()?.first()).cloned();
    let wanted =
        wanted.filter(|wanted| wanted.field.is_none() && wanted.version.is_none()).ok_or_else(|| {
            Error::new(Code::ReferenceInvalid, "ssh-sign: the input is not the reference of a role")
                .help(format!("Write it like `{example}`, without a field and a version."))
        })?;
    let (_, opened) = store.open(run, alone).await?;
    let signed = match opened.iter().find(|source| *source.id() == wanted.source) {
        Some(source) => run.interrupt.or(source.sign(&wanted.item, key.request())).await,
        None => Ok(Signing::Failed(Diagnostic::with_help(
            format!("there is no source {}", wanted.source),
            "Name one of the sources: `vault`, or an id of the manifest.",
        ))),
    };
    resolve::close(&opened).await;
    let failed = |code, refusal: Diagnostic| Err(Error::of(code, refusal.about("ssh-sign")));
    match signed? {
        Signing::Signed(certificate) => {
            Ok(Some(Credential::Certificate(Box::new(key), certificate, wanted.to_string())))
        }
        Signing::Denied(refusal) => failed(Code::SourceDenied, refusal),
        Signing::Failed(refusal) => failed(Code::SourceFailed, refusal),
    }
}
