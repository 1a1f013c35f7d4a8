//! Patterns of a build context, as `.dockerignore`, `COPY` and `ADD` have them.

use std::path::Path;

use crate::settings::clean;
use gix_ignore::glob::wildmatch;
use gix_ignore::glob::wildmatch::Mode;

/// A pattern as Docker reads it (github.com/moby/patternmatcher, `ignorefile.ReadAll`): without `.`, `..` and empty steps, and
/// without a slash at the beginning. The slash alone stays one, and means nothing.
pub(super) fn plain_pattern(pattern: &str) -> String {
    let plain = clean(Path::new(pattern)).display().to_string();
    plain.strip_prefix('/').filter(|rest| !rest.is_empty()).map_or(plain.clone(), str::to_owned)
}

pub(super) fn matches(pattern: &str, path: &Path) -> bool {
    // Nothing is the directory itself, which no line of an ignore file means.
    !path.as_os_str().is_empty()
        && wildmatch(pattern.into(), path.as_os_str().as_encoded_bytes().into(), Mode::NO_MATCH_SLASH_LITERAL)
}

/// Whether a pattern may match something in the directory, at any depth, or what is above it.
pub(super) fn may_be_in(pattern: &str, directory: &Path) -> bool {
    if let Some((before, _)) = pattern.split_once("**") {
        let plain = before.split(['*', '?', '[', '\\']).next().unwrap_or_default();
        let directory = directory.display().to_string();
        return directory.starts_with(plain) || plain.starts_with(&directory);
    }
    !pattern.is_empty()
        && pattern.split('/').zip(directory).all(|(step, name)| matches(step, Path::new(name)))
}
