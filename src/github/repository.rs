//! Which repository of GitHub's is meant: what a user writes, or what a checkout's remote says.

use std::fmt;
use std::path::Path;

use reqwest::Url;

use crate::count::count;
use crate::error::{Code, Error, Result};
use crate::files::{self, LARGEST_SETTINGS};
use crate::tracked;

/// The longest name of a repository, and more than the longest of an owner (39).
const LONGEST: usize = 100;

/// A repository, by its owner's name and its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Repository {
    /// The person or organisation.
    pub owner: String,
    /// The name.
    pub name: String,
}

impl Repository {
    /// Reads `owner/name`, as an input has it.
    ///
    /// # Errors
    /// `usage` when it is something else. The text is not echoed: it may be a token in the wrong place.
    pub fn parse(input: &str, text: &str) -> Result<Self> {
        Self::of(text).ok_or_else(|| {
            let length = count(text.chars().count(), "character");
            let error = Error::new(
                Code::Usage,
                format!("{input}: expected `owner/name`, got {length} of something else"),
            );
            error.help("Write the two names as the address of the repository's page has them, without the server: `octo-org/octo-repo`.")
        })
    }

    /// `owner/name`, or nothing when that is something else.
    pub fn of(text: &str) -> Option<Self> {
        let (owner, name) = text.split_once('/')?;
        let is_name = |text: &str| {
            let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            !matches!(text, "" | "." | "..") && text.len() <= LONGEST && text.chars().all(known)
        };
        (is_name(owner) && is_name(name)).then(|| Self { owner: owner.to_owned(), name: name.to_owned() })
    }

    /// Whether it is the same one: GitHub takes small and capital letters for the same.
    pub fn is(&self, other: &Self) -> bool {
        self.owner.eq_ignore_ascii_case(&other.owner) && self.name.eq_ignore_ascii_case(&other.name)
    }

    /// The repository that a checkout was cloned from, when its remote is at this host: `origin`, else the only one.
    pub fn of_checkout(directory: &Path, host: &str) -> Option<Self> {
        let (at, repository) = of_remote(&remote(&config(directory)?)?)?;
        at.eq_ignore_ascii_case(host).then_some(repository)
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

/// The settings of the git repository that a directory is in. Those of a worktree are its repository's
/// (gitrepository-layout(5), `commondir`).
fn config(directory: &Path) -> Option<String> {
    let (_, git_dir) = tracked::repository(&directory.canonicalize().ok()?)?;
    let git_dir = git_dir?;
    let text = |path: &Path| {
        let contents = files::read(path, LARGEST_SETTINGS).ok()?.value;
        Some(String::from_utf8_lossy(contents.expose()).into_owned())
    };
    let common = text(&git_dir.join("commondir")).map(|path| git_dir.join(path.trim_end()));
    text(&common.unwrap_or(git_dir).join("config"))
}

/// The address of the remote `origin` in git's settings (git-config(1)), else that of the only remote.
fn remote(config: &str) -> Option<String> {
    let mut section = String::new();
    let mut found: Vec<(String, String)> = Vec::new();
    for line in config.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            name.trim().clone_into(&mut section);
        } else if let Some((key, value)) = line.split_once('=')
            && let Some(name) = section.strip_prefix("remote ")
            && key.trim().eq_ignore_ascii_case("url")
        {
            found.push((name.trim().trim_matches('"').to_owned(), value.trim().trim_matches('"').to_owned()));
        }
    }
    let only = if let [(_, url)] = &found[..] { Some(url.clone()) } else { None };
    found.into_iter().find_map(|(name, url)| (name == "origin").then_some(url)).or(only)
}

/// The host and the repository that the address of a remote names (git-clone(1), "GIT URLS").
fn of_remote(url: &str) -> Option<(String, Repository)> {
    let (host, path) = if url.contains("://") {
        let url = Url::parse(url).ok()?;
        (url.host_str()?.to_owned(), url.path().to_owned())
    } else {
        let (host, path) = url.split_once(':')?;
        (host.rsplit('@').next()?.to_owned(), path.to_owned())
    };
    let path = path.trim_matches('/');
    Some((host, Repository::of(path.strip_suffix(".git").unwrap_or(path))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_two_names() {
        for text in ["octo-org/octo-repo", "a/.github", "A_b/c.d-e"] {
            assert_eq!(Repository::parse("repo", text).unwrap().to_string(), text);
        }
        for text in ["", "a", "a/", "/a", "a/b/c", "https://github.com/a/b", "a/..", "a b/c", "a/b?c", "ü/b"]
        {
            let error = Repository::parse("repo", text).unwrap_err();
            assert!(
                error.code == Code::Usage && (text.len() < 4 || !error.to_string().contains(text)),
                "{error}"
            );
        }
    }

    #[test]
    fn a_remote_is_read_in_every_form_that_git_knows() {
        for url in [
            "https://github.com/octo-org/octo-repo",
            "https://github.com/octo-org/octo-repo.git",
            "https://user:canary@github.com/octo-org/octo-repo.git/",
            "git@github.com:octo-org/octo-repo.git",
            "ssh://git@github.com:22/octo-org/octo-repo.git",
        ] {
            let (host, repository) = of_remote(url).unwrap();
            assert_eq!(
                (host.as_str(), repository.to_string().as_str()),
                ("github.com", "octo-org/octo-repo"),
                "{url}"
            );
        }
        for url in ["/srv/git/repo.git", "../other", "https://gitlab.com/a/b/c", ""] {
            assert_eq!(of_remote(url), None, "{url}");
        }
    }

    #[test]
    fn origin_is_the_remote_that_counts_and_otherwise_the_only_one() {
        let of = |name: &str, url: &str| {
            format!("[core]\n\turl = no\n[remote \"{name}\"]\n\tURL = {url}\n\tfetch = x\n")
        };
        assert_eq!(remote(&of("upstream", "u")).as_deref(), Some("u"));
        let both = of("upstream", "u") + &of("origin", "o");
        assert_eq!(remote(&both).as_deref(), Some("o"));
        assert_eq!(remote(&(of("a", "u") + &of("b", "o"))), None);
        assert_eq!(remote("[branch \"main\"]\nurl = x\n"), None);
    }

    #[test]
    fn a_checkout_tells_its_repository_also_from_a_worktree() {
        let directory = tempfile::tempdir().unwrap();
        let (main, tree) = (directory.path().join("main"), directory.path().join("tree"));
        let own = main.join(".git/worktrees/tree");
        std::fs::create_dir_all(&own).unwrap();
        std::fs::create_dir_all(tree.join("deploy")).unwrap();
        std::fs::write(main.join(".git/HEAD"), "ref: refs/heads/main\n").unwrap();
        std::fs::write(main.join(".git/config"), "[remote \"origin\"]\nurl = git@github.com:a/b.git\n")
            .unwrap();
        std::fs::write(own.join("commondir"), "../..\n").unwrap();
        std::fs::write(tree.join(".git"), format!("gitdir: {}\n", own.display())).unwrap();
        for place in [&main, &tree.join("deploy")] {
            let found = Repository::of_checkout(place, "github.com");
            assert_eq!(found.map(|found| found.to_string()).as_deref(), Some("a/b"), "{}", place.display());
            assert_eq!(Repository::of_checkout(place, "ghes.example"), None, "a token goes to no other host");
        }
        assert_eq!(Repository::of_checkout(directory.path(), "github.com"), None);
    }
}
