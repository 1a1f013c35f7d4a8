//! Files that Compose reads because a Compose file names them. Of a pipe it would wait for the end, of a device it would read
//! until the memory is full, and what the kernel tells of processes holds what nobody granted.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::includes::{Document, directory_of, included_env_files, list, texts, walk};
use crate::error::{Code, Error, Result};
use crate::files::{self, LARGEST_VALUES};

/// Looks at what these Compose files name below `include`, `extends`, `env_file` and `label_file`, and at what is named
/// there, before Compose reads it. Paths that hold variables are passed over: only Compose knows where they lead.
///
/// # Errors
/// One of them is no regular file, or larger than 4 MiB, or becomes too large by its aliases. What is not there or not
/// understood Compose tells of.
pub(super) fn check(project_directory: &Path, compose_files: &[PathBuf]) -> Result<()> {
    included_env_files(compose_files).iter().try_for_each(|path| check_one(path))?;
    walk(compose_files, LARGEST_VALUES, |file, document| {
        let directory = directory_of(file);
        let Document::Read(document) = document else { return Err(too_large(file)) };
        // Compose starts from the project's directory, or from that of the file, as it got to it.
        let directories = [project_directory, directory];
        let places = |path: &str| directories.map(|directory| directory.join(path));
        let named = Named::by(document);
        let more: Vec<PathBuf> = named.compose_files.into_iter().flat_map(places).collect();
        named.data.into_iter().flat_map(places).try_for_each(|path| check_one(&path))?;
        more.iter().try_for_each(|path| check_one(path))?;
        Ok(more)
    })
}

/// All that these Compose files name there, each as Compose may get to it. `expand` puts variables into a path.
pub fn named(
    project_directory: &Path,
    compose_files: &[PathBuf],
    expand: &dyn Fn(&str) -> Option<String>,
) -> BTreeSet<PathBuf> {
    let mut all: BTreeSet<PathBuf> = compose_files.iter().cloned().collect();
    all.extend(included_env_files(compose_files));
    let Ok(()) = walk(compose_files, LARGEST_VALUES, |file, document| {
        let directories = [project_directory, directory_of(file)];
        let places = |path: &str| {
            let path = if path.contains('$') { expand(path) } else { Some(path.to_owned()) };
            path.into_iter()
                .flat_map(|path| directories.map(|directory| directory.join(&path)))
                .collect::<Vec<_>>()
        };
        let Document::Read(document) = document else { return Ok(Vec::new()) };
        let named = Named::by(document);
        all.extend(named.data.into_iter().flat_map(places));
        let more: Vec<PathBuf> = named.compose_files.into_iter().flat_map(places).collect();
        all.extend(more.iter().cloned());
        Ok::<_, std::convert::Infallible>(more)
    });
    all
}

/// What a Compose file names, by what it is.
#[derive(Default)]
struct Named<'d> {
    data: Vec<&'d str>,
    compose_files: Vec<&'d str>,
}

impl<'d> Named<'d> {
    fn by(document: &'d Value) -> Self {
        let mut this = Self::default();
        for entry in list(document.get("include")) {
            this.compose_files.extend(texts(entry.get("path").unwrap_or(entry)));
        }
        for service in
            document.get("services").and_then(Value::as_object).into_iter().flat_map(|all| all.values())
        {
            this.compose_files.extend(service.pointer("/extends/file").and_then(Value::as_str));
            for key in ["env_file", "label_file"] {
                let Some(value) = service.get(key) else { continue };
                this.data.extend(texts(value));
                this.data
                    .extend(list(Some(value)).filter_map(|entry| entry.get("path").and_then(Value::as_str)));
            }
        }
        this
    }
}

/// Compose would expand the aliases of such a file until the memory is full.
fn too_large(file: &Path) -> Error {
    Error::new(Code::ComposeFileInvalid, format!("{} has aliases that make it too large", file.display()))
        .help("Write out what its aliases (`*name`) stand for where they name each other, or take them out.")
}

fn check_one(path: &Path) -> Result<()> {
    match files::check(path, LARGEST_VALUES) {
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::FileTooLarge) => {
            Err(Error::io(Code::ComposeFileInvalid, "let Docker Compose read", path, &error).help(
                "A Compose file names it. Put a file of at most 4 MiB in its place, or take it out there.",
            ))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_name_each_other_come_to_an_end() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let two = |a: &str, b: &str| {
            format!(
                "include: [{a}, {b}]\nservices: {{x: {{extends: {{file: {a}, service: x}}}}, y: {{extends: {{file: {b}, service: y}}}}}}\n"
            )
        };
        write("compose.yaml", &two("a/c.yaml", "b/c.yaml"));
        write("a/c.yaml", &two("../compose.yaml", "../b/c.yaml"));
        write("b/c.yaml", &two("../compose.yaml", "../a/c.yaml"));
        assert!(check(root.path(), &[root.path().join("compose.yaml")]).is_ok());
    }

    #[test]
    fn what_compose_files_name_is_known_with_variables_and_by_way_of_others() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(root.path().join(name), text).unwrap();
        write(
            "compose.yaml",
            "include: [{path: more.yaml, env_file: i}]\nservices: {x: {extends: {file: base.yaml, service: x}}}\n",
        );
        write("more.yaml", "services: {y: {label_file: [l]}}\n");
        write("base.yaml", "services: {x: {env_file: ['${D}/e', {path: f}]}}\n");
        let all = named(root.path(), &[root.path().join("compose.yaml")], &|path| {
            Some(path.replace("${D}", "there"))
        });
        let names: Vec<_> = all.iter().map(|path| path.strip_prefix(root.path()).unwrap()).collect();
        let names: Vec<_> = names.iter().map(|path| path.to_str().unwrap()).collect();
        assert_eq!(names, ["base.yaml", "compose.yaml", "f", "i", "l", "more.yaml", "there/e"]);
    }

    #[test]
    fn aliases_that_multiply_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let levels: Vec<String> = (1..10)
            .map(|level| {
                let before = format!("*a{}", level - 1);
                format!("x-a{level}: &a{level} [{}]\n", vec![before; 10].join(", "))
            })
            .collect();
        let first = "x-a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
        std::fs::write(root.path().join("bomb.yaml"), format!("{first}{}", levels.concat())).unwrap();
        std::fs::write(root.path().join("compose.yaml"), "include: [bomb.yaml]\n").unwrap();
        let refused = check(root.path(), &[root.path().join("compose.yaml")]).unwrap_err();
        assert!(refused.fact.contains("bomb.yaml has aliases that"), "{}", refused.fact);
        let many: Vec<String> = (0..2_000).map(|n| format!("x-{n}: {{a: *b, <<: *b}}\n")).collect();
        std::fs::write(root.path().join("compose.yaml"), format!("x-b: &b {{c: d}}\n{}", many.concat()))
            .unwrap();
        check(root.path(), &[root.path().join("compose.yaml")]).unwrap();
    }

    #[test]
    fn what_has_no_end_is_refused_wherever_it_is_named() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            path
        };
        let mode = rustix::fs::Mode::RUSR;
        std::fs::create_dir_all(root.path().join("sub")).unwrap();
        for name in ["pipe", "sub/.env"] {
            let pipe = root.path().join(name);
            rustix::fs::mknodat(rustix::fs::CWD, pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        }
        write("sub/compose.yaml", "services: {}\n");
        write("base.yaml", "services: {x: {env_file: pipe}}\n");
        write("good.env", "A=b\n");
        for (text, what) in [
            ("services: {web: {env_file: pipe}}", "a pipe"),
            ("services: {web: {env_file: [good.env, {path: ./pipe, required: false}]}}", "a pipe"),
            ("services: {web: {env_file: /dev/zero}}", "a device"),
            ("services: {web: {label_file: /proc/self/environ}}", "made up by the kernel"),
            ("services: {web: {extends: {file: pipe, service: x}}}", "a pipe"),
            ("services: {web: {extends: {file: base.yaml, service: x}}}", "a pipe"),
            ("include: [pipe]", "a pipe"),
            ("include: [{path: [good.env], env_file: pipe}]", "a pipe"),
            ("include: [sub/compose.yaml]", "a pipe"),
        ] {
            let error = check(root.path(), &[write("compose.yaml", text)]).err().unwrap();
            assert_eq!(error.code, Code::ComposeFileInvalid);
            assert!(error.fact.contains(what), "{text}: {error}");
        }
        let good = "services: {web: {env_file: [good.env, is-not-there, '$HERE/x'], volumes: ['./pipe:/pipe', '/dev/zero:/z']}}";
        assert!(check(root.path(), &[write("compose.yaml", good)]).is_ok());
    }
}
