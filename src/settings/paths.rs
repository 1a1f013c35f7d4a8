//! Paths as users write them.

use std::path::{Path, PathBuf};

/// A path without `.` and, as far as its text tells, without `..`: like Compose's paths (Go's `filepath.Clean`), so that
/// two of them can be compared.
pub fn clean(path: &Path) -> PathBuf {
    use std::path::Component;
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(clean.components().next_back(), Some(Component::Normal(_))) => {
                clean.pop();
            }
            // Above the root there is the root.
            Component::ParentDir if matches!(clean.components().next_back(), Some(Component::RootDir)) => {}
            other => clean.push(other),
        }
    }
    clean
}

/// A relative path without `.`; a `..` is kept, so that it can be refused later.
pub(super) fn clean_relative(text: &str) -> PathBuf {
    Path::new(text).components().filter(|part| !matches!(part, std::path::Component::CurDir)).collect()
}

/// A path relative to the workspace if it exists there, else relative to the project directory.
pub(super) fn path(text: &str, workspace: &Path, project: Option<&Path>) -> PathBuf {
    let from_workspace = workspace.join(text);
    match project {
        Some(project) if !from_workspace.exists() && project.join(text).exists() => {
            clean(&project.join(text))
        }
        _ => clean(&from_workspace),
    }
}
