//! What users read agrees with the tables in the code: `action.yml`, the README, `docs/` and the changelog.
//!
//! `UPDATE_DOCS=1 cargo test --test documentation` rewrites the generated parts: what stands between a `begin NAME` and an
//! `end NAME` comment. Without it, a test fails where they differ.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "documentation/examples.rs"]
mod examples;
#[path = "documentation/generated.rs"]
mod generated;
#[path = "documentation/markdown.rs"]
mod markdown;
#[path = "documentation/shown_by.rs"]
mod shown_by;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use claude_secrets::report::outputs::OUTPUTS;
use claude_secrets::settings::INPUTS;
use claude_secrets::sources::{SOURCES, net};
use serde_json::Value;

use markdown::Page;

/// The repository's top directory.
fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = top().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Reads YAML the way of a program that knows JSON only.
fn yaml(text: &str, what: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{what} is no YAML: {error}\n{text}"))
}

/// Every page for people: the Markdown files of the top directory and below `docs`.
fn pages() -> Vec<Page> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for directory in ["", "docs", "docs/sources"] {
        for entry in fs::read_dir(top().join(directory)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ending| ending == "md") {
                paths.push(path.strip_prefix(top()).unwrap().to_owned());
            }
        }
    }
    paths.sort();
    assert!(paths.len() > 8, "{paths:?}");
    paths
        .into_iter()
        .map(|path| {
            let text = read(&path);
            Page::new(path, text)
        })
        .collect()
}

#[test]
fn generated_parts_are_what_the_tables_say() {
    let mut stale = Vec::new();
    for part in generated::parts() {
        let path = top().join(part.file);
        let old = read(part.file);
        let new = part.put_into(&old);
        if old == new {
            continue;
        }
        if std::env::var_os("UPDATE_DOCS").is_some() {
            fs::write(&path, new).unwrap();
        } else {
            stale.push(format!("{} of {}", part.name, part.file));
        }
    }
    assert!(
        stale.is_empty(),
        "differ from the code: {stale:?}; run UPDATE_DOCS=1 cargo test --test documentation"
    );
}

#[test]
fn the_runner_reads_from_action_yml_what_the_tables_say() {
    for folder in ["", "with-op"] {
        the_runner_reads_what_the_tables_say(Path::new(folder));
    }
}

fn the_runner_reads_what_the_tables_say(folder: &Path) {
    let text = read(folder.join("action.yml"));
    // The runner evaluates expressions in descriptions too, finds no `secrets` there, and does not load the action.
    assert!(!text.contains("${{"), "action.yml holds an expression");
    let action = yaml(&text, "action.yml");
    let inputs = action["inputs"].as_object().unwrap();
    let names: Vec<&str> = inputs.keys().map(String::as_str).collect();
    assert_eq!(names, INPUTS.iter().map(|input| input.name).collect::<Vec<_>>());
    for input in INPUTS {
        let own = inputs[input.name].as_object().unwrap();
        assert_eq!(own["description"], generated::without_expressions(input.help));
        assert_eq!(own["required"], false);
        // A default must stay text: the runner hands over nothing else.
        let default = own.get("default").map(|default| default.as_str().unwrap());
        assert_eq!(default, Some(input.default).filter(|text| !text.is_empty()), "{}", input.name);
    }
    let outputs = action["outputs"].as_object().unwrap();
    let described: Vec<(&str, &str)> =
        outputs.iter().map(|(name, own)| (name.as_str(), own["description"].as_str().unwrap())).collect();
    assert_eq!(described, OUTPUTS);
    assert_eq!(action["runs"]["using"], "docker");
    assert!(top().join(folder).join(action["runs"]["image"].as_str().unwrap()).is_file());
    let keys: BTreeSet<&str> = action["runs"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, BTreeSet::from(["using", "image"]), "the image's own entry point reads the inputs");
}

#[test]
fn every_source_has_its_page_and_its_line_in_the_changelog() {
    let (list, changelog) = (read("docs/sources.md"), read("CHANGELOG.md"));
    for kind in SOURCES {
        let page = format!("sources/{}.md", kind.name);
        assert!(list.contains(&page), "docs/sources.md does not link to {page}");
        let text = read(Path::new("docs").join(&page));
        assert!(
            text.starts_with(&format!("# `{}`", kind.name)),
            "{page} has no heading with the source's name"
        );
        for setting in kind.settings {
            let ends = setting.variables.iter();
            let variables =
                ends.flat_map(|end| kind.prefixes.iter().map(move |prefix| format!("{prefix}{end}")));
            let names = [Some(setting.name), setting.input].into_iter().flatten().map(str::to_owned);
            for name in names.chain(variables) {
                assert!(text.contains(&format!("`{name}`")), "{page} does not explain {name}");
            }
        }
        let name = format!("`{}`", kind.name);
        assert!(
            changelog.lines().any(|line| line.starts_with("- ") && line.contains(&name)),
            "no line of the changelog tells of {name}"
        );
    }
}

#[test]
fn every_input_of_a_store_is_a_setting_of_one_and_the_other_way_round() {
    let inputs: BTreeSet<&str> =
        INPUTS.iter().filter(|input| input.of_a_store).map(|input| input.name).collect();
    let settings =
        SOURCES.iter().flat_map(|kind| kind.settings).filter_map(|setting| setting.input).collect();
    assert_eq!(inputs, settings);
}

#[test]
fn the_order_of_the_sources_is_the_same_wherever_it_is_told() {
    let names = |mark: &str| {
        let names: Vec<String> = SOURCES.iter().map(|kind| format!("{mark}{}{mark}", kind.name)).collect();
        names.join(", ")
    };
    let input = INPUTS.iter().find(|input| input.name == "sources").unwrap();
    assert!(input.help.contains(&names("")), "{}", input.help);
    assert!(read("README.md").contains(&names("`")), "the README tells another order");
}

#[test]
fn the_limits_that_are_told_are_those_of_the_code() {
    let text = read("docs/sources.md");
    assert_eq!(net::ATTEMPTS, 4, "the page says: at most three times");
    for limit in [
        format!("must be established within {} s", net::CONNECT_TIMEOUT.as_secs()),
        format!("may be silent for {} s", net::READ_TIMEOUT.as_secs()),
        format!("at most {} requests of one source", net::CONCURRENCY),
        "repeated, at most three times".to_owned(),
    ] {
        assert!(text.contains(&limit), "docs/sources.md does not say: {limit}");
    }
}

#[test]
fn a_generated_part_is_in_its_file_once() {
    for page in pages() {
        let text = read(&page.path);
        let marks: Vec<&str> = text.lines().filter(|line| line.starts_with("<!-- begin ")).collect();
        let different: BTreeSet<&&str> = marks.iter().collect();
        assert_eq!(marks.len(), different.len(), "{}: {marks:?}", page.path.display());
    }
}

#[test]
fn every_file_that_is_named_to_contributors_is_there() {
    let mut count = 0;
    for page in ["CONTRIBUTING.md", "docs/adding-a-source.md"] {
        let text = read(page);
        let named = text.split('`').skip(1).step_by(2).filter(|code| {
            let is_path = ["src/", "tests/", "scripts/", "docs/"].iter().any(|top| code.starts_with(top));
            is_path && !code.contains([' ', '*']) && !code.contains("NAME")
        });
        for path in named {
            count += 1;
            assert!(top().join(path).exists(), "{page} names {path}, which is not there");
        }
    }
    assert!(count > 15, "{count} files");
}

#[test]
fn every_link_leads_somewhere() {
    let pages = pages();
    let mut count = 0;
    for page in &pages {
        for link in page.links() {
            if link.contains("://") {
                continue;
            }
            count += 1;
            let (path, heading) = link.split_once('#').unwrap_or((&link, ""));
            let target = if path.is_empty() { page.path.clone() } else { markdown::joined(&page.path, path) };
            let shown = page.path.display();
            assert!(top().join(&target).exists(), "{shown} links to {link}, which is not there");
            if !heading.is_empty() {
                let other = pages.iter().find(|other| other.path == target).expect("a page");
                assert!(
                    other.anchors().contains(heading),
                    "{shown} links to {link}, and there is no such heading"
                );
            }
        }
    }
    assert!(count > 20, "{count} links");
}

#[test]
fn every_example_in_yaml_is_one_that_works() {
    let mut kinds = BTreeSet::new();
    for page in pages() {
        for block in page.blocks("yaml") {
            let what = format!("{} line {}", page.path.display(), block.line);
            kinds.insert(examples::check(&block.text, &what));
        }
    }
    assert_eq!(kinds, BTreeSet::from(["compose", "manifest", "steps", "workflow"]));
}

#[test]
fn every_command_line_that_is_shown_is_accepted() {
    let mut count = 0;
    for page in pages() {
        for (line, words) in page.command_lines() {
            count += 1;
            if let Err(error) = claude_secrets::cli::parse(words.iter().map(Into::into)) {
                // Help and version come back as errors too.
                assert!(!error.use_stderr(), "{} line {line}: {words:?}: {error}", page.path.display());
            }
        }
    }
    assert!(count > 8, "{count} command lines");
}
