//! Which Compose files make up the project: named ones, `COMPOSE_FILE`, or the names that Compose looks for.
//!
//! Compose does not say which files it found, and with an override of ours it must be given all of them, so its rules
//! are followed here (compose-go `cli/options.go`; docs.docker.com/reference/cli/docker/compose, "Use -f").

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::named_files;
use crate::error::{Code, Error, Result};
use crate::files::{self, LARGEST_VALUES};
use crate::settings::clean;

/// In the order in which Compose prefers them.
const FILES: &[&str] = &["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];
const OVERRIDES: &[&str] = &[
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
];

/// The project's own Compose files, without the generated override, and its directory. All paths are absolute.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ComposeFiles {
    /// The project directory.
    pub directory: PathBuf,
    /// The files, in the order in which Compose merges them.
    pub files: Vec<PathBuf>,
}

/// What decides where Compose files are.
pub struct Wanted<'a> {
    /// `compose-files`, absolute.
    pub named: &'a [PathBuf],
    /// `project-directory`, absolute.
    pub directory: Option<&'a Path>,
    /// Where the search starts when nothing is named.
    pub workspace: &'a Path,
    /// `COMPOSE_FILE` and `COMPOSE_PATH_SEPARATOR`, from the environment, else from the project's `.env`.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// `override-file`, relative to the project directory: a file of this name is never part of the project itself.
    pub override_file: &'a Path,
}

/// Finds the files, or says where they were looked for.
pub fn find(wanted: &Wanted) -> Result<ComposeFiles> {
    let start = wanted.directory.unwrap_or(wanted.workspace);
    let mut files = if !wanted.named.is_empty() {
        wanted.named.to_vec()
    } else if let Some(list) = (wanted.variable)("COMPOSE_FILE").filter(|list| !list.is_empty()) {
        let separator = (wanted.variable)("COMPOSE_PATH_SEPARATOR").unwrap_or_else(|| ":".to_owned());
        list.split(separator.as_str())
            .filter(|file| !file.is_empty())
            .map(|file| clean(&start.join(file)))
            .collect()
    } else {
        discover(start)?
    };
    let first = files.first().and_then(|file| file.parent()).unwrap_or(start);
    let directory = wanted.directory.unwrap_or(first).to_owned();
    // People used to name the override by hand; as input of its own making it would never forget a service.
    let generated = directory.join(wanted.override_file);
    files.retain(|file| *file != generated);
    if files.is_empty() {
        return Err(Error::new(
            Code::ComposeFileMissing,
            "compose-files names only the generated override file",
        )
        .help("Name the project's own Compose files as well, or leave the input out."));
    }
    files.iter().try_for_each(|file| check(file))?;
    named_files::check(&directory, &files)?;
    Ok(ComposeFiles { directory, files })
}

/// Compose would wait for a pipe, and read from a device until the memory is full.
fn check(file: &Path) -> Result<()> {
    let error = match files::check(file, LARGEST_VALUES) {
        Ok(()) => return Ok(()),
        Err(error) => error,
    };
    Err(if error.kind() == ErrorKind::NotFound {
        Error::new(Code::ComposeFileMissing, format!("the Compose file {} does not exist", file.display()))
            .help("Correct `compose-files`; is the repository checked out before this step?")
    } else {
        Error::io(Code::ComposeFileInvalid, "read the Compose file", file, &error)
            .help("Name a file of at most 4 MiB that this user may read.")
    })
}

fn discover(start: &Path) -> Result<Vec<PathBuf>> {
    let found = start.ancestors().find_map(|directory| {
        let there =
            |names: &[&str]| names.iter().map(|name| directory.join(name)).find(|path| path.is_file());
        there(FILES).map(|file| std::iter::once(file).chain(there(OVERRIDES)).collect::<Vec<_>>())
    });
    found.ok_or_else(|| {
        Error::new(
            Code::ComposeFileMissing,
            format!(
                "there is no Compose file in {} or above it (looked for {})",
                start.display(),
                FILES.join(", ")
            ),
        )
        .help("Check the repository out before this step, or set `project-directory` or `compose-files`.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(files: &[&str]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for file in files {
            let path = directory.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        directory
    }

    fn found(root: &Path, named: &[&str], variable: Option<&str>) -> Result<Vec<String>> {
        let named: Vec<_> = named.iter().map(|name| root.join(name)).collect();
        let wanted = Wanted {
            named: &named,
            directory: None,
            workspace: root,
            variable: &|name| variable.filter(|_| name == "COMPOSE_FILE").map(str::to_owned),
            override_file: Path::new("docker-compose.secrets.yml"),
        };
        let files = find(&wanted)?;
        let name = |path: &PathBuf| path.strip_prefix(root).unwrap_or(path).display().to_string();
        Ok(files.files.iter().map(name).collect())
    }

    #[test]
    fn composes_own_names_and_overrides_are_found_in_its_order() {
        let root = project(&[
            "docker-compose.yml",
            "compose.yaml",
            "compose.override.yml",
            "docker-compose.override.yml",
        ]);
        assert_eq!(found(root.path(), &[], None).unwrap(), ["compose.yaml", "compose.override.yml"]);
    }

    #[test]
    fn compose_file_names_several() {
        let root = project(&["a.yml", "b.yml"]);
        assert_eq!(found(root.path(), &[], Some("a.yml:b.yml")).unwrap(), ["a.yml", "b.yml"]);
    }

    #[test]
    fn the_override_is_left_out_when_it_is_named() {
        let root = project(&["docker-compose.yml", "docker-compose.secrets.yml"]);
        let both = ["docker-compose.yml", "docker-compose.secrets.yml"];
        assert_eq!(found(root.path(), &both, None).unwrap(), ["docker-compose.yml"]);
        assert_eq!(found(root.path(), &both[1..], None).err().unwrap().code, Code::ComposeFileMissing);
    }

    #[test]
    fn a_missing_file_is_named() {
        let root = project(&[]);
        let error = found(root.path(), &["x.yml"], None).err().unwrap();
        assert!(error.fact.contains("x.yml"));
    }
}
