//! A value in a file that git would add.

use std::process::Command;

use crate::matrix::Project;
use crate::scene::done;
use crate::{DELIVERIES, VALUE};

fn git(project: &Project, words: &[&str]) {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=t", "-c", "user.email=t@example.com"]).args(words);
    let mut command = project.scene.scrubbed(command);
    command.env("HOME", project.scene.beside("home"));
    done(command).expect(0);
}

#[test]
fn a_value_in_a_file_that_git_would_add_is_found_in_every_run() {
    for delivery in DELIVERIES {
        let project = Project::new(delivery);
        git(&project, &["init", "-q"]);
        git(&project, &["add", "compose.yaml", "claude-secrets.yml"]);
        let said = project.run("deploy").expect(0);
        assert!(
            said.stderr.contains("new or changed files that git does not ignore: no secret"),
            "{}",
            said.stderr
        );
        project.scene.write("out/dump.txt", format!("key={VALUE}\n"));
        project
            .finds_exactly(&["out/dump.txt contains the value of KEY and is not ignored by git".to_owned()]);
        project.scene.write(".gitignore", "/out/\n");
        project.run("deploy").expect(0);
        // A file that the run reads secrets from is worth a warning.
        project.scene.write(".env", "NOTHING=1\n");
        project.scene.write(".env", format!("# the key is {VALUE}\n"));
        let said = project.run("deploy").expect(0);
        assert!(
            said.stderr.contains("git would add .env, which contains the value of KEY"),
            "{}",
            said.stderr
        );
    }
}

#[test]
fn a_secrets_directory_that_git_does_not_ignore_is_a_leak() {
    let project = Project::new("file");
    git(&project, &["init", "-q"]);
    project.run("deploy").expect(0);
    project.scene.write("data/secrets/.gitignore", "# nothing is ignored\n");
    project.finds_exactly(&["data/secrets/".to_owned()]);
}
