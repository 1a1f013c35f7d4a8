//! What is said when a program cannot be started: by exit statuses as env(1) has them, with the remedy, never with a value.

use crate::site::{Image, Ran, Site};
use crate::support::service_image;

const CANARY: &str = "canary-of-a-value";

fn assert_says(ran: &Ran, status: i32, said: &[&str]) {
    assert_eq!(ran.status, status, "{said:?} {}", ran.stderr);
    for part in said {
        assert!(ran.stderr.contains(part), "{part}\n{}", ran.stderr);
    }
    assert!(!ran.stderr.contains(CANARY), "{}", ran.stderr);
    assert!(ran.stdout.is_empty(), "the program was not started");
}

fn report(site: &Site, options: &[&str]) -> Ran {
    site.launch(options, &service_image(), &["/probe", "report", "claude-secrets-placeholder.ARG."])
}

#[test]
fn every_file_that_cannot_be_read_is_named_with_the_user_and_the_remedy() {
    let site = Site::new()
        .file("open", CANARY)
        .roots_file("closed", CANARY)
        .roots_file("arg", CANARY)
        .variable("OPEN", "open")
        .variable("DB_PASSWORD", "closed")
        .variable("GONE", "gone");
    let said = [
        "claude-secrets: cannot read /run/secrets/closed for DB_PASSWORD: permission denied (the program runs as uid 999)",
        "`uid: 999`",
        "`deliver: file`",
        "claude-secrets: cannot read /run/secrets/gone for GONE: no such file",
    ];
    assert_says(&report(&site, &["--user=999"]), 125, &said);
    let site = site.argument("ARG", "arg");
    let said = ["cannot read /run/secrets/arg for ARG: permission denied"];
    assert_says(&report(&site, &["--user=999"]), 125, &said);
}

#[test]
fn what_no_variable_can_hold_is_refused() {
    let nul = Site::new().file("nul", format!("{CANARY}\0")).variable("NUL", "nul");
    assert_says(&report(&nul, &[]), 125, &["for NUL: it holds a NUL byte", "`deliver: file`"]);
    let nul = Site::new().file("nul", format!("{CANARY}\0")).argument("ARG", "nul");
    assert_says(&report(&nul, &[]), 125, &["for ARG: it holds a NUL byte"]);
    let endless = Site::new().file("large", vec![b'x'; 5 << 20]).variable("LARGE", "large");
    assert_says(&report(&endless, &[]), 125, &["for LARGE: it is larger than 4 MiB"]);
    let odd = Site::new().variable("ODD", "/dev/zero").variable("FOLDER", "/run");
    assert_says(&report(&odd, &[]), 125, &["for ODD: it is not a file", "for FOLDER: it is not a file"]);
}

#[test]
fn a_value_that_the_kernel_does_not_take_is_named_with_its_size() {
    let bytes = format!("{CANARY}{}", "x".repeat(131_071 - CANARY.len()));
    let site = Site::new().file("big", &bytes).variable("BIG", "big");
    assert_says(
        &report(&site, &[]),
        126,
        &["the variable BIG is 131071 bytes long, and at most 128 KiB", "`deliver: file`"],
    );
    let site = Site::new().file("big", format!("{bytes}x")).argument("ARG", "big");
    assert_says(&report(&site, &[]), 126, &["argument 2 is 131072 bytes long, and at most 128 KiB"]);
    let mut site = Site::new().file("big", &bytes[..130_000]);
    for at in 0..60 {
        site = site.variable(&format!("BIG_{at}"), "big");
    }
    assert_says(&report(&site, &[]), 126, &["bytes together", "`deliver: file`"]);
}

#[test]
fn a_program_that_cannot_be_started_is_told_as_env_tells_it() {
    let image = Image::of(&format!(
        "FROM {}\nRUN mkdir /in && printf '#!/no/such\\n' >/in/odd-script && printf 'echo\\n' >/in/text && \
         chmod 0755 /in/odd-script /in/text && echo >/in/locked\nENV PATH=/in:/usr/bin:/bin\n",
        service_image()
    ));
    let site = Site::new().file("pw", CANARY).argument("PW", "pw");
    for (words, status, said) in [
        (&["no-such-program"][..], 127, "cannot start no-such-program: no such program in PATH"),
        (&["/no/such"], 127, "cannot start /no/such: no such file"),
        (&["odd-script"], 127, "cannot start odd-script: the interpreter that its first line names"),
        (&["/in/odd-script"], 127, "cannot start /in/odd-script: the interpreter that its first line names"),
        (&["locked"], 126, "cannot start locked: permission denied"),
        (&["/in/locked"], 126, "cannot start /in/locked: permission denied"),
        (&["/in"], 126, "cannot start /in: permission denied"),
        (&["text"], 126, "cannot start text: it is no program for this platform, or a script without"),
        (&[""], 127, "cannot start "),
        (&[], 125, "usage: /run/claude-secrets/exec"),
        // The name that is looked for holds the value; what is told is the name that was asked for.
        (&["/x/claude-secrets-placeholder.PW."], 127, "cannot start /x/claude-secrets-placeholder.PW.: "),
    ] {
        let ran = site.launch(&[], &image.0, words);
        assert_says(&ran, status, &[said]);
    }
}

#[test]
fn a_list_that_the_action_did_not_write_is_refused() {
    let site = Site::new().file("a", CANARY);
    for (variable, text) in [
        ("CLAUDE_SECRETS_VARIABLES", "A"),
        ("CLAUDE_SECRETS_VARIABLES", "A=a=b"),
        ("CLAUDE_SECRETS_VARIABLES", "A=a,B=b%2"),
        ("CLAUDE_SECRETS_ARGUMENTS", "A=a\nB=b"),
        ("CLAUDE_SECRETS_UNSET", "A=a"),
    ] {
        let ran = report(&site, &["--env", &format!("{variable}={text}")]);
        assert_says(&ran, 125, &[&format!("the variable {variable} is not what claude-secrets writes")]);
    }
}

#[test]
fn options_that_there_are_not_start_nothing() {
    let ran = Site::new().run(&["--entrypoint=/run/claude-secrets/exec"], &service_image(), &["-x"]);
    assert_says(&ran, 125, &["usage: /run/claude-secrets/exec"]);
}
