//! The tests that the threat model names: each of them is there, so that none is renamed or taken away without it.

use std::fs;
use std::path::{Path, PathBuf};

const PAGE: &str = "docs/threat-model.md";

/// How a test is named on the page: `SUITE::MODULE::NAME` for one below `tests/`, `lib: MODULE::NAME` for a unit test.
const UNIT: &str = "lib: ";

/// Whether a piece of code on the page is the name of a test.
fn is_name(code: &str) -> bool {
    let path = code.strip_prefix(UNIT).unwrap_or(code);
    let word = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_lowercase())
            && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    path.contains("::") && path.split("::").all(word)
}

/// The files that may hold a test, from the top directory, and the test's own name.
fn files(name: &str) -> (Vec<PathBuf>, &str) {
    let (base, path) = name.strip_prefix(UNIT).map_or(("tests", name), |path| ("src", path));
    let (module, test) = path.rsplit_once("::").expect("a path");
    let file = |module: &str, end: &str| Path::new(base).join(module.replace("::", "/") + end);
    if base == "tests" {
        return (vec![file(module, ".rs")], test);
    }
    // The module `tests` is in the file that it tests, or a file of its own.
    let around = module.strip_suffix("::tests").unwrap_or(module);
    let all = [module, around].into_iter().flat_map(|module| [file(module, ".rs"), file(module, "/mod.rs")]);
    (all.collect(), test)
}

/// Whether a text has a function of this name that is marked as a test.
fn has_test(text: &str, name: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let head = format!("fn {name}(");
    lines.iter().enumerate().any(|(at, line)| {
        let is_it = line.strip_prefix("async ").unwrap_or(line).starts_with(&head);
        let above = lines.iter().take(at).rev();
        let mut marks = above.take_while(|line| line.starts_with("#[") || line.starts_with("//"));
        is_it && marks.any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"))
    })
}

fn is_there(name: &str) -> bool {
    let (files, test) = files(name);
    files
        .iter()
        .any(|file| fs::read_to_string(super::top().join(file)).is_ok_and(|text| has_test(&text, test)))
}

#[test]
fn every_test_that_the_threat_model_names_is_there() {
    let text = super::read(PAGE);
    let names: Vec<&str> = text.split('`').skip(1).step_by(2).filter(|code| is_name(code)).collect();
    let missing: Vec<&&str> = names.iter().filter(|name| !is_there(name)).collect();
    assert!(missing.is_empty(), "{PAGE} names tests that are not there: {missing:#?}");
    assert!(names.len() > 100, "{} tests", names.len());
}

#[test]
fn every_row_of_what_is_done_says_what_shows_it() {
    let text = super::read(PAGE);
    let rows = text
        .lines()
        .skip_while(|line| *line != "## What is done")
        .take_while(|line| *line != "## Where it ends");
    let (mut count, mut lacking) = (0, Vec::new());
    for row in rows.filter(|line| line.starts_with("| ") && !line.ends_with("| shown by |")) {
        let last = row.trim_end_matches(" |").rsplit(" | ").next().unwrap_or_default();
        let mut codes = last.split('`').skip(1).step_by(2);
        let is_shown = codes.any(|code| is_name(code) || super::top().join(code).is_file());
        if !is_shown {
            lacking.push(row);
        }
        count += 1;
    }
    assert!(lacking.is_empty(), "{PAGE} does not say what shows these: {lacking:#?}");
    assert!(count > 40, "{count} rows");
}

#[test]
fn a_wrong_name_is_noticed() {
    for name in [
        "documentation::shown_by::a_wrong_name_is_noticed",
        "documentation::generated_parts_are_what_the_tables_say",
        "lib: mask::adversarial_values::no_encoding_of_a_nasty_value_leaves_a_trace",
        "lib: mask::plan::tests::the_runner_is_not_flooded",
        "lib: delivery::files::tests::refusals::what_git_tracks_is_refused_until_it_is_taken_out",
        "lib: resolve::tests::values_that_lost_are_masked_too",
    ] {
        assert!(is_name(name) && is_there(name), "{name}");
        assert!(!is_there(&name[..name.len() - 1]), "{name} without its end");
    }
    for name in [
        "documentation::shown_by::is_there",
        "documentation::examples::a_wrong_name_is_noticed",
        "nowhere::a_wrong_name_is_noticed",
        "lib: mask::plan::tests::masks",
    ] {
        assert!(is_name(name) && !is_there(name), "{name}");
    }
    for code in ["::stop-commands::", "${{ x }}", "Config::Env", "docker", "lib: docker"] {
        assert!(!is_name(code), "{code}");
    }
}
