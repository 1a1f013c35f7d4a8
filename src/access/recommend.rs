//! Recommends files where an image's own documentation promises that it reads them. It never chooses by itself.

use std::collections::BTreeSet;

use super::ServiceAccess;
use crate::compose::service::Service;
use crate::manifest::Grant;

/// One line an image: its name, its variables, and where `NAME_FILE` is promised for them.
const IMAGES: &str = include_str!("images.csv");

/// What an image's documentation promises.
struct Promise {
    variables: BTreeSet<&'static str>,
    url: &'static str,
}

/// A note with the line of the manifest that has the service read files; `None` where nothing is promised, where a shell of
/// the service reads the variables (`shell`), or where the manifest has already decided.
pub(super) fn recommended(
    service: &Service,
    own: &ServiceAccess,
    grant: Option<&Grant>,
    shell: &BTreeSet<&str>,
) -> Option<String> {
    let promise = promise_of(&service.image)?;
    if grant.is_some_and(|grant| grant.deliver.is_some()) {
        return None;
    }
    let decided = |name: &str| {
        grant.is_some_and(|grant| grant.variables.get(name).is_some_and(|said| said.deliver.is_some()))
    };
    let all: Vec<&str> = own.at_start().into_keys().filter(|name| !decided(name)).collect();
    let can = |name: &&str| promise.variables.contains(*name) && !shell.contains(*name);
    let variables: Vec<&str> = all.iter().copied().filter(can).collect();
    if variables.is_empty() {
        return None;
    }
    let name = &service.name;
    let line = if variables.len() == all.len() && grant.is_none_or(|grant| grant.variables.is_empty()) {
        format!("{name}: {{ deliver: file }}")
    } else {
        let each: Vec<String> =
            variables.iter().map(|variable| format!("{variable}: {{ deliver: file }}")).collect();
        format!("{name}: {{ variables: {{ {} }} }}", each.join(", "))
    };
    Some(format!(
        "service {name}: its image promises to read {} from files ({}), which no child process inherits. In \
         claude-secrets.yml: `services: {{ {line} }}`",
        variables.join(", "),
        promise.url
    ))
}

/// What is promised for an image, whatever its tag.
fn promise_of(image: &str) -> Option<Promise> {
    let image = image.split('@').next().unwrap_or(image);
    // A colon before the last slash belongs to the registry's port.
    let name = match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => image,
    };
    let name = name.strip_prefix("docker.io/").unwrap_or(name);
    let name = name.strip_prefix("library/").unwrap_or(name);
    let mut lines = IMAGES.lines().filter(|line| !line.starts_with('#'));
    lines.find_map(|line| {
        let (image, rest) = line.split_once(',')?;
        let (variables, url) = rest.split_once(',')?;
        (image == name).then(|| Promise { variables: variables.split(' ').collect(), url })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Form, Granted, Variable};
    use crate::manifest::{Deliver, VariableGrant};
    use crate::secret::SecretName;

    #[test]
    fn every_line_names_an_image_its_variables_and_where_that_is_promised() {
        let lines: Vec<&str> = IMAGES.lines().filter(|line| !line.starts_with('#')).collect();
        let mut names = BTreeSet::new();
        for line in &lines {
            let parts: Vec<&str> = line.split(',').collect();
            let [image, variables, url] = parts[..] else { panic!("{line}") };
            assert!(names.insert(image), "{image} is there twice");
            assert!(variables.split(' ').all(|name| SecretName::parse(name).is_ok()), "{line}");
            assert!(url.starts_with("https://"), "{line}");
            assert_eq!(promise_of(image).map(|promise| promise.url), Some(url));
        }
        assert!(lines.len() >= 10);
    }

    #[test]
    fn an_image_is_known_by_its_name_whatever_its_tag() {
        for image in ["postgres", "postgres:17", "docker.io/library/postgres:17@sha256:0", "library/postgres"]
        {
            assert!(promise_of(image).is_some(), "{image}");
        }
        for image in ["registry.example:5000/postgres", "bitnami/postgres", "postgresql", "my-postgres:1"] {
            assert!(promise_of(image).is_none(), "{image}");
        }
    }

    fn note(variables: &[&str], grant: Option<&Grant>, shell: &[&str]) -> Option<String> {
        let service = Service { name: "db".into(), image: "postgres:17".into(), ..Service::default() };
        let variables =
            variables.iter().map(|name| Variable { name: (*name).to_owned(), form: Form::AtStart }).collect();
        let name = SecretName::parse("PW").ok().unwrap();
        let granted = Granted { name, file: "pw".into(), variables, places: Vec::new() };
        let own = ServiceAccess { secrets: vec![granted], ..ServiceAccess::default() };
        recommended(&service, &own, grant, &shell.iter().copied().collect())
    }

    #[test]
    fn the_note_has_the_line_to_add_and_nothing_is_said_where_it_would_not_work() {
        let said = note(&["POSTGRES_PASSWORD"], None, &[]).unwrap();
        assert!(
            said.contains("`services: { db: { deliver: file } }`") && said.contains("https://"),
            "{said}"
        );
        let said = note(&["POSTGRES_PASSWORD", "OTHER"], None, &[]).unwrap();
        let line = "`services: { db: { variables: { POSTGRES_PASSWORD: { deliver: file } } } }`";
        assert!(said.contains(line), "{said}");
        assert_eq!(note(&["OTHER"], None, &[]), None);
        assert_eq!(note(&["POSTGRES_PASSWORD"], None, &["POSTGRES_PASSWORD"]), None);
        let decided = Grant { deliver: Some(Deliver::Variable), ..Grant::default() };
        assert_eq!(note(&["POSTGRES_PASSWORD"], Some(&decided), &[]), None);
        let said = VariableGrant { secret: None, deliver: Some(Deliver::Variable) };
        let variables = [("POSTGRES_PASSWORD".to_owned(), said)].into();
        let decided = Grant { variables, ..Grant::default() };
        assert_eq!(note(&["POSTGRES_PASSWORD"], Some(&decided), &[]), None);
    }
}
