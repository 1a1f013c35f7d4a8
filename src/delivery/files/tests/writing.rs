//! Sets of files written, compared and changed.

use super::*;

#[test]
fn a_new_set_is_written_with_its_modes_and_kept_from_git() {
    let project = project();
    let dir = secrets(&project);
    let wanted = [file("a", "1"), SecretFile { mode: 0o444, ..file("bot/b", "2\n") }];
    assert_eq!(dir.compare(&wanted).unwrap().new, paths(&["a", "bot/b"]));
    assert!(tree(project.path()).is_empty(), "comparing creates nothing");

    let difference = dir.write(&wanted).unwrap();
    assert_eq!(difference, Difference { new: paths(&["a", "bot/b"]), ..Difference::default() });
    let top = project.path().join("data/secrets");
    assert_eq!(tree(&top), [".claude-secrets.json", ".gitignore", "a", "bot", "bot/b"]);
    assert_eq!(fs::read(top.join("bot/b")).unwrap(), b"2\n");
    for (path, expected) in [("", 0o700), ("bot", 0o700), ("a", 0o400), ("bot/b", 0o444)] {
        assert_eq!(mode(&top.join(path)), expected, "{path}");
    }
    assert!(fs::read_to_string(top.join(".gitignore")).unwrap().lines().any(|l| l == "*"));
    let index = fs::read_to_string(top.join(".claude-secrets.json")).unwrap();
    assert!(index.contains("\"bot/b\"") && index.contains("\"staged\": false"), "{index}");
    assert_eq!(tree(project.path()).iter().filter(|p| p.contains(".tmp")).count(), 0);
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
            .write(&[file("same", "1"), file("changed", "1"), file("mode", "1"), file("x/stale", "1")])
            .unwrap();
        let top = project.path().join("data/secrets");
        let inode = |name: &str| fs::metadata(top.join(name)).unwrap().ino();
        let (same, itself) = (inode("same"), inode(""));
        let wanted = [
            file("same", "1"),
            file("changed", "2"),
            SecretFile { mode: 0o440, ..file("mode", "1") },
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
            [".claude-secrets.json", ".gitignore", "changed", "mode", "same", "y", "y/new"]
        );
        assert_eq!((inode("same"), inode("")), (same, itself));
        assert_eq!(fs::metadata(top.join("same")).unwrap().nlink(), 1);
        assert_eq!(mode(&top.join("mode")), 0o440);
        assert!(make(&project).compare(&wanted).unwrap().is_empty());
        assert_eq!(tree(&project.path().join("data")).iter().filter(|p| p.contains(".tmp")).count(), 0);
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
        for (path, text) in
            [("note", "n"), (".gitignore", "mine\n"), ("theirs/deep/x", "x"), ("bot/theirs", "b")]
        {
            fs::write(top.join(path), text).unwrap();
        }
        if geteuid().is_root() {
            std::os::unix::fs::chown(top.join("note"), Some(4321), Some(4322)).unwrap();
        }
        let theirs = ["note", ".gitignore", "theirs", "theirs/deep/x", "bot/theirs", "link", "bot"];
        let look = || {
            theirs.map(|p| {
                let m = fs::symlink_metadata(top.join(p)).unwrap();
                (p, m.ino(), m.uid(), m.gid(), m.mode(), m.mtime_nsec() * i64::from(!m.is_dir()))
            })
        };
        let before = look();
        for round in ["1", "2"] {
            make(&project).write(&[file("a", round), file("bot/b", round)]).unwrap();
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
        let wanted = [SecretFile { owner: Some((7, 8)), ..file("a", "1") }];
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
    assert!(dir.compare(&[file("workers/a", "2"), file("b", "1")]).unwrap().is_empty());
}

#[test]
fn where_there_are_no_hard_links_a_copy_has_the_same_bytes_owner_and_mode() {
    let project = project();
    let directory = Directory::open(project.path()).unwrap();
    let (from, to) = (project.path().join("a"), project.path().join("b"));
    fs::write(&from, "value").unwrap();
    fs::set_permissions(&from, fs::Permissions::from_mode(0o440)).unwrap();
    if geteuid().is_root() {
        std::os::unix::fs::chown(&from, Some(7), Some(8)).unwrap();
    }
    copy_file(&directory, "a".as_ref(), &directory, "b".as_ref()).unwrap();
    let (a, b) = (fs::metadata(&from).unwrap(), fs::metadata(&to).unwrap());
    assert_eq!((a.uid(), a.gid(), a.mode()), (b.uid(), b.gid(), b.mode()));
    assert_eq!(fs::read(&to).unwrap(), b"value");
    assert_ne!(a.ino(), b.ino());
}
