//! Compose files that name others, and the env files of those that a project includes (compose-spec, `include`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::files::{self, LARGEST_SETTINGS};
use crate::yaml::is_too_large;

/// A Compose file that was read.
pub(super) enum Document {
    /// What is in it; `null` for one that cannot be understood: Compose itself says what is wrong with it.
    Read(Value),
    /// Its aliases make more of it than would fit into memory.
    TooLarge,
}

/// Reads these Compose files, of at most `most` bytes each, and those that `visit` returns for each, once each. `visit` takes
/// the path and what is in it. A file that cannot be read is passed over.
///
/// # Errors
/// The first of `visit`, which ends it.
pub(super) fn walk<E>(
    files: &[PathBuf],
    most: u64,
    mut visit: impl FnMut(&Path, &Document) -> Result<Vec<PathBuf>, E>,
) -> Result<(), E> {
    let mut seen = BTreeSet::new();
    let mut open = files.to_vec();
    while let Some(file) = open.pop() {
        // By where it is: files that name each other by longer and longer paths would never come to an end.
        if !seen.insert(file.canonicalize().unwrap_or_else(|_| file.clone())) {
            continue;
        }
        let Ok(contents) = files::read(&file, most) else { continue };
        open.extend(visit(&file, &document(contents.value.expose()))?);
    }
    Ok(())
}

fn document(bytes: &[u8]) -> Document {
    // Room for whatever fits into a file of the largest size that is read, and is not a bomb.
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: 200,
            max_nodes: 1_000_000,
            max_events: 4_000_000,
            max_documents: 64,
            max_aliases: 100_000,
            max_merge_keys: 1_000_000,
            // Many services take one template.
            enforce_alias_anchor_ratio: false,
        },
        // Wrapped in an excerpt of the file, an error is not told by its kind.
        with_snippet: false,
    };
    match serde_saphyr::from_slice_with_options(bytes, options) {
        Ok(value) => Document::Read(value),
        Err(error) if is_too_large(&error) => Document::TooLarge,
        Err(_) => Document::Read(Value::Null),
    }
}

/// The env files by which Compose reads what these files include, in the order of the files: what `env_file` names, else
/// `.env` in the included project's directory. A file that cannot be read or understood includes nothing: Compose itself
/// says what is wrong with it.
pub fn included_env_files(files: &[PathBuf]) -> Vec<PathBuf> {
    let mut all = Vec::new();
    let Ok(()) = walk(files, LARGEST_SETTINGS, |file, document| {
        let mut included = Vec::new();
        let Document::Read(document) = document else { return Ok(included) };
        let directory = directory_of(file);
        for entry in list(document.get("include")) {
            let paths = texts(entry.get("path").unwrap_or(entry));
            let of_project = entry.get("project_directory").and_then(Value::as_str);
            let of_project =
                of_project.or_else(|| Path::new(paths.first()?).parent()?.to_str()).unwrap_or("");
            match entry.get("env_file") {
                Some(named) => all.extend(texts(named).iter().map(|path| directory.join(path))),
                None => all.push(directory.join(of_project).join(".env")),
            }
            included.extend(paths.iter().map(|path| directory.join(path)));
        }
        Ok::<_, std::convert::Infallible>(included)
    });
    all
}

/// The directory that a file's relative paths start from.
pub(super) fn directory_of(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new("."))
}

/// The entries of a list; none where there is no list.
pub(super) fn list(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

/// A text, or a list of texts.
pub(super) fn texts(value: &Value) -> Vec<&str> {
    value.as_str().into_iter().chain(list(Some(value)).filter_map(Value::as_str)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn included_files_have_env_files_of_their_own() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            path
        };
        let main = write(
            "compose.yaml",
            "include:\n  - a/compose.yaml\n  - path: [b/one.yaml]\n    env_file: own.env\n  - compose.yaml\n",
        );
        write("a/compose.yaml", "include: [{path: deeper/compose.yaml, project_directory: here}]\n");
        write("b/one.yaml", "services: {x: {environment: !reset null}}\n");
        let found = included_env_files(&[main]);
        let found: BTreeSet<_> = found.iter().map(|path| path.strip_prefix(root.path()).unwrap()).collect();
        let expected = ["a/.env", "a/here/.env", "own.env", ".env"];
        assert_eq!(found, expected.iter().map(Path::new).collect());
    }
}
