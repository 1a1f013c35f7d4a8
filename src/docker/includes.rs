//! The env files of the Compose files that a project includes (compose-spec, `include`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::files::{self, LARGEST_SETTINGS};

/// The env files by which Compose reads what these files include, in the order of the files: what `env_file` names, else
/// `.env` in the included project's directory. A file that cannot be read or understood includes nothing: Compose itself
/// says what is wrong with it.
pub fn included_env_files(files: &[PathBuf]) -> Vec<PathBuf> {
    let mut all = Vec::new();
    let mut seen = BTreeSet::new();
    let mut open: Vec<PathBuf> = files.to_vec();
    while let Some(file) = open.pop() {
        // By where it is: files that name each other by longer and longer paths would never come to an end.
        if !seen.insert(file.canonicalize().unwrap_or_else(|_| file.clone())) {
            continue;
        }
        let directory = file.parent().unwrap_or(Path::new(".")).to_owned();
        for entry in includes(&file) {
            let paths = texts(entry.get("path").unwrap_or(&entry));
            let of_project = entry.get("project_directory").and_then(Value::as_str);
            let of_project =
                of_project.or_else(|| Path::new(paths.first()?).parent()?.to_str()).unwrap_or("");
            match entry.get("env_file") {
                Some(named) => all.extend(texts(named).iter().map(|path| directory.join(path))),
                None => all.push(directory.join(of_project).join(".env")),
            }
            open.extend(paths.iter().map(|path| directory.join(path)));
        }
    }
    all
}

fn includes(file: &Path) -> Vec<Value> {
    let read = files::read(file, LARGEST_SETTINGS).ok();
    let document: Option<Value> = read.and_then(|read| serde_saphyr::from_slice(read.value.expose()).ok());
    let document = document.unwrap_or_default();
    document.get("include").and_then(Value::as_array).cloned().unwrap_or_default()
}

/// A text, or a list of texts.
pub(super) fn texts(value: &Value) -> Vec<&str> {
    value
        .as_str()
        .into_iter()
        .chain(value.as_array().into_iter().flatten().filter_map(Value::as_str))
        .collect()
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
