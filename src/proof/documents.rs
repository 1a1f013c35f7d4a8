//! The documents that the proof searches: what the engine and Compose report about the project, and what this run writes.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join_all;
use serde_json::Value;

use super::Subject;
use crate::compose::project::With;
use crate::delivery::in_clear::InClear;
use crate::diagnostic::Diagnostic;
use crate::engine::inspection::{self, Used};
use crate::engine::objects::{self, Container, Image};
use crate::engine::tools::Tools;
use crate::error::Result;
use crate::report::{outputs, summary};
use crate::search::places::Places;
use crate::search::{Finding, Holds, Search};
use crate::secret::SecretValue;

/// What the engine and Compose answered.
pub(super) struct Answers {
    pub(super) networks: Vec<Value>,
    pub(super) volumes: Vec<Value>,
    /// Each image with a name to call it by, and its layers.
    pub(super) images: Vec<(String, Image, Vec<Value>)>,
    /// The merged model of what is deployed; `None` if nothing that goes into it has a finding.
    model: Option<Value>,
}

/// What was found.
#[derive(Default)]
pub(super) struct Searched {
    pub(super) leaks: Vec<Diagnostic>,
    pub(super) warnings: Vec<Diagnostic>,
}

/// Asks everything at the same time: networks, volumes, the layers of each image, and Compose.
///
/// Every text of the merged model is one of the project's own model or of the override. So Compose need not merge them
/// again, which takes longer than all the rest, as long as neither has a finding.
pub(super) async fn ask(tools: &Tools, search: &Search<'_>, subject: &Subject<'_>) -> Result<Answers> {
    let model = subject.project.model.resolved();
    let mut networks = named(model, "networks");
    networks.extend(subject.all().flat_map(networks_of));
    let mut volumes = named(model, "volumes");
    volumes.extend(subject.all().flat_map(volumes_of));
    let has_findings = !search.document(model, &Places::model()).is_empty()
        || subject.override_file.as_ref().is_some_and(|(_, _, bytes)| !in_override(search, bytes).is_empty());
    let merged = async {
        Ok(match &subject.override_file {
            Some((_, path, _)) if has_findings => {
                Some(subject.project.merged(tools, With::Override(path)).await?)
            }
            None if has_findings => Some(model.clone()),
            _ => None,
        })
    };
    let (networks, volumes, images, model) = tokio::try_join!(
        inspection::inspect_used(tools, Used::Network, &networks),
        inspection::inspect_used(tools, Used::Volume, &volumes),
        images(tools, subject),
        merged,
    )?;
    Ok(Answers { networks, volumes, images, model })
}

/// Searches it all, and what this run writes.
pub(super) fn search(search: &Search, subject: &Subject, answers: &Answers) -> Searched {
    let mut all = Searched::default();
    for container in &subject.containers {
        let found = in_container(search, container, &subject.in_clear);
        all.leaks.extend(found.into_iter().map(|fact| Diagnostic::new(fact).help(IN_CONTAINER)));
    }
    for container in &subject.beside {
        let found = in_container(search, container, &subject.in_clear);
        all.leaks.extend(found.into_iter().map(|fact| Diagnostic::new(fact).help(IN_BESIDE)));
    }
    for container in &subject.replaced {
        let found = in_container(search, container, &subject.in_clear);
        all.warnings.extend(found.into_iter().map(|fact| {
            Diagnostic::new(fact)
                .help("A deployment replaces the container. Rotate the secret: it was shown.")
        }));
    }
    let mut leak = |found: Vec<Finding>, place: &str, help: &str| {
        all.leaks.extend(found.iter().map(|found| Diagnostic::new(shows(place, found)).help(help)));
    };
    for (kind, list, places) in
        [("network", &answers.networks, Places::network()), ("volume", &answers.volumes, Places::volume())]
    {
        for document in list {
            let name = document.get("Name").and_then(Value::as_str).unwrap_or_default();
            let place = format!("docker {kind} inspect {name}");
            leak(search.document(document, &places), &place, &in_definition(kind));
        }
    }
    for (name, image, layers) in &answers.images {
        leak(
            search.document(&image.raw, &Places::image()),
            &format!("docker image inspect {name}"),
            IN_IMAGE,
        );
        for layer in layers {
            leak(search.document(layer, &Places::layer()), &format!("docker history {name}"), IN_IMAGE);
        }
    }
    if let Some(model) = &answers.model {
        leak(search.document(model, &Places::model()), "docker compose config", IN_MODEL);
    }
    if let Some((path, _, bytes)) = &subject.override_file {
        leak(in_override(search, bytes), &path.display().to_string(), IN_MODEL);
    }
    leak(in_report(search, subject), "the report", IN_REPORT);
    all.leaks.dedup();
    all
}

const IN_CONTAINER: &str = "It comes from the Compose file or a file that it names, from the image, or from the output \
                            of a health check.";
const IN_BESIDE: &str = "It is no service's: `docker compose run` started it, or somebody by hand. Remove it. With the override \
                         file among the Compose files (`--file`), `docker compose run` shows no value.";
const IN_IMAGE: &str = "Everyone with the image has the value. Use a build secret (`build.secrets`) instead.";
const IN_MODEL: &str =
    "It is in the Compose file, the override file or a file that they name. Remove it there.";
const IN_REPORT: &str = "It is in the manifest or in a name. Remove it there.";

fn in_definition(kind: &str) -> String {
    format!(
        "Remove it from the definition of the {kind}, and remove the {kind}: Compose does not change an existing one."
    )
}

fn shows(place: &str, found: &Finding) -> String {
    format!("{place} shows the value of {} at {}", found.secret, found.place())
}

fn in_container(search: &Search, container: &Container, in_clear: &InClear) -> Vec<String> {
    // A container without a host name has the beginning of its id.
    let own = container.id.get(..12).map(str::to_owned);
    let shown = in_clear.get(&container.service).map(Vec::as_slice).unwrap_or_default();
    let raw = without_shown(&container.raw, shown);
    let found = search.clone().knowing(own).document(&raw, &Places::container());
    let place = format!("docker inspect {}", container.name);
    found.iter().map(|found| shows(&place, found)).collect()
}

/// The engine's description of a container without the values that the manifest delivers in clear: each only in its own
/// variable, and only as it is. Everywhere else it is a leak like any other.
fn without_shown<'c>(raw: &'c Value, shown: &[(String, SecretValue)]) -> Cow<'c, Value> {
    if shown.is_empty() {
        return Cow::Borrowed(raw);
    }
    let is_meant = |entry: &str| {
        entry.split_once('=').is_some_and(|(name, value)| {
            shown.iter().any(|(own, meant)| own == name && meant.expose() == value.as_bytes())
        })
    };
    let mut raw = raw.clone();
    if let Some(Value::Array(list)) = raw.pointer_mut("/Config/Env") {
        list.retain(|entry| !entry.as_str().is_some_and(is_meant));
    }
    Cow::Owned(raw)
}

/// The override file: what it says as YAML, and its comments.
fn in_override(search: &Search, bytes: &[u8]) -> Vec<Finding> {
    let text = String::from_utf8_lossy(bytes);
    let (comments, rest): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with('#'));
    let mut found = match serde_saphyr::from_str::<Value>(&rest.join("\n")) {
        Ok(document) => search.document(&document, &Places::model()),
        // It has been edited since.
        Err(_) => in_lines(search, &rest, Holds::Text),
    };
    found.extend(in_lines(search, &comments, Holds::Name));
    found
}

fn in_lines(search: &Search, lines: &[&str], holds: Holds) -> Vec<Finding> {
    let numbered = lines.iter().enumerate();
    numbered
        .flat_map(|(number, line)| {
            let found = search.text(line, holds);
            found
                .into_iter()
                .map(move |secret| Finding { steps: vec![format!("line {}", number + 1)], secret })
        })
        .collect()
}

/// The report in the forms in which it will be written: JSON, summary and outputs.
fn in_report(search: &Search, subject: &Subject) -> Vec<Finding> {
    let secrets = subject.report.secrets.iter().flat_map(|row| [row.name.clone(), row.file.clone()]);
    let search = search.clone().knowing(secrets);
    let mut found = match serde_json::to_value(subject.report) {
        Ok(report) => search.document(&report, &Places::report()),
        Err(_) => Vec::new(),
    };
    let summary = summary::markdown(subject.report);
    let of_summary = in_lines(&search, &summary.lines().collect::<Vec<_>>(), Holds::Name);
    let outputs = outputs::outputs(subject.report);
    let of_outputs = outputs.iter().flat_map(|(name, value)| {
        let found = search.text(value, Holds::Name);
        found.into_iter().map(move |secret| Finding { steps: vec![format!("output {name}")], secret })
    });
    // What the report's JSON contains is reported once, by its field.
    let told: BTreeSet<String> = found.iter().map(|found| found.secret.clone()).collect();
    found.extend(of_summary.into_iter().chain(of_outputs).filter(|found| !told.contains(&found.secret)));
    found
}

/// The engine's names for what a section of the model defines.
fn named(model: &Value, section: &str) -> BTreeSet<String> {
    let section = model.get(section).and_then(Value::as_object).into_iter().flatten();
    section.filter_map(|(_, definition)| Some(definition.get("name")?.as_str()?.to_owned())).collect()
}

fn networks_of(container: &Container) -> Vec<String> {
    let networks = container.raw.pointer("/NetworkSettings/Networks").and_then(Value::as_object);
    networks.into_iter().flatten().map(|(name, _)| name.clone()).collect()
}

fn volumes_of(container: &Container) -> Vec<String> {
    let mounts = container.mounts().into_iter().filter(|(kind, _, _)| *kind == "volume");
    mounts.map(|(_, name, _)| name.to_owned()).collect()
}

/// The images of the services and of their containers, each once, with their layers.
async fn images(tools: &Tools, subject: &Subject<'_>) -> Result<Vec<(String, Image, Vec<Value>)>> {
    let mut by_id: BTreeMap<String, (String, Image)> = BTreeMap::new();
    for (name, image) in subject.images {
        by_id.entry(image.id.clone()).or_insert_with(|| (name.clone(), image.clone()));
    }
    let missing: BTreeSet<&str> =
        subject.all().map(Container::image_id).filter(|id| !by_id.contains_key(*id)).collect();
    let missing: Vec<String> = missing.into_iter().map(str::to_owned).collect();
    for (name, image) in objects::images(tools, &missing).await? {
        by_id.insert(image.id.clone(), (name, image));
    }
    let layers = by_id.keys().map(|id| inspection::history(tools, id));
    let layers = try_join_all(layers).await?;
    Ok(by_id.into_values().zip(layers).map(|((name, image), layers)| (name, image, layers)).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_shall_be_shown_is_left_out_at_its_own_variable_alone() {
        let value = || SecretValue::new(b"s3cret-in-clear".to_vec());
        let secrets_in =
            |text: &str| if text.contains("s3cret") { vec!["KEY".to_owned()] } else { Vec::new() };
        let search = Search::new(&secrets_in);
        let container = |variables: &[&str]| Container {
            id: "0123456789abcdef".into(),
            name: "legacy-1".into(),
            service: "legacy".into(),
            raw: json!({"Config": {"Env": variables, "Labels": {}}}),
        };
        let shown = InClear::from([("legacy".to_owned(), vec![("KEY".to_owned(), value())])]);
        let of_another = InClear::from([("web".to_owned(), vec![("KEY".to_owned(), value())])]);
        for (variables, in_clear, leaks) in [
            (&["KEY=s3cret-in-clear"][..], &shown, 0),
            (&["KEY=s3cret-in-clear"], &of_another, 1),
            (&["KEY=s3cret-in-clear", "OTHER=s3cret-in-clear"], &shown, 1),
            (&["KEY=s3cret-in-clear and more"], &shown, 1),
            (&["KEY=another-s3cret"], &shown, 1),
        ] {
            assert_eq!(in_container(&search, &container(variables), in_clear).len(), leaks, "{variables:?}");
        }
    }
}
