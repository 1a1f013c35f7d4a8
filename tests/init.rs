//! `init` proposes files for existing projects that pass `validate --offline`, changes nothing that is there, and prints no
//! value.

#![allow(clippy::unwrap_used, clippy::panic)] // clippy.toml allows it in test functions, and the rest here serves these
#![allow(unreachable_pub, dead_code)] // the support files serve several test programs

#[path = "support/described.rs"]
mod described;
#[path = "support/scene.rs"]
mod scene;
#[path = "support/stand_in.rs"]
#[allow(clippy::print_stdout, clippy::print_stderr, reason = "a program of its own")]
mod stand_in;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use described::{DESCRIPTION, Project, folder};
use scene::{Scene, done};
use serde_json::Value;

/// A copy of a project of tests/projects, with what its description says of variables in `.env`.
fn copy(name: &str) -> (Scene, Project) {
    let scene = Scene::new("init");
    let root = folder().join(name);
    let mut folders = vec![root.clone()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().unwrap() != DESCRIPTION {
                let below = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                scene.write(&below, std::fs::read(&path).unwrap());
            }
        }
    }
    (scene, Project::read(name))
}

fn inputs(project: &Project) -> Vec<String> {
    let files = project.inputs.get("compose-files");
    files.map(|files| format!("--compose-files={files}")).into_iter().collect()
}

#[test]
fn what_is_proposed_for_a_project_passes_validation_and_has_every_secret_that_a_name_tells() {
    let mut proposed = 0;
    let mut wrong = Vec::new();
    let mut names: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    for name in &names {
        let (scene, project) = copy(name);
        let inputs = inputs(&project);
        let words = ["init", "--write"].iter().map(|word| (*word).to_owned()).chain(inputs.clone());
        let made = done(scene.cli(words));
        if made.code != 0 {
            // Compose itself refuses some of them as they are.
            assert!(
                made.stderr.contains("compose-file-invalid") || made.stderr.contains("rejects"),
                "{name}: {}",
                made.stderr
            );
            continue;
        }
        let said = String::from_utf8(made.stdout).unwrap();
        for (secret, value) in project.in_files.iter().filter(|(_, value)| value.len() >= 6) {
            assert!(!said.contains(value.as_str()), "{name}: the value of {secret} in {said}");
        }
        if !said.contains("+secrets:") {
            continue;
        }
        proposed += 1;
        let words = ["validate", "--offline"].iter().map(|word| (*word).to_owned()).chain(inputs);
        let mut validate = scene.cli(words);
        // What the project needs besides secrets comes from the step.
        validate.envs(&project.env_of_step);
        for variable in said.lines().filter_map(|line| line.strip_prefix("gh variable set ")) {
            validate.env(variable, "setting");
        }
        let done = done(validate);
        if done.code != 0 {
            wrong.push(format!("== {name}\n{said}\n{}", done.stderr));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(proposed >= 15, "only {proposed} of {} projects have a proposal", names.len());
}

const COMPOSE: &str = "services:\n  web:\n    image: 'IMAGE'\n    env_file: [web.env]\n    environment:\n      DB: \
                       'postgres://app:${DB_PASSWORD:?}@db/${DB_NAME:-app}'\n      SENTRY_DSN: ${SENTRY_DSN:-}\n      \
                       GITHUB_TOKEN:\n      TAG: ${TAG}\n  db:\n    image: IMAGE\n    environment: { POSTGRES_PASSWORD: \
                       '${DB_PASSWORD}' }\n";

fn project() -> Scene {
    let scene = Scene::new("init");
    scene.compose(COMPOSE);
    scene.write(".env", "DB_PASSWORD=canary-of-env\nTAG=v1\nUNUSED_TOKEN=canary-unused\n");
    scene.write("web.env", "API_KEY=canary-of-web\nLEVEL=info\n");
    scene
}

#[test]
fn without_write_it_only_shows_and_with_write_it_never_touches_what_is_there() {
    let scene = project();
    let before = scene.tree();
    let said = String::from_utf8(done(scene.cli(["init"])).expect(0).stdout).unwrap();
    assert!(scene.tree() == before, "nothing is written");
    for told in [
        "# claude-secrets.yml: would be written",
        "+  DB_PASSWORD:",
        "+  SENTRY_DSN: { required: false }",
        "+  GITHUB_TOKEN: { from: ['env:BOT_TOKEN'] }",
        "+          BOT_TOKEN: ${{ secrets.BOT_TOKEN }}",
        "+          TAG: ${{ vars.TAG }}",
        "gh secret set API_KEY\n",
        "gh secret set BOT_TOKEN\n",
        "gh variable set TAG\n",
        "UNUSED_TOKEN",
    ] {
        assert!(said.contains(told), "{told} in\n{said}");
    }
    assert!(!said.contains("canary") && !said.contains("LEVEL"), "{said}");

    let done_ = done(scene.cli(["init", "--write"])).expect(0);
    assert!(String::from_utf8(done_.stdout).unwrap().contains("claude-secrets.yml: written"));
    let workflow = std::fs::read_to_string(scene.project().join(".github/workflows/deploy.yml")).unwrap();
    let workflow: Value = serde_saphyr::from_str(&workflow).unwrap();
    let step = &workflow["jobs"]["deploy"]["steps"][1];
    assert_eq!(step["env"]["DB_PASSWORD"], "${{ secrets.DB_PASSWORD }}");

    // One that is there, with a value that somebody wrote into it.
    let own = "secrets:\n  DB_PASSWORD: { default: canary-of-env }\n";
    scene.write("claude-secrets.yml", own);
    let there = scene.tree();
    let said = String::from_utf8(done(scene.cli(["init", "--write"])).expect(0).stdout).unwrap();
    assert!(scene.tree() == there, "what is there is never changed");
    assert!(said.contains("claude-secrets.yml is there and stays as it is"), "{said}");
    assert!(
        said.contains("\n+  SENTRY_DSN: { required: false }") && said.contains("deploy.yml is there already"),
        "{said}"
    );
    assert!(!said.contains("canary"), "{said}");
}

#[test]
fn no_value_of_an_env_file_is_printed_whatever_it_is() {
    let scene = project();
    let mut text = String::new();
    let mut values = BTreeMap::new();
    for (number, value) in
        ["p@ss:w/rd#1?x", "line one\\nGITHUB=x", "'quoted \"value\"'", "${OTHER}", "MONKEY_TOKEN=inner-token"]
            .iter()
            .enumerate()
    {
        let name = format!("NASTY_{number}_TOKEN");
        writeln!(text, "{name}='{}'", value.replace('\'', "")).unwrap();
        values.insert(name, value.replace('\'', ""));
    }
    // A value that spills over lines can look like a key.
    text.push_str("SPILL_TOKEN=first-part\nc3BpbGxlZC1wYXJ0\n");
    scene.write("web.env", &text);
    let done = done(scene.cli(["init"]));
    let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), done.stderr);
    for (name, value) in &values {
        assert!(!said.contains(value.as_str()), "{name} in {said}");
    }
    assert!(!said.contains("c3BpbGxlZC1wYXJ0") && !said.contains("first-part"), "{said}");
}

#[test]
fn a_project_below_the_top_of_its_repository_is_named_in_the_workflow() {
    let scene = Scene::new("init");
    std::fs::create_dir(scene.project().join(".git")).unwrap();
    scene.write("deploy/prod.yaml", "services:\n  web:\n    image: x\n    environment: { API_KEY: }\n");
    let words = ["init", "--write", "--project-directory", "deploy", "--compose-files", "deploy/prod.yaml"];
    done(scene.cli(words)).expect(0);
    assert!(Path::new(&scene.project().join("deploy/claude-secrets.yml")).exists());
    let workflow = std::fs::read_to_string(scene.project().join(".github/workflows/deploy.yml")).unwrap();
    assert!(
        workflow.contains("project-directory: deploy\n")
            && workflow.contains("compose-files: deploy/prod.yaml\n")
    );
    done(scene.cli([
        "validate",
        "--offline",
        "--project-directory",
        "deploy",
        "--compose-files",
        "deploy/prod.yaml",
    ]))
    .expect(0);
}

#[test]
fn a_project_without_anything_secret_has_no_proposal() {
    let scene = Scene::new("init");
    scene.compose("services:\n  web:\n    image: x\n    environment: { LEVEL: info }\n");
    let said = String::from_utf8(done(scene.cli(["init", "--write"])).expect(0).stdout).unwrap();
    assert!(said.contains("No variable of this project looks like a secret"), "{said}");
    assert!(!scene.project().join("claude-secrets.yml").exists());
    let empty = Scene::new("init");
    let said = done(empty.cli(["init"])).expect(2).stderr;
    assert!(said.contains("Compose file"), "{said}");
}

#[test]
fn nothing_is_written_or_shown_through_a_link_out_of_the_repository() {
    let links: [(&str, &str); 4] = [
        (".github", "elsewhere"),
        (".github/workflows", "elsewhere"),
        (".github/workflows/deploy.yml", "elsewhere/deploy.yml"),
        ("claude-secrets.yml", "elsewhere/claude-secrets.yml"),
    ];
    for (link, to) in links {
        for words in [&["init"][..], &["init", "--write"]] {
            let scene = Scene::new("init-link");
            scene.compose("services:\n  web:\n    image: IMAGE\n    environment: { API_KEY: }\n");
            std::fs::create_dir_all(scene.project().join(".git")).unwrap();
            let elsewhere = scene.beside("elsewhere");
            std::fs::create_dir(&elsewhere).unwrap();
            let at = scene.project().join(link);
            std::fs::create_dir_all(at.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(scene.beside(to), &at).unwrap();
            let made = done(scene.cli(words)).expect(5);
            assert!(made.stderr.contains("symbolic link") && made.stderr.contains(link), "{}", made.stderr);
            assert_eq!(std::fs::read_dir(&elsewhere).unwrap().count(), 0, "{link} {words:?}");
            // What is there already is not shown, either.
            std::fs::create_dir_all(elsewhere.join("workflows")).unwrap();
            for name in ["workflows/deploy.yml", "deploy.yml", "claude-secrets.yml"] {
                std::fs::write(elsewhere.join(name), "canary: of-somebody-else\n").unwrap();
            }
            let made = done(scene.cli(words)).expect(5);
            let said = String::from_utf8(made.stdout).unwrap() + &made.stderr;
            assert!(!said.contains("canary") && said.contains("symbolic link"), "{said}");
        }
    }
}
