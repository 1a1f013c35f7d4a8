//! Which service gets which secret (design rule 6), and which of its variables that replaces.

use std::collections::{BTreeMap, BTreeSet};

use crate::docker::model::{Model, Service};
use crate::docker::project::placeholder;
use crate::error::{Code, Error, Problem, Result};
use crate::manifest::{Grant, Secret};
use crate::secret::SecretName;

/// One secret of one service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Granted {
    /// The secret.
    pub name: SecretName,
    /// Its file's name below `/run/secrets`.
    pub file: String,
    /// Variables that held the value and now name the file: the secret's own name, and aliases.
    pub variables: Vec<String>,
    /// Whether those variables stay as they are: the secret is not sensitive.
    pub keeps_variables: bool,
}

/// What one service gets.
#[derive(Clone, Default, Debug)]
pub struct ServiceAccess {
    /// Its secrets, in the order in which they were declared.
    pub secrets: Vec<Granted>,
    /// Variables that would hold a secret that the service does not get: they are taken away.
    pub withdrawn: BTreeSet<String>,
    /// The user that the manifest says reads the files.
    pub uid: Option<u32>,
    /// The group that the manifest says reads the files.
    pub gid: Option<u32>,
}

/// Who gets what, with what is worth a warning.
#[derive(Default, Debug)]
pub struct Access {
    /// By service. Every service of the project is here.
    pub services: BTreeMap<String, ServiceAccess>,
    /// Facts with their remedies.
    pub warnings: Vec<(String, String)>,
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
}

impl Access {
    /// The services of a secret.
    pub fn services_of(&self, name: &SecretName) -> Vec<String> {
        let has = |access: &ServiceAccess| access.secrets.iter().any(|granted| granted.name == *name);
        self.services.iter().filter(|(_, access)| has(access)).map(|(service, _)| service.clone()).collect()
    }
}

/// The variables that may hold a secret in the Compose project: its name, and the variables that its references read.
pub fn variables_of(secret: &Secret) -> BTreeSet<String> {
    let named = secret
        .from
        .iter()
        .flatten()
        .filter(|r| matches!(r.source.as_str(), "env" | "dotenv") && r.field.is_none());
    named.map(|reference| reference.item.clone()).chain([secret.name.to_string()]).collect()
}

/// Decides for the whole project. Errors: [`Code::ServiceUnknown`] for names that the project does not have,
/// [`Code::SecretWithoutService`] when nothing says who gets a secret.
pub fn decide(model: &Model, rules: &Rules) -> Result<Access> {
    let named = rules.services.into_iter().flat_map(|map| map.keys()).chain(rules.grant_to);
    check_services(model, named.clone(), "services` of the manifest or `grant-to")?;
    check_containers(model, rules)?;
    let mut access = Access::default();
    for name in model.services.keys() {
        let grant = rules.services.and_then(|map| map.get(name));
        let own = ServiceAccess {
            uid: grant.and_then(|grant| grant.uid),
            gid: grant.and_then(|grant| grant.gid),
            ..ServiceAccess::default()
        };
        access.services.insert(name.clone(), own);
    }
    let mut homeless = Vec::new();
    for secret in rules.secrets {
        let variables = variables_of(secret);
        let receivers = receivers(secret, &variables, model, rules);
        if receivers.is_empty() {
            homeless.push(secret.name.to_string());
        }
        for service in model.services.values() {
            let held = variables_holding(service, &variables);
            let Some(own) = access.services.get_mut(&service.name) else {
                continue;
            };
            if receivers.contains(&service.name) {
                let mut replaced: BTreeSet<String> = held;
                replaced.insert(secret.name.to_string());
                own.secrets.push(Granted {
                    name: secret.name.clone(),
                    file: secret.file_name(),
                    variables: replaced.into_iter().collect(),
                    keeps_variables: !secret.sensitive,
                });
            } else if !held.is_empty() && secret.sensitive && service.provider.is_some() {
                own.withdrawn.extend(held);
            } else if !held.is_empty() && secret.sensitive {
                access.warnings.push((
                    format!("service {} names {} in its environment and is not granted it", service.name, secret.name),
                    "Grant it in the manifest's `services:`, or take the variable out of the Compose file; the container does not get it.".to_owned(),
                ));
                own.withdrawn.extend(held);
            }
        }
    }
    for secret in rules.absent.iter().filter(|secret| secret.sensitive) {
        let variables = variables_of(secret);
        for service in model.services.values() {
            let left = service.environment.iter().filter(|(name, value)| {
                variables.contains(*name) && value.as_ref().is_some_and(|value| !value.is_empty())
            });
            if let Some(own) = access.services.get_mut(&service.name) {
                own.withdrawn.extend(left.map(|(name, _)| name.clone()));
            }
        }
    }
    if homeless.is_empty() {
        return Ok(access);
    }
    let services: Vec<_> = model
        .services
        .values()
        .filter(|s| s.provider.is_none())
        .map(|service| service.name.clone())
        .collect();
    Err(Error::new(Code::SecretWithoutService, "it is not said which services get some of the secrets")
        .problems(homeless.iter().map(|name| Problem::new(format!("{name}: no service names it"))).collect())
        .hint(format!(
            "The project's services are: {}. Say who gets them with `grant-to: SERVICE`, or in claude-secrets.yml:\nservices:\n  {}: [{}]",
            services.join(", "),
            services.first().map_or("SERVICE", String::as_str),
            homeless.join(", ")
        )))
}

/// Checks names of services that the user wrote, with a suggestion for a mistyped one.
pub fn check_services<'a>(
    model: &Model,
    names: impl IntoIterator<Item = &'a String>,
    input: &str,
) -> Result<()> {
    let problems: Vec<Problem> = names
        .into_iter()
        .filter(|name| !model.services.contains_key(*name))
        .map(|name| {
            let near = model
                .services
                .keys()
                .max_by(|a, b| strsim::jaro_winkler(a, name).total_cmp(&strsim::jaro_winkler(b, name)));
            let problem =
                Problem::new(format!("`{input}` names the service {name}, which the project does not have"));
            match near.filter(|near| strsim::jaro_winkler(near, name) > 0.8) {
                Some(near) => problem.remedy(format!("Did you mean `{near}`?")),
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
        .hint(format!("The project's services are: {}.", all.join(", "))))
}

/// A service that a provider manages has no container to give a file to.
fn check_containers(model: &Model, rules: &Rules) -> Result<()> {
    let mapped = rules.services.into_iter().flatten();
    let mapped = mapped.filter(|(_, grant)| !grant.secrets.is_empty()).map(|(service, _)| service);
    let managed =
        |name: &&String| model.services.get(*name).is_some_and(|service| service.provider.is_some());
    let problems: Vec<Problem> = mapped
        .chain(rules.grant_to)
        .filter(managed)
        .map(|name| {
            Problem::new(format!("service {name} has a `provider` in place of a container"))
                .remedy(format!("Take {name} out of the manifest's `services:` and of `grant-to`."))
        })
        .collect();
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::new(Code::ServiceWithoutContainer, "a service without a container cannot get secrets")
        .problems(problems)
        .hint(
            "Give the secrets to the services that depend on it. What the provider itself needs it finds in the step's \
             environment, or where its documentation says.",
        ))
}

fn receivers(
    secret: &Secret,
    variables: &BTreeSet<String>,
    model: &Model,
    rules: &Rules,
) -> BTreeSet<String> {
    let mapped: BTreeSet<String> = rules
        .services
        .into_iter()
        .flatten()
        .filter(|(_, grant)| grant.secrets.contains(&secret.name))
        .map(|(service, _)| service.clone())
        .collect();
    if !mapped.is_empty() {
        return mapped;
    }
    let file = secret.file_name();
    let with_containers = || model.services.values().filter(|service| service.provider.is_none());
    let naming: BTreeSet<String> = with_containers()
        .filter(|service| {
            !variables_holding(service, variables).is_empty()
                || service.environment.contains_key(&format!("{}_FILE", secret.name))
                || service.secrets.iter().any(|own| own.source == file)
        })
        .map(|service| service.name.clone())
        .collect();
    if !naming.is_empty() {
        return naming;
    }
    if rules.services.is_none() && !rules.grant_to.is_empty() {
        return rules.grant_to.iter().cloned().collect();
    }
    match with_containers().collect::<Vec<_>>()[..] {
        [only] => BTreeSet::from([only.name.clone()]),
        _ => BTreeSet::new(),
    }
}

/// The service's variables that are the secret: of one of its names, or whose whole value is interpolated from one of
/// them (an alias), which its placeholder shows.
fn variables_holding(service: &Service, names: &BTreeSet<String>) -> BTreeSet<String> {
    let placeholders: Vec<String> = names.iter().map(|name| placeholder(name)).collect();
    let holding = service.environment.iter().filter(|(name, value)| {
        names.contains(*name) || value.as_ref().is_some_and(|value| placeholders.contains(value))
    });
    holding.map(|(name, _)| name.clone()).collect()
}

#[cfg(test)]
mod tests;
