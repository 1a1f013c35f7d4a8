//! Whether a build would copy the secrets' files into an image: they lie in the build context of a service, its Dockerfile
//! or the `ONBUILD` of its base image copies them, and no `.dockerignore` leaves them out.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::context_pattern::{matches, may_be_in, plain_pattern};
use super::dockerfile::{bases, copies_from};
use super::files::site::staging_name_with;
use super::reach::{Leads, SecretsPlace};
use crate::compose::model::Model;
use crate::files::{self, LARGEST_SETTINGS};

/// A build context that takes in the secrets' files.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TakesIn {
    /// The service that is built.
    pub service: String,
    /// The `.dockerignore` that should leave them out, as the host sees it.
    pub ignore_file: PathBuf,
    /// The lines to add to it.
    pub lines: Vec<String>,
    /// Whether the directory itself is taken in, and not only a set that is being made beside it.
    pub directory: bool,
    /// What copies them.
    pub by: Copier,
}

/// What copies the secrets' files into an image.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Copier {
    /// The Dockerfile.
    Dockerfile,
    /// An `ONBUILD` instruction of this base image.
    Base(String),
    /// Maybe this base image: what it asks for by `ONBUILD` is not known here.
    UnknownBase(String),
}

/// The `ONBUILD` instructions of base images, by the names that Dockerfiles give these. One that is missing is not known.
pub type Triggers = BTreeMap<String, Vec<String>>;

/// The base images of builds whose contexts hold the secrets' files, so that their `ONBUILD` instructions count; without
/// those that the engine cannot know yet, since the project builds them itself.
pub fn base_images(model: &Model, place: &SecretsPlace) -> BTreeSet<String> {
    let built_here = model.services.values().filter(|service| service.build);
    let built_here: BTreeSet<&str> = built_here.map(|service| untagged(&service.image)).collect();
    let all = built(model).flat_map(|(_, build)| contexts(build));
    all.filter(|context| !context.held(place).is_empty())
        .filter_map(|context| Some(context.bases(&context.text(place)?)))
        .flatten()
        .filter(|base| !built_here.contains(untagged(base)))
        .collect()
}

/// The name without the tag that is the default.
fn untagged(image: &str) -> &str {
    image.strip_suffix(":latest").unwrap_or(image)
}

/// The services whose build contexts take in the secrets' files.
pub fn taking_in(model: &Model, place: &SecretsPlace, triggers: &Triggers) -> Vec<TakesIn> {
    built(model)
        .filter_map(|(service, build)| {
            let found: Vec<_> = contexts(build)
                .into_iter()
                .map(|context| (context.path.join(IGNORE_FILE), context.takes_in(place, triggers)))
                .filter(|(_, taken)| !taken.is_empty())
                .collect();
            let all = || found.iter().flat_map(|(_, taken)| taken);
            let (by, directory) = (all().map(|one| one.by.clone()).min()?, all().any(|one| one.directory));
            let (ignore_file, taken) = found.into_iter().next()?;
            let lines = taken.into_iter().map(|one| one.line).collect();
            Some(TakesIn { service: service.to_owned(), ignore_file, lines, directory, by })
        })
        .collect()
}

/// The services that are built, each with its `build`.
fn built(model: &Model) -> impl Iterator<Item = (&str, &Value)> {
    let services = model.services.values().filter(|service| service.build);
    services.filter_map(|service| {
        Some((service.name.as_str(), model.plain().get("services")?.get(&service.name)?.get("build")?))
    })
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
    /// What the Dockerfile's arguments are set to.
    args: Option<&'m Value>,
    /// Whether base images are pulled anew, so that those of the engine say nothing.
    pulls: bool,
    /// The names for which `FROM` takes something else than an image of that name.
    named: Vec<&'m String>,
}

fn local(value: &Value) -> Option<&Path> {
    value.as_str().filter(|path| path.starts_with('/')).map(Path::new)
}

fn contexts(build: &Value) -> Vec<Context<'_>> {
    let text = |key: &str| build.get(key).and_then(Value::as_str);
    let inline = text("dockerfile_inline");
    let dockerfile = inline.is_none().then(|| text("dockerfile").unwrap_or("Dockerfile"));
    let pulls = build.get("pull").and_then(Value::as_bool).unwrap_or_default();
    let additional = || build.get("additional_contexts").and_then(Value::as_object).into_iter().flatten();
    let named = additional().map(|(name, _)| name).collect();
    let main = build.get("context").and_then(local);
    let args = build.get("args");
    let main = main.map(|path| Context { path, dockerfile, inline, args, pulls, named });
    let more = additional().filter_map(|(_, value)| local(value));
    let more = more.map(|path| Context {
        path,
        dockerfile: None,
        inline: None,
        args: None,
        pulls,
        named: Vec::new(),
    });
    main.into_iter().chain(more).collect()
}

impl Context<'_> {
    /// Where its Dockerfile is on the host. In place of a `Dockerfile` that is not there builders take a `dockerfile`
    /// (github.com/docker/buildx, `handleLowercaseDockerfile`).
    fn dockerfile(&self, place: &SecretsPlace) -> Option<PathBuf> {
        let path = self.path.join(self.dockerfile?);
        let is_there = |path: &Path| place.read_at(path).is_some_and(|here| here.exists());
        let lower_case = path.with_file_name("dockerfile");
        let is_usual = path.file_name() == Some(OsStr::new("Dockerfile"));
        Some(if is_usual && !is_there(&path) && is_there(&lower_case) { lower_case } else { path })
    }

    /// The Dockerfile's text; `None` when it cannot be read, or is not this context's.
    fn text(&self, place: &SecretsPlace) -> Option<String> {
        match self.inline {
            Some(inline) => Some(inline.to_owned()),
            None => read(place, &self.dockerfile(place)?),
        }
    }

    /// The parts of the secrets that it holds and no ignore file leaves out.
    fn held(&self, place: &SecretsPlace) -> Vec<(PathBuf, Part)> {
        let below = match place.leads(self.path) {
            Leads::Elsewhere => return Vec::new(),
            // One of `additional_contexts` that lies there is refused like a mount: see `host_mounts::read_for`.
            Leads::Inside if self.dockerfile.is_none() && self.inline.is_none() => return Vec::new(),
            Leads::Inside => PathBuf::new(),
            Leads::Above(below) => below,
        };
        // Which builder it is decides which of the two files counts, so both must leave the secrets out.
        let own = self.dockerfile(place).and_then(|path| {
            let mut name = path.into_os_string();
            name.push(IGNORE_FILE);
            read(place, Path::new(&name))
        });
        let ignore = read(place, &self.path.join(IGNORE_FILE));
        let is_out = |path: &Path| {
            ignore.as_ref().is_some_and(|text| is_left_out(text, path))
                && own.as_ref().is_none_or(|text| is_left_out(text, path))
        };
        parts(&below).into_iter().filter(|(path, _)| !is_out(path)).collect()
    }

    /// What of the secrets it takes in.
    fn takes_in(&self, place: &SecretsPlace, triggers: &Triggers) -> Vec<Taken> {
        let held = self.held(place);
        if held.is_empty() {
            return Vec::new();
        }
        let text = self.text(place);
        let taken = |(path, part): (PathBuf, Part)| {
            let by = self.copier(place, text.as_deref(), &path, triggers)?;
            Some(Taken { line: part.line, directory: part.directory, by })
        };
        held.into_iter().filter_map(taken).collect()
    }

    fn bases(&self, text: &str) -> BTreeSet<String> {
        bases(text, &|name| Some(self.args?.get(name)?.as_str()?.to_owned()))
    }

    /// What copies this directory of the context; `text` is the Dockerfile's, where that can be read.
    fn copier(
        &self,
        place: &SecretsPlace,
        text: Option<&str>,
        directory: &Path,
        triggers: &Triggers,
    ) -> Option<Copier> {
        let copies = |text: &str| copies_from(text, directory, &|source| self.leads_there(place, source));
        let Some(text) = text.filter(|text| !copies(text)) else { return Some(Copier::Dockerfile) };
        let asks = self.bases(text).into_iter().filter_map(|base| match triggers.get(&base) {
            Some(instructions) if !self.pulls && !self.named.contains(&&base) => {
                copies(&instructions.join("\n")).then_some(Copier::Base(base))
            }
            _ => Some(Copier::UnknownBase(base)),
        });
        asks.min()
    }
}

/// No more places than this are looked at for one source of a `COPY`.
const MOST_PLACES: usize = 10_000;

impl Context<'_> {
    /// Whether a source of a `COPY`, a path or a pattern, leads by a link to the secrets' files or above them: a builder follows
    /// it. So it counts if there are too many places to look at.
    fn leads_there(&self, place: &SecretsPlace, source: &str) -> bool {
        let mut found = vec![self.path.to_owned()];
        for step in source.split('/').filter(|step| !matches!(*step, "" | ".")) {
            if !step.contains(['*', '?', '[', '\\']) {
                for path in &mut found {
                    path.push(step);
                }
                continue;
            }
            let here = found.iter().filter_map(|path| Some((path, place.read_at(path)?)));
            let below = here.filter_map(|(path, here)| Some((path, std::fs::read_dir(here).ok()?)));
            let names = below.flat_map(|(path, entries)| {
                let names = entries.flatten().map(|entry| entry.file_name());
                names.filter(|name| matches(step, Path::new(name))).map(|name| path.join(name))
            });
            let next: Vec<PathBuf> = names.take(MOST_PLACES + 1).collect();
            if next.len() > MOST_PLACES {
                return true;
            }
            found = next;
        }
        found.iter().any(|path| place.leads(path) != Leads::Elsewhere)
    }
}

/// Something that a build would copy.
struct Taken {
    /// The line that leaves it out.
    line: String,
    /// Whether it is the secrets directory itself.
    directory: bool,
    /// What copies it.
    by: Copier,
}

/// A directory with secrets.
struct Part {
    /// The line that leaves it out.
    line: String,
    /// Whether it is the secrets directory itself.
    directory: bool,
}

/// The directories with secrets in a build context, which has the secrets directory at this path: that directory, and
/// the one beside it in which a run makes a new set. A run that is killed leaves it there.
fn parts(below: &Path) -> Vec<(PathBuf, Part)> {
    let Some(name) = below.file_name() else {
        return vec![(below.to_owned(), Part { line: "*".to_owned(), directory: true })];
    };
    let line = below.display().to_string();
    // Stands for each of their names: only a wildcard matches it.
    let staged = below.with_file_name(staging_name_with(name, &"\u{1}".repeat(16)));
    let pattern = below.with_file_name(staging_name_with(name, "*")).display().to_string();
    vec![
        (below.to_owned(), Part { line, directory: true }),
        (staged, Part { line: pattern, directory: false }),
    ]
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
        let pattern = plain_pattern(pattern);
        if file.ancestors().any(|path| matches(&pattern, path)) {
            out = !kept;
        } else if kept && may_be_in(&pattern, directory) {
            out = false;
        }
    }
    out
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
            ("/", false),
            ("/*", true),
            (".", false),
            ("*\n!src/../data", false),
            ("data\n!/data/../data/secrets", false),
            ("data\n!data/./secrets", false),
            ("data\n!data//secrets/key", false),
            ("data\n!d*/secrets/a/t", false),
            ("x/../data", true),
            ("/../data", true),
            ("*\n!d*/other/a", true),
        ] {
            assert_eq!(is_left_out(text, Path::new("data/secrets")), out, "{text:?}");
        }
    }

    #[test]
    fn a_set_that_is_being_made_is_left_out_by_a_line_of_its_own() {
        for (text, out) in [
            ("data/secrets", [true, false]),
            ("data", [true, true]),
            ("data/secrets\ndata/.secrets.claude-secrets.*.tmp", [true, true]),
            ("data/secrets\n**/*.tmp", [true, true]),
            ("data/secrets\ndata/.secrets.claude-secrets.0*", [true, false]),
            ("data\n!data/.secrets*", [true, false]),
        ] {
            let parts = parts(Path::new("data/secrets"));
            let found: Vec<bool> = parts.iter().map(|(path, _)| is_left_out(text, path)).collect();
            assert_eq!(found, out, "{text:?}");
            let all: Vec<_> = parts.iter().map(|(_, taken)| taken.line.as_str()).collect();
            assert!(parts.iter().all(|(path, _)| is_left_out(&all.join("\n"), path)));
        }
    }
}
