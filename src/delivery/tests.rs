use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::geteuid;
use tempfile::TempDir;

use super::{Difference, ProjectFile, ProjectLock, SecretFile, SecretsDir};
use crate::error::{Code, Error};
use crate::secret::SecretValue;

fn project() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn file(path: &str, value: &str) -> SecretFile {
    SecretFile {
        path: path.into(),
        value: SecretValue::new(value.into()),
        mode: 0o400,
        owner: None,
    }
}

fn secrets(project: &TempDir) -> SecretsDir {
    SecretsDir::open(project.path(), Path::new("data/secrets")).unwrap()
}

fn in_sight(project: &TempDir) -> SecretsDir {
    let mut dir = secrets(project);
    dir.exchange = false;
    dir
}

fn paths(names: &[&str]) -> Vec<PathBuf> {
    names.iter().map(PathBuf::from).collect()
}

/// Everything below a directory, but its `.git`.
fn tree(top: &Path) -> Vec<String> {
    fn walk(top: &Path, at: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(at).unwrap().map(Result::unwrap) {
            found.push(entry.path().strip_prefix(top).unwrap().display().to_string());
            if entry.file_type().unwrap().is_dir() && entry.file_name() != ".git" {
                walk(top, &entry.path(), found);
            }
        }
    }
    let mut found = Vec::new();
    walk(top, top, &mut found);
    found.sort();
    found
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn refused<T>(result: Result<T, Error>, code: Code, words: &[&str]) {
    let Err(error) = result else {
        panic!("not refused; expected {}", code.token())
    };
    let text = error.to_string();
    assert_eq!(error.code, code, "{text}");
    assert!(text.contains("fix: "), "no remedy: {text}");
    for word in words {
        assert!(text.contains(word), "{word:?} is missing in: {text}");
    }
}

/// Runs one test of this file again, behind a command (`unshare -m …`), with a directory to work on.
fn rerun(test: &str, dir: &Path, command: &[&str]) {
    let binary = dir.join("test-binary");
    fs::copy(std::env::current_exe().unwrap(), &binary).unwrap();
    let name = format!("delivery::tests::{test}");
    let run = Command::new(command[0])
        .args(&command[1..])
        .args([binary.to_str().unwrap(), "--exact", &name, "--nocapture"])
        .env("DELIVERY_TEST_DIR", dir)
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&run.stdout) + String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success() && output.contains("1 passed"), "{output}");
}

fn given_dir() -> Option<PathBuf> {
    std::env::var_os("DELIVERY_TEST_DIR").map(PathBuf::from)
}

fn can_mount() -> bool {
    let can = Command::new("unshare")
        .args(["-m", "true"])
        .status()
        .is_ok_and(|s| s.success());
    if !can {
        println!("skipped: needs root and unshare(1)");
    }
    can
}

#[test]
fn a_new_set_is_written_with_its_modes_and_kept_from_git() {
    let project = project();
    let dir = secrets(&project);
    let wanted = [
        file("a", "1"),
        SecretFile {
            mode: 0o444,
            ..file("bot/b", "2\n")
        },
    ];
    assert_eq!(dir.compare(&wanted).unwrap().new, paths(&["a", "bot/b"]));
    assert!(tree(project.path()).is_empty(), "comparing creates nothing");

    let difference = dir.write(&wanted).unwrap();
    assert_eq!(
        difference,
        Difference {
            new: paths(&["a", "bot/b"]),
            ..Difference::default()
        }
    );
    let top = project.path().join("data/secrets");
    assert_eq!(
        tree(&top),
        [".claude-secrets.json", ".gitignore", "a", "bot", "bot/b"]
    );
    assert_eq!(fs::read(top.join("bot/b")).unwrap(), b"2\n");
    for (path, expected) in [("", 0o700), ("bot", 0o700), ("a", 0o400), ("bot/b", 0o444)] {
        assert_eq!(mode(&top.join(path)), expected, "{path}");
    }
    assert!(
        fs::read_to_string(top.join(".gitignore"))
            .unwrap()
            .lines()
            .any(|l| l == "*")
    );
    let index = fs::read_to_string(top.join(".claude-secrets.json")).unwrap();
    assert!(
        index.contains("\"bot/b\"") && index.contains("\"staged\": false"),
        "{index}"
    );
    assert_eq!(
        tree(project.path()).iter().filter(|p| p.contains(".tmp")).count(),
        0
    );
}

#[test]
fn when_nothing_differs_nothing_is_touched() {
    let project = project();
    let wanted = [file("a", "1"), file("bot/b", "2")];
    secrets(&project).write(&wanted).unwrap();
    let stamps = || -> Vec<_> {
        let look = |p: &String| {
            fs::metadata(project.path().join(p)).map(|m| (m.ino(), m.mtime(), m.mtime_nsec(), m.ctime_nsec()))
        };
        tree(project.path()).iter().map(|p| look(p).unwrap()).collect()
    };
    let before = stamps();
    std::thread::sleep(Duration::from_millis(20));
    let difference = secrets(&project).write(&wanted).unwrap();
    assert!(difference.is_empty());
    assert_eq!(difference.unchanged, paths(&["a", "bot/b"]));
    assert_eq!(stamps(), before);
}

#[test]
fn changed_new_and_stale_files_are_told_apart_and_the_rest_keeps_its_inode() {
    for make in [secrets, in_sight] {
        let project = project();
        make(&project)
            .write(&[
                file("same", "1"),
                file("changed", "1"),
                file("mode", "1"),
                file("x/stale", "1"),
            ])
            .unwrap();
        let top = project.path().join("data/secrets");
        let inode = |name: &str| fs::metadata(top.join(name)).unwrap().ino();
        let (same, itself) = (inode("same"), inode(""));
        let wanted = [
            file("same", "1"),
            file("changed", "2"),
            SecretFile {
                mode: 0o440,
                ..file("mode", "1")
            },
            file("y/new", "1"),
        ];
        let expected = Difference {
            unchanged: paths(&["same"]),
            changed: paths(&["changed", "mode"]),
            new: paths(&["y/new"]),
            stale: paths(&["x/stale"]),
            upkeep: true,
        };
        assert_eq!(make(&project).compare(&wanted).unwrap(), expected);
        assert_eq!(make(&project).write(&wanted).unwrap(), expected);
        assert_eq!(
            tree(&top),
            [
                ".claude-secrets.json",
                ".gitignore",
                "changed",
                "mode",
                "same",
                "y",
                "y/new"
            ]
        );
        assert_eq!((inode("same"), inode("")), (same, itself));
        assert_eq!(fs::metadata(top.join("same")).unwrap().nlink(), 1);
        assert_eq!(mode(&top.join("mode")), 0o440);
        assert!(make(&project).compare(&wanted).unwrap().is_empty());
        assert_eq!(
            tree(&project.path().join("data"))
                .iter()
                .filter(|p| p.contains(".tmp"))
                .count(),
            0
        );
    }
}

#[test]
fn files_of_others_keep_inode_owner_and_content() {
    for make in [secrets, in_sight] {
        let project = project();
        let top = project.path().join("data/secrets");
        fs::create_dir_all(top.join("theirs/deep")).unwrap();
        fs::create_dir_all(top.join("bot")).unwrap();
        symlink("nowhere", top.join("link")).unwrap();
        for (path, text) in [
            ("note", "n"),
            (".gitignore", "mine\n"),
            ("theirs/deep/x", "x"),
            ("bot/theirs", "b"),
        ] {
            fs::write(top.join(path), text).unwrap();
        }
        if geteuid().is_root() {
            std::os::unix::fs::chown(top.join("note"), Some(4321), Some(4322)).unwrap();
        }
        let theirs = [
            "note",
            ".gitignore",
            "theirs",
            "theirs/deep/x",
            "bot/theirs",
            "link",
            "bot",
        ];
        let look = || {
            theirs.map(|p| {
                let m = fs::symlink_metadata(top.join(p)).unwrap();
                (
                    p,
                    m.ino(),
                    m.uid(),
                    m.gid(),
                    m.mode(),
                    m.mtime_nsec() * i64::from(!m.is_dir()),
                )
            })
        };
        let before = look();
        for round in ["1", "2"] {
            make(&project)
                .write(&[file("a", round), file("bot/b", round)])
                .unwrap();
            assert_eq!(look(), before);
        }
        make(&project).write(&[file("a", "3")]).unwrap();
        assert_eq!(look(), before);
        assert_eq!(fs::metadata(top.join("note")).unwrap().nlink(), 1);
        assert_eq!(
            make(&project).remove().unwrap(),
            paths(&["data/secrets/.claude-secrets.json", "data/secrets/a"])
        );
        assert_eq!(look(), before);
        assert_eq!(fs::read(top.join("bot/theirs")).unwrap(), b"b");
    }
}

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
    for result in [
        secrets(&project).compare(&wanted),
        secrets(&project).write(&wanted),
    ] {
        refused(
            result,
            Code::DeliveryFailed,
            &[
                "data/secrets/old_key",
                "data/secrets/link",
                "data/secrets/directory",
                "data/secrets/service",
                "holds an old copy",
            ],
        );
    }
    assert_eq!(tree(project.path()), before);
    assert_eq!(fs::read(top.join("old_key")).unwrap(), b"by hand");
}

#[test]
fn a_file_may_become_a_directory_and_back() {
    for make in [secrets, in_sight] {
        let project = project();
        for wanted in [[file("x", "1")], [file("x/y", "2")], [file("x", "3")]] {
            make(&project).write(&wanted).unwrap();
            assert!(make(&project).compare(&wanted).unwrap().is_empty());
        }
    }
}

#[test]
fn removing_takes_what_is_ours_and_the_directories_that_we_made() {
    let project = project();
    fs::write(project.path().join("docker-compose.yml"), "x").unwrap();
    let dir = secrets(&project);
    dir.write(&[file("a", "1"), file("bot/b", "2")]).unwrap();
    dir.write(&[file("a", "2"), file("bot/b", "2")]).unwrap();
    let removed = dir.remove().unwrap();
    for path in [
        "data",
        "data/secrets",
        "data/secrets/a",
        "data/secrets/bot",
        "data/secrets/bot/b",
    ] {
        assert!(removed.contains(&PathBuf::from(path)), "{path}");
    }
    assert_eq!(tree(project.path()), ["docker-compose.yml"]);
    assert_eq!(
        dir.remove().unwrap(),
        paths(&[]),
        "there is nothing left to remove"
    );

    fs::create_dir(project.path().join("data")).unwrap();
    dir.write(&[file("a", "1")]).unwrap();
    dir.remove().unwrap();
    assert_eq!(
        tree(project.path()),
        ["data", "docker-compose.yml"],
        "`data` was there before us"
    );
}

#[test]
fn links_below_the_project_are_refused_wherever_they_stand() {
    let elsewhere = tempfile::tempdir().unwrap();
    for (link, dir) in [
        ("data", "data/secrets"),
        ("data/secrets", "data/secrets"),
        ("a", "a/b/c"),
    ] {
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
        refused(
            dir.write(&[file("a", "1")]).map(|_| ()),
            Code::PathUnsafe,
            &[place],
        );
        refused(
            dir.compare(&[file("a", "1")]).map(|_| ()),
            Code::PathUnsafe,
            &[place],
        );
        refused(dir.remove().map(|_| ()), Code::PathUnsafe, &[place]);
        refused(
            override_file.write(b"x", 0o644).map(|_| ()),
            Code::PathUnsafe,
            &[place],
        );
        fs::remove_file(project.path().join(place)).unwrap();
    }
    assert!(tree(elsewhere.path()).is_empty());

    let dir = secrets(&project);
    dir.write(&[file("bot/a", "1")]).unwrap();
    let bot = project.path().join("data/secrets/bot");
    fs::remove_dir_all(&bot).unwrap();
    symlink(elsewhere.path(), &bot).unwrap();
    refused(
        dir.write(&[file("bot/a", "2")]).map(|_| ()),
        Code::PathUnsafe,
        &["bot"],
    );
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
    assert!(
        SecretsDir::open(project.path(), &absolute).is_ok(),
        "absolute, and inside"
    );
    let missing = project.path().join("nowhere");
    refused(
        SecretsDir::open(&missing, Path::new("x")).map(|_| ()),
        Code::ProjectDirectoryMissing,
        &["nowhere"],
    );
    refused(
        ProjectLock::try_lock(&missing).map(|_| ()),
        Code::ProjectDirectoryMissing,
        &["nowhere"],
    );
}

#[test]
fn the_project_itself_may_be_reached_through_a_link() {
    let (project, elsewhere) = (project(), tempfile::tempdir().unwrap());
    let link = elsewhere.path().join("project");
    symlink(project.path(), &link).unwrap();
    SecretsDir::open(&link, Path::new("data/secrets"))
        .unwrap()
        .write(&[file("a", "1")])
        .unwrap();
    assert!(project.path().join("data/secrets/a").exists());
    assert!(SecretsDir::open(&link, &project.path().join("data/secrets")).is_ok());
}

fn git(dir: &Path, args: &[&str]) {
    let done = Command::new("git")
        .current_dir(dir)
        .args(args)
        .output()
        .expect("git is installed");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
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
        &[
            "tracked by git",
            "data/secrets/x",
            "git rm -r --cached data/secrets",
        ],
    );
    let over = ProjectFile::open(project.path(), Path::new("override.yml")).map(|_| ());
    refused(
        over,
        Code::PathUnsafe,
        &["`override-file`", "override.yml", "git rm"],
    );
    assert!(open("data/others").is_ok());
    git(project.path(), &["rm", "-q", "-r", "--cached", "data/secrets"]);
    assert!(open("data/secrets").is_ok());
}

#[test]
fn git_sees_nothing_of_ours() {
    let project = project();
    git(project.path(), &["init", "-q"]);
    secrets(&project).write(&[file("a", "1")]).unwrap();
    let status = Command::new("git")
        .current_dir(project.path())
        .args(["status", "--porcelain"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&status.stdout), "");
}

#[test]
fn as_root_directories_belong_to_the_workspaces_owner_who_can_remove_them() {
    if !geteuid().is_root() {
        println!("skipped: needs root");
        return;
    }
    let project = project();
    git(project.path(), &["init", "-q"]);
    std::os::unix::fs::chown(project.path(), Some(12345), Some(12346)).unwrap();
    let dir = secrets(&project);
    for round in ["1", "2"] {
        dir.write(&[
            SecretFile {
                owner: Some((999, 998)),
                ..file("a", round)
            },
            SecretFile {
                owner: Some((0, 0)),
                ..file("bot/b", round)
            },
        ])
        .unwrap();
    }
    ProjectFile::open(project.path(), Path::new("override.yml"))
        .unwrap()
        .write(b"services: {}", 0o644)
        .unwrap();
    for (path, owner) in [
        ("data", (12345, 12346)),
        ("data/secrets", (12345, 12346)),
        ("data/secrets/bot", (12345, 12346)),
        ("data/secrets/.gitignore", (12345, 12346)),
        ("data/secrets/.claude-secrets.json", (12345, 12346)),
        ("override.yml", (12345, 12346)),
        ("data/secrets/a", (999, 998)),
        ("data/secrets/bot/b", (0, 0)),
    ] {
        let stat = fs::metadata(project.path().join(path)).unwrap();
        assert_eq!((stat.uid(), stat.gid()), owner, "{path}");
    }
    let as_owner = Command::new("setpriv")
        .args([
            "--reuid=12345",
            "--regid=12346",
            "--clear-groups",
            "git",
            "-c",
            "safe.directory=*",
            "clean",
            "-ffdxq",
        ])
        .env("HOME", project.path())
        .current_dir(project.path())
        .output();
    match as_owner {
        Ok(run) if run.status.success() => assert_eq!(tree(project.path()), [".git"]),
        Ok(run) => panic!("git clean: {}", String::from_utf8_lossy(&run.stderr)),
        Err(_) => println!("git clean was not tried: no setpriv"),
    }
}

#[test]
fn a_changed_owner_or_directory_mode_is_a_difference() {
    let project = project();
    let dir = secrets(&project);
    dir.write(&[file("a", "1")]).unwrap();
    let top = project.path().join("data/secrets");
    fs::set_permissions(&top, fs::Permissions::from_mode(0o755)).unwrap();
    let difference = dir.write(&[file("a", "1")]).unwrap();
    assert!(difference.upkeep && difference.changed.is_empty());
    assert_eq!(mode(&top), 0o700);
    fs::remove_file(top.join(".gitignore")).unwrap();
    assert!(dir.write(&[file("a", "1")]).unwrap().upkeep);
    assert!(top.join(".gitignore").exists());
    if geteuid().is_root() {
        let wanted = [SecretFile {
            owner: Some((7, 8)),
            ..file("a", "1")
        }];
        assert_eq!(dir.write(&wanted).unwrap().changed, paths(&["a"]));
        assert!(dir.compare(&wanted).unwrap().is_empty());
    }
}

#[test]
fn a_mounted_sub_directory_can_be_entered_by_others_and_keeps_its_inode() {
    let project = project();
    let dir = secrets(&project).mounted("workers");
    let bot = project.path().join("data/secrets/workers");
    dir.write(&[file("workers/a", "1")]).unwrap();
    let inode = fs::metadata(&bot).unwrap().ino();
    dir.write(&[file("workers/a", "2"), file("b", "1")]).unwrap();
    assert_eq!((mode(&bot), fs::metadata(&bot).unwrap().ino()), (0o755, inode));
    assert!(
        dir.compare(&[file("workers/a", "2"), file("b", "1")])
            .unwrap()
            .is_empty()
    );
}

#[test]
fn leftovers_of_a_killed_run_go_and_lookalikes_of_others_stay() {
    let project = project();
    let dir = secrets(&project);
    dir.write(&[file("a", "1")]).unwrap();
    let data = project.path().join("data");
    let at = |hex: &str| data.join(format!(".secrets.claude-secrets.{hex}.tmp"));
    // Killed while staging, and before the index.
    fs::create_dir(at("00000000000000aa")).unwrap();
    fs::write(
        at("00000000000000aa").join(".claude-secrets.json"),
        r#"{"version":1,"staged":true,"files":["a"]}"#,
    )
    .unwrap();
    fs::write(at("00000000000000aa").join("a"), "half").unwrap();
    fs::create_dir(at("00000000000000bb")).unwrap();
    // Not ours: no index in it; a file; other names.
    fs::create_dir(at("00000000000000cc")).unwrap();
    fs::write(at("00000000000000cc").join("x"), "x").unwrap();
    fs::write(at("00000000000000dd"), "x").unwrap();
    fs::create_dir(data.join(".secrets.claude-secrets.xyz.tmp")).unwrap();
    dir.write(&[file("a", "1")]).unwrap();
    let left: Vec<_> = tree(&data).into_iter().filter(|p| p.starts_with('.')).collect();
    assert_eq!(
        left,
        [
            ".secrets.claude-secrets.00000000000000cc.tmp",
            ".secrets.claude-secrets.00000000000000cc.tmp/x",
            ".secrets.claude-secrets.00000000000000dd.tmp",
            ".secrets.claude-secrets.xyz.tmp",
        ]
    );
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
        refused(
            secrets(&project).write(&[file("a", "1")]).map(|_| ()),
            Code::DeliveryFailed,
            &[words],
        );
        refused(
            secrets(&project).remove().map(|_| ()),
            Code::DeliveryFailed,
            &[words],
        );
        assert_eq!(tree(project.path()), before);
    }
}

#[test]
fn names_that_are_no_secret_files_are_refused() {
    let project = project();
    for name in [
        "",
        "../x",
        "/x",
        "a/b/c",
        ".gitignore",
        ".claude-secrets.json",
        "x/.claude-secrets.new",
    ] {
        assert_eq!(
            secrets(&project).write(&[file(name, "1")]).unwrap_err().code,
            Code::Internal,
            "{name}"
        );
    }
    assert_eq!(
        secrets(&project)
            .write(&[file("a", "1"), file("a", "1")])
            .unwrap_err()
            .code,
        Code::Internal
    );
    refused(
        secrets(&project).write(&[file("a", "1"), file("a/b", "1")]),
        Code::DeliveryFailed,
        &["a is wanted"],
    );
    assert!(tree(project.path()).is_empty());
}

#[test]
fn no_error_and_no_index_holds_a_value() {
    let project = project();
    let dir = secrets(&project);
    dir.write(&[file("a", "hunter2-value")]).unwrap();
    let index = fs::read_to_string(project.path().join("data/secrets/.claude-secrets.json")).unwrap();
    assert!(!index.contains("hunter2"));
    fs::write(project.path().join("data/secrets/b"), "hunter2-value").unwrap();
    let error = dir
        .write(&[file("a", "x"), file("b", "hunter2-value")])
        .unwrap_err();
    assert!(!error.to_string().contains("hunter2"));
}

#[test]
fn a_project_file_is_replaced_in_one_step_and_untouched_when_equal() {
    let project = project();
    let over = ProjectFile::open(project.path(), Path::new("docker-compose.secrets.yml")).unwrap();
    let path = project.path().join("docker-compose.secrets.yml");
    assert!(over.read().unwrap().is_none());
    let litter = project
        .path()
        .join(".docker-compose.secrets.yml.claude-secrets.0123456789abcdef.tmp");
    fs::write(&litter, "half").unwrap();
    assert!(over.write(b"one", 0o644).unwrap());
    assert!(!litter.exists());
    let before = fs::metadata(&path).unwrap();
    assert!(!over.write(b"one", 0o644).unwrap());
    let after = fs::metadata(&path).unwrap();
    assert_eq!(
        (before.ino(), before.ctime_nsec()),
        (after.ino(), after.ctime_nsec())
    );
    assert!(over.write(b"two", 0o600).unwrap());
    assert_eq!(
        (over.read().unwrap().unwrap(), mode(&path)),
        (b"two".to_vec(), 0o600)
    );
    assert!(over.remove().unwrap());
    assert!(!over.remove().unwrap());
    assert!(tree(project.path()).is_empty());

    fs::create_dir(&path).unwrap();
    assert_eq!(over.read().unwrap_err().code, Code::DeliveryFailed);
    assert!(over.write(b"x", 0o644).is_err());
    assert_eq!(tree(project.path()), ["docker-compose.secrets.yml"]);
}

#[test]
fn a_second_run_waits_for_the_lock_then_fails_clearly() {
    let project = project();
    let first = ProjectLock::lock(project.path(), Duration::ZERO).unwrap();
    assert!(first.is_exclusive());
    assert!(ProjectLock::try_lock(project.path()).unwrap().is_none());
    let start = Instant::now();
    let wait = Duration::from_millis(120);
    refused(
        ProjectLock::lock(project.path(), wait).map(|_| ()),
        Code::Locked,
        &["another run", "concurrency"],
    );
    assert!(start.elapsed() >= wait);
    let path = project.path().to_owned();
    let second = std::thread::spawn(move || ProjectLock::lock(&path, Duration::from_secs(20)).map(|_| ()));
    std::thread::sleep(Duration::from_millis(80));
    drop(first);
    assert!(second.join().unwrap().is_ok());
    assert!(tree(project.path()).is_empty(), "the lock is no file");
}

#[test]
fn a_full_disk_leaves_the_old_set_and_nothing_else() {
    let Some(dir) = given_dir() else {
        if can_mount() {
            let place = project();
            fs::create_dir(place.path().join("disk")).unwrap();
            let mount = r#"mount -t tmpfs -o size=256k none "$DELIVERY_TEST_DIR/disk" && exec "$@""#;
            rerun(
                "a_full_disk_leaves_the_old_set_and_nothing_else",
                place.path(),
                &["unshare", "-m", "sh", "-c", mount, "sh"],
            );
        }
        return;
    };
    let dir = dir.join("disk");
    let open = || SecretsDir::open(&dir, Path::new("data/secrets")).unwrap();
    let large = "x".repeat(200 << 10);
    for count in [2, 3, 9] {
        let wanted: Vec<_> = (0..count).map(|n| file(&format!("big/{n}"), &large)).collect();
        refused(open().write(&wanted).map(|_| ()), Code::DiskFull, &["data"]);
        assert!(tree(&dir).is_empty(), "{:?}", tree(&dir));
    }
    open().write(&[file("a", "old"), file("b/c", "old")]).unwrap();
    let before = tree(&dir);
    refused(
        open()
            .write(&[file("a", &large), file("b/c", &large)])
            .map(|_| ()),
        Code::DiskFull,
        &["data"],
    );
    assert_eq!(tree(&dir), before);
    assert_eq!(fs::read(dir.join("data/secrets/a")).unwrap(), b"old");
    assert!(
        open()
            .compare(&[file("a", "old"), file("b/c", "old")])
            .unwrap()
            .is_empty()
    );
    let over = ProjectFile::open(&dir, Path::new("o.yml")).unwrap();
    refused(
        over.write(large.repeat(2).as_bytes(), 0o644).map(|_| ()),
        Code::DiskFull,
        &["o.yml"],
    );
    assert_eq!(tree(&dir), before);
}

#[test]
fn a_read_only_project_is_not_writable_and_says_so() {
    let Some(dir) = given_dir() else {
        if can_mount() {
            let place = project();
            fs::create_dir(place.path().join("disk")).unwrap();
            let mount = r#"cd "$DELIVERY_TEST_DIR" && mount --bind disk disk && mount -o remount,ro,bind disk && exec "$@""#;
            rerun(
                "a_read_only_project_is_not_writable_and_says_so",
                place.path(),
                &["unshare", "-m", "sh", "-c", mount, "sh"],
            );
        }
        return;
    };
    let dir = dir.join("disk");
    let secrets = SecretsDir::open(&dir, Path::new("data/secrets")).unwrap();
    assert_eq!(
        secrets.compare(&[file("a", "1")]).unwrap().new,
        paths(&["a"]),
        "validating works"
    );
    refused(
        secrets.write(&[file("a", "1")]).map(|_| ()),
        Code::NotWritable,
        &["data", "read-only"],
    );
    let over = ProjectFile::open(&dir, Path::new("o.yml")).unwrap();
    refused(over.write(b"x", 0o644).map(|_| ()), Code::NotWritable, &["o.yml"]);
}

#[test]
fn a_secrets_directory_that_is_a_mount_point_is_filled_within() {
    let Some(dir) = given_dir() else {
        if can_mount() {
            let place = project();
            fs::create_dir_all(place.path().join("disk/data/secrets")).unwrap();
            let mount = r#"mount -t tmpfs none "$DELIVERY_TEST_DIR/disk/data/secrets" && exec "$@""#;
            rerun(
                "a_secrets_directory_that_is_a_mount_point_is_filled_within",
                place.path(),
                &["unshare", "-m", "sh", "-c", mount, "sh"],
            );
        }
        return;
    };
    let dir = dir.join("disk");
    let open = || SecretsDir::open(&dir, Path::new("data/secrets")).unwrap();
    for round in ["1", "2"] {
        open().write(&[file("a", round), file("b/c", round)]).unwrap();
        assert_eq!(fs::read(dir.join("data/secrets/b/c")).unwrap(), round.as_bytes());
        assert_eq!(
            tree(&dir),
            [
                "data",
                "data/secrets",
                "data/secrets/.claude-secrets.json",
                "data/secrets/.gitignore"
            ]
            .into_iter()
            .chain(["data/secrets/a", "data/secrets/b", "data/secrets/b/c"])
            .collect::<Vec<_>>()
        );
    }
    let litter = dir.join("data/secrets/.secrets.claude-secrets.00000000000000aa.tmp");
    fs::create_dir(&litter).unwrap();
    open().write(&[file("a", "2"), file("b/c", "2")]).unwrap();
    assert!(!litter.exists());
    open().remove().unwrap();
    assert_eq!(tree(&dir), ["data", "data/secrets"]);
}

#[test]
fn without_root_others_projects_and_owners_are_refused() {
    const UID: u32 = 12345;
    let Some(dir) = given_dir() else {
        if geteuid().is_root() && Command::new("setpriv").arg("--version").output().is_ok() {
            let place = project();
            fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
            for name in ["own", "others"] {
                fs::create_dir(place.path().join(name)).unwrap();
            }
            std::os::unix::fs::chown(place.path().join("own"), Some(UID), Some(UID)).unwrap();
            rerun(
                "without_root_others_projects_and_owners_are_refused",
                place.path(),
                &["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups"],
            );
        } else {
            println!("skipped: needs root and setpriv(1)");
        }
        return;
    };
    let open = |project: &str| SecretsDir::open(&dir.join(project), Path::new("data/secrets")).unwrap();
    refused(
        open("others").write(&[file("a", "1")]).map(|_| ()),
        Code::NotWritable,
        &["data"],
    );
    let given = [SecretFile {
        owner: Some((0, 0)),
        ..file("a", "1")
    }];
    refused(
        open("own").write(&given).map(|_| ()),
        Code::DeliveryFailed,
        &["only root", "delivery: volume"],
    );
    assert!(tree(&dir.join("own")).is_empty());
    for round in ["1", "2"] {
        let plain = || {
            [
                SecretFile {
                    mode: 0o444,
                    ..file("a", round)
                },
                SecretFile {
                    mode: 0o444,
                    ..file("b/c", round)
                },
            ]
        };
        open("own").write(&plain()).unwrap();
        assert!(open("own").compare(&plain()).unwrap().is_empty());
    }
    assert_eq!(mode(&dir.join("own/data/secrets/a")), 0o444);
    open("own").remove().unwrap();
    assert!(tree(&dir.join("own")).is_empty());
}
