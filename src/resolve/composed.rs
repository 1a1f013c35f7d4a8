//! Secrets that are composed of others, once these are known. A missing part is a missing secret.

use std::collections::{BTreeMap, BTreeSet};

use super::{Resolution, Resolved, State};
use crate::diagnostic::Diagnostic;
use crate::error::Code;
use crate::manifest::{Secret, Template};
use crate::secret::SecretName;

/// The name of the source of composed secrets.
pub const TEMPLATE: &str = "template";

/// A secret whose template waits for its parts.
pub(super) fn waiting(secret: Secret) -> Resolved {
    Resolved {
        secret,
        state: State::Missing,
        value: None,
        origin: None,
        shadowed: Vec::new(),
        is_open: false,
    }
}

/// Composes every secret that has a template, each after its parts. The manifest has no template that refers
/// to itself. `missing_is_warning` comes from the input `on-missing`.
pub(super) fn compose(all: &mut Resolution, missing_is_warning: bool) {
    let mut open: Vec<usize> = (0..all.secrets.len())
        .filter(|at| all.secrets.get(*at).is_some_and(|resolved| resolved.secret.template.is_some()))
        .collect();
    let places: Places =
        all.secrets.iter().enumerate().rev().map(|(at, one)| (one.secret.name.clone(), at)).collect();
    while !open.is_empty() {
        let names: BTreeSet<SecretName> =
            open.iter().filter_map(|at| Some(all.secrets.get(*at)?.secret.name.clone())).collect();
        let waits = |at: &usize| {
            all.secrets
                .get(*at)
                .is_some_and(|resolved| resolved.secret.parts().any(|part| names.contains(part)))
        };
        let (later, now): (Vec<usize>, Vec<usize>) = open.into_iter().partition(waits);
        if now.is_empty() {
            return;
        }
        for at in now {
            one(all, &places, at, missing_is_warning);
        }
        open = later;
    }
}

/// Where each secret is.
type Places = BTreeMap<SecretName, usize>;

fn resolved<'a>(all: &'a Resolution, places: &Places, name: &SecretName) -> Option<&'a Resolved> {
    all.secrets.get(*places.get(name)?)
}

fn one(all: &mut Resolution, places: &Places, at: usize, missing_is_warning: bool) {
    let Some(Resolved { secret, .. }) = all.secrets.get(at) else { return };
    let (secret, Some(template)) = (secret.clone(), secret.template.clone()) else { return };
    let state = match without_value(all, places, &template) {
        Some((part, state)) => lacks(all, &secret, &part, state, missing_is_warning),
        None => made(all, places, at, &secret, &template),
    };
    if let Some(resolved) = all.secrets.get_mut(at) {
        resolved.state = state;
        let is_wrong = matches!(state, State::Denied | State::Failed | State::Invalid);
        resolved.is_open = is_wrong || state == State::Missing && !missing_is_warning;
    }
}

/// Composes a secret whose parts all have values.
fn made(all: &mut Resolution, places: &Places, at: usize, secret: &Secret, template: &Template) -> State {
    let value_of = |name: &SecretName| resolved(all, places, name)?.value.as_ref();
    match template.compose(value_of).and_then(|value| secret.accept(value)) {
        Ok(value) => {
            if secret.sensitive {
                all.seen.push((secret.name.clone(), value.clone()));
            }
            if let Some(resolved) = all.secrets.get_mut(at) {
                resolved.value = Some(value);
            }
            State::Found
        }
        Err(why) => {
            let problem = Diagnostic::new(format!("{} from its template: {why}", secret.name));
            all.problems.push((
                Code::SecretInvalid,
                problem
                    .help("Correct the value of a secret in it, the template, or the rule in the manifest."),
            ));
            State::Invalid
        }
    }
}

/// The first part without a value, with its state; `None` if all have one.
fn without_value(all: &Resolution, places: &Places, template: &Template) -> Option<(SecretName, State)> {
    template.parts().find_map(|part| match resolved(all, places, part) {
        Some(resolved) if resolved.value.is_some() => None,
        Some(resolved) => Some((part.clone(), resolved.state)),
        None => Some((part.clone(), State::Missing)),
    })
}

/// The state of a secret that has a part without a value. Why the part has none is reported for the part.
fn lacks(
    all: &mut Resolution,
    secret: &Secret,
    part: &SecretName,
    state: State,
    missing_is_warning: bool,
) -> State {
    if !matches!(state, State::Absent | State::Missing) {
        return state;
    }
    if !secret.required {
        return State::Absent;
    }
    let name = &secret.name;
    let about = secret.description.as_ref().map(|text| format!(" ({text})")).unwrap_or_default();
    let fact = format!("{name}{about} cannot be composed: {part} in its template has no value");
    let help = format!("Provide a value for {part}, or make {name} optional: `required: false`.");
    let place = Some(secret.place.clone());
    if missing_is_warning {
        all.degraded = true;
        all.warnings.push(Diagnostic { place, ..Diagnostic::with_help(fact, help) });
    } else {
        let problem = Diagnostic { place, ..Diagnostic::new(fact).help(help) };
        all.problems.push((Code::SecretsMissing, problem));
    }
    State::Missing
}
