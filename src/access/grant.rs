//! What one service gets, once it is known which secrets are its: in which form, and what it must not have.

use std::collections::{BTreeMap, BTreeSet};

use super::asks::{Asks, AsksOf, Entry, LargerPlace, Owners};
use super::gone::{self, Gone};
use super::recommend::recommended;
use super::{Composed, Form, Granted, Rules, ServiceAccess, Variable, Workers};
use crate::compose::placeholder::Text;
use crate::compose::service::Service;
use crate::diagnostic::Diagnostic;
use crate::manifest::{Deliver, FileSpec, Grant, Secret};
use crate::secret::SecretName;

/// One service, and what decides about it.
pub(super) struct One<'a> {
    pub(super) service: &'a Service,
    pub(super) asks: &'a Asks,
    pub(super) grant: Option<&'a Grant>,
    pub(super) has: &'a dyn Fn(&SecretName) -> bool,
    /// The secrets that are handed out.
    pub(super) known: &'a BTreeSet<&'a SecretName>,
    /// Declared secrets that have no value.
    pub(super) absent: &'a BTreeSet<&'a SecretName>,
}

impl One<'_> {
    pub(super) fn decide(
        &self,
        rules: &Rules,
        owners: &Owners,
        warnings: &mut Vec<(String, String)>,
        problems: &mut Vec<Diagnostic>,
    ) -> ServiceAccess {
        let mut own = ServiceAccess {
            uid: self.grant.and_then(|grant| grant.uid),
            gid: self.grant.and_then(|grant| grant.gid),
            ..ServiceAccess::default()
        };
        let mut asked = self.asks.by_secret();
        let mut said = self.said();
        for secret in rules.secrets.iter().filter(|secret| (self.has)(&secret.name)) {
            let said = said.remove(&secret.name).unwrap_or_default();
            own.secrets.push(self.granted(secret, asked.remove(&secret.name), said));
        }
        own.workers = self.workers(&own.secrets);
        for file in self.asks.files.iter().filter(|file| (self.has)(&file.secret)) {
            own.taken.extend(file.instead_of.clone());
        }
        self.larger(&mut own, warnings);
        self.withdraw(&mut own, owners, warnings);
        self.arguments(&mut own, owners, warnings, problems);
        self.not_granted(&mut own, problems);
        warnings.extend(self.shown(&own));
        let is_absent = |name: &SecretName| self.absent.contains(name);
        warnings.extend(gone::complete(self.service, &mut own, &self.asks.shell, &is_absent));
        own
    }

    /// What is worth knowing of a service: files that its image could read, and variables that were taken out in silence.
    pub(super) fn notes(&self, own: &ServiceAccess) -> Vec<String> {
        let shell = self.asks.shell.keys().map(String::as_str).collect();
        let mut notes: Vec<String> = recommended(self.service, own, self.grant, &shell).into_iter().collect();
        let silent = gone::in_silence(&self.service.name, own, &|name| self.was_written_out(name));
        notes.extend(silent);
        notes
    }

    /// Whether a variable has a text of the project's own, and no secret of this run.
    fn was_written_out(&self, variable: &str) -> bool {
        let value = self.service.environment.get(variable).and_then(Option::as_deref);
        value.is_some_and(|value| !value.is_empty() && Text::of_model(value).variables().is_empty())
    }

    /// Says aloud what is in clear in the container's configuration.
    fn shown(&self, own: &ServiceAccess) -> Option<(String, String)> {
        let service = &self.service.name;
        let names: Vec<&str> = own.in_clear().into_keys().collect();
        (!names.is_empty()).then(|| {
            (
                format!(
                    "service {service}: `docker inspect` shows the values of {}, since the manifest says `deliver: env`",
                    names.join(", ")
                ),
                "Everyone who may use the Docker socket can read them. With `deliver: variable` the program gets the same \
                 variables when it starts, and `docker inspect` shows none."
                    .to_owned(),
            )
        })
    }

    /// What the service hands on of its secrets.
    fn workers(&self, own: &[Granted]) -> Option<Workers> {
        let workers = self.grant?.workers.as_ref()?;
        let handed_on = |granted: &&Granted| {
            workers.secrets.as_ref().is_none_or(|secrets| secrets.contains(&granted.name))
        };
        Some(Workers {
            secrets: own.iter().filter(handed_on).map(|granted| granted.name.clone()).collect(),
            uid: workers.uid,
            gid: workers.gid,
        })
    }

    /// The variables that the manifest gives a secret other than their texts say.
    fn said(&self) -> BTreeMap<&SecretName, Vec<&String>> {
        let mut all: BTreeMap<&SecretName, Vec<&String>> = BTreeMap::new();
        for (variable, how) in self.grant.iter().flat_map(|grant| &grant.variables) {
            if let Some(secret) = &how.secret {
                all.entry(secret).or_default().push(variable);
            }
        }
        all
    }

    /// A secret of the service, by what the service asks for of it, if anything, and the variables that the manifest
    /// gives it.
    fn granted(&self, secret: &Secret, asked: Option<AsksOf<'_>>, more: Vec<&String>) -> Granted {
        let name = &secret.name;
        let said = |variable: &String| self.grant.and_then(|grant| grant.variables.get(variable));
        let is_asked = asked.is_some();
        let AsksOf { mut variables, file_variables, files } = asked.unwrap_or_default();
        // A variable takes another secret than its text says when the manifest says so.
        variables.retain(|variable| said(variable).and_then(|s| s.secret.as_ref()).is_none_or(|s| s == name));
        variables.extend(more);
        let by_service = self.grant.and_then(|grant| grant.deliver);
        let form = |variable: &String| match said(variable).and_then(|s| s.deliver).or(by_service) {
            _ if !secret.sensitive => Form::Plain,
            deliver => form_of(deliver),
        };
        let mut all: Vec<Variable> =
            variables.into_iter().map(|name| Variable { name: name.clone(), form: form(name) }).collect();
        for variable in file_variables {
            // It names a file of its own, which this action does not fill: it is told where ours is.
            let base = variable.strip_suffix("_FILE").unwrap_or(variable);
            if !all.iter().any(|other| other.name == base) {
                all.push(Variable { name: base.to_owned(), form: Form::File });
            }
        }
        let file = secret.file_name();
        let mut spec_of_file = None;
        let mut places = Vec::new();
        for asked in files {
            let spec = FileSpec { name: None, mode: asked.mode, uid: asked.uid, gid: asked.gid };
            if asked.target == file {
                spec_of_file = Some(spec);
            } else {
                places.push((asked.target.clone(), spec));
            }
        }
        if let Some(spec) = spec_of_file {
            places.push((file.clone(), spec));
        }
        let only_mentioned = self.asks.mentioned.contains(name) && places.is_empty();
        if all.is_empty() && (only_mentioned || !is_asked) {
            let form = match by_service {
                Some(Deliver::Variable | Deliver::Env) if secret.sensitive => form_of(by_service),
                _ => Form::File,
            };
            all.push(Variable { name: name.to_string(), form });
        }
        Granted { name: name.clone(), file, variables: all, places }
    }

    /// Larger values, each in a file of its own.
    fn larger(&self, own: &mut ServiceAccess, warnings: &mut Vec<(String, String)>) {
        if self.asks.larger.is_empty() {
            return;
        }
        let mut taken = self.taken_names(own);
        for larger in &self.asks.larger {
            let variable = match &larger.place {
                LargerPlace::Variable(name) => Some(name),
                LargerPlace::Config(_) => None,
            };
            let said = variable.and_then(|name| self.grant?.variables.get(name));
            if said.is_some_and(|said| said.secret.is_some()) {
                continue;
            }
            let lacks: Vec<&str> =
                larger.parts.iter().filter(|part| !(self.has)(part)).map(SecretName::as_str).collect();
            if !lacks.is_empty() {
                if let Some(name) = variable {
                    warnings.push(not_its(
                        &self.service.name,
                        &lacks.join(", "),
                        &format!("its variable {name}"),
                    ));
                    own.withdrawn.insert(name.clone());
                    own.gone.push(Gone::not_granted(name, lacks.iter().map(ToString::to_string).collect()));
                }
                continue;
            }
            let by_service = self.grant.and_then(|grant| grant.deliver);
            let form = form_of(said.and_then(|said| said.deliver).or(by_service));
            let (file, spec) = match &larger.place {
                LargerPlace::Variable(name) => (free_name(&taken, name), FileSpec::default()),
                LargerPlace::Config(config) => {
                    own.taken.insert(Entry::Config(config.source.clone()));
                    let mode = Some(config.mode.unwrap_or(0o444));
                    let spec = FileSpec { name: None, mode, uid: config.uid, gid: config.gid };
                    (config.target.clone(), spec)
                }
            };
            taken.insert(file.clone());
            own.composed.push(Composed {
                place: larger.place.clone(),
                form,
                file,
                spec,
                text: larger.text.clone(),
                parts: larger.parts.iter().filter(|part| self.known.contains(part)).cloned().collect(),
            });
        }
    }

    /// The file names that the service has already.
    fn taken_names(&self, own: &ServiceAccess) -> BTreeSet<String> {
        let granted = own.secrets.iter().flat_map(|granted| {
            granted.places.iter().map(|(place, _)| place.clone()).chain([granted.file.clone()])
        });
        granted.chain(self.service.secrets.iter().map(|secret| secret.target.clone())).collect()
    }

    /// Variables of secrets that the service does not get.
    fn withdraw(&self, own: &mut ServiceAccess, owners: &Owners, warnings: &mut Vec<(String, String)>) {
        // Of one without a value Compose makes what it makes without it: nothing, or a default.
        let is_no_secret = |name: &SecretName| {
            owners.of(name.as_str()).is_some_and(|secret| !secret.sensitive) || self.absent.contains(name)
        };
        for (variable, name) in &self.asks.variables {
            let taken_by_another = self
                .grant
                .is_some_and(|grant| grant.variables.get(variable).is_some_and(|said| said.secret.is_some()));
            if (self.has)(name) || is_no_secret(name) || taken_by_another {
                continue;
            }
            // What the shell reads and nothing sets need not be taken away.
            let Some(value) = self.service.environment.get(variable) else { continue };
            let placeholder =
                value.as_deref().is_some_and(|value| !Text::of_model(value).variables().is_empty());
            if (placeholder || value.is_none()) && self.service.provider.is_none() {
                warnings.push(not_its(
                    &self.service.name,
                    name.as_str(),
                    &format!("its variable {variable}"),
                ));
            }
            if value.as_deref().is_none_or(|value| !value.is_empty()) {
                own.withdrawn.insert(variable.clone());
                own.gone.push(Gone::not_granted(variable, vec![name.to_string()]));
            }
        }
    }

    /// Secrets in words of the program: completed when it starts.
    fn arguments(
        &self,
        own: &mut ServiceAccess,
        owners: &Owners,
        warnings: &mut Vec<(String, String)>,
        problems: &mut Vec<Diagnostic>,
    ) {
        for (variable, name) in &self.asks.arguments {
            let Some(secret) = owners.of(variable) else { continue };
            if (self.has)(name) {
                own.arguments.insert(variable.clone(), secret.file_name());
                warnings.push((
                    format!(
                        "service {}: {name} is part of its command line, and visible in the container's process list",
                        self.service.name
                    ),
                    "It is completed when the program starts, and is not in `docker inspect`. A program that reads a \
                     variable or a file keeps it out of the process list, too."
                        .to_owned(),
                ));
            } else {
                problems.push(Diagnostic::new(format!(
                    "service {}: its command line is completed with {name}",
                    self.service.name
                )));
            }
        }
    }

    /// What cannot be withdrawn: files and build secrets.
    fn not_granted(&self, own: &mut ServiceAccess, problems: &mut Vec<Diagnostic>) {
        let service = &self.service.name;
        for file in self.asks.files.iter().filter(|file| !(self.has)(&file.secret)) {
            if let Some(Entry::Secret(source) | Entry::Config(source)) = &file.instead_of {
                problems.push(Diagnostic::new(format!(
                    "service {service}: its Compose secret {source} is {}",
                    file.secret
                )));
            }
        }
        for larger in &self.asks.larger {
            if let LargerPlace::Config(config) = &larger.place
                && let Some(part) = larger.parts.iter().find(|part| !(self.has)(part))
            {
                problems.push(Diagnostic::new(format!(
                    "service {service}: its config {} holds {part}",
                    config.source
                )));
            }
        }
        for (source, name) in &self.asks.build {
            if (self.has)(name) {
                own.build.insert(source.clone(), name.clone());
            } else {
                problems
                    .push(Diagnostic::new(format!("service {service}: its build secret {source} is {name}")));
            }
        }
    }
}

/// A file name for a larger value that nothing else of the service has.
fn free_name(taken: &BTreeSet<String>, variable: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' };
    let mut name: String = variable.to_ascii_lowercase().chars().map(plain).collect();
    while taken.contains(&name) || name.starts_with('.') {
        name = format!("composed-{}", name.trim_start_matches('.'));
    }
    name
}

/// How a program gets a variable, by what the manifest says.
fn form_of(deliver: Option<Deliver>) -> Form {
    match deliver {
        Some(Deliver::File) => Form::File,
        Some(Deliver::Env) => Form::InClear,
        Some(Deliver::Variable) | None => Form::AtStart,
    }
}

fn not_its(service: &str, secret: &str, what: &str) -> (String, String) {
    (
        format!(
            "service {service} is not granted {secret}, and {what} would hold it: the container does not get the variable"
        ),
        format!(
            "Grant it, in claude-secrets.yml: `services: {{ {service}: [{secret}] }}`; or take the variable out of the \
             Compose file."
        ),
    )
}
