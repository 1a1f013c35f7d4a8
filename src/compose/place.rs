//! What becomes of each text of a Compose model.

use serde_json::Value;

use super::model::Model;
use super::service::HOOKS;

/// What becomes of a text of the model.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// Nothing: a service that is not started.
    Nothing,
    /// Nothing either, but `docker compose config` shows it: an extension, `x-…`.
    Extension,
    /// Variables and configs: they are taken away and delivered.
    Delivered,
    /// Words of a program, which the launcher completes.
    Word,
    /// What a build is given.
    Build,
    /// Everything else is as it is, and shown.
    Shown,
}

/// Where the Compose specification lets extensions stand in a service, but for its top. Everywhere else `x-…` may be a name
/// that the user chose, of a label or a variable.
const EXTENDED: &[&str] = &["build.", "deploy.", "develop.", "healthcheck.", "logging."];

impl Place {
    /// Takes a path as [`Model::texts`] has it.
    pub(crate) fn of(path: &str, model: &Model) -> Self {
        if path.starts_with("x-") {
            return Self::Extension;
        }
        for section in ["networks", "volumes", "secrets", "configs"] {
            let names = model.resolved().get(section).and_then(Value::as_object);
            let names = names.into_iter().flatten().map(|(name, _)| name.as_str());
            match below(path, section, names) {
                Some((_, rest)) if rest.starts_with("x-") => return Self::Extension,
                Some((_, "content")) if section == "configs" => return Self::Delivered,
                _ => {}
            }
        }
        let names = model.services.keys().map(String::as_str);
        let Some((name, rest)) = below(path, "services", names) else { return Self::Shown };
        let is_word =
            ["entrypoint[", "command[", "healthcheck.test["].iter().any(|key| rest.starts_with(key))
                || HOOKS.iter().any(|key| rest.starts_with(key)) && rest.contains("].command[");
        let is_extension = rest.starts_with("x-")
            || EXTENDED.iter().any(|key| rest.strip_prefix(key).is_some_and(|rest| rest.starts_with("x-")));
        match rest {
            _ if is_extension => Self::Extension,
            _ if rest.starts_with("environment.") => Self::Delivered,
            _ if is_word => Self::Word,
            _ if rest.starts_with("build.") => Self::Build,
            _ if !model.services.get(name).is_some_and(|service| service.active) => Self::Nothing,
            _ => Self::Shown,
        }
    }
}

/// The service whose definition a path leads into.
pub(crate) fn service_of<'m>(path: &str, model: &'m Model) -> Option<&'m str> {
    below(path, "services", model.services.keys().map(String::as_str)).map(|(name, _)| name)
}

/// The name in a section that a path leads to, and the path below it. A name may hold dots, and be the beginning of another.
fn below<'p, 'n>(
    path: &'p str,
    section: &str,
    names: impl Iterator<Item = &'n str>,
) -> Option<(&'n str, &'p str)> {
    let rest = path.strip_prefix(section)?.strip_prefix('.')?;
    let found = names.filter_map(|name| Some((name, rest.strip_prefix(name)?.strip_prefix('.')?)));
    found.max_by_key(|(name, _)| name.len())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_that_begins_like_an_extension_is_none() {
        let model = json!({
            "name": "p",
            "services": {"x-web": {}, "a.x-b": {}, "a": {}, "x-off": {}},
            "networks": {"x-net": {}, "n.x-m": {}},
            "volumes": {"x-data": {}},
            "configs": {"x-conf": {}},
        });
        let active = ["x-web", "a.x-b", "a"].map(str::to_owned);
        let model = Model::new(model, &BTreeSet::from(active)).ok().unwrap();
        for (path, place) in [
            ("x-top.deep", Place::Extension),
            ("services.x-web.x-own[0]", Place::Extension),
            ("services.a.x-b.x-own", Place::Extension),
            ("services.a.x-c", Place::Extension),
            ("services.a.deploy.x-own", Place::Extension),
            ("networks.x-net.x-own", Place::Extension),
            ("services.x-web.labels.l", Place::Shown),
            ("services.a.x-b.labels.l", Place::Shown),
            ("services.a.labels.x-owner", Place::Shown),
            ("services.a.labels.com.example.x-owner", Place::Shown),
            ("services.a.logging.options.x-tag", Place::Shown),
            ("services.a.annotations.a.x-b", Place::Shown),
            ("services.a.environment.x-key", Place::Delivered),
            ("services.x-web.environment.KEY", Place::Delivered),
            ("services.x-web.command[0]", Place::Word),
            ("services.a.build.args.x-arg", Place::Build),
            ("services.x-off.labels.l", Place::Nothing),
            ("networks.x-net.labels.x-owner", Place::Shown),
            ("networks.n.x-m.driver_opts.o", Place::Shown),
            ("volumes.x-data.driver_opts.x-o", Place::Shown),
            ("configs.x-conf.content", Place::Delivered),
            ("configs.x-conf.labels.x-l", Place::Shown),
        ] {
            assert_eq!(Place::of(path, &model), place, "{path}");
        }
    }
}
