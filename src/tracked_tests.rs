use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;

fn git(dir: &Path, args: &[&str]) {
    let mut command = Command::new("git");
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", dir).current_dir(dir);
    command.args(["-c", "user.name=t", "-c", "user.email=t@example.com"]).args(args);
    assert!(command.output().expect("git is installed").status.success(), "git {args:?}");
}

fn repository_with(files: &[&str]) -> tempfile::TempDir {
    let top = tempfile::tempdir().unwrap();
    git(top.path(), &["init", "-q"]);
    for file in files {
        let path = top.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "x").unwrap();
        git(top.path(), &["add", "-f", file]);
    }
    top
}

#[test]
fn a_path_is_tracked_when_it_or_something_below_it_is_in_the_index() {
    let top = repository_with(&["data/secrets/x", "data/secrets-old/y", ".env", "ünï"]);
    for (path, tracked) in [
        ("data/secrets", true),
        ("data/secrets/x", true),
        ("data", true),
        (".env", true),
        ("ünï", true),
        ("data/secret", false),
        ("data/secrets/x/y", false),
        ("data/secrets/new", false),
        (".en", false),
        ("nowhere/at/all", false),
    ] {
        assert_eq!(is_tracked(&top.path().join(path)), Some(tracked), "{path}");
    }
    assert_eq!(tracked_under(&top.path().join("data/secrets")), Some(vec![PathBuf::from("data/secrets/x")]));
}

#[test]
fn every_form_of_the_index_is_understood() {
    for (form, args) in [
        ("version 2", vec!["update-index", "--index-version", "2"]),
        ("version 4", vec!["update-index", "--index-version", "4"]),
        ("split", vec!["update-index", "--split-index"]),
        ("version 3", vec!["add", "-N", "-f", "later"]),
    ] {
        let top = repository_with(&["a", "data/secrets/x", "z"]);
        fs::write(top.path().join("later"), "x").unwrap();
        git(top.path(), &args);
        assert_eq!(is_tracked(&top.path().join("data/secrets")), Some(true), "{form}");
        assert_eq!(is_tracked(&top.path().join("data/other")), Some(false), "{form}");
        git(top.path(), &["rm", "-q", "-r", "--cached", "data/secrets"]);
        assert_eq!(
            is_tracked(&top.path().join("data/secrets")),
            Some(false),
            "{form}, after git rm --cached"
        );
    }
}

#[test]
fn a_worktree_and_a_nested_repository_have_indexes_of_their_own() {
    let top = repository_with(&["data/secrets/x"]);
    git(top.path(), &["commit", "-q", "-m", "x"]);
    git(top.path(), &["worktree", "add", "-q", "tree"]);
    let tree = top.path().join("tree");
    assert!(tree.join(".git").is_file());
    assert_eq!(is_tracked(&tree.join("data/secrets")), Some(true));
    git(&tree, &["rm", "-q", "--cached", "data/secrets/x"]);
    assert_eq!(is_tracked(&tree.join("data/secrets")), Some(false));
    assert_eq!(is_tracked(&top.path().join("data/secrets")), Some(true));
}

#[test]
fn links_above_the_path_are_followed_to_the_repository() {
    let top = repository_with(&["project/.env"]);
    let elsewhere = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(top.path().join("project"), elsewhere.path().join("link")).unwrap();
    assert_eq!(is_tracked(&elsewhere.path().join("link/.env")), Some(true));
}

#[test]
fn outside_of_a_repository_and_before_the_first_add_nothing_is_tracked() {
    let nowhere = tempfile::tempdir().unwrap();
    assert_eq!(is_tracked(&nowhere.path().join("x")), Some(false));
    assert_eq!(is_tracked(&repository_with(&[]).path().join("x")), Some(false));
}

#[test]
fn of_an_index_that_cannot_be_read_there_is_no_opinion() {
    let whole = fs::read(repository_with(&["a", "data/secrets/x"]).path().join(".git/index")).unwrap();
    let mut huge = b"DIRC\0\0\0\x02\xff\xff\xff\xff".to_vec();
    huge.extend([0; 100]);
    let mut cases = vec![b"".to_vec(), b"no index".to_vec(), huge];
    cases.extend((0..whole.len() - 40).step_by(7).map(|length| whole[..length].to_vec()));
    for bytes in cases {
        let top = repository_with(&["a"]);
        fs::write(top.path().join(".git/index"), &bytes).unwrap();
        assert_eq!(is_tracked(&top.path().join("data/secrets")), None, "an index of {} bytes", bytes.len());
    }
    let lost = tempfile::tempdir().unwrap();
    fs::write(lost.path().join(".git"), "gitdir: /nowhere/at/all\n").unwrap();
    assert_eq!(is_tracked(&lost.path().join("x")), None, "a worktree whose repository is not here");
}
