//! All inputs, read one after the other.

use std::path::PathBuf;

use super::paths::{clean, clean_relative, path};
use super::platform::platform;
use super::reading::Reading;
use super::{ComposeSettings, DeliveryChoice, Environment, INPUTS, Mode, ProjectFiles, Pull, Settings};
use crate::error::{Code, Error};
use crate::nearest::slip;

impl Reading<'_> {
    /// The settings, with arbitrary values for those that were noted as wrong.
    pub(super) fn settings(&self, mode: Option<Mode>) -> Settings {
        let given = self.given;
        let platform = platform(given);
        let workspace = match given.variables.text("GITHUB_WORKSPACE").map(PathBuf::from) {
            Some(path) if platform.actions && path.is_dir() => path,
            _ => given.current_directory.to_owned(),
        };
        let directory = self.optional("project-directory").map(|text| clean(&workspace.join(text)));
        if let Some(path) = &directory
            && !path.is_dir()
        {
            self.note(
                Error::new(
                    Code::ProjectDirectoryMissing,
                    format!("project-directory: {} does not exist or is not a directory", path.display()),
                )
                .help(
                    "Use a directory of the workspace. Does the job check out the repository before this step?",
                ),
            );
        }
        let project = directory.as_deref();
        Settings {
            mode: mode.unwrap_or_else(|| self.choice("mode", Mode::ALL)),
            secrets: self.text("secrets"),
            config: self.optional("config").map(|text| path(&text, &workspace, project)),
            github_secrets: self.secret("github-secrets"),
            github: self.github(platform.actions),
            sources: self.list("sources"),
            env_files: self.list("env-file").into_iter().map(PathBuf::from).collect(),
            prefix: self.optional("prefix"),
            environment: self.optional("environment"),
            grant_to: self.list("grant-to"),
            missing_is_warning: self.choice("on-missing", &[("fail", false), ("warn", true)]),
            next_on_source_error: self.choice("on-source-error", &[("fail", false), ("next", true)]),
            strict: self.switch("strict"),
            timeout: self.duration("timeout"),
            max_age: self.text("max-age").map(|_| self.duration("max-age")),
            ca_certificates: self.optional("ca-certificates"),
            store_inputs: INPUTS
                .iter()
                .filter(|input| input.of_a_store)
                .filter_map(|input| Some((input.name, self.optional(input.name)?)))
                .collect(),
            compose: ComposeSettings {
                files: self
                    .list("compose-files")
                    .iter()
                    .map(|text| path(text, &workspace, project))
                    .collect(),
                directory,
                name: self.optional("project-name"),
                profiles: self.list("profiles"),
                services: self.list("services"),
                pull: self.choice(
                    "pull",
                    &[("always", Pull::Always), ("missing", Pull::Missing), ("never", Pull::Never)],
                ),
                build: self.switch("build"),
                remove_orphans: self.switch("remove-orphans"),
                force_recreate: self.switch("force-recreate"),
                wait: self.switch("wait"),
                wait_timeout: self.duration("wait-timeout"),
                stable_for: self.text("stable-for").map(|_| self.duration("stable-for")),
            },
            engine: self.engine(),
            project_files: self.choice(
                "project-files",
                &[
                    ("auto", ProjectFiles::Auto),
                    ("copy", ProjectFiles::Copy),
                    ("in-place", ProjectFiles::InPlace),
                ],
            ),
            delivery: self.choice(
                "delivery",
                &[
                    ("auto", DeliveryChoice::Auto),
                    ("file", DeliveryChoice::File),
                    ("volume", DeliveryChoice::Volume),
                ],
            ),
            secrets_dir: clean_relative(&self.required("secrets-dir")),
            override_file: clean_relative(&self.required("override-file")),
            registries: self.registries(),
            report_file: self.optional("report-file").map(PathBuf::from),
            sarif_file: self.optional("sarif-file").map(PathBuf::from),
            offline: self.switch("offline"),
            source: self.optional("source"),
            workspace,
            platform,
            slips: slips(given.variables),
            variables: given.variables.clone(),
        }
    }
}

/// Inputs that are not ours but look like ours. Others may be secrets, which the `env` source also reads as inputs.
fn slips(variables: &Environment) -> Vec<(String, &'static str)> {
    let known = || INPUTS.iter().map(|input| input.name);
    let foreign = variables.names().filter_map(|name| name.strip_prefix("INPUT_")).map(str::to_lowercase);
    let foreign = foreign.filter(|name| !known().any(|input| input == name));
    foreign.filter_map(|name| slip(&name, known()).map(|meant| (name, meant))).collect()
}
