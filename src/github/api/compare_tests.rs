use super::*;
use crate::github::api::{RequestError, request_error::Kind};
use crate::github::repository::Repository;

fn place() -> Place {
    Place { file: None, line: 3, column: 1 }
}

/// What GitHub has, as `level:NAME`: `e`, `r`, `o` of Actions, `v` a variable of the repository, `d` Dependabot's.
fn names(texts: &[&str]) -> Names {
    let mut names = Names {
        repository: Repository::of("octo-org/octo-repo").unwrap(),
        environment: Some("production".to_owned()),
        secrets: Vec::new(),
        variables: Vec::new(),
        dependabot: Vec::new(),
        unread: Vec::new(),
    };
    for text in texts {
        let (level, name) = text.split_once(':').unwrap();
        let of = |level| Entry { name: name.to_owned(), level, written: None };
        match level {
            "e" => names.secrets.push(of(Level::Environment)),
            "r" => names.secrets.push(of(Level::Repository)),
            "o" => names.secrets.push(of(Level::Organisation)),
            "v" => names.variables.push(of(Level::Repository)),
            _ => names.dependabot.push(of(Level::Repository)),
        }
    }
    names
}

/// What is said of declared names (`NAME` or `NAME=variable`, `+` before one that was found) in a job of the environment
/// production, whose step has these variables (`NAME` with a value, `NAME=` without).
fn said(names: &Names, wanted: &[&str], step: &[&str]) -> Findings {
    said_in(names, wanted, step, &JobEnvironment::Named("production".to_owned()), None)
}

fn said_in(
    names: &Names,
    wanted: &[&str],
    step: &[&str],
    environment: &JobEnvironment,
    withheld: Option<&Withheld>,
) -> Findings {
    let place = place();
    let wanted: Vec<Wanted> = wanted
        .iter()
        .map(|text| {
            let name = text.trim_start_matches('+');
            let variable = name.split_once('=').map_or(name, |(_, variable)| variable);
            Wanted { variables: vec![variable], is_found: text.starts_with('+'), place: &place }
        })
        .collect();
    let passed = |name: &str| {
        if step.contains(&name) {
            Passed::Filled
        } else if step.contains(&format!("{name}=").as_str()) {
            Passed::Empty
        } else {
            Passed::No
        }
    };
    compare(names, &wanted, &Here { is_job: true, withheld, environment, passed: &passed })
}

/// The only warning: its text and its help.
#[track_caller]
fn only(found: &Findings) -> (&str, &str) {
    let [warning] = &found.warnings[..] else { panic!("{:?}", found.warnings) };
    (&warning.fact, warning.help.as_deref().unwrap())
}

#[test]
fn what_is_there_and_not_passed_is_told_with_its_lines() {
    let found = said(&names(&["r:API_KEY", "o:SHARED", "v:LEVEL"]), &["api_key", "BOT=SHARED", "LEVEL"], &[]);
    let (text, help) = only(&found);
    assert_eq!(text, "octo-org/octo-repo has API_KEY, SHARED, LEVEL, and this step does not get them");
    assert_eq!(
        help,
        "Add to the step:\nenv:\n  api_key: ${{ secrets.API_KEY }}\n  SHARED: ${{ secrets.SHARED }}\n  LEVEL: ${{ vars.LEVEL }}\n(`vars` are no secrets: GitHub does not mask them, and shows them in its settings.)"
    );
}

#[test]
fn the_environment_that_a_job_lacks_is_told() {
    let names = names(&["e:API_KEY"]);
    let found = said_in(&names, &["API_KEY"], &[], &JobEnvironment::None, None);
    assert!(only(&found).1.ends_with("\nand to the job:\nenvironment: production"), "{:?}", found.warnings);
    let found = said_in(&names, &["API_KEY"], &["API_KEY="], &JobEnvironment::None, None);
    let (text, help) = only(&found);
    assert!(text.contains("although the environment `production` has"), "{text}");
    assert!(help.contains("`environment: production`"), "{help}");
    assert!(!only(&said(&names, &["API_KEY"], &[])).1.contains("to the job"), "it has it");
}

#[test]
fn what_is_passed_and_not_there_arrives_empty() {
    let found = said(&names(&["r:OTHER"]), &["API_KEY"], &["API_KEY=", "OTHER"]);
    let (text, help) = only(&found);
    assert_eq!(
        text,
        "API_KEY is passed and arrives empty: octo-org/octo-repo with the environment `production` has no secret of this name"
    );
    assert_eq!(help, "Set it: `gh secret set API_KEY --repo octo-org/octo-repo --env production`");
    let mut partly = names(&[]);
    let trouble = RequestError { kind: Kind::Denied, fact: String::new(), help: String::new() };
    partly.unread.push((Part::Secrets(Level::Environment), trouble));
    let found = said(&partly, &["API_KEY"], &["API_KEY="]);
    assert!(!only(&found).0.contains("environment"), "nobody says what it has");
    let found = said(&names(&["r:API_KEY"]), &["API_KEY"], &["API_KEY="]);
    assert!(only(&found).1.contains("`API_KEY: ${{ secrets.API_KEY }}`"), "{:?}", found.warnings);
}

#[test]
fn a_name_that_differs_by_a_letter_or_a_joint_is_suggested() {
    for other in ["APIKEY", "API_KEYS", "AP_IKEY"] {
        for step in [&[][..], &["API_KEY="]] {
            let found = said(&names(&[&format!("r:{other}")]), &["API_KEY"], step);
            let (_, help) = only(&found);
            assert!(help.ends_with(&format!("env:\n  API_KEY: ${{{{ secrets.{other} }}}}")), "{help}");
        }
    }
}

#[test]
fn a_secret_of_dependabot_alone_is_told_as_such_and_counts_in_its_runs() {
    let names = names(&["d:API_KEY", "r:DB_PASSWORD"]);
    let found = said(&names, &["API_KEY"], &[]);
    assert!(only(&found).0.contains("is a Dependabot secret"), "{:?}", found.warnings);
    let environment = JobEnvironment::Unknown;
    let found = said_in(
        &names,
        &["API_KEY", "DB_PASSWORD"],
        &["DB_PASSWORD="],
        &environment,
        Some(&Withheld::Dependabot),
    );
    let texts: Vec<&str> = found.warnings.iter().map(|warning| warning.fact.as_str()).collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(
        texts[0].starts_with("DB_PASSWORD is passed and arrives empty: octo-org/octo-repo (Dependabot)"),
        "{texts:?}"
    );
    assert!(found.warnings[0].help.as_deref().unwrap().contains("--app dependabot"));
    assert!(texts[1].contains("has API_KEY, and this step does not get it"), "{texts:?}");
}

#[test]
fn a_run_of_a_fork_lacks_secrets_for_another_reason() {
    let fork = Withheld::Fork("mona/octo-repo".to_owned());
    let found =
        said_in(&names(&["r:API_KEY"]), &["API_KEY"], &["API_KEY="], &JobEnvironment::Unknown, Some(&fork));
    assert!(found.warnings.is_empty());
}

#[test]
fn what_is_hidden_and_what_nobody_declares_is_noted() {
    let found = said(
        &names(&["e:API_KEY", "r:API_KEY", "r:OLD", "e:OLD", "r:SSH_KEY", "o:SHARED"]),
        &["+API_KEY"],
        &["API_KEY", "SSH_KEY"],
    );
    assert!(found.warnings.is_empty(), "{:?}", found.warnings);
    assert_eq!(
        found.notes,
        [
            "API_KEY: the environment `production` has a secret of its own, which hides the one of octo-org/octo-repo",
            "octo-org/octo-repo has 1 secret that nothing here declares or passes by name: OLD",
        ]
    );
    let many: Vec<String> = (0..1000).map(|number| format!("r:NAME_{number:03}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let found = said(&names(&many), &[], &[]);
    assert!(
        found.notes[0].contains("has 1000 secrets") && found.notes[0].ends_with("NAME_019 and 980 more"),
        "{:?}",
        found.notes
    );
}

#[test]
fn a_secret_that_was_found_elsewhere_is_nobodys_concern() {
    let found = said(&names(&["r:API_KEY"]), &["+API_KEY"], &[]);
    assert!(found.warnings.is_empty() && found.notes.is_empty(), "{:?}", found.warnings);
}
