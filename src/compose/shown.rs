//! Whether a secret would be visible in the project's model: in what the containers, networks and images of it show to everyone
//! who may inspect them.

use std::collections::BTreeSet;

use super::model::Model;
use super::place::{Place, service_of};
use super::placeholder::variables_in;
use crate::compose::placeholder::STAND_IN;
use crate::diagnostic::Diagnostic;
use crate::error::{Code, Error, Result};
use crate::search::places::Places;
use crate::search::{Finding, Search};

/// Checks the project's own model (interpolated, with placeholders), before images are built from it: a declared secret
/// may only be where this action can put its value without showing it.
///
/// Errors: [`Code::SecretInLargerValue`] with every other place. What belongs to a service that no profile starts is none,
/// nor is what an extension (`x-…`) is interpolated with: nothing comes of it. What builds are given is for
/// [`check_builds`].
pub fn check_own(model: &Model, search: &Search) -> Result<()> {
    let mut problems = Vec::new();
    Model::texts(model.resolved(), &mut |path, text| {
        if Place::of(path, model) == Place::Shown {
            problems.extend(placeholders(path, text));
        }
    });
    problems.extend(in_keys(model.resolved(), "", model, &[Place::Nothing, Place::Extension, Place::Build]));
    let found = search.document(model.resolved(), &Places::model());
    // Variables and configs that hold values in clear are delivered like those that hold placeholders.
    let is_shown = |found: &&Finding| {
        matches!(Place::of(&found.place(), model), Place::Word | Place::Extension | Place::Shown)
    };
    problems.extend(found.iter().filter(is_shown).map(written_in_clear));
    visible(problems)
}

/// Checks what these services' builds are given: an argument stays in the image.
pub fn check_builds(model: &Model, services: &[&str], search: &Search) -> Result<()> {
    if services.is_empty() {
        return Ok(());
    }
    let mut problems = Vec::new();
    for service in services {
        let definition = model.resolved().pointer(&format!("/services/{}/build", pointer_step(service)));
        Model::texts(definition.unwrap_or(&serde_json::Value::Null), &mut |path, text| {
            let path = format!("services.{service}.build.{path}");
            problems.extend(placeholders(&path, text));
        });
        let build = format!("services.{service}.build.");
        problems.extend(in_keys(definition.unwrap_or(&serde_json::Value::Null), &build, model, &[]));
    }
    let found = search.document(model.resolved(), &Places::model());
    let is_built = |found: &&Finding| {
        found.steps.get(1).is_some_and(|name| services.contains(&name.as_str()))
            && Place::of(&found.place(), model) == Place::Build
    };
    problems.extend(found.iter().filter(is_built).map(written_in_clear));
    visible(problems)
}

/// Checks the merged model before anything changes: no declared secret may be left in it, neither by its placeholder
/// (but in words that the launcher completes) nor by its value, and no variable of its name (one of `names`) may have
/// a value, unless `may_be_shown` says so of it (a service, its variable, the text).
pub fn check_merged(
    merged: &serde_json::Value,
    model: &Model,
    names: &BTreeSet<String>,
    may_be_shown: &dyn Fn(&str, &str, &str) -> bool,
    search: &Search,
) -> Result<()> {
    let mut problems = Vec::new();
    Model::texts(merged, &mut |path, text| {
        let place = Place::of(path, model);
        let variable = path.strip_prefix("services.").and_then(|rest| rest.split_once(".environment."));
        let names_file = text.strip_prefix("file://").unwrap_or(text).starts_with("/run/secrets/");
        if variable.is_some_and(|(service, name)| may_be_shown(service, name, text)) {
            return;
        }
        // What one service has in clear another text of the project may be interpolated with, too.
        if text.contains(STAND_IN) {
            problems.push(Diagnostic::new(format!(
                "{path} would hold a value that a service has by `deliver: env`"
            )));
            return;
        }
        if variable.is_some_and(|(_, name)| names.contains(name)) && !text.is_empty() && !names_file {
            problems.push(Diagnostic::new(format!("{path} still has a value")));
            return;
        }
        // A config that nothing mounts any more is still there.
        let is_left = place == Place::Delivered && !path.starts_with("configs.");
        if is_left || place == Place::Shown {
            problems.extend(placeholders(path, text));
        }
    });
    Model::keys(merged, &mut |path, key| {
        if key.contains(STAND_IN) {
            problems.push(Diagnostic::new(format!(
                "{path} would hold a value that a service has by `deliver: env`"
            )));
        }
    });
    problems.extend(in_keys(merged, "", model, &[Place::Nothing, Place::Extension, Place::Build]));
    // A variable that still has a value is told of already.
    let told = |found: &Finding| {
        found.is_at(VARIABLES) && found.steps.get(3).is_some_and(|name| names.contains(name))
    };
    let is_left = |found: &&Finding| match Place::of(&found.place(), model) {
        Place::Nothing | Place::Build => false,
        Place::Delivered => !told(found) && found.steps.first().is_some_and(|section| section != "configs"),
        Place::Word | Place::Extension | Place::Shown => true,
    };
    let found = search.document(merged, &Places::model());
    problems.extend(found.iter().filter(is_left).map(written_in_clear));
    visible(problems)
}

/// Where a model has the variables of services.
const VARIABLES: &[&str] = &["services", "*", "environment"];

/// A step of a JSON pointer (RFC 6901).
fn pointer_step(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The placeholders in the keys of a part of a model that lies at `above`, but for those at `unseen` places: no value can be
/// delivered to a key, not even to one of a variable.
fn in_keys(part: &serde_json::Value, above: &str, model: &Model, unseen: &[Place]) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    Model::keys(part, &mut |path, key| {
        let path = format!("{above}{path}");
        if variables_in(key).is_empty() {
            return;
        }
        let whole = format!("{path}.{key}");
        let service = service_of(&whole, model).and_then(|name| model.services.get(name));
        let is_off = above.is_empty() && service.is_some_and(|service| !service.active);
        if !is_off && !unseen.contains(&Place::of(&whole, model)) {
            problems.extend(placeholders(&path, key));
        }
    });
    problems
}

fn placeholders(path: &str, text: &str) -> Vec<Diagnostic> {
    variables_in(text).into_iter().map(|variable| shown_by_engine(path, variable)).collect()
}

fn written_in_clear(found: &Finding) -> Diagnostic {
    Diagnostic::new(format!("{} holds the value of {}, written in clear", found.place(), found.secret))
        .help("Take the value out of the Compose file or the file it comes from, and rotate it. If it is no secret, say `sensitive: false` in the manifest.")
}

fn visible(mut problems: Vec<Diagnostic>) -> Result<()> {
    problems.dedup();
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::new(Code::SecretInLargerValue, "secrets would be visible in the containers' configuration")
        .problems(problems))
}

/// A declared secret at a place that the engine shows to everyone who may inspect the project.
fn shown_by_engine(path: &str, variable: &str) -> Diagnostic {
    let place = path.strip_prefix("services.").unwrap_or(path);
    if let Some((service, _)) = place.split_once(".build.") {
        return Diagnostic::new(format!("{path}: the declared secret {variable} is given to the build of {service}"))
            .help(format!(
                "What a build is given as an argument stays in the image. Use a build secret: `build: {{ secrets: [{0}] }}` \
                 with `secrets: {{ {0}: {{ environment: {variable} }} }}`, and `RUN --mount=type=secret,id={0}` in the Dockerfile.",
                variable.to_lowercase()
            ));
    }
    Diagnostic::new(format!("{path}: the declared secret {variable} is interpolated into it")).help(format!(
        "`docker inspect` shows this. Use a variable of the service or an argument of its command for {variable}; if it is \
         no secret, say `sensitive: false` in the manifest."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::placeholder::placeholder;
    use serde_json::{Value, json};

    fn model(services: &Value) -> Model {
        let active: BTreeSet<String> =
            services.as_object().unwrap().keys().filter(|name| *name != "off").cloned().collect();
        Model::new(json!({"name": "p", "services": services, "x-all": {"k": placeholder("PW")}}), &active)
            .ok()
            .unwrap()
    }

    fn in_clear(text: &str) -> Vec<String> {
        if text.contains("s3cret") { vec!["KEY".to_owned()] } else { vec![] }
    }

    #[test]
    fn a_placeholder_or_a_value_that_is_left_is_an_error_that_names_the_place() {
        let services = json!({
            "web": {"environment": {"URL": format!("postgres://u:{}@db", placeholder("PW")), "LEFT": "x"},
                "labels": {"l": placeholder("PW")}},
            "job": {"command": ["--key", "s3cret", placeholder("OK")]},
            "shown": {"environment": {"LEFT": "stand-in"}},
            "taken": {"labels": {"by": format!("x{STAND_IN}")}},
            "keys": {"labels": {format!("k.{}", placeholder("PW")): "x"}},
            "named": {"annotations": {format!("k.{STAND_IN}"): "x"}},
        });
        let may_be_shown = |service: &str, variable: &str, text: &str| {
            (service, variable, text) == ("shown", "LEFT", "stand-in")
        };
        let names = BTreeSet::from(["LEFT".to_owned()]);
        let merged = json!({"services": services});
        let error = check_merged(&merged, &model(&services), &names, &may_be_shown, &Search::new(&in_clear))
            .err()
            .unwrap();
        let text = error.to_string();
        for part in [
            "services.web.environment.URL",
            "PW",
            "web.labels.l",
            "services.job.command[1]",
            "KEY",
            "environment.LEFT",
            "services.keys.labels: the declared secret PW",
            "services.named.annotations would hold a value",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(text.contains("services.taken.labels.by would hold a value"), "{text}");
        assert!(!text.contains("s3cret") && !text.contains("OK") && !text.contains("shown"), "{text}");
        assert!(
            check_merged(
                &json!({"a": "b"}),
                &model(&json!({})),
                &names,
                &may_be_shown,
                &Search::new(&|_| vec![])
            )
            .is_ok()
        );
    }

    #[test]
    fn in_the_own_model_a_secret_may_be_where_its_value_can_be_delivered() {
        let larger = format!("u:{}@db", placeholder("PW"));
        let of = |name: &str, service: Value| {
            let found = check_own(&model(&json!({name: service})), &Search::new(&in_clear));
            found.err().map(|error| error.to_string()).unwrap_or_default()
        };
        for service in [
            json!({"environment": {"A": placeholder("PW"), "B": "s3cret", "PW": larger}}),
            json!({"command": [larger], "entrypoint": [larger], "healthcheck": {"test": ["CMD", larger]}}),
            json!({"post_start": [{"command": [larger]}], "build": {"args": {"a": larger}}, "x-own": larger}),
        ] {
            assert_eq!(of("web", service), "");
        }
        for service in [
            json!({"labels": {"x": larger}}),
            json!({"labels": {"x": "s3cret"}}),
            json!({"labels": {"x-owner": larger}}),
            json!({"x-own": "s3cret"}),
            json!({"hostname": larger}),
            json!({"labels": {larger.as_str(): "x"}}),
            json!({"environment": {larger.as_str(): "x"}}),
            json!({"command": ["s3cret"]}),
            json!({"post_start": [{"user": larger}]}),
        ] {
            let text = of("a.b", service.clone());
            assert!(text.contains("services.a.b.") && !text.contains("s3cret"), "{service}: {text}");
            if service.get("command").or(service.get("x-own")).is_none() {
                assert_eq!(of("off", service), "");
            }
        }
    }

    #[test]
    fn what_a_build_is_given_counts_when_it_is_built() {
        let model =
            model(&json!({"web": {"build": {"args": {"T": placeholder("TOKEN")}}}, "job": {"build": {}}}));
        assert!(check_builds(&model, &["job"], &Search::new(&in_clear)).is_ok());
        let text = check_builds(&model, &["web"], &Search::new(&in_clear)).err().unwrap().to_string();
        assert!(text.contains("services.web.build.args.T") && text.contains("--mount=type=secret"), "{text}");
        let model = super::tests::model(&json!({"web": {"build": {"args": {placeholder("TOKEN"): "x"}}}}));
        assert!(check_builds(&model, &["web"], &Search::new(&in_clear)).is_err());
    }
}
