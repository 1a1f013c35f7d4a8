//! The path of an item in references.

use crate::sources::SourceError;

/// Takes the item of a reference and returns its path: mount and item, without a slash at either end. A leading `v1/`
/// is the API's, and is ignored; for a mount of that name, write `v1/v1/`.
///
/// # Errors
/// What is wrong with the path.
pub(super) fn parse<'a>(reference: &str, item: &'a str) -> Result<&'a str, SourceError> {
    let path = written(item);
    let wrong = |what: &str, help: &str| Err(SourceError::failed(format!("{reference}: {what}"), help));
    if path.is_empty() {
        return wrong("the path is missing", "Write the mount and the item: `secret/claude-bot/anthropic`.");
    }
    if path.ends_with('/') {
        return wrong(
            "it ends with a slash, which means a folder",
            "Write the item without a slash at the end. To import everything in a folder, use `folder/*`.",
        );
    }
    if path == "sys" || path.starts_with("sys/") {
        return wrong(
            "`sys/` is for the server itself, and contains no secrets",
            "Use the mount of a secrets engine.",
        );
    }
    folder(reference, path)?;
    Ok(path)
}

/// A path without common prefixes: a slash, and the API's `v1/`.
pub(in crate::sources) fn written(item: &str) -> &str {
    let path = item.strip_prefix('/').unwrap_or(item);
    path.strip_prefix("v1/").unwrap_or(path)
}

/// As [`parse`], for a prefix of items' paths: a folder, or a part of a name.
pub(super) fn parse_prefix<'a>(reference: &str, prefix: &'a str) -> Result<&'a str, SourceError> {
    let path = written(prefix);
    folder(reference, path.strip_suffix('/').unwrap_or(path))?;
    Ok(path)
}

fn folder(reference: &str, path: &str) -> Result<(), SourceError> {
    // The server would normalise these, and return another item.
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(SourceError::failed(
            format!("{reference}: a part of its path is empty, `.` or `..`"),
            "Write the whole path, with one slash between its parts: `secret/claude-bot/anthropic`.",
        ));
    }
    Ok(())
}

/// The part of a path before its `count`th slash; the whole path when it has fewer.
pub(super) fn head(path: &str, count: usize) -> &str {
    path.match_indices('/').nth(count.saturating_sub(1)).map_or(path, |(at, _)| &path[..at])
}

/// The part of a path below a mount; `None` if it is not below it.
pub(in crate::sources) fn below<'a>(path: &'a str, mount: &str) -> Option<&'a str> {
    path.strip_prefix(mount)?.strip_prefix('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_taken_as_people_write_it() {
        for item in ["secret/a/b", "/secret/a/b", "v1/secret/a/b", "/v1/secret/a/b"] {
            assert_eq!(parse("vault:x", item).ok(), Some("secret/a/b"), "{item}");
        }
        for item in ["", "/", "v1/", "secret/a/", "secret//a", "secret/../a", "./secret", "//secret", "sys/x"]
        {
            let refused = parse("vault:x", item).err().unwrap();
            assert!(refused.fact().starts_with("vault:x: "), "{item}");
        }
    }

    #[test]
    fn a_path_has_a_head_and_lies_below_its_mount() {
        assert_eq!((head("a/b/c", 1), head("a/b/c", 2), head("a/b/c", 7)), ("a", "a/b", "a/b/c"));
        assert_eq!((below("a/b", "a"), below("ab/c", "a"), below("a", "a")), (Some("b"), None, None));
    }
}
