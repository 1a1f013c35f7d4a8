//! Containers of the project's own services that a Compose file names by `container:NAME`. What is so named is the service:
//! its container may not exist yet.

use std::collections::BTreeMap;

use serde_json::Value;

use super::service::Service;
use crate::engine::objects::Container;
use crate::labels;

/// How Compose is told a container in place of a service.
pub(super) const CONTAINER: &str = "container:";

/// Adds the services whose containers `volumes_from` and `pid` name, by the names that Compose gives these containers.
pub(super) fn resolve(project: &str, services: &mut BTreeMap<String, Service>, resolved: &Value) {
    let own = |service: &String| {
        let definition = resolved.get("services").and_then(|all| all.get(service));
        let name = definition.and_then(|definition| definition.get("container_name")?.as_str());
        (service.clone(), name.map(str::to_owned))
    };
    let all: Vec<(String, Option<String>)> = services.keys().map(own).collect();
    add(services, |name| {
        let is_named = |(service, own): &&(String, Option<String>)| {
            own.as_deref() == Some(name) || is_default(project, service, name)
        };
        all.iter().filter(is_named).map(|(service, _)| service.clone()).collect()
    });
}

/// The same by the names and ids of containers that the engine has: `containers` are what it answered for those that
/// `volumes_from` and `pid` name.
pub(super) fn resolve_there(
    project: &str,
    services: &mut BTreeMap<String, Service>,
    containers: &[Container],
) {
    add(services, |name| {
        // The engine takes a name first, and then the beginning of an id for the whole of it.
        let by_name = containers.iter().find(|one| one.name == name);
        let found = by_name.or_else(|| containers.iter().find(|one| one.id.starts_with(name)));
        let own = found.filter(|one| one.label(labels::COMPOSE_PROJECT) == Some(project));
        own.map(|one| one.service.clone()).into_iter().collect()
    });
}

fn add(services: &mut BTreeMap<String, Service>, named: impl Fn(&str) -> Vec<String>) {
    for service in services.values_mut() {
        let found = |containers: &[String]| -> Vec<String> {
            containers.iter().flat_map(|name| named(name.trim_start_matches('/'))).collect()
        };
        for (more, known) in [
            (found(&service.volumes_from_containers), &mut service.volumes_from),
            (found(&service.processes_of_containers), &mut service.processes_of),
        ] {
            for name in more {
                if name != service.name && !known.contains(&name) {
                    known.push(name);
                }
            }
        }
    }
}

/// Whether Compose would give this name to one of the service's containers: `PROJECT-SERVICE-1`, with `_` where it is told
/// to be compatible, and `PROJECT-SERVICE-run-…` for `docker compose run`.
fn is_default(project: &str, service: &str, name: &str) -> bool {
    ['-', '_'].into_iter().any(|between| {
        let number = name.strip_prefix(&format!("{project}{between}{service}{between}"));
        number.is_some_and(|number| {
            let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
            digits || number.starts_with(&format!("run{between}"))
        })
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;
    use crate::compose::model::Model;

    #[test]
    fn a_container_of_a_service_is_that_service_by_each_of_its_names() {
        for name in ["p-web-1", "p-web-12", "p_web_1", "/p-web-1", "p-web-run-0a1b2c", "given"]
            .map(|name| format!("container:{name}"))
        {
            let model = Model::new(
                json!({"name": "p", "services": {
                    "web": {"container_name": "given"},
                    "web-1": {},
                    "other": {"pid": name, "volumes_from": [format!("{name}:ro")]},
                }}),
                &BTreeSet::new(),
            );
            let other = &model.ok().unwrap().services["other"];
            assert_eq!(other.volumes_from, ["web"], "{name}");
            assert_eq!(other.processes_of, ["web"], "{name}");
        }
    }

    #[test]
    fn a_container_that_the_engine_has_is_its_service_by_its_id() {
        let definition = json!({"pid": "container:0a1b", "volumes_from": ["container:old"]});
        let resolved = json!({"name": "p", "services": {"web": {}, "db": {}, "other": definition}});
        let mut model = Model::new(resolved, &BTreeSet::new()).ok().unwrap();
        let container = |id: &str, name: &str, service: &str| {
            let labels = json!({labels::COMPOSE_PROJECT: "p", labels::COMPOSE_SERVICE: service});
            Container::from(json!({"Id": id, "Name": name, "Config": {"Labels": labels}})).unwrap()
        };
        model.learn_containers(&[container("0a1b2c", "/x", "web"), container("ffff", "/old", "db")]);
        let other = &model.services["other"];
        assert_eq!(
            (&other.processes_of, &other.volumes_from),
            (&vec!["web".to_owned()], &vec!["db".to_owned()])
        );
    }
}
