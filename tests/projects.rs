//! Compose projects in the shapes of real ones, unmodified: each runs with plain Docker Compose, and by the action with
//! nothing but a list of secrets, and each time every program finds what it asks for in the form in which it asks.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]

#[path = "support/described.rs"]
#[allow(unreachable_pub, reason = "a part of the tests' support")]
mod described;
#[path = "support/project_run.rs"]
#[allow(unreachable_pub, reason = "a part of the tests' support")]
mod project_run;
#[path = "support/stand_in.rs"]
#[allow(
    unreachable_pub,
    dead_code,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program of its own"
)]
mod stand_in;
mod support;

use std::collections::BTreeSet;

use described::{DESCRIPTION, Project, folder};
use project_run::Prepared;

/// One module of tests for each folder of tests/projects.
macro_rules! projects {
    ($($name:ident)*) => {
        const PROJECTS: &[&str] = &[$(stringify!($name)),*];
        $(mod $name {
            #[test]
            fn runs_with_plain_compose() {
                super::Prepared::for_compose(stringify!($name)).run_with_compose();
            }

            #[test]
            fn runs_unmodified_by_the_action() {
                for delivery in ["file", "volume"] {
                    super::Prepared::for_the_action(stringify!($name)).run_with_the_action(delivery);
                }
            }
        })*
    };
}

projects! {
    active_profile
    anchors_and_merges
    asked_for_as_file
    awkward_values
    build_arguments
    build_secrets
    composed_by_the_manifest
    composed_urls
    config_content
    entry_points
    env_file_long_form
    extended_services
    external_secret
    files_by_hand
    gives_up_root
    hardened_services
    health_checks
    hooks
    inactive_profile
    included_project
    init_and_tmpfs
    interpolation_operators
    lines_of_a_key
    list_environment
    map_environment
    mysql_health_check
    names_of_files
    names_of_other_secrets
    one_name_two_values
    one_shots
    optional_secrets
    own_secrets
    redis_requirepass
    scaled_services
    scratch_images
    several_files
    shared_namespaces
    shell_commands
    sixty_services
    unused_template
    url_in_env_file
    users
}

#[test]
fn each_folder_of_projects_is_tested() {
    let folders: BTreeSet<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    assert_eq!(folders, PROJECTS.iter().map(|name| (*name).to_owned()).collect());
    assert!(folders.len() >= 30, "{}", folders.len());
}

#[test]
fn nearly_all_projects_need_no_line_of_a_manifest() {
    let with: Vec<&&str> = PROJECTS.iter().filter(|name| !Project::read(name).manifest.is_empty()).collect();
    assert!(with.len() <= 3 && PROJECTS.len() - with.len() >= 27, "{with:?}");
}

#[test]
fn each_description_names_what_is_in_its_project() {
    for name in PROJECTS {
        let project = Project::read(name);
        assert!(project.about.ends_with('.'), "{name}: `about` is a sentence");
        let files = project_run::files_of(name);
        for (secret, value) in &project.in_files {
            let line = value.lines().next().unwrap();
            let any = files.iter().any(|(path, text)| path != DESCRIPTION && text.contains(line));
            assert!(any, "{name}: the value of {secret} is in none of the project's files");
        }
        for (path, text) in &files {
            for (secret, value) in &project.env {
                let shown = path != DESCRIPTION && text.contains(value.as_str());
                assert!(!shown, "{name}: {path} holds the value of {secret}, which comes from outside");
            }
        }
    }
}

#[test]
fn at_least_thirty_real_projects_are_listed_and_nearly_all_without_a_manifest() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/projects");
    let output = std::process::Command::new(script).arg("--only-list").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let entries: Vec<Vec<&str>> = text.lines().map(|line| line.split(' ').collect()).collect();
    let count = |entry: &Vec<&str>, at: usize| entry[at].parse::<usize>().unwrap();
    for entry in &entries {
        assert!(
            count(entry, 3) > 0 && count(entry, 4) > 0,
            "{entry:?}: no secrets, or nothing that finds one"
        );
    }
    let without = entries.iter().filter(|entry| count(entry, 5) == 0).count();
    assert!(entries.len() >= 30 && entries.len() - without <= 3, "{} of {}", without, entries.len());
}
