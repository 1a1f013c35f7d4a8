//! What is refused, and that nothing is changed then.

use super::*;

#[test]
fn a_file_of_others_where_ours_shall_be_is_an_error_that_names_it_and_changes_nothing() {
    let project = project();
    let top = project.path().join("data/secrets");
    fs::create_dir_all(top.join("directory/x")).unwrap();
    fs::write(top.join("old_key"), "by hand").unwrap();
    symlink("/etc/passwd", top.join("link")).unwrap();
    fs::write(top.join("service"), "no directory").unwrap();
    let before = tree(project.path());
    let wanted = [
        file("old_key", "1"),
        file("link", "1"),
        file("directory", "1"),
        file("service/x", "1"),
        file("fine", "1"),
    ];
    for result in [secrets(&project).compare(&wanted), secrets(&project).write(&wanted)] {
        refused(
            result,
            Code::DeliveryFailed,
            &[
                "data/secrets/old_key",
                "data/secrets/link",
                "data/secrets/directory",
                "data/secrets/service",
                "If it is an old copy",
            ],
        );
    }
    assert_eq!(tree(project.path()), before);
    assert_eq!(fs::read(top.join("old_key")).unwrap(), b"by hand");
}

#[test]
fn links_below_the_project_are_refused_wherever_they_stand() {
    let elsewhere = tempfile::tempdir().unwrap();
    for (link, dir) in [("data", "data/secrets"), ("data/secrets", "data/secrets"), ("a", "a/b/c")] {
        let project = project();
        fs::create_dir_all(project.path().join(link).parent().unwrap()).unwrap();
        for target in [elsewhere.path(), Path::new("."), Path::new("/nowhere")] {
            symlink(target, project.path().join(link)).unwrap();
            for result in [
                SecretsDir::open(project.path(), Path::new(dir)).map(|_| ()),
                ProjectFile::open(project.path(), Path::new(dir)).map(|_| ()),
            ] {
                refused(result, Code::PathUnsafe, &["symbolic link", link]);
            }
            fs::remove_file(project.path().join(link)).unwrap();
        }
    }
    assert!(tree(elsewhere.path()).is_empty());
}

#[test]
fn a_link_that_appears_during_the_run_redirects_nothing() {
    let (project, elsewhere) = (project(), tempfile::tempdir().unwrap());
    for place in ["data", "data/secrets"] {
        let dir = secrets(&project);
        let override_file =
            ProjectFile::open(project.path(), &Path::new(place).join("override.yml")).unwrap();
        fs::create_dir_all(project.path().join(place).parent().unwrap()).unwrap();
        symlink(elsewhere.path(), project.path().join(place)).unwrap();
        refused(dir.write(&[file("a", "1")]).map(|_| ()), Code::PathUnsafe, &[place]);
        refused(dir.compare(&[file("a", "1")]).map(|_| ()), Code::PathUnsafe, &[place]);
        refused(dir.remove().map(|_| ()), Code::PathUnsafe, &[place]);
        refused(override_file.write(b"x", 0o644).map(|_| ()), Code::PathUnsafe, &[place]);
        fs::remove_file(project.path().join(place)).unwrap();
    }
    assert!(tree(elsewhere.path()).is_empty());

    let dir = secrets(&project);
    dir.write(&[file("bot/a", "1")]).unwrap();
    let bot = project.path().join("data/secrets/bot");
    fs::remove_dir_all(&bot).unwrap();
    symlink(elsewhere.path(), &bot).unwrap();
    refused(dir.write(&[file("bot/a", "2")]).map(|_| ()), Code::PathUnsafe, &["bot"]);
    assert!(tree(elsewhere.path()).is_empty());
}

#[test]
fn places_outside_the_project_and_the_project_itself_are_refused() {
    let project = project();
    let itself = project.path().to_str().unwrap();
    for (dir, words) in [
        ("..", "`..`"),
        ("../x", "`..`"),
        ("a/../../x", "`..`"),
        ("data/../secrets", "`..`"),
        ("/etc/x", "outside"),
        ("/", "outside"),
        (".", "itself"),
        ("./.", "itself"),
        ("", "itself"),
        (itself, "itself"),
    ] {
        let result = SecretsDir::open(project.path(), Path::new(dir)).map(|_| ());
        refused(result, Code::PathUnsafe, &["`secrets-dir`", words]);
        let result = ProjectFile::open(project.path(), Path::new(dir)).map(|_| ());
        refused(result, Code::PathUnsafe, &["`override-file`", words]);
    }
    let absolute = project.path().join("./data/secrets");
    assert!(SecretsDir::open(project.path(), &absolute).is_ok(), "absolute, and inside");
    let missing = project.path().join("nowhere");
    refused(
        SecretsDir::open(&missing, Path::new("x")).map(|_| ()),
        Code::ProjectDirectoryMissing,
        &["nowhere"],
    );
    refused(ProjectLock::try_lock(&missing).map(|_| ()), Code::ProjectDirectoryMissing, &["nowhere"]);
}

#[test]
fn the_project_itself_may_be_reached_through_a_link() {
    let (project, elsewhere) = (project(), tempfile::tempdir().unwrap());
    let link = elsewhere.path().join("project");
    symlink(project.path(), &link).unwrap();
    SecretsDir::open(&link, Path::new("data/secrets")).unwrap().write(&[file("a", "1")]).unwrap();
    assert!(project.path().join("data/secrets/a").exists());
    assert!(SecretsDir::open(&link, &project.path().join("data/secrets")).is_ok());
}

#[test]
fn what_git_tracks_is_refused_until_it_is_taken_out() {
    let project = project();
    git(project.path(), &["init", "-q"]);
    fs::create_dir_all(project.path().join("data/secrets")).unwrap();
    fs::write(project.path().join("data/secrets/x"), "committed").unwrap();
    fs::write(project.path().join("override.yml"), "services: {}").unwrap();
    git(project.path(), &["add", "."]);
    let open = |dir: &str| SecretsDir::open(project.path(), Path::new(dir)).map(|_| ());
    refused(
        open("data/secrets"),
        Code::PathUnsafe,
        &["tracked by git", "data/secrets/x", "git rm -r --cached data/secrets"],
    );
    let over = ProjectFile::open(project.path(), Path::new("override.yml")).map(|_| ());
    refused(over, Code::PathUnsafe, &["`override-file`", "override.yml", "git rm"]);
    assert!(open("data/others").is_ok());
    git(project.path(), &["rm", "-q", "-r", "--cached", "data/secrets"]);
    assert!(open("data/secrets").is_ok());
}

#[test]
fn an_index_that_is_malformed_newer_or_leads_outside_is_not_believed() {
    for (text, words) in [
        ("{", "no list"),
        ("[]", "no list"),
        (r#"{"version":99}"#, "newer"),
        (r#"{"version":1,"files":["../../victim"]}"#, "outside"),
        (r#"{"version":1,"files":["/victim"]}"#, "outside"),
        (r#"{"version":1,"files":[],"directories":[".."]}"#, "outside"),
        (r#"{"version":1,"files":[".gitignore"]}"#, "outside"),
    ] {
        let project = project();
        fs::write(project.path().join("victim"), "x").unwrap();
        fs::create_dir_all(project.path().join("data/secrets")).unwrap();
        fs::write(project.path().join("data/secrets/.claude-secrets.json"), text).unwrap();
        let before = tree(project.path());
        refused(secrets(&project).write(&[file("a", "1")]).map(|_| ()), Code::DeliveryFailed, &[words]);
        refused(secrets(&project).remove().map(|_| ()), Code::DeliveryFailed, &[words]);
        assert_eq!(tree(project.path()), before);
    }
}

#[test]
fn names_that_are_no_secret_files_are_refused() {
    let project = project();
    for name in ["", "../x", "/x", "a/b/c", ".gitignore", ".claude-secrets.json", "x/.claude-secrets.new"] {
        assert_eq!(secrets(&project).write(&[file(name, "1")]).unwrap_err().code, Code::Internal, "{name}");
    }
    assert_eq!(secrets(&project).write(&[file("a", "1"), file("a", "1")]).unwrap_err().code, Code::Internal);
    refused(
        secrets(&project).write(&[file("a", "1"), file("a/b", "1")]),
        Code::DeliveryFailed,
        &["a is needed both as a file and as a directory"],
    );
    assert!(tree(project.path()).is_empty());
}

#[test]
fn the_files_of_another_project_are_neither_replaced_nor_removed() {
    let project = project();
    let of = |name: &str| secrets(&project).of_project(name);
    of("production").write(&[file("key", "of production")]).unwrap();
    let before = tree(project.path());
    for result in [
        of("staging").compare(&[file("key", "of staging")]).map(|_| ()),
        of("staging").write(&[file("key", "of staging")]).map(|_| ()),
        of("staging").recover(),
        of("staging").remove().map(|_| ()),
    ] {
        refused(result, Code::PathUnsafe, &["production", "staging", "`secrets-dir: data/secrets-staging`"]);
    }
    assert_eq!(of("staging").of_another().unwrap().as_deref(), Some("production"));
    assert_eq!(tree(project.path()), before);
    assert_eq!(fs::read(project.path().join("data/secrets/key")).unwrap(), b"of production");
    assert!(of("production").write(&[file("key", "of production")]).unwrap().is_empty());
    assert!(!of("production").remove().unwrap().is_empty());
}

#[test]
fn files_whose_list_names_no_project_are_taken_over() {
    let project = project();
    secrets(&project).write(&[file("key", "1")]).unwrap();
    let of = |name: &str| secrets(&project).of_project(name);
    assert!(of("first").write(&[file("key", "1")]).unwrap().upkeep);
    assert!(of("first").write(&[file("key", "1")]).unwrap().is_empty());
    refused(of("second").remove(), Code::PathUnsafe, &["first"]);
}
