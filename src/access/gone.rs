//! What a service no longer has because of us is named, with the line of the manifest that gives it back.

use std::collections::{BTreeMap, BTreeSet};

use super::ServiceAccess;
use crate::compose::service::Service;
use crate::secret::SecretName;

/// A variable that a service's program does not get any more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Gone {
    /// Its name.
    pub variable: String,
    /// Why.
    pub why: Why,
}

/// Why a variable went.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Why {
    /// The service is not granted these secrets.
    NotGranted(Vec<String>),
    /// The manifest says that a variable is to name a file in its place.
    File,
}

impl Gone {
    pub(super) fn not_granted(variable: &str, secrets: Vec<String>) -> Self {
        Self { variable: variable.to_owned(), why: Why::NotGranted(secrets) }
    }

    /// What to do about it, for a program that may need it.
    pub fn help(&self, service: &str) -> String {
        format!(
            "Its variable {} was taken away: {}. When it needs the variable, in claude-secrets.yml: `{}`.",
            self.variable,
            self.reason(),
            self.line(service)
        )
    }

    /// Why it went, in words.
    pub fn reason(&self) -> String {
        match &self.why {
            Why::NotGranted(secrets) => format!("the service is not granted {}", secrets.join(", ")),
            Why::File => {
                format!("the manifest says `deliver: file`, and {}_FILE names the file", self.variable)
            }
        }
    }

    /// The line of the manifest that gives it back.
    fn line(&self, service: &str) -> String {
        match &self.why {
            Why::NotGranted(secrets) => format!("services: {{ {service}: [{}] }}", secrets.join(", ")),
            Why::File => format!(
                "services: {{ {service}: {{ variables: {{ {}: {{ deliver: variable }} }} }} }}",
                self.variable
            ),
        }
    }
}

/// Adds the variables whose places files have taken, and returns warnings of those that a shell of the service reads though
/// nothing sets them (`shell`: the variables that shells read, with their secrets).
pub(super) fn complete(
    service: &Service,
    own: &mut ServiceAccess,
    shell: &BTreeMap<String, SecretName>,
    is_absent: &dyn Fn(&SecretName) -> bool,
) -> Vec<(String, String)> {
    let had = |variable: &str| service.environment.contains_key(variable);
    let files: Vec<Gone> = own
        .as_files()
        .into_keys()
        .filter(|variable| had(variable) || shell.contains_key(*variable))
        .map(|variable| Gone { variable: variable.to_owned(), why: Why::File })
        .collect();
    own.gone.extend(files);
    let delivered: BTreeSet<String> = own.otherwise_than_as_files();
    let mut gone_by: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, gone) in own.gone.iter().enumerate() {
        gone_by.entry(gone.variable.clone()).or_default().push(at);
    }
    let mut warnings = Vec::new();
    for (variable, secret) in shell.iter().filter(|(_, secret)| !is_absent(secret)) {
        if !gone_by.contains_key(variable) && !delivered.contains(variable) && !had(variable) {
            gone_by.insert(variable.clone(), vec![own.gone.len()]);
            own.gone.push(Gone::not_granted(variable, vec![secret.to_string()]));
        }
        let gone = gone_by.get(variable).into_iter().flatten().filter_map(|at| own.gone.get(*at));
        warnings.extend(gone.map(|gone| {
            (
                format!(
                    "service {}: a shell of its command, health check or hooks reads ${variable}, which nothing sets: {}",
                    service.name,
                    gone.reason()
                ),
                format!("In claude-secrets.yml: `{}`.", gone.line(&service.name)),
            )
        }));
    }
    warnings
}

/// A note of the variables that had a text of the project's own and were taken out since the service is not granted their
/// secrets: nothing else tells of them.
pub(super) fn in_silence(
    service: &str,
    own: &ServiceAccess,
    was_written_out: &dyn Fn(&str) -> bool,
) -> Option<String> {
    let (mut variables, mut names) = (Vec::new(), Vec::new());
    for gone in own.gone.iter().filter(|gone| was_written_out(&gone.variable)) {
        if let Why::NotGranted(secrets) = &gone.why {
            variables.push(gone.variable.as_str());
            names.extend(secrets.iter().filter(|name| !names.contains(name)).collect::<Vec<_>>());
        }
    }
    let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
    let names = names.join(", ");
    (!variables.is_empty()).then(|| {
        format!(
            "service {service} is not granted {names}, and does not get its variables {}. When it needs them, in \
             claude-secrets.yml: `services: {{ {service}: [{names}] }}`",
            variables.join(", ")
        )
    })
}
