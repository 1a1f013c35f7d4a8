//! Policies in HCL for Vault and `OpenBao` (developer.hashicorp.com, "Policies" and "KV secrets engine").

use std::fmt::Write as _;

use super::path::{below, written};
use super::refusal::rule;
use super::setup::MOUNT;
use crate::error::{Error, Result};
use crate::manifest::SourceId;
use crate::sources::conventional;
use crate::sources::policy::{Needs, Policy, distinct, refuse};

/// One policy: reading for each item, listing for imports.
pub(super) fn policy(needs: &Needs<'_>) -> Result<Policy> {
    let engine = match needs.options.text("kv-version") {
        Some("1") => Engine::One,
        Some("2") => Engine::Two,
        _ => Engine::Unknown,
    };
    let mount = needs.options.text("mount").unwrap_or(MOUNT);
    check(needs, mount)?;
    let mut text = String::new();
    if engine == Engine::Unknown {
        text += "# For mounts of the key/value engine, version 2. In version 1, paths have no `data/` and no `metadata/`.\n\
                 # For other mounts than the configured one, every possible form is listed: keep the one that the mount has.\n";
    }
    for (path, capability) in rules(needs, mount, engine) {
        let _ = writeln!(text, "{}", rule(&path, capability));
    }
    Ok(needs.policy("policy (HCL) for the role or token that logs in", text))
}

/// Refuses paths that a policy reads as patterns ("Policies", "Policy syntax" and "Templated policies"): there is no way to
/// write them as they are.
fn check(needs: &Needs<'_>, mount: &str) -> Result<()> {
    let named = needs.references.iter().map(|reference| reference.item.as_str());
    let imported = needs.imports.iter().map(|import| match import.field {
        None => import.item.strip_suffix('*').unwrap_or(&import.item),
        Some(_) => &import.item,
    });
    let usual = needs.conventional().next().map(|_| conventional::path(&needs.manifest.scope));
    let paths = named.chain(imported).chain([mount]).chain(usual.as_deref());
    match paths.into_iter().find(|path| is_pattern(path)) {
        Some(path) => Err(pattern(&needs.options.id, path)),
        None => Ok(()),
    }
}

fn is_pattern(path: &str) -> bool {
    path.contains('*')
        || path.contains("{{")
        || path.contains("${")
        || path.split('/').any(|part| part == "+")
}

fn pattern(id: &SourceId, path: &str) -> Error {
    refuse(
        id,
        path,
        "a policy reads `*`, `+`, `{{` and `${` in a path as a pattern",
        "Give the item another path. To read everything below a path, import it.",
    )
}

/// What is known about the mounts' engine.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Engine {
    One,
    Two,
    Unknown,
}

fn rules(needs: &Needs<'_>, mount: &str, engine: Engine) -> Vec<(String, &'static str)> {
    let forms = |item: &str, part: &str| paths(written(item), mount, part, engine);
    let mut read: Vec<String> = needs.references.iter().flat_map(|r| forms(&r.item, "data")).collect();
    let mut list = Vec::new();
    for import in &needs.imports {
        read.extend(forms(&import.item, "data"));
        if import.field.is_none() {
            list.extend(forms(&import.item, "metadata"));
            // `folder/k*` is found in the list of the folder, which is a separate path.
            let folder = import.item.rsplit_once('/').filter(|(_, start)| *start != "*");
            list.extend(folder.iter().flat_map(|(folder, _)| forms(&format!("{folder}/"), "metadata")));
        }
    }
    if needs.conventional().next().is_some() {
        // The whole prefix: what does not exist is then absent, not denied.
        read.extend(forms(&format!("{mount}/{}/*", conventional::path(&needs.manifest.scope)), "data"));
    }
    let read = distinct(read).into_iter().map(|path| (path, "read"));
    read.chain(distinct(list).into_iter().map(|path| (path, "list"))).collect()
}

/// The paths of an item. In an engine of version 2, `data` or `metadata` is between the mount and the item. A mount
/// that is not the configured one may have any number of parts, and need not be such an engine.
fn paths(item: &str, mount: &str, part: &str, engine: Engine) -> Vec<String> {
    if engine == Engine::One {
        return vec![item.to_owned()];
    }
    let inside =
        |mount: &str, rest: &str| format!("{mount}/{part}/{}", rest.strip_prefix("data/").unwrap_or(rest));
    if let Some(rest) = below(item, mount) {
        return vec![inside(mount, rest)];
    }
    let splits = item.match_indices('/').map(|(at, _)| inside(&item[..at], &item[at + 1..]));
    let plain = (engine == Engine::Unknown).then(|| item.to_owned());
    splits.chain(plain).collect()
}
