use super::*;
use serde_json::json;

/// Names of secrets in a text, as the masks would say, for these values.
fn knows<'v>(values: &'v [(&'v str, &'v str)]) -> impl Fn(&str) -> Vec<String> + 'v {
    move |text| {
        let found = values.iter().filter(|(_, value)| text.contains(value));
        found.map(|(name, _)| (*name).to_owned()).collect()
    }
}

/// The places of KEY's value in a document.
fn places_of(value: &str, names: &[&str], document: &Value, places: &Places) -> Vec<String> {
    let values = [("KEY", value)];
    let secrets_in = knows(&values);
    let search = Search::new(&secrets_in).knowing(names.iter().map(|&name| name.to_owned()));
    search.document(document, places).iter().map(Finding::place).collect()
}

#[test]
fn a_value_is_found_at_a_place_that_nobody_has_thought_of() {
    let document = json!({"New": {"Field": [{"of": "a later engine: s3cr3t-value"}]}, "N": 83_746_512});
    for places in [
        Places::container(),
        Places::network(),
        Places::volume(),
        Places::image(),
        Places::layer(),
        Places::model(),
    ] {
        assert_eq!(places_of("s3cr3t-value", &[], &document, &places), ["New.Field[0].of"]);
        assert_eq!(places_of("83746512", &[], &document, &places), ["N"]);
        assert_eq!(places_of("746512", &[], &document, &places), [""; 0], "a part of a number is no finding");
    }
}

#[test]
fn a_value_in_a_key_is_found_and_not_repeated_in_the_place() {
    let document = json!({"Config": {"Labels": {"x.s3cr3t": "1", "y": {"s3cr3t-value-1": 2}}}});
    assert_eq!(places_of("s3cr3t", &[], &document, &Places::container())[0], "Config.Labels.(a key)");
    assert_eq!(
        places_of("s3cr3t-value-1", &[], &document, &Places::container()),
        ["Config.Labels.y.(a key)"]
    );
}

#[test]
fn the_fields_of_a_document_are_no_findings_and_neither_are_ids_and_dates() {
    let id = "922e85363331fc3e95e30647e7b813381bbec518b65ae8600f57744270f16383";
    let document = json!({
        "Id": id, "Created": "2026-11-26T11:17:55.696749949Z", "HostConfig": {"LogConfig": {}},
        "Config": {"Labels": {"com.docker.compose.config-hash": id, "by": format!("file:{id} in /")}},
    });
    for value in ["HostConfig", "LogConfig", "696749949", "9221e8536", "36333", "1fc3", id] {
        let expected: &[&str] = if value == id { &["Config.Labels.by"] } else { &[] };
        assert_eq!(places_of(value, &[], &document, &Places::container()), expected, "{value}");
    }
}

#[test]
fn names_and_paths_hold_short_values_and_the_projects_own_names_by_chance() {
    let document = json!({
        "Name": "/shop-claude-orchestrator-1",
        "Config": {"Hostname": "k7f3q9x2", "WorkingDir": "/srv/data", "Labels": {"com.docker.compose.project": "shop"}},
        "Mounts": [{"Source": "/home/runner/work/shop/shop/data", "Destination": "/data"}],
    });
    let names = ["shop", "claude-orchestrator", "/home/runner/work/shop/shop"];
    for value in [
        "shop",
        "claude-orchestrator",
        "shop-claude-orchestrator",
        "shop-claude-orchestrator-1",
        "srv/d",
        "data",
    ] {
        assert_eq!(places_of(value, &names, &document, &Places::container()), [""; 0], "{value}");
    }
    assert_eq!(places_of("k7f3q9x2", &names, &document, &Places::container()), ["Config.Hostname"]);
    assert_eq!(places_of("srv/data", &names, &document, &Places::container()), ["Config.WorkingDir"]);
    // A value that has such a name in it is more than the name.
    let document = json!({"Name": "/x-shop-9f8e7d6c"});
    assert_eq!(places_of("shop-9f8e7d6c", &names, &document, &Places::container()), ["Name"]);
}

#[test]
fn a_chance_does_not_hide_a_finding_behind_it() {
    let document = json!({"Config": {"Hostname": "abcd.abcdefgh1"}});
    let values = [("KEY", "abcd"), ("OTHER", "abcdefgh1")];
    let secrets_in = |text: &str| {
        let found = values.iter().filter(|(_, value)| text.contains(value));
        found.map(|(name, _)| (*name).to_owned()).collect()
    };
    let found = Search::new(&secrets_in).document(&document, &Places::container());
    assert_eq!(found.iter().map(|f| f.secret.as_str()).collect::<Vec<_>>(), ["OTHER"]);
    // The same secret in two forms, of which the first is too short for a name.
    let secrets_in = |text: &str| -> Vec<String> {
        let found = text.contains("abcd.") || text.contains("xyz-longer-form");
        found.then(|| "KEY".to_owned()).into_iter().collect()
    };
    let document = json!({"Config": {"Hostname": "abcd.é.xyz-longer-form"}});
    assert_eq!(Search::new(&secrets_in).document(&document, &Places::container()).len(), 1);
}

#[test]
fn given_names_are_findings_when_they_look_random() {
    for (name, random) in [
        ("claude-orchestrator-2", false),
        ("odd-short-123456-0", false),
        ("Anthropic-API-Worker", false),
        ("worker2-job3-shard4", false),
        ("sk-ant-api03-Q2x9Lm4Tz8", true),
        ("3f2a9c41d07be586", true),
        ("k7f3q9x2m8v4t1z6", true),
        ("5e3a41a0-9c52-4f0b-8a77-1f3b62f5d1c9", true),
        ("Zm9vYmFyQmF6", true),
    ] {
        let document = json!({"services": {name: {}}});
        assert_eq!(!places_of(name, &[], &document, &Places::model()).is_empty(), random, "{name}");
    }
}

#[test]
fn what_the_program_itself_writes_is_no_finding() {
    let document = json!({"services": {"web": {"environment": {
        "KEY_FILE": "/run/secrets/key", "SECRETS_MODE": "docker_secrets", "OTHER": "run/secrets/x",
    }}}});
    for (value, expected) in [("secrets", &["services.web.environment.OTHER"][..]), ("docker_secrets", &[])] {
        assert_eq!(places_of(value, &[], &document, &Places::model()), expected, "{value}");
    }
}

#[test]
fn everything_of_a_model_is_searched() {
    let model = json!({
        "name": "shop",
        "services": {"web": {
            "container_name": "x-V", "hostname": "V", "domainname": "V", "working_dir": "/V",
            "extra_hosts": ["V:10.0.0.1"], "logging": {"options": {"tag": "V"}}, "labels": {"l": "V"},
            "networks": {"default": {"aliases": ["V"]}}, "volumes": [{"type": "bind", "source": "/srv/V"}],
            "healthcheck": {"test": ["CMD", "V"]}, "command": ["V"], "environment": {"A": "V"},
            "build": {"args": {"A": "V"}}, "x-more": {"deep": ["V"]}, "annotations": {"a": "V"},
            "image": "example/V", "secrets": [{"source": "V"}], "stop_signal": "V", "security_opt": ["label:V"],
        }},
        "networks": {"default": {"driver_opts": {"o": "V"}, "labels": {"l": "V"}}},
        "volumes": {"data": {"driver_opts": {"o": "V"}, "name": "V"}},
        "configs": {"c": {"content": "V"}},
        "x-top": "V",
    });
    let value = "k7F3q9x2M8v4";
    let model: Value = serde_json::from_str(&model.to_string().replace('V', value)).unwrap();
    let found = places_of(value, &["shop", "web"], &model, &Places::model());
    assert_eq!(found.len(), model.to_string().matches(value).count(), "{found:#?}");
}
