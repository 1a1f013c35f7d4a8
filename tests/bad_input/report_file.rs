//! Where the report goes: to the place that was named and no other, in one piece, over nothing but an earlier report.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::odd_files::Project;

const MINE: &str = "what others wrote\n";

/// A run that fails, since `KEY` is nowhere, and writes its report.
fn run(project: &Project, path: &str, variables: &[(&str, &str)]) -> (i32, String, String) {
    let (done, outputs) = project.run(&["--secrets", "KEY", "--report-file", path], variables);
    // Under Actions everything is on the one stream.
    (done.code, String::from_utf8_lossy(&done.stdout).into_owned() + &done.stderr, outputs)
}

#[track_caller]
fn is_written(project: &Project, path: &str, variables: &[(&str, &str)]) {
    let (code, said, _) = run(project, path, variables);
    assert_eq!(code, 3, "{path}: {said}");
    let text = fs::read(project.path().join(path)).unwrap_or_else(|error| panic!("{path}: {error}: {said}"));
    let report: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(report["error"]["code"], "secrets-missing", "{path}");
}

#[track_caller]
fn is_refused(project: &Project, path: &str, variables: &[(&str, &str)], why: &str) {
    let (code, said, outputs) = run(project, path, variables);
    assert_eq!(code, 5, "{path}: {said}");
    assert!(outputs.contains("path-unsafe"), "{path}: {outputs}");
    assert!(said.contains("report-file") && said.contains(why), "{path}: {said}");
}

fn git(directory: &Path, words: &[&str]) {
    let status = Command::new("git").arg("-C").arg(directory).args(words).status().unwrap();
    assert!(status.success(), "git {words:?}");
}

#[test]
fn a_report_is_written_and_replaces_an_earlier_one() {
    let (project, elsewhere) = (Project::new(), tempfile::tempdir().unwrap());
    let absolute = elsewhere.path().join("report.json").display().to_string();
    for path in ["report.json", "./out/deep/report.json", absolute.as_str()] {
        is_written(&project, path, &[]);
        is_written(&project, path, &[]);
    }
    project.write("empty.json", "");
    is_written(&project, "empty.json", &[]);
    let left: Vec<_> =
        fs::read_dir(elsewhere.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["report.json"], "nothing besides");
}

#[test]
fn a_report_leaves_the_workspace_by_no_way() {
    let (project, elsewhere) = (Project::new(), tempfile::tempdir().unwrap());
    let victim = elsewhere.path().join("victim");
    fs::write(&victim, MINE).unwrap();
    symlink(&victim, project.path().join("linked.json")).unwrap();
    symlink(elsewhere.path(), project.path().join("out")).unwrap();
    symlink(elsewhere.path().join("new"), project.path().join("dangling.json")).unwrap();
    let absolute = project.path().join("linked.json").display().to_string();
    let above = format!("../{}/victim", elsewhere.path().file_name().unwrap().to_str().unwrap());
    for (path, why) in [
        ("linked.json", "symbolic link"),
        ("dangling.json", "symbolic link"),
        ("out/victim", "symbolic link"),
        ("out/new.json", "symbolic link"),
        (absolute.as_str(), "symbolic link"),
        (above.as_str(), "`..`"),
        ("sub/../../report.json", "`..`"),
    ] {
        is_refused(&project, path, &[], why);
    }
    assert_eq!(fs::read_to_string(&victim).unwrap(), MINE);
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 1, "nothing new there");
}

#[test]
fn a_report_replaces_nothing_else() {
    let (project, elsewhere) = (Project::new(), tempfile::tempdir().unwrap());
    project.write(".env.local", MINE);
    project.write("other.json", "{\"tool\": \"another\"}");
    fs::create_dir(project.path().join("directory")).unwrap();
    let outside = elsewhere.path().join("notes").display().to_string();
    fs::write(&outside, MINE).unwrap();
    let link = elsewhere.path().join("link").display().to_string();
    symlink(&outside, &link).unwrap();
    for (path, why) in [
        (".env.local", "is no report of this program"),
        ("other.json", "is no report of this program"),
        (outside.as_str(), "is no report of this program"),
        (link.as_str(), "symbolic link"),
    ] {
        is_refused(&project, path, &[], why);
    }
    for path in ["directory", "/dev/null", "/dev/full"] {
        let (code, said, _) = run(&project, path, &[]);
        assert_eq!(code, 5, "{path}: {said}");
    }
    assert_eq!(fs::read_to_string(project.path().join(".env.local")).unwrap(), MINE);
    assert_eq!(fs::read_to_string(&outside).unwrap(), MINE);
}

#[test]
fn a_report_replaces_nothing_that_git_tracks_on_whatever_way_it_is_named() {
    let project = Project::new();
    is_written(&project, "report.json", &[]);
    git(project.path(), &["init", "--quiet"]);
    git(project.path(), &["add", "report.json"]);
    let before = fs::read(project.path().join("report.json")).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    symlink(project.path(), elsewhere.path().join("way")).unwrap();
    let absolute = project.path().join("report.json").display().to_string();
    let through = elsewhere.path().join("way/report.json").display().to_string();
    for path in ["report.json", absolute.as_str(), through.as_str()] {
        is_refused(&project, path, &[], "tracked by git");
    }
    assert!(fs::read(project.path().join("report.json")).unwrap() == before);
}

/// There, whatever else the container sees is the runner's.
#[test]
fn under_actions_a_report_stays_in_the_workspace_and_the_runners_temporary_directory() {
    let (project, temporary, other) =
        (Project::new(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let workspace = project.path().display().to_string();
    let temp = temporary.path().display().to_string();
    let variables = [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_WORKSPACE", workspace.as_str()),
        ("RUNNER_TEMP", temp.as_str()),
    ];
    let within = temporary.path().join("mine.json").display().to_string();
    is_written(&project, &within, &variables);
    let outside = other.path().join("report.json").display().to_string();
    is_refused(&project, &outside, &variables, "temporary directory");
    assert_eq!(fs::read_dir(other.path()).unwrap().count(), 0);
    // The place that nobody named is passed over where it is taken.
    let default = temporary.path().join("claude-secrets-report.json");
    let victim = other.path().join("victim");
    fs::write(&victim, MINE).unwrap();
    symlink(&victim, &default).unwrap();
    let (done, _) = project.run(&["--secrets", "KEY"], &variables);
    assert_eq!(done.code, 3, "{}", done.stderr);
    assert_eq!(fs::read_to_string(&victim).unwrap(), MINE);
}

#[test]
fn the_runners_files_are_reached_through_no_link() {
    let (project, elsewhere) = (Project::new(), tempfile::tempdir().unwrap());
    let victim = elsewhere.path().join("victim");
    fs::write(&victim, MINE).unwrap();
    let link = elsewhere.path().join("link").display().to_string();
    symlink(&victim, &link).unwrap();
    let (done, _) =
        project.run(&["--secrets", "KEY"], &[("GITHUB_STEP_SUMMARY", &link), ("GITHUB_OUTPUT", &link)]);
    assert_eq!(done.code, 3, "{}", done.stderr);
    assert!(done.stderr.contains("could not be written"), "{}", done.stderr);
    assert_eq!(fs::read_to_string(&victim).unwrap(), MINE);
}
