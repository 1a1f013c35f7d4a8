//! Who gets what, on small projects.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Access, Rules, decide};
use crate::docker::model::Model;
use crate::docker::project::placeholder;
use crate::error::{Code, Error};
use crate::manifest::{self, Secret};

/// Decides for a project whose services are given as Compose would print them, interpolated and not.
fn decided(lines: &str, manifest: &str, grant_to: &[&str], services: &Value) -> Result<Access, Error> {
    let given = manifest::Given {
        lines: Some(lines),
        file: Some((std::path::Path::new("claude-secrets.yml"), manifest.as_bytes()))
            .filter(|(_, b)| !b.is_empty()),
        known_kinds: &["env"],
        ..manifest::Given::default()
    };
    let manifest = manifest::read(&given).unwrap();
    let model = json!({"name": "p", "services": services});
    let names: BTreeSet<String> = services.as_object().unwrap().keys().cloned().collect();
    let model = Model::new(model, &names).ok().unwrap();
    let secrets: Vec<&Secret> = manifest.secrets.iter().collect();
    let grant_to: Vec<String> = grant_to.iter().map(|name| (*name).to_owned()).collect();
    decide(
        &model,
        &Rules { secrets: &secrets, absent: &[], services: manifest.services.as_ref(), grant_to: &grant_to },
    )
}

/// `service: SECRET(VARIABLE …)` for each grant.
fn shown(access: &Access) -> Vec<String> {
    let each = access.services.iter().flat_map(|(service, own)| {
        own.secrets
            .iter()
            .map(move |granted| format!("{service}: {}({})", granted.name, granted.variables.join(" ")))
    });
    each.collect()
}

#[test]
fn only_a_whole_value_is_an_alias() {
    for (value, expected) in [
        (placeholder("KEY"), "web: KEY(KEY URL)"),
        (format!("postgres://u:{}@db", placeholder("KEY")), "other: KEY(KEY)"),
        ("KEY".to_owned(), "other: KEY(KEY)"),
    ] {
        let services = json!({"web": {"environment": {"URL": value}}, "other": {}});
        assert_eq!(shown(&decided("KEY", "", &["other"], &services).unwrap()), [expected]);
    }
}

#[test]
fn a_service_gets_what_its_environment_names_in_any_form() {
    for environment in [
        json!({"KEY": placeholder("KEY")}),
        json!({"KEY": null}),
        json!(["KEY"]),
        json!(["KEY=literal"]),
        json!({"KEY_FILE": "/run/secrets/key"}),
    ] {
        let services = json!({"web": {"environment": environment}, "other": {}});
        assert_eq!(shown(&decided("KEY", "", &[], &services).unwrap()), ["web: KEY(KEY)"], "{services}");
    }
    let alias = json!({"db": {"environment": {"POSTGRES_PASSWORD": placeholder("KEY")}}, "other": {}});
    assert_eq!(shown(&decided("KEY", "", &[], &alias).unwrap()), ["db: KEY(KEY POSTGRES_PASSWORD)"]);
    let own = json!({"web": {"secrets": [{"source": "key"}]}, "other": {}});
    assert_eq!(shown(&decided("KEY", "", &[], &own).unwrap()), ["web: KEY(KEY)"]);
}

#[test]
fn the_variable_that_a_reference_reads_counts_as_the_secret() {
    let services = json!({"web": {"environment": {"TOKEN": placeholder("BOT_TOKEN")}}, "other": {}});
    assert_eq!(shown(&decided("KEY = env:BOT_TOKEN", "", &[], &services).unwrap()), ["web: KEY(KEY TOKEN)"]);
}

#[test]
fn the_manifest_decides_before_the_environment_and_takes_away_what_it_does_not_grant() {
    let services = json!({"web": {"environment": {"KEY": placeholder("KEY")}}, "worker": {}});
    let access = decided("KEY", "services: {worker: [KEY]}\nsecrets: {KEY: }", &[], &services).unwrap();
    assert_eq!(shown(&access), ["worker: KEY(KEY)"]);
    assert_eq!(access.services["web"].withdrawn.iter().collect::<Vec<_>>(), ["KEY"]);
    assert_eq!(access.warnings.len(), 1);
}

#[test]
fn grant_to_and_a_single_service_come_last() {
    let two = json!({"web": {}, "worker": {}});
    assert_eq!(shown(&decided("KEY", "", &["worker"], &two).unwrap()), ["worker: KEY(KEY)"]);
    assert_eq!(shown(&decided("KEY", "", &[], &json!({"web": {}})).unwrap()), ["web: KEY(KEY)"]);
}

#[test]
fn a_secret_that_nobody_asks_for_is_an_error_that_lists_the_services() {
    let error = decided("KEY", "", &[], &json!({"web": {}, "worker": {}})).unwrap_err();
    assert_eq!(error.code, Code::SecretWithoutService);
    let text = error.to_string();
    assert!(text.contains("KEY") && text.contains("web, worker") && text.contains("grant-to"), "{text}");
}

#[test]
fn an_unknown_service_comes_with_a_suggestion() {
    let error = decided("KEY", "", &["wroker"], &json!({"web": {}, "worker": {}})).unwrap_err();
    assert_eq!(error.code, Code::ServiceUnknown);
    assert!(error.to_string().contains("Did you mean `worker`?"), "{error}");
}

#[test]
fn a_service_of_a_provider_gets_nothing_by_itself_and_asking_for_it_is_an_error() {
    let services = json!({
        "db": {"provider": {"type": "cloud"}, "environment": {"KEY": placeholder("KEY")}},
        "web": {"depends_on": {"db": {}}},
    });
    let access = decided("KEY", "", &[], &services).unwrap();
    assert_eq!(shown(&access), ["web: KEY(KEY)"]);
    assert!(access.warnings.is_empty() && access.services["db"].withdrawn.contains("KEY"));
    for (manifest, grant_to) in [("services: {db: [KEY]}\nsecrets: {KEY: {}}\n", &[][..]), ("", &["db"][..])]
    {
        let error = decided("KEY", manifest, grant_to, &services).err().unwrap();
        assert_eq!(error.code, Code::ServiceWithoutContainer, "{manifest}");
        assert!(error.to_string().contains("service db has a `provider`"), "{error}");
    }
}
