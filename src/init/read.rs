//! Reads an existing project: which variables its Compose files name, where, and what `.env` files have for them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::names::is_secret;
use super::{Found, Proposal};
use crate::compose::model::Model;
use crate::compose::place::{self, Place};
use crate::secret::{SecretName, SecretValue};

/// An existing project.
pub struct Project<'a> {
    /// What `docker compose config --no-interpolate` prints of it, as JSON.
    pub written: &'a Value,
    /// What the project's `.env` file has.
    pub env: &'a BTreeMap<String, SecretValue>,
    /// What the env files of each service have, together.
    pub env_files: &'a BTreeMap<String, BTreeMap<String, SecretValue>>,
    /// Whether the next checkout has the `.env` file.
    pub is_tracked: bool,
}

/// One place where a Compose file names a variable.
struct Named {
    service: Option<String>,
    has_default: bool,
    /// Whether the engine would show the value.
    is_shown: bool,
    /// The variable in whose default this one is named, where that is so.
    within: Option<String>,
}

/// What is proposed for a project; `None` when Compose's answer is none of a project.
pub fn read(basis: &Project) -> Option<Proposal> {
    let services = basis.written.get("services").and_then(Value::as_object);
    let all: BTreeSet<String> = services.into_iter().flat_map(|all| all.keys().cloned()).collect();
    let model = Model::new(basis.written.clone(), &all).ok()?;
    let mut named = interpolated(&model);
    for (service, definition) in services.into_iter().flatten() {
        for (variable, value) in Model::environment(basis.written, service) {
            // A name alone is taken from Compose's own environment.
            if value.is_none() {
                add(&mut named, &variable, service);
            }
            // A program that reads a file asks for the secret of the file's name, unless the project has one of its own there.
            let file = value.as_deref().filter(|_| variable.ends_with("_FILE"));
            if let Some(file) = file.and_then(|file| file.strip_prefix("/run/secrets/"))
                && basis.written.get("secrets").and_then(|all| all.get(file)).is_none()
            {
                add(&mut named, &file.to_ascii_uppercase().replace(['-', '.'], "_"), service);
            }
        }
        for variable in basis.env_files.get(service).into_iter().flatten().map(|(name, _)| name) {
            add(&mut named, variable, service);
        }
        for source in used(definition) {
            let own = basis.written.get("secrets").and_then(|all| all.get(&source));
            if let Some(variable) = own.and_then(|own| own.get("environment")).and_then(Value::as_str) {
                add(&mut named, variable, service);
            }
        }
    }
    let mut proposal = Proposal::default();
    let value_of = |variable: &str| {
        let elsewhere = || basis.env_files.values().find_map(|file| file.get(variable));
        basis.env.get(variable).or_else(elsewhere).filter(|value| !value.is_empty())
    };
    let composed = composed_by_default(&named, &value_of);
    // A variable that is only named in the default of another one is of no use where that one is given.
    let is_given = |place: &Named| place.within.as_ref().is_some_and(|outer| value_of(outer).is_some());
    named.retain(|variable, places| {
        places.retain(|place| !is_given(place));
        !places.is_empty() && !composed.contains(variable)
    });
    for (variable, places) in named {
        let value = value_of(&variable);
        if !is_secret(&variable, value.map(SecretValue::expose)) {
            let is_needed = places.iter().any(|place| !place.has_default);
            let is_from_env = basis.env.contains_key(&variable);
            let comes_along = basis.is_tracked && is_from_env;
            let by_file = basis.env_files.values().any(|file| file.contains_key(&variable)) && !is_from_env;
            if (is_needed || is_from_env) && !comes_along && !by_file && is_a_name(&variable) {
                proposal.settings.insert(variable);
            }
            continue;
        }
        if SecretName::parse(&variable).is_err() {
            proposal.notes.push(format!(
                "{variable} looks like a secret, and another program reads a variable of that name: give it another one"
            ));
            continue;
        }
        if places.iter().any(|place| place.is_shown) {
            proposal.notes.push(format!(
                "{variable} looks like a secret, and the Compose file puts it where `docker inspect` shows it, such as a label \
                 or a build argument: it is left out until that is changed"
            ));
            continue;
        }
        let found = Found {
            is_optional: value.is_none() && places.iter().all(|place| place.has_default),
            services: places.into_iter().filter_map(|place| place.service).collect(),
        };
        proposal.secrets.insert(variable, found);
    }
    let unused = basis.env.iter().filter(|(name, value)| {
        !proposal.secrets.contains_key(*name) && is_a_name(name) && is_secret(name, Some(value.expose()))
    });
    let unused: Vec<&str> = unused.map(|(name, _)| name.as_str()).collect();
    if !unused.is_empty() {
        proposal.notes.push(format!(
            ".env has what looks like secrets that no service is given: {}. Declare those that a service reads, with the service",
            unused.join(", ")
        ));
    }
    if basis.is_tracked {
        proposal.notes.push(
            "git tracks .env: what is secret in it is in the repository's history. Rotate it, and run `git rm --cached .env`"
                .to_owned(),
        );
    }
    Some(proposal)
}

/// Variables that nobody gives, and whose default is composed of others that look like secrets: those are the secrets.
fn composed_by_default<'v>(
    named: &BTreeMap<String, Vec<Named>>,
    value_of: &dyn Fn(&str) -> Option<&'v SecretValue>,
) -> BTreeSet<String> {
    let is_secret = |variable: &str| is_secret(variable, value_of(variable).map(SecretValue::expose));
    let parts = named.iter().filter(|(variable, _)| is_secret(variable)).flat_map(|(_, places)| places);
    let outer = parts.filter_map(|place| place.within.clone());
    outer.filter(|outer| value_of(outer).is_none()).collect()
}

/// Whether a key of a file is a name that can be printed: of a value that spills over lines a part can look like a key.
fn is_a_name(key: &str) -> bool {
    let is_usual = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    key.len() <= 64
        && key.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
        && key.chars().all(is_usual)
}

fn add(named: &mut BTreeMap<String, Vec<Named>>, variable: &str, service: &str) {
    if is_a_name(variable) {
        let place =
            Named { service: Some(service.to_owned()), has_default: false, is_shown: false, within: None };
        named.entry(variable.to_owned()).or_default().push(place);
    }
}

/// The keys of the project's secrets that a service uses.
fn used(definition: &Value) -> Vec<String> {
    let list = definition.get("secrets").and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|entry| Some(entry.as_str().or_else(|| entry.get("source")?.as_str())?.to_owned()))
        .collect()
}

/// Every variable that the model is interpolated with, and where.
fn interpolated(model: &Model) -> BTreeMap<String, Vec<Named>> {
    let mut named: BTreeMap<String, Vec<Named>> = BTreeMap::new();
    Model::texts(model.resolved(), &mut |path, text| {
        // Variables as a list are `environment[0]` here.
        let path = path.replace(".environment[", ".environment.[");
        let place = Place::of(&path, model);
        let service = place::service_of(&path, model).map(str::to_owned);
        for Variable { name, has_default, within } in variables(text) {
            let is_shown = matches!(place, Place::Shown | Place::Build);
            let place = Named { service: service.clone(), has_default, is_shown, within };
            named.entry(name).or_default().push(place);
        }
    });
    named
}

/// A variable that Compose puts into a text.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Variable {
    name: String,
    /// Whether something stands in for it when it is not set.
    has_default: bool,
    /// The variable whose default it is a part of.
    within: Option<String>,
}

/// The variables that Compose puts into a text (compose-spec, "Interpolation").
fn variables(text: &str) -> Vec<Variable> {
    let mut all = Vec::new();
    // The variables in whose braces the text is.
    let mut open: Vec<String> = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['$', '}']) {
        let is_end = rest[at..].starts_with('}');
        rest = &rest[at + 1..];
        if is_end {
            open.pop();
            continue;
        }
        if let Some(after) = rest.strip_prefix('$') {
            rest = after;
            continue;
        }
        let braced = rest.strip_prefix('{');
        let begin = braced.unwrap_or(rest);
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let length = begin.find(|c| !is_part(c)).unwrap_or(begin.len());
        let name = &begin[..length];
        if !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) {
            let operator = &begin[length..];
            let has_default =
                braced.is_some() && [":-", "-", ":+", "+"].iter().any(|op| operator.starts_with(op));
            all.push(Variable { name: name.to_owned(), has_default, within: open.last().cloned() });
        }
        if braced.is_some() {
            open.push(name.to_owned());
        }
        rest = &begin[length..];
    }
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn proposal(written: &Value, env: &[(&str, &str)], is_tracked: bool) -> Proposal {
        let env: BTreeMap<String, SecretValue> = env
            .iter()
            .map(|(name, value)| ((*name).to_owned(), SecretValue::new(value.as_bytes().to_vec())))
            .collect();
        read(&Project { written, env: &env, env_files: &BTreeMap::new(), is_tracked }).unwrap()
    }

    #[test]
    fn variables_of_a_text_are_found_in_every_form() {
        let all = variables("$A ${B} $$NOT ${C:-${D}} ${E:?x} ${F-} x$ ${} $1 ${G:+y}");
        let all: Vec<_> =
            all.iter().map(|one| (one.name.as_str(), one.has_default, one.within.as_deref())).collect();
        let expected = [
            ("A", false, None),
            ("B", false, None),
            ("C", true, None),
            ("D", false, Some("C")),
            ("E", false, None),
            ("F", true, None),
            ("G", true, None),
        ];
        assert_eq!(all, expected);
    }

    #[test]
    fn secrets_settings_and_what_cannot_be_delivered_are_told_apart() {
        let written = json!({"name": "p", "services": {
            "web": {
                "image": "shop:${IMAGE_TAG}",
                "environment": ["DB=postgres://u:${DB_PASSWORD}@db", "SENTRY_DSN=${SENTRY_DSN:-}", "API_KEY", "MODE=${MODE:-x}"],
                "labels": {"k": "${LABEL_TOKEN}"},
                "secrets": [{"source": "own"}],
            },
            "job": {"environment": {"JOB_TOKEN_FILE": "/run/secrets/job_token"}, "command": ["--pw", "${DB_PASSWORD}"]},
        }, "secrets": {"own": {"environment": "OWN_SECRET"}}});
        let env = [
            ("DB_PASSWORD", "canary-pw"),
            ("IMAGE_TAG", "v1"),
            ("STRAY_TOKEN", "canary-stray"),
            ("DOCKER_HOST", "x"),
        ];
        let found = proposal(&written, &env, false);
        let names: Vec<&str> = found.secrets.keys().map(String::as_str).collect();
        assert_eq!(names, ["API_KEY", "DB_PASSWORD", "JOB_TOKEN", "OWN_SECRET", "SENTRY_DSN"]);
        assert!(found.secrets["SENTRY_DSN"].is_optional && !found.secrets["DB_PASSWORD"].is_optional);
        assert_eq!(
            found.secrets["DB_PASSWORD"].services,
            BTreeSet::from(["job".to_owned(), "web".to_owned()])
        );
        assert_eq!(found.settings, BTreeSet::from(["IMAGE_TAG".to_owned()]));
        let notes = found.notes.concat();
        assert!(notes.contains("LABEL_TOKEN") && notes.contains("STRAY_TOKEN"), "{notes}");
        assert!(!format!("{found:?}").contains("canary"));
        let tracked = proposal(&written, &env, true);
        assert!(tracked.settings.is_empty() && tracked.notes.concat().contains("git tracks .env"));
    }

    #[test]
    fn a_name_that_github_keeps_for_itself_gets_another_one_there() {
        let written = json!({"name": "p", "services": {"web": {"environment": {"GITHUB_TOKEN": null}}}});
        assert_eq!(proposal(&written, &[], false).commands(), ["gh secret set BOT_TOKEN"]);
    }
}
