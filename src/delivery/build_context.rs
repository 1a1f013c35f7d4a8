//! Whether a build would copy the secrets' files into an image: they lie in the build context of a service, its Dockerfile
//! copies them, and no `.dockerignore` leaves them out.

use std::path::{Path, PathBuf};

use gix_ignore::glob::wildmatch;
use gix_ignore::glob::wildmatch::Mode;
use serde_json::Value;

use super::dockerfile::copies_from;
use super::reach::{Leads, SecretsPlace};
use crate::docker::model::Model;
use crate::files::{self, LARGEST_SETTINGS};

/// A build context that takes in the secrets' files.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TakesIn {
    /// The service that is built.
    pub service: String,
    /// The `.dockerignore` that should leave them out, as the host sees it.
    pub ignore_file: PathBuf,
    /// The line to add to it.
    pub line: String,
}

/// The services whose build contexts take in the secrets' files.
pub fn taking_in(model: &Model, place: &SecretsPlace) -> Vec<TakesIn> {
    let built = model.services.values().filter(|service| service.build);
    let definition = |name: &str| model.resolved().get("services")?.get(name)?.get("build");
    built
        .filter_map(|service| {
            let (context, line) = contexts(definition(&service.name)?)
                .into_iter()
                .find_map(|context| context.takes_in(place).map(|line| (context, line)))?;
            Some(TakesIn { service: service.name.clone(), ignore_file: context.path.join(IGNORE_FILE), line })
        })
        .collect()
}

const IGNORE_FILE: &str = ".dockerignore";

/// A directory that is sent to the builder.
struct Context<'m> {
    /// Its path on the Docker host.
    path: &'m Path,
    /// The Dockerfile, relative to it or absolute: an ignore file beside it may replace the context's own.
    dockerfile: Option<&'m str>,
    /// The Dockerfile's text, where the Compose file has it.
    inline: Option<&'m str>,
}

fn local(value: &Value) -> Option<&Path> {
    value.as_str().filter(|path| path.starts_with('/')).map(Path::new)
}

fn contexts(build: &Value) -> Vec<Context<'_>> {
    let text = |key: &str| build.get(key).and_then(Value::as_str);
    let inline = text("dockerfile_inline");
    let dockerfile = inline.is_none().then(|| text("dockerfile").unwrap_or("Dockerfile"));
    let main = build.get("context").and_then(local).map(|path| Context { path, dockerfile, inline });
    let more = build.get("additional_contexts").and_then(Value::as_object).into_iter().flatten();
    let more = more.filter_map(|(_, value)| local(value));
    let more = more.map(|path| Context { path, dockerfile: None, inline: None });
    main.into_iter().chain(more).collect()
}

impl Context<'_> {
    /// The Dockerfile's text, empty when there is none; `None` when it cannot be read, or is not this context's.
    fn text(&self, place: &SecretsPlace) -> Option<String> {
        if let Some(inline) = self.inline {
            return Some(inline.to_owned());
        }
        let (context, name) = (place.read_at(self.path)?, Path::new(self.dockerfile?));
        let is_absent = name.is_relative() && !context.join(name).exists();
        if is_absent { Some(String::new()) } else { read(place, &self.path.join(name)) }
    }

    /// The line that its ignore file lacks; `None` when the secrets are not in it, or are left out.
    fn takes_in(&self, place: &SecretsPlace) -> Option<String> {
        let below = match place.leads(self.path) {
            Leads::Elsewhere => return None,
            // One of `additional_contexts` that lies there is refused like a mount: see `host_mounts::read_for`.
            Leads::Inside if self.dockerfile.is_none() && self.inline.is_none() => return None,
            Leads::Inside => PathBuf::new(),
            Leads::Above(below) => below,
        };
        if self.text(place).is_some_and(|text| !copies_from(&text, &below)) {
            return None;
        }
        // Which builder it is decides which of the two files counts, so both must leave the secrets out.
        let ignored = |path: &Path| read(place, path).map(|text| is_left_out(&text, &below));
        let own = self.dockerfile.and_then(|name| ignored(&self.path.join(format!("{name}{IGNORE_FILE}"))));
        let is_out = ignored(&self.path.join(IGNORE_FILE)) == Some(true) && own != Some(false);
        (!is_out)
            .then(|| if below.as_os_str().is_empty() { "*".to_owned() } else { below.display().to_string() })
    }
}

/// A text file of the host; `None` when it cannot be read here.
fn read(place: &SecretsPlace, path: &Path) -> Option<String> {
    let contents = files::read(&place.read_at(path)?, LARGEST_SETTINGS).ok()?;
    Some(String::from_utf8_lossy(contents.value.expose()).into_owned())
}

/// Whether the lines of a `.dockerignore` leave out what is in a directory of the context.
///
/// The rules: <https://docs.docker.com/build/concepts/context/#dockerignore-files>. The last line that matches a path or a
/// directory above it decides. A line that may mean some of the files brings them back, but does not leave them out.
fn is_left_out(text: &str, directory: &Path) -> bool {
    // Stands for each of them: only a wildcard matches it.
    let file = directory.join("\u{1}\u{1}");
    let mut out = false;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (kept, pattern) = line.strip_prefix('!').map_or((false, line), |rest| (true, rest.trim()));
        let pattern = pattern.trim_start_matches("./").trim_matches('/');
        if file.ancestors().any(|path| matches(pattern, path)) {
            out = !kept;
        } else if kept && may_be_in(pattern, directory) {
            out = false;
        }
    }
    out
}

pub(super) fn matches(pattern: &str, path: &Path) -> bool {
    wildmatch(pattern.into(), path.as_os_str().as_encoded_bytes().into(), Mode::NO_MATCH_SLASH_LITERAL)
}

/// Whether a pattern may match some file in the directory.
pub(super) fn may_be_in(pattern: &str, directory: &Path) -> bool {
    if let Some((before, _)) = pattern.split_once("**") {
        let plain = before.split(['*', '?', '[', '\\']).next().unwrap_or_default();
        let directory = directory.display().to_string();
        return directory.starts_with(plain) || plain.starts_with(&directory);
    }
    let (above, _) = pattern.rsplit_once('/').unwrap_or(("", pattern));
    matches(above, directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_that_matches_decides() {
        for (text, out) in [
            ("", false),
            ("data", true),
            ("/data/", true),
            ("./data/secrets", true),
            ("data/secrets/*", true),
            ("data/*", true),
            ("*", true),
            ("**", true),
            ("**/secrets", true),
            ("d?ta", true),
            ("# data", false),
            ("secrets", false),
            ("*.log\nnode_modules", false),
            ("data/secrets\n!data/secrets", false),
            ("data/secrets\n!data/secrets/key", false),
            ("data\n!data/secrets/**", false),
            ("*\n!src\n!package.json", true),
            ("*\n!*.json", true),
            ("*\n!**/*.json", false),
            ("*\n!data/*/*.json", false),
            ("data/secrets/a*", false),
            ("data/secrets/?", false),
            ("!data\ndata", true),
        ] {
            assert_eq!(is_left_out(text, Path::new("data/secrets")), out, "{text:?}");
        }
    }
}
