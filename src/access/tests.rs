//! Who gets what, on small projects.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Access, Form, LargerPlace, Rules, decide};
use crate::compose::model::Model;
use crate::compose::placeholder::placeholder;
use crate::error::{Code, Error};
use crate::manifest::{self, Secret};
use crate::secret::SecretValue;

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
        &Rules {
            secrets: &secrets,
            absent: &[],
            services: manifest.services.as_ref(),
            grant_to: &grant_to,
            secrets_in: &|text| if text.contains("in-clear") { vec!["KEY".to_owned()] } else { vec![] },
        },
    )
}

/// `service: SECRET(VARIABLE …)` for each grant: `NAME_FILE` where the program gets a file; then `VARIABLE=file` for larger
/// values, `@place` for other places, `<argument`.
fn shown(access: &Access) -> Vec<String> {
    let each = access.services.iter().filter(|(_, own)| !own.secrets.is_empty()).map(|(service, own)| {
        let granted = own.secrets.iter().map(|granted| {
            let variables = granted.variables.iter().map(|variable| match variable.form {
                Form::File => format!("{}_FILE", variable.name),
                Form::AtStart | Form::InClear | Form::Plain => variable.name.clone(),
            });
            let places = granted.places.iter().map(|(place, _)| format!("@{place}"));
            format!("{}({})", granted.name, variables.chain(places).collect::<Vec<_>>().join(" "))
        });
        let composed = own.composed.iter().map(|composed| match &composed.place {
            LargerPlace::Variable(name) => format!("{name}={}", composed.file),
            LargerPlace::Config(_) => format!("@{}", composed.file),
        });
        let arguments = own.arguments.iter().map(|(variable, file)| format!("<{variable}={file}"));
        format!("{service}: {}", granted.chain(composed).chain(arguments).collect::<Vec<_>>().join(" "))
    });
    each.collect()
}

#[test]
fn a_service_gets_a_secret_in_the_form_that_its_compose_file_asks_for() {
    let larger = format!("postgres://u:{}@db", placeholder("KEY"));
    for (service, expected) in [
        (json!({"environment": {"KEY": placeholder("KEY")}}), "KEY(KEY)"),
        (json!({"environment": {"KEY": null}}), "KEY(KEY)"),
        (json!({"environment": ["KEY"]}), "KEY(KEY)"),
        (json!({"environment": ["KEY=literal"]}), "KEY(KEY)"),
        (json!({"environment": {"POSTGRES_PASSWORD": placeholder("KEY")}}), "KEY(POSTGRES_PASSWORD)"),
        (json!({"environment": {"URL": larger}}), "KEY() URL=url"),
        (json!({"environment": {"URL": "x-in-clear"}}), "KEY() URL=url"),
        (json!({"environment": {"KEY_FILE": "/run/secrets/key"}}), "KEY(@key)"),
        (json!({"environment": {"KEY_FILE": "/run/secrets/other"}}), "KEY(@other)"),
        (json!({"environment": {"KEY__FILE": "/run/secrets/other"}}), "KEY(@other)"),
        (json!({"environment": {"KEY_FILE": "/elsewhere"}}), "KEY(KEY_FILE)"),
        (json!({"environment": {"KEY": "file:///run/secrets/k"}}), "KEY(@k)"),
        (json!({"secrets": [{"source": "key"}]}), "KEY(@key)"),
        (json!({"secrets": [{"source": "k-e.y"}]}), "KEY(KEY_FILE)"),
        (json!({"command": ["--key", larger]}), "KEY() <KEY=key"),
        (json!({"command": ["sh", "-c", "use $$KEY"]}), "KEY(KEY)"),
        (json!({"command": ["sh", "-c", "use $$KEYS"]}), "KEY(KEY_FILE)"),
        (json!({"command": ["sh", "-c", "cat /run/secrets/key"]}), "KEY(KEY_FILE)"),
        (json!({"healthcheck": {"test": ["CMD-SHELL", "ping -p$${KEY}"]}}), "KEY(KEY)"),
        (json!({"post_start": [{"command": ["a", placeholder("KEY")]}]}), "KEY() <KEY=key"),
        (json!({}), "KEY(KEY_FILE)"),
    ] {
        let services = json!({"web": service});
        assert_eq!(
            shown(&decided("KEY", "", &[], &services).unwrap()),
            [format!("web: {expected}")],
            "{services}"
        );
    }
}

#[test]
fn a_service_that_asks_for_nothing_gets_nothing() {
    for other in [json!({"environment": {"URL": "KEY"}}), json!({"command": ["key"]})] {
        let services = json!({"web": {"environment": {"KEY": placeholder("KEY")}}, "other": other});
        assert_eq!(shown(&decided("KEY", "", &[], &services).unwrap()), ["web: KEY(KEY)"]);
    }
}

#[test]
fn the_variable_that_a_reference_reads_counts_as_the_secret() {
    let services = json!({"web": {"environment": {"TOKEN": placeholder("BOT_TOKEN")}}, "other": {}});
    assert_eq!(shown(&decided("KEY = env:BOT_TOKEN", "", &[], &services).unwrap()), ["web: KEY(TOKEN)"]);
}

#[test]
fn a_declared_name_wins_over_a_name_that_a_reference_reads() {
    let services = json!({
        "db": {"environment": {"MYSQL_PASSWORD": placeholder("MYSQL_PASSWORD")}},
        "web": {"environment": {"DB_PASSWORD": placeholder("WP_PASSWORD"), "URL": placeholder("HUB_URL")}},
        "hub": {"environment": {"URL": placeholder("URL")}},
    });
    let mut lines = ["MYSQL_PASSWORD = env:NEW_DB", "WP_PASSWORD = env:MYSQL_PASSWORD", "URL", "HUB_URL"];
    for _ in 0..2 {
        let access = decided(&lines.join("\n"), "", &[], &services).unwrap();
        let mut all = shown(&access);
        all.sort();
        let web = &access.services["web"].secrets;
        assert!(web.iter().all(|granted| ["WP_PASSWORD", "HUB_URL"].contains(&granted.name.as_str())));
        assert_eq!(all[..2], ["db: MYSQL_PASSWORD(MYSQL_PASSWORD)", "hub: URL(URL)"]);
        lines.reverse();
    }
}

#[test]
fn the_manifest_decides_before_the_environment_and_takes_away_what_it_does_not_grant() {
    let services = json!({
        "web": {"environment": {"KEY": placeholder("KEY"), "URL": format!("u:{}@h", placeholder("KEY"))}},
        "worker": {},
    });
    let access = decided("KEY", "services: {worker: [KEY]}\nsecrets: {KEY: }", &[], &services).unwrap();
    assert_eq!(shown(&access), ["worker: KEY(KEY_FILE)"]);
    assert_eq!(access.services["web"].withdrawn.iter().collect::<Vec<_>>(), ["KEY", "URL"]);
    assert_eq!(access.warnings.len(), 2);
}

#[test]
fn the_manifest_says_how_a_service_or_a_single_variable_gets_a_secret() {
    let services = json!({"web": {"environment": {"KEY": placeholder("KEY"), "CACHE": placeholder("KEY")}}});
    for (grant, expected) in [
        ("{deliver: file}", "KEY(CACHE_FILE KEY_FILE)"),
        ("{deliver: file, variables: {CACHE: {deliver: variable}}}", "KEY(CACHE KEY_FILE)"),
        ("{variables: {CACHE: OTHER}}", "KEY(KEY) OTHER(CACHE)"),
        ("{variables: {CACHE: OTHER, NEW: OTHER}}", "KEY(KEY) OTHER(CACHE NEW)"),
    ] {
        let manifest = format!("services: {{web: {grant}}}");
        let found = decided("KEY\nOTHER", &manifest, &[], &services).unwrap();
        let found: Vec<_> =
            shown(&found).into_iter().map(|line| line.replace(" OTHER(OTHER_FILE)", "")).collect();
        assert_eq!(found, [format!("web: {expected}")], "{grant}");
    }
}

#[test]
fn what_cannot_be_taken_away_from_a_service_is_an_error() {
    let larger = format!("u:{}@h", placeholder("KEY"));
    for service in [
        json!({"command": [larger]}),
        json!({"secrets": [{"source": "key"}]}),
        json!({"volumes_from": ["worker"]}),
        json!({"volumes_from": ["between:ro"]}),
    ] {
        let between = json!({"volumes_from": ["worker"]});
        let services = json!({"web": service, "worker": {}, "between": between});
        let error =
            decided("KEY", "services: {worker: [KEY]}\nsecrets: {KEY: }", &[], &services).err().unwrap();
        assert_eq!(error.code, Code::SecretNotGranted, "{services}");
        assert!(error.to_string().contains("service web"), "{error}");
    }
}

#[test]
fn who_shares_processes_is_warned_of_what_they_can_read() {
    let services = json!({
        "worker": {"environment": ["KEY"]},
        "sidecar": {"pid": "service:worker"},
        "debug": {"pid": "service:sidecar", "environment": ["OTHER"]},
    });
    let access = decided("KEY\nOTHER", "", &[], &services).unwrap();
    let said: Vec<_> = access.warnings.iter().map(|(text, _)| text.as_str()).collect();
    for (one, two, secret) in [
        ("sidecar", "worker", "KEY"),
        ("debug", "worker", "KEY"),
        ("worker", "debug", "OTHER"),
        ("sidecar", "debug", "OTHER"),
    ] {
        let text =
            format!("service {one} sees the processes of {two} by `pid`, and can read its secrets {secret}");
        assert!(said.iter().any(|said| said.starts_with(&text)), "{text} in {said:#?}");
    }
    assert_eq!(said.len(), 4, "{said:#?}");
}

#[test]
fn grant_to_and_a_single_service_come_last() {
    let two = json!({"web": {}, "worker": {}});
    assert_eq!(shown(&decided("KEY", "", &["worker"], &two).unwrap()), ["worker: KEY(KEY_FILE)"]);
    assert_eq!(shown(&decided("KEY", "", &[], &json!({"web": {}})).unwrap()), ["web: KEY(KEY_FILE)"]);
    let named = json!({"web": {"environment": ["KEY"]}, "worker": {}});
    let access = decided("KEY", "", &["worker"], &named).unwrap();
    assert_eq!(shown(&access), ["web: KEY(KEY)"]);
    assert!(access.warnings.iter().any(|(text, _)| text.contains("`grant-to` has no effect")));
}

#[test]
fn a_secret_that_nobody_asks_for_is_an_error_that_lists_the_services() {
    let error = decided("KEY", "", &[], &json!({"web": {}, "worker": {}})).err().unwrap();
    assert_eq!(error.code, Code::SecretWithoutService);
    let text = error.to_string();
    assert!(text.contains("KEY") && text.contains("web, worker") && text.contains("grant-to"), "{text}");
}

#[test]
fn an_unknown_service_comes_with_a_suggestion() {
    let error = decided("KEY", "", &["wroker"], &json!({"web": {}, "worker": {}})).err().unwrap();
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
    assert_eq!(shown(&access), ["web: KEY(KEY_FILE)"]);
    assert!(access.warnings.is_empty() && access.services["db"].withdrawn.contains("KEY"));
    for (manifest, grant_to) in [("services: {db: [KEY]}\nsecrets: {KEY: {}}\n", &[][..]), ("", &["db"][..])]
    {
        let error = decided("KEY", manifest, grant_to, &services).err().unwrap();
        assert_eq!(error.code, Code::ServiceWithoutContainer, "{manifest}");
        assert!(error.to_string().contains("service db has a `provider`"), "{error}");
    }
}

#[test]
fn a_part_of_a_template_goes_to_nobody_who_does_not_ask_for_it() {
    let file = "secrets:\n  PW:\n  URL: { template: 'x{PW}' }";
    let two = json!({"web": {"environment": ["URL"]}, "db": {"environment": ["PW"]}});
    let one = json!({"web": {"environment": ["URL"]}});
    for (services, grant_to, expected) in [
        (&two, &[][..], &["db: PW(PW)", "web: URL(URL)"][..]),
        (&one, &[], &["web: URL(URL)"]),
        (&one, &["web"], &["web: URL(URL)"]),
        (&json!({"web": {}}), &["web"], &["web: URL(URL_FILE)"]),
    ] {
        let access = decided("", file, grant_to, services).ok().unwrap();
        assert_eq!(shown(&access), expected, "{services} {grant_to:?}");
    }
    let granted = format!("{file}\nservices: {{ web: [URL, PW] }}");
    let access = decided("", &granted, &[], &one).ok().unwrap();
    assert_eq!(shown(&access), ["web: PW(PW_FILE) URL(URL)"]);
}

#[test]
fn a_service_that_starts_workers_hands_on_what_the_manifest_says_of_its_secrets() {
    let services = json!({"bot": {"environment": ["KEY"]}, "web": {"environment": ["KEY"]}});
    for (workers, expected) in [
        ("starts-workers: true", Some(vec!["KEY", "TOKEN"])),
        ("starts-workers: true, workers: { secrets: [TOKEN] }", Some(vec!["TOKEN"])),
        ("starts-workers: false", None),
    ] {
        let file = format!("services: {{ bot: {{ secrets: [KEY, TOKEN], {workers} }}, web: [KEY] }}");
        let access = decided("KEY\nTOKEN", &file, &[], &services).ok().unwrap();
        let names = access.services["bot"]
            .workers
            .as_ref()
            .map(|own| own.secrets.iter().map(crate::secret::SecretName::as_str).collect::<Vec<_>>());
        assert_eq!(names, expected, "{workers}");
        assert!(access.services["web"].workers.is_none());
    }
}

#[test]
fn what_a_service_loses_is_named_with_the_line_that_gives_it_back() {
    let manifest =
        |web: &str| format!("secrets: {{ KEY: , PW: }}\nservices: {{ db: [KEY, PW], web: {web} }}");
    let shell = json!(["sh", "-c", "use $$PW"]);
    let larger = format!("u:{}@db", placeholder("KEY"));
    for (web, service, said) in [
        ("[PW]", json!({"environment": {"KEY": placeholder("KEY")}}), "`services: { web: [KEY] }`"),
        ("[PW]", json!({"environment": {"URL": larger}}), "`services: { web: [KEY] }`"),
        ("[KEY]", json!({"command": shell}), "reads $PW, which nothing sets: the service is not granted PW"),
        (
            "{ secrets: [PW], deliver: file }",
            json!({"healthcheck": {"test": shell}}),
            "`services: { web: { variables: { PW: { deliver: variable } } } }`",
        ),
        (
            "{ secrets: [PW], deliver: file }",
            json!({"environment": ["PW"], "command": shell}),
            "reads $PW, which nothing sets: the manifest says `deliver: file`, and PW_FILE names the file",
        ),
    ] {
        let services = json!({"db": {}, "web": service});
        let access = decided("", &manifest(web), &[], &services).ok().unwrap();
        let warnings: Vec<String> =
            access.warnings.iter().map(|(text, hint)| format!("{text} fix: {hint}")).collect();
        assert!(warnings.iter().any(|warning| warning.contains(said)), "{service}: {warnings:?}");
        assert_eq!(access.services["web"].gone.len(), 1, "{service}");
    }
    for (web, service) in [
        ("[PW]", json!({"command": shell})),
        ("[PW]", json!({"environment": ["PW"], "command": shell})),
        ("{ secrets: [PW], deliver: env }", json!({"environment": ["PW"], "healthcheck": {"test": shell}})),
        ("[KEY]", json!({"environment": {"PW": "of-its-own"}, "command": ["sh", "-c", "PW=x; use $$PW"]})),
        (
            "{ secrets: [PW], deliver: file }",
            json!({"command": ["sh", "-c", "PW=$$(cat $$PW_FILE) use $$PW"]}),
        ),
    ] {
        let services = json!({"db": {}, "web": service});
        let access = decided("", &manifest(web), &[], &services).ok().unwrap();
        let named: Vec<_> =
            access.warnings.iter().filter(|(text, _)| text.contains("nothing sets")).collect();
        assert!(named.is_empty(), "{service}: {named:?}");
    }
}

#[test]
fn texts_of_the_projects_own_that_are_taken_out_are_noted_in_one_line() {
    let manifest = "secrets: { KEY: , PW: , OTHER: }\nservices: { db: [KEY, PW], web: [OTHER] }";
    let own = json!({"KEY": "of-an-env-file", "PW": "of-an-env-file", "OTHER": "x"});
    let services = json!({"db": {}, "web": {"environment": own}});
    let access = decided("", manifest, &[], &services).ok().unwrap();
    let note = "service web is not granted KEY, PW, and does not get its variables KEY, PW. When it needs them, in \
                claude-secrets.yml: `services: { web: [KEY, PW] }`";
    assert_eq!(access.notes, [note]);
}

#[test]
fn of_a_larger_value_the_lines_with_secrets_are_hidden_as_wholes() {
    let value = SecretValue::new(b"s3cret".to_vec());
    let text = format!("user app\n  pw: '{}'\nport 80", placeholder("KEY"));
    let services = json!({"web": {"environment": {"CONFIG": text}}});
    let access = decided("KEY", "", &[], &services).ok().unwrap();
    let lines =
        access.services["web"].composed[0].lines_with_secrets(|name| (name == "KEY").then_some(&value));
    let lines: Vec<&[u8]> = lines.iter().map(SecretValue::expose).collect();
    assert_eq!(lines, [b"  pw: 's3cret'"]);
}
