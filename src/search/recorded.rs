//! Checks the tables against real output of Docker Engine 20.10 and Docker Compose 2.40 (`fixtures`): a value is inserted at
//! every text, number and key of each document, one at a time, and every place where it is not found is listed here.

use serde_json::Value;

use super::places::Places;
use super::{Finding, Search};

const VALUE: &str = "k7F3q9x2M8v4T1z6";
const NUMBER: &str = "1837465291";

/// A document with the places that are not searched, without indexes.
struct Recorded {
    document: Value,
    places: Places,
    left_out: &'static [&'static str],
}

fn recorded() -> Vec<Recorded> {
    let read = |text: &str| serde_json::from_str(text).unwrap();
    vec![
        Recorded {
            document: read(include_str!("fixtures/container.json")),
            places: Places::container(),
            left_out: &[
                "Config.Labels.claude-secrets.config",
                "Config.Labels.claude-secrets.revision",
                "Config.Labels.com.docker.compose.config-hash",
                "Config.Labels.com.docker.compose.image",
                "Created",
                "Driver",
                "ExecIDs",
                "GraphDriver",
                "HostConfig.CgroupnsMode",
                "HostConfig.Isolation",
                "HostConfig.LogConfig.Type",
                "HostConfig.RestartPolicy.Name",
                "HostnamePath",
                "HostsPath",
                "Id",
                "Image",
                "LogPath",
                "NetworkSettings.EndpointID",
                "NetworkSettings.Networks.shop_backend.EndpointID",
                "NetworkSettings.Networks.shop_backend.NetworkID",
                "NetworkSettings.SandboxID",
                "NetworkSettings.SandboxKey",
                "Platform",
                "ResolvConfPath",
                "State.FinishedAt",
                "State.Health.Log.End",
                "State.Health.Log.Start",
                "State.Health.Status",
                "State.StartedAt",
                "State.Status",
            ],
        },
        Recorded {
            document: read(include_str!("fixtures/network.json")),
            places: Places::network(),
            left_out: &[
                "Containers.*.EndpointID",
                "Containers.key",
                "Created",
                "Driver",
                "IPAM.Driver",
                "Id",
                "Labels.com.docker.compose.config-hash",
                "Scope",
            ],
        },
        Recorded {
            document: read(include_str!("fixtures/volume.json")),
            places: Places::volume(),
            left_out: &["CreatedAt", "Driver", "Labels.com.docker.compose.config-hash", "Scope"],
        },
        Recorded {
            document: read(include_str!("fixtures/image.json")),
            places: Places::image(),
            left_out: &[
                "Architecture",
                "Config.Image",
                "Container",
                "ContainerConfig.Hostname",
                "ContainerConfig.Image",
                "Created",
                "DockerVersion",
                "GraphDriver",
                "Id",
                "Metadata",
                "Os",
                "Parent",
                "RootFS",
            ],
        },
        Recorded {
            document: read(include_str!("fixtures/layer.json")),
            places: Places::layer(),
            left_out: &["CreatedAt", "CreatedSince", "ID", "Size"],
        },
        Recorded {
            document: read(include_str!("fixtures/model.json")),
            places: Places::model(),
            left_out: &[
                "services.web.labels.claude-secrets.config",
                "services.web.labels.claude-secrets.revision",
            ],
        },
    ]
}

fn secrets_in(text: &str) -> Vec<String> {
    let found = text.contains(VALUE) || text.contains(NUMBER);
    found.then(|| "KEY".to_owned()).into_iter().collect()
}

/// Every way to insert the value at one place of a document, with that place.
fn planted(document: &Value) -> Vec<(String, Value)> {
    let mut pointers = Vec::new();
    collect(document, String::new(), String::new(), &mut pointers);
    let mut all = Vec::new();
    for (pointer, place) in pointers {
        let mut copy = document.clone();
        let Some(here) = copy.pointer_mut(&pointer) else { continue };
        match here {
            Value::Object(map) => {
                for key in map.keys().cloned().collect::<Vec<_>>() {
                    let mut copy = document.clone();
                    let Some(Value::Object(map)) = copy.pointer_mut(&pointer) else { continue };
                    let value = map.remove(&key).unwrap_or_default();
                    map.insert(VALUE.to_owned(), value);
                    all.push((format!("{place}.key").trim_start_matches('.').to_owned(), copy));
                }
                continue;
            }
            Value::Number(_) => *here = serde_json::from_str(NUMBER).unwrap(),
            _ => *here = VALUE.into(),
        }
        all.push((place.trim_start_matches('.').to_owned(), copy));
    }
    all
}

fn collect(value: &Value, pointer: String, place: String, all: &mut Vec<(String, String)>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let escaped = key.replace('~', "~0").replace('/', "~1");
                // The ids of a network's containers.
                let step = if key.len() == 64 { "*" } else { key };
                collect(value, format!("{pointer}/{escaped}"), format!("{place}.{step}"), all);
            }
            all.push((pointer, place));
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                collect(value, format!("{pointer}/{index}"), place.clone(), all);
            }
        }
        _ => all.push((pointer, place)),
    }
}

#[test]
fn a_value_at_any_place_of_a_real_document_is_found_unless_the_place_is_named() {
    for Recorded { document, places, left_out } in recorded() {
        let search = Search::new(&secrets_in);
        let mut tried = 0;
        for (place, planted) in planted(&document) {
            let found = !search.document(&planted, &places).is_empty();
            let named = left_out.iter().any(|out| place == *out || place.starts_with(&format!("{out}.")));
            assert_eq!(found, !named, "{place}");
            tried += 1;
        }
        assert!(tried > 10, "{tried}");
        // An entry of the list must not outlive the place that it is for.
        let all: Vec<String> = planted(&document).into_iter().map(|(place, _)| place).collect();
        for out in left_out {
            assert!(all.iter().any(|place| place == out || place.starts_with(&format!("{out}."))), "{out}");
        }
    }
}

#[test]
fn everyday_words_are_no_findings_in_real_documents() {
    let model: Value = serde_json::from_str(include_str!("fixtures/model.json")).unwrap();
    let found = |word: &str, Recorded { document, places, .. }: &Recorded| -> Vec<String> {
        let secrets_in = |text: &str| -> Vec<String> {
            text.contains(word).then(|| "KEY".to_owned()).into_iter().collect()
        };
        let search = Search::new(&secrets_in).knowing_model(&model);
        search.document(document, places).iter().map(Finding::place).collect()
    };
    let everywhere =
        ["shop", "backend", "beef", "cafe", "running", "shop_backend", "docker_secrets", "2026-11-26"];
    let from_the_engine =
        ["overlay2", "data", "1000", "bridge", "shop-web-1", "healthy", "linux", "amd64", "private"];
    for document in recorded() {
        for word in everywhere {
            assert_eq!(found(word, &document), [""; 0], "{word}");
        }
        let written = document.document.get("services").is_some();
        for word in from_the_engine.iter().filter(|_| !written) {
            assert_eq!(found(word, &document), [""; 0], "{word}");
        }
    }
    // What is written in clear is reported, even if it is a name of the project.
    assert_eq!(found("data", &recorded()[5]), ["volumes.data.labels.example.role"]);
}
