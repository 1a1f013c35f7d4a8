//! The Project stage: the Compose model, who gets what, and where things go.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Run;
use super::gather::Declared;
use crate::access::{self, Access};
use crate::delivery::choose::{Choice, Kind, choose};
use crate::delivery::{ProjectFile, SecretsDir};
use crate::docker::command::Tools;
use crate::docker::host_paths::{HostPath, HostPaths};
use crate::docker::model::Model;
use crate::docker::project::{Project, check_own};
use crate::error::{Code, Error, Result};
use crate::manifest::Secret;
use crate::report::DeliveryRow;
use crate::secret::SecretValue;

/// The project with everything that is decided before the first value is handed out.
pub(super) struct Prepared {
    pub(super) project: Project,
    pub(super) access: Access,
    pub(super) choice: Choice,
    pub(super) secrets_dir: SecretsDir,
    pub(super) override_file: ProjectFile,
    /// The secrets directory on the Docker host.
    pub(super) host_secrets_dir: HostPath,
    /// The override file on the Docker host.
    pub(super) host_override: HostPath,
    /// The project's own secrets that move into a service's volume: by service, file name and value.
    pub(super) own: BTreeMap<String, Vec<(String, SecretValue)>>,
}

/// Reads the project and decides. `secrets` are those that are to be handed out.
pub(super) async fn prepare(
    run: &mut Run,
    declared: &Declared,
    secrets: &[&Secret],
    tools: &Tools,
    host: &HostPaths,
) -> Result<Prepared> {
    run.begin_stage("Project");
    let settings = &run.settings;
    let docker_host = tools
        .variable("DOCKER_HOST")
        .and_then(|text| text.to_str())
        .map(str::to_owned);
    let choice = choose(settings, docker_host.as_deref())?;
    let directory = &declared.files.directory;
    let secrets_dir = SecretsDir::open(directory, &settings.secrets_dir)?;
    let override_file = ProjectFile::open(directory, &settings.override_file)?;
    let project = Project::load(
        tools,
        &settings.compose,
        declared.files.clone(),
        host,
        &declared.profiles,
    )
    .await?;
    check_own(project.model.resolved(), &|text| {
        run.console.secrets_in(text.as_bytes())
    })?;
    access::check_services(&project.model, &settings.compose.services, "services")?;
    let access = access::decide(
        &project.model,
        &access::Rules {
            secrets,
            services: declared.manifest.services.as_ref(),
            grant_to: &settings.grant_to,
        },
    )?;
    let own = if choice.kind == Kind::Volume {
        own_secrets(run, &project, &access)?
    } else {
        BTreeMap::new()
    };
    let host_secrets_dir = project.directory.join(&run.settings.secrets_dir);
    let host_override = project.directory.join(&run.settings.override_file);
    for name in &project.unset {
        run.warn(
            format!(
                "the Compose files name the variable {name}, which is not set: Compose takes it as empty"
            ),
            Some(format!(
                "Give it under the step's `env:`, or write `${{{name}:-}}`."
            )),
        );
    }
    for (text, hint) in &access.warnings {
        run.warn(text.clone(), Some(hint.clone()));
    }
    for row in &mut run.report.secrets {
        let services = access
            .services
            .iter()
            .filter(|(_, own)| own.secrets.iter().any(|s| s.name.as_str() == row.name));
        row.services = services.map(|(service, _)| service.clone()).collect();
    }
    run.console.line(&format!(
        "project {} with {} services; delivery by {}: {}",
        project.model.name,
        project.model.services.len(),
        choice.kind.name(),
        choice.reason
    ));
    run.report.project = Some(project.model.name.clone());
    run.report.delivery = Some(DeliveryRow {
        kind: choice.kind.name().to_owned(),
        reason: choice.reason.clone(),
    });
    run.report.override_file = Some(host_override.to_string());
    if choice.kind == Kind::File {
        run.report.secrets_dir = Some(host_secrets_dir.to_string());
    }
    Ok(Prepared {
        project,
        access,
        choice,
        secrets_dir,
        override_file,
        host_secrets_dir,
        host_override,
        own,
    })
}

/// A volume at `/run/secrets` would hide the project's own secrets there, and Compose cannot mount them into it; so they
/// move along.
fn own_secrets(
    run: &Run,
    project: &Project,
    access: &Access,
) -> Result<BTreeMap<String, Vec<(String, SecretValue)>>> {
    let mut all = BTreeMap::new();
    for (name, service_access) in &access.services {
        let Some(service) = project
            .model
            .services
            .get(name)
            .filter(|_| !service_access.secrets.is_empty())
        else {
            continue;
        };
        if let Some(taken) = service
            .mount_targets
            .iter()
            .find(|target| *target == "/run/secrets" || target.starts_with("/run/secrets/"))
        {
            return Err(Error::new(
                Code::DeliveryFailed,
                format!("service {name} mounts something of its own at {taken}, where its secrets go"),
            )
            .hint("Take that mount out of the Compose file, or use `delivery: file`."));
        }
        let mut moved = Vec::new();
        for own in &service.secrets {
            let file = own.target.strip_prefix("/run/secrets/").unwrap_or(&own.target);
            let replaced = service_access.secrets.iter().any(|granted| granted.file == file);
            if file.starts_with('/') || replaced {
                continue;
            }
            moved.push((
                file.to_owned(),
                own_value(run, &project.model, name, &own.source)?,
            ));
        }
        all.insert(name.clone(), moved);
    }
    Ok(all)
}

fn own_value(run: &Run, model: &Model, service: &str, source: &str) -> Result<SecretValue> {
    let failed = |what: String| {
        Error::new(
            Code::DeliveryFailed,
            format!("the Compose secret {source} of service {service} {what}"),
        )
        .hint("Declare it as a secret of this action, or use `delivery: file`.")
    };
    match model.own_secret(source) {
        // Compose made the path absolute, in terms of the host; a link leads back to our mount.
        Some((kind, path)) if kind == "file" => std::fs::read(PathBuf::from(&path))
            .map(SecretValue::new)
            .map_err(|error| {
                failed(format!(
                    "cannot be read from {path}: {}",
                    crate::error::plain_reason(&error)
                ))
            }),
        Some((_, variable)) => run
            .settings
            .variables
            .value(&variable)
            .cloned()
            .ok_or_else(|| failed(format!("needs the variable {variable}"))),
        None => Err(failed("is neither a file nor a variable".to_owned())),
    }
}
