//! What is left behind: nothing. Removal, leftovers, the project file, the lock.

use super::*;

#[test]
fn removing_takes_what_is_ours_and_the_directories_that_we_made() {
    let project = project();
    fs::write(project.path().join("docker-compose.yml"), "x").unwrap();
    let dir = secrets(&project);
    dir.write(&[file("a", "1"), file("bot/b", "2")]).unwrap();
    dir.write(&[file("a", "2"), file("bot/b", "2")]).unwrap();
    let removed = dir.remove().unwrap();
    for path in ["data", "data/secrets", "data/secrets/a", "data/secrets/bot", "data/secrets/bot/b"] {
        assert!(removed.contains(&PathBuf::from(path)), "{path}");
    }
    assert_eq!(tree(project.path()), ["docker-compose.yml"]);
    assert_eq!(dir.remove().unwrap(), paths(&[]), "there is nothing left to remove");

    fs::create_dir(project.path().join("data")).unwrap();
    dir.write(&[file("a", "1")]).unwrap();
    dir.remove().unwrap();
    assert_eq!(tree(project.path()), ["data", "docker-compose.yml"], "`data` was there before us");
}

#[test]
fn git_sees_nothing_of_ours() {
    let project = project();
    git(project.path(), &["init", "-q"]);
    secrets(&project).write(&[file("a", "1")]).unwrap();
    let status =
        Command::new("git").current_dir(project.path()).args(["status", "--porcelain"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&status.stdout), "");
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
fn no_error_and_no_index_holds_a_value() {
    let project = project();
    let dir = secrets(&project);
    dir.write(&[file("a", "hunter2-value")]).unwrap();
    let index = fs::read_to_string(project.path().join("data/secrets/.claude-secrets.json")).unwrap();
    assert!(!index.contains("hunter2"));
    fs::write(project.path().join("data/secrets/b"), "hunter2-value").unwrap();
    let error = dir.write(&[file("a", "x"), file("b", "hunter2-value")]).unwrap_err();
    assert!(!error.to_string().contains("hunter2"));
}

#[test]
fn a_project_file_is_replaced_in_one_step_and_untouched_when_equal() {
    let project = project();
    let over = ProjectFile::open(project.path(), Path::new("docker-compose.secrets.yml")).unwrap();
    let path = project.path().join("docker-compose.secrets.yml");
    assert!(over.read().unwrap().is_none());
    let litter = project.path().join(".docker-compose.secrets.yml.claude-secrets.0123456789abcdef.tmp");
    fs::write(&litter, "half").unwrap();
    assert!(over.write(b"one", 0o644).unwrap());
    assert!(!litter.exists());
    let before = fs::metadata(&path).unwrap();
    assert!(!over.write(b"one", 0o644).unwrap());
    let after = fs::metadata(&path).unwrap();
    assert_eq!((before.ino(), before.ctime_nsec()), (after.ino(), after.ctime_nsec()));
    assert!(over.write(b"two", 0o600).unwrap());
    assert_eq!((over.read().unwrap().unwrap(), mode(&path)), (b"two".to_vec(), 0o600));
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
