//! `get`, `exec` and `validate --worker` on this machine, where nothing is mounted.

use std::path::Path;
use std::process::Command;

use crate::support::cli::Cli;

fn run(words: &[&str], variables: &[(&str, &str)]) -> (i32, String, String) {
    let cli = Cli::new(Path::new("/"), words);
    variables.iter().fold(cli, |cli, (name, value)| cli.env(name, *value)).run()
}

#[test]
fn get_prints_the_bytes_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, [b"two \n".as_slice(), &[0, 255, 10]].concat()).unwrap();
    let out = Command::new(env!("CARGO_BIN_EXE_claude-secrets"))
        .args(["get", "CST_KEY"])
        .env("CST_KEY", "below")
        .env("CST_KEY_FILE", &file)
        .output()
        .unwrap();
    assert_eq!((out.status.code(), out.stdout.as_slice()), (Some(0), &b"two \n\0\xff\n"[..]));
    let printed = run(&["get", "CST_KEY"], &[("CST_KEY", "three")]);
    assert_eq!(printed, (0, "three".to_owned(), String::new()));
}

#[test]
fn the_exit_status_tells_what_is_wrong_and_no_value_is_told() {
    let canary = "sk-ant-canary";
    for (words, variables, status, said) in [
        (&["get", "CST_KEY"][..], &[][..], 3, "neither CST_KEY_FILE nor CST_KEY is set"),
        (
            &["get", "CST_KEY"],
            &[("CST_KEY", canary), ("CST_KEY_FILE", "/no")],
            4,
            "CST_KEY_FILE names a file",
        ),
        (&["get", "CST_KEY"], &[("CST_KEY", canary), ("CST_KEY_FILE", "/tmp")], 4, "it is a directory"),
        (&["get", canary], &[], 2, "character 3 is not a letter"),
        (&["validate", "--worker", canary], &[], 2, "character 3 is not a letter"),
        (&["exec", "--only", canary, "--", "true"], &[], 2, "character 3 is not a letter"),
        (&["exec", "--only", "CST_KEY", "--", "true"], &[], 125, "CST_KEY is missing"),
        (
            &["exec", "--only", "CST_KEY", "--", "no-such"],
            &[("CST_KEY", canary)],
            127,
            "cannot start no-such",
        ),
        (&["exec", "--only", "CST_KEY", "--", "/etc/passwd"], &[("CST_KEY", canary)], 126, "cannot start"),
        (&["exec", "true"], &[], 2, "Usage"),
        (&["validate", "CST_KEY"], &[], 2, "--worker"),
    ] {
        let (ended, out, err) = run(words, variables);
        assert_eq!(ended, status, "{words:?} {err}");
        assert!(err.contains(said), "{words:?}: {err}");
        // clap repeats a word that it does not know; ours never repeat one that stands for a name.
        assert!(out.is_empty() && !err.contains(canary), "{words:?}: {out}{err}");
    }
}

#[test]
fn exec_sets_what_is_asked_for_and_takes_the_file_variable_away() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "two\nlines\n").unwrap();
    let script = r#"printf '%s|%s|%s|%s' "$CST_A" "$CST_B" "${CST_A_FILE-none}" "$CST_OTHER"; exit 7"#;
    let (status, out, err) = run(
        &["exec", "--only", "CST_A,CST_B", "--", "sh", "-c", script],
        &[("CST_A", "below"), ("CST_A_FILE", file.to_str().unwrap()), ("CST_B", "b"), ("CST_OTHER", "stays")],
    );
    assert_eq!((status, out.as_str()), (7, "two\nlines\n|b|none|stays"), "{err}");
}

/// Hardening is for our own memory; the program's limits and its way of taking a broken pipe are what they were.
#[test]
fn exec_hands_on_limits_and_signals() {
    let script = "ulimit -c 1000; cat /proc/self/limits | grep core; grep Sig /proc/self/status; \
                  exec \"$0\" exec --only CST_A -- \
                  sh -c 'cat /proc/self/limits | grep core; grep Sig /proc/self/status'";
    let out = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_claude-secrets")])
        .env("CST_A", "a")
        .output()
        .unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("SigQ")).collect();
    let (before, after) = lines.split_at(lines.len() / 2);
    assert!(before.len() == 5 && !before[0].contains(" 0 "), "{text}");
    assert_eq!(before, after);
}

#[test]
fn validate_tells_names_places_and_shapes() {
    let (status, out, err) = run(
        &["validate", "--worker", "CST_A", "CST_B", "CST_C"],
        &[("CST_A", "canary"), ("CST_B", "can\nary")],
    );
    assert_eq!(status, 3, "{err}");
    assert_eq!(out, "CST_A\tthe variable CST_A\t6 bytes\nCST_B\tthe variable CST_B\t7 bytes, 2 lines\n");
    assert!(err.contains("CST_C is missing") && !err.contains("ary"), "{err}");
}
