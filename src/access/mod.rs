//! Which service gets which secret (design rule 6), and in which form: as its Compose file asks for it.

mod asks;
mod gone;
mod grant;
mod receivers;
mod recommend;

use std::collections::{BTreeMap, BTreeSet};

use self::asks::Asks;
pub use self::asks::{Entry, LargerPlace, Owners};
pub use self::gone::{Gone, Why};
use self::grant::One;
use self::receivers::{How, Receivers};
use crate::compose::model::Model;
use crate::compose::placeholder::Text;
use crate::diagnostic::Diagnostic;
use crate::error::{Code, Error, Result};
use crate::manifest::{FileSpec, Grant, Secret};
use crate::nearest::meant;
use crate::secret::{SecretName, SecretValue};

/// One secret of one service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Granted {
    /// The secret.
    pub name: SecretName,
    /// Its file's name below `/run/secrets`.
    pub file: String,
    /// The variables that it has to do with.
    pub variables: Vec<Variable>,
    /// Other places where the service's Compose file wants it, below `/run/secrets` or absolute, with owner and mode.
    pub places: Vec<(String, FileSpec)>,
}

/// A variable of a service that is a secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// How the program gets it.
    pub form: Form,
}

/// How a program gets a variable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// Set when the program starts.
    AtStart,
    /// Taken away; `NAME_FILE` names the file.
    File,
    /// In clear, in the container's configuration: the manifest says so.
    InClear,
    /// As it is, in the container's configuration: the secret is not sensitive.
    Plain,
}

/// A larger value that holds secrets: delivered as a secret of its service.
#[derive(Clone)]
pub struct Composed {
    /// Where it belongs.
    pub place: LargerPlace,
    /// How the program gets the variable; of no matter for a config.
    pub form: Form,
    /// Its file: a name below `/run/secrets`, or an absolute path.
    pub file: String,
    /// Owner and mode of the file.
    pub spec: FileSpec,
    /// The text, with placeholders.
    pub text: Text,
    /// The secrets in it.
    pub parts: BTreeSet<SecretName>,
}

/// What one service gets.
#[derive(Clone, Default)]
pub struct ServiceAccess {
    /// Its secrets, in the order in which they were declared.
    pub secrets: Vec<Granted>,
    /// Larger values that hold some of them.
    pub composed: Vec<Composed>,
    /// Variables of the project that are interpolated into words of its program, with the files that hold them.
    pub arguments: BTreeMap<String, String>,
    /// Its own secrets and configs whose places are filled by this action.
    pub taken: BTreeSet<Entry>,
    /// Variables that would hold a secret that the service does not get: they are taken away.
    pub withdrawn: BTreeSet<String>,
    /// Build secrets that this action fills: keys of the project's `secrets`.
    pub build: BTreeMap<String, SecretName>,
    /// The user that the manifest says reads the files.
    pub uid: Option<u32>,
    /// The group that the manifest says reads the files.
    pub gid: Option<u32>,
    /// What it hands on to the workers that it starts itself.
    pub workers: Option<Workers>,
    /// Variables that its program does not get any more.
    pub gone: Vec<Gone>,
}

/// The workers that a service starts itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Workers {
    /// The secrets that they get, all of them the service's own.
    pub secrets: Vec<SecretName>,
    /// The user that reads them there; everyone does when it is not said.
    pub uid: Option<u32>,
    /// The group that reads them there.
    pub gid: Option<u32>,
}

/// Who gets what, with what is worth a warning.
#[derive(Default)]
pub struct Access {
    /// By service. Every service of the project is here.
    pub services: BTreeMap<String, ServiceAccess>,
    /// Which secret each variable of the project stands for.
    pub owners: BTreeMap<String, SecretName>,
    /// Facts with their remedies.
    pub warnings: Vec<(String, String)>,
    /// What is worth knowing, and asks for nothing.
    pub notes: Vec<String>,
}

/// What decides about access.
pub struct Rules<'a> {
    /// The secrets that are to be handed out.
    pub secrets: &'a [&'a Secret],
    /// Declared secrets that have no value: nobody gets them, and no variable of theirs may have one by another way.
    pub absent: &'a [&'a Secret],
    /// The manifest's `services:`.
    pub services: Option<&'a BTreeMap<String, Grant>>,
    /// `grant-to`.
    pub grant_to: &'a [String],
    /// Names of the secrets whose values a text holds in clear.
    pub secrets_in: &'a dyn Fn(&str) -> Vec<String>,
}

impl Composed {
    /// The lines of the value that hold a secret, to be masked as wholes. What stands on other lines is the project's own.
    pub fn lines_with_secrets<'v>(
        &self,
        value_of: impl Fn(&str) -> Option<&'v SecretValue>,
    ) -> Vec<SecretValue> {
        let parts: Vec<&SecretValue> = self.parts.iter().filter_map(|part| value_of(part.as_str())).collect();
        let Some(whole) = self.text.compose(value_of) else { return Vec::new() };
        let holds = |line: &[u8], part: &SecretValue| {
            let part = part.expose();
            !part.is_empty() && memchr::memmem::find(line, part).is_some()
        };
        let lines = whole.expose().split(|byte| *byte == b'\n');
        let lines = lines.filter(|line| parts.iter().any(|part| holds(line, part)));
        lines.map(|line| SecretValue::new(line.to_vec())).collect()
    }
}

impl ServiceAccess {
    /// The variables that are set when the program starts, with the files that hold them.
    pub fn at_start(&self) -> BTreeMap<&str, &str> {
        self.delivered(Form::AtStart)
    }

    /// The variables in whose place `NAME_FILE` names a file, with the files.
    pub fn as_files(&self) -> BTreeMap<&str, &str> {
        self.delivered(Form::File)
    }

    /// The variables that are in the container's configuration in clear, with the files that hold them as well.
    pub fn in_clear(&self) -> BTreeMap<&str, &str> {
        self.delivered(Form::InClear)
    }

    /// The variables that the program gets in any form but a file.
    fn otherwise_than_as_files(&self) -> BTreeSet<String> {
        let forms = [Form::AtStart, Form::InClear, Form::Plain];
        forms.into_iter().flat_map(|form| self.delivered(form).into_keys()).map(str::to_owned).collect()
    }

    /// The files that no program of the service reads: what they hold, it gets as variables, or as parts of larger values and
    /// arguments.
    pub fn read_by_launcher_alone(&self) -> BTreeSet<&str> {
        let is_variable = |form| matches!(form, Form::AtStart | Form::InClear);
        let as_variables = |granted: &&Granted| {
            granted.places.is_empty() && granted.variables.iter().all(|v| is_variable(v.form))
        };
        let single = self.secrets.iter().filter(as_variables).map(|granted| granted.file.as_str());
        let composed = self.composed.iter().filter(|composed| {
            is_variable(composed.form) && matches!(composed.place, LargerPlace::Variable(_))
        });
        single.chain(composed.map(|composed| composed.file.as_str())).collect()
    }

    /// The variables of one form, with the files that hold their values.
    pub fn delivered(&self, form: Form) -> BTreeMap<&str, &str> {
        let single = self.secrets.iter().flat_map(|granted| {
            let variables = granted.variables.iter().filter(move |variable| variable.form == form);
            variables.map(|variable| (variable.name.as_str(), granted.file.as_str()))
        });
        let composed = self.composed.iter().filter(|composed| composed.form == form);
        let composed = composed.filter_map(|composed| match &composed.place {
            LargerPlace::Variable(name) => Some((name.as_str(), composed.file.as_str())),
            LargerPlace::Config(_) => None,
        });
        single.chain(composed).collect()
    }
}

/// Decides for the whole project. Errors, all that there are: [`Code::ServiceUnknown`] for names that the project does not
/// have, [`Code::SecretWithoutService`] when nothing says who gets a secret, [`Code::SecretNotGranted`] when a service
/// would get one that is not its.
pub fn decide(model: &Model, rules: &Rules) -> Result<Access> {
    let named = rules.services.into_iter().flat_map(|map| map.keys()).chain(rules.grant_to);
    let checks = [
        check_services(model, named, "services` of the manifest or `grant-to"),
        check_containers(model, rules),
    ];
    let mut errors: Vec<Error> = checks.into_iter().filter_map(Result::err).collect();
    let owners = Owners::new(rules.secrets.iter().chain(rules.absent).copied());
    let asks: BTreeMap<&String, Asks> = model
        .services
        .values()
        .map(|service| (&service.name, Asks::of(service, model, &owners, rules.secrets_in)))
        .collect();
    let mut access = Access {
        owners: owners.iter().map(|(variable, secret)| (variable.to_owned(), secret.name.clone())).collect(),
        ..Access::default()
    };
    let mut receivers = BTreeMap::new();
    let mut without_service = Vec::new();
    let mut by_grant_to = rules.grant_to.is_empty();
    let receiving = Receivers::new(&asks, model, rules);
    let composed: BTreeSet<&String> = asks
        .values()
        .flat_map(|asks| &asks.larger)
        .filter_map(|larger| match &larger.place {
            LargerPlace::Variable(name) => Some(name),
            LargerPlace::Config(_) => None,
        })
        .collect();
    for secret in rules.secrets {
        let (how, services) = receiving.of(&secret.name);
        by_grant_to |= how == How::GrantTo;
        if how == How::Nobody && composed.contains(&secret.name.to_string()) {
            access.warnings.push((
                format!("{} is declared, and the Compose file makes the variable of other secrets", secret.name),
                format!("Leave it out of the secrets; or let a service have it, in claude-secrets.yml: `variables: {{ {0}: {0} }}`.", secret.name),
            ));
        } else if how == How::Nobody {
            without_service.push(secret.name.to_string());
        }
        receivers.insert(&secret.name, services);
    }
    if !without_service.is_empty() {
        errors.push(nobody(model, &without_service));
    }
    if !by_grant_to {
        access.warnings.push((
            "`grant-to` has no effect: other settings already say who gets each secret".to_owned(),
            "The manifest's `services:` and what the Compose file names come first. Leave `grant-to` out, or grant the \
             secrets in the manifest's `services:`."
                .to_owned(),
        ));
    }
    let mut problems = Vec::new();
    let known = rules.secrets.iter().map(|secret| &secret.name).collect();
    let absent = rules.absent.iter().map(|secret| &secret.name).collect();
    for service in model.services.values() {
        let Some(asks) = asks.get(&service.name) else { continue };
        let one = One {
            service,
            asks,
            grant: rules.services.and_then(|map| map.get(&service.name)),
            has: &|name| receivers.get(name).is_some_and(|services| services.contains(&service.name)),
            known: &known,
            absent: &absent,
        };
        let own = one.decide(rules, &owners, &mut access.warnings, &mut problems);
        access.notes.extend(one.notes(&own));
        access.services.insert(service.name.clone(), own);
    }
    problems.extend(handed_on(model, &access));
    let seen = seen_through_processes(model, &access);
    access.warnings.extend(seen);
    if !problems.is_empty() {
        errors.push(
            Error::new(Code::SecretNotGranted, "services would get secrets that they are not granted")
                .problems(problems)
                .help("Grant them in the manifest's `services:`, or take them out of those services in the Compose file."),
        );
    }
    Error::together(errors).map_or(Ok(access), Err)
}

/// Checks names of services that the user wrote, with a suggestion for a mistyped one.
pub fn check_services<'a>(
    model: &Model,
    names: impl IntoIterator<Item = &'a String>,
    input: &str,
) -> Result<()> {
    let problems: Vec<Diagnostic> = names
        .into_iter()
        .filter(|name| !model.services.contains_key(*name))
        .map(|name| {
            let problem = Diagnostic::new(format!(
                "`{input}` names the service {name}, which the project does not have"
            ));
            match meant(name, model.services.keys().map(String::as_str)) {
                Some(near) => problem.help(format!("Did you mean `{near}`?")),
                None => problem,
            }
        })
        .collect();
    if problems.is_empty() {
        return Ok(());
    }
    let all: Vec<_> = model.services.keys().cloned().collect();
    Err(Error::new(Code::ServiceUnknown, "a service is unknown")
        .problems(problems)
        .help(format!("The project's services are: {}.", all.join(", "))))
}

/// A service that a provider manages has no container to give a file to.
fn check_containers(model: &Model, rules: &Rules) -> Result<()> {
    let mapped = rules.services.into_iter().flatten();
    let gets = |grant: &Grant| !grant.secrets.is_empty() || grant.workers.is_some();
    let mapped = mapped.filter(|(_, grant)| gets(grant)).map(|(service, _)| service);
    let problems: Vec<Diagnostic> = mapped
        .chain(rules.grant_to)
        .filter(|name| is_managed(model, name))
        .map(|name| {
            Diagnostic::new(format!("service {name} has a `provider` in place of a container"))
                .help(format!("Take {name} out of the manifest's `services:` and of `grant-to`."))
        })
        .collect();
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::new(Code::ServiceWithoutContainer, "a service without a container cannot get secrets")
        .problems(problems)
        .help(
            "Give the secrets to the services that depend on it. What the provider itself needs it finds in the step's \
             environment, or where its documentation says.",
        ))
}

/// Whether a provider manages a service.
fn is_managed(model: &Model, service: &str) -> bool {
    model.services.get(service).is_some_and(|service| service.provider.is_some())
}

fn nobody(model: &Model, secrets: &[String]) -> Error {
    let services: Vec<_> = model
        .services
        .values()
        .filter(|s| s.provider.is_none())
        .map(|service| service.name.clone())
        .collect();
    let first = services.first().map_or("SERVICE", String::as_str);
    Error::new(Code::SecretWithoutService, "nothing says which services get some of the secrets")
    .problems(secrets.iter().map(|name| Diagnostic::new(format!("{name}: no service names it"))).collect())
    .help(format!(
        "The project's services are: {}. Say who gets them with `grant-to: SERVICE`, or in claude-secrets.yml:\nservices:\n  {first}: [{}]",
        services.join(", "),
        secrets.join(", ")
    ))
}

/// Services that get another one's mounts, and with them secrets that are not theirs.
fn handed_on(model: &Model, access: &Access) -> Vec<Diagnostic> {
    let next = |name: &String| model.services.get(name).map(|other| other.volumes_from.clone());
    let mut problems = Vec::new();
    for service in model.services.values() {
        for other in followed(&service.volumes_from, |name| next(name).unwrap_or_default()) {
            if let Some(more) = access.more_than(&service.name, &other) {
                problems.push(Diagnostic::new(format!(
                    "service {}: `volumes_from` mounts everything of {other}, also its secrets {more}",
                    service.name
                )));
            }
        }
    }
    problems
}

/// Services that can read another one's secrets since each sees the other's processes: a process reaches the files of
/// another one of its user by `/proc/PID/root` (proc(5)). People share processes on purpose, so that is worth a warning.
fn seen_through_processes(model: &Model, access: &Access) -> Vec<(String, String)> {
    let next = |name: &String| model.services.get(name).map(|other| other.processes_of.clone());
    let mut warnings = Vec::new();
    for service in model.services.values() {
        for other in followed(&service.processes_of, |name| next(name).unwrap_or_default()) {
            for (one, two) in [(&service.name, &other), (&other, &service.name)] {
                let Some(more) = access.more_than(one, two) else { continue };
                warnings.push((
                    format!("service {one} sees the processes of {two} by `pid`, and can read its secrets {more} as its user"),
                    format!("Run the two as different users that are not root, or grant {more} to {one}."),
                ));
            }
        }
    }
    warnings
}

/// What a list of names leads to, step by step, each once.
fn followed(start: &[String], next: impl Fn(&String) -> Vec<String>) -> BTreeSet<String> {
    let (mut seen, mut open) = (BTreeSet::new(), start.to_vec());
    while let Some(name) = open.pop() {
        if seen.insert(name.clone()) {
            open.extend(next(&name));
        }
    }
    seen
}

impl Access {
    /// The secrets that one service is not granted and another one is, in words; `None` when there are none.
    fn more_than(&self, one: &str, other: &str) -> Option<String> {
        let granted = |service: &str| -> BTreeSet<&SecretName> {
            let own = self.services.get(service);
            own.into_iter().flat_map(|own| &own.secrets).map(|granted| &granted.name).collect()
        };
        let more: Vec<_> = granted(other).difference(&granted(one)).map(ToString::to_string).collect();
        (!more.is_empty()).then(|| more.join(", "))
    }
}

#[cfg(test)]
mod tests;
