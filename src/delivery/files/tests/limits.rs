//! Other users, full disks, read-only places and mount points.

use super::*;

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
            SecretFile { owner: Some((999, 998)), ..file("a", round) },
            SecretFile { owner: Some((0, 0)), ..file("bot/b", round) },
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
    refused(open().write(&[file("a", &large), file("b/c", &large)]).map(|_| ()), Code::DiskFull, &["data"]);
    assert_eq!(tree(&dir), before);
    assert_eq!(fs::read(dir.join("data/secrets/a")).unwrap(), b"old");
    assert!(open().compare(&[file("a", "old"), file("b/c", "old")]).unwrap().is_empty());
    let over = ProjectFile::open(&dir, Path::new("o.yml")).unwrap();
    refused(over.write(large.repeat(2).as_bytes(), 0o644).map(|_| ()), Code::DiskFull, &["o.yml"]);
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
    assert_eq!(secrets.compare(&[file("a", "1")]).unwrap().new, paths(&["a"]), "validating works");
    refused(secrets.write(&[file("a", "1")]).map(|_| ()), Code::NotWritable, &["data", "read-only"]);
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
            ["data", "data/secrets", "data/secrets/.claude-secrets.json", "data/secrets/.gitignore"]
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
            for name in ["own", "others", "mixed/data/secrets"] {
                fs::create_dir_all(place.path().join(name)).unwrap();
            }
            for name in ["own", "mixed", "mixed/data", "mixed/data/secrets"] {
                std::os::unix::fs::chown(place.path().join(name), Some(UID), Some(UID)).unwrap();
            }
            let note = place.path().join("mixed/data/secrets/roots");
            fs::write(&note, "x").unwrap();
            fs::set_permissions(&note, fs::Permissions::from_mode(0o600)).unwrap();
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
    refused(open("others").write(&[file("a", "1")]).map(|_| ()), Code::NotWritable, &["data"]);
    let given = [SecretFile { owner: Some((0, 0)), ..file("a", "1") }];
    refused(open("own").write(&given).map(|_| ()), Code::DeliveryFailed, &["only root", "delivery: volume"]);
    assert!(tree(&dir.join("own")).is_empty());
    for round in ["1", "2"] {
        let plain = || {
            [SecretFile { mode: 0o444, ..file("a", round) }, SecretFile { mode: 0o444, ..file("b/c", round) }]
        };
        open("own").write(&plain()).unwrap();
        assert!(open("own").compare(&plain()).unwrap().is_empty());
    }
    assert_eq!(mode(&dir.join("own/data/secrets/a")), 0o444);
    open("own").remove().unwrap();
    assert!(tree(&dir.join("own")).is_empty());

    // A file that we may neither read nor link.
    let note = dir.join("mixed/data/secrets/roots");
    let inode = fs::metadata(&note).unwrap().ino();
    for round in ["1", "2"] {
        open("mixed").write(&[file("a", round)]).unwrap();
        assert_eq!(fs::metadata(&note).unwrap().ino(), inode);
    }
    open("mixed").remove().unwrap();
    assert_eq!(tree(&dir.join("mixed")), ["data", "data/secrets", "data/secrets/roots"]);
}
