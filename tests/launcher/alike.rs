//! What a program knows of itself is the same with the launcher as when the engine starts it with plain variables.

use claude_secrets_launcher::interface;

use crate::site::{Image, Ran, Site, ended};
use crate::support::engine::Engine;
use crate::support::{service_image, small_image};

/// Ways to run a container that change what a program may do.
const OPTIONS: &[&[&str]] = &[
    &[],
    &["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges"],
    &["--init"],
    &["--workdir=/run", "--ulimit=nofile=77:99", "--group-add=4711"],
];

fn site() -> Site {
    Site::new()
        .file("db_password", "  two words $HOME 'and' \"quotes\"\nand lines\n")
        .file("empty", "")
        .variable("DB_PASSWORD", "db_password")
        .variable("odd.name-of variable", "/run/secrets/db_password")
        .variable("EMPTY", "empty")
}

/// The image's own entry point and command, as the engine runs them and behind the launcher, as users and with options.
fn assert_alike(base: &str, forms: &[&str], users: &[&str]) {
    let site = site();
    let mut turn = 0;
    for form in forms {
        let image = Image::of(&format!("FROM {base}\n{form}\n"));
        let words = words_of(&image.0);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        for user in users {
            let options = OPTIONS[turn % OPTIONS.len()];
            turn += 1;
            let options = [options, &["--user", user]].concat();
            let case = format!("{base}, {form}, {options:?}");
            let value = "  two words $HOME 'and' \"quotes\"\nand lines\n";
            let plain = [
                &options[..],
                &["--env", &format!("DB_PASSWORD={value}")],
                &["--env", &format!("odd.name-of variable={value}")],
                &["--env=EMPTY=", "--env=CLAUDE_SECRETS_UNSET=GONE GO%20NE"],
            ];
            let ours = [
                &options[..],
                &["--env=CLAUDE_SECRETS_UNSET=GONE GO%20NE", "--env=GONE=1", "--env=GO NE=1"],
                &["--env=DB_PASSWORD=from elsewhere"],
            ];
            let without = site.run(&plain.concat(), &image.0, &[]);
            let with = site.launch(&ours.concat(), &image.0, &words);
            assert_eq!(without.status, with.status, "{case}: {}", with.stderr);
            assert_eq!(report(&without), report(&with), "{case}");
            assert!(report(&with).contains("variable DB_PASSWORD=  two words $HOME"), "{case}");
        }
    }
}

fn words_of(image: &str) -> Vec<String> {
    let config = &Engine::shared().inspect(image)["Config"];
    let list = |key: &str| config[key].as_array().cloned().unwrap_or_default();
    let words = list("Entrypoint").into_iter().chain(list("Cmd"));
    words.map(|word| word.as_str().unwrap().to_owned()).collect()
}

fn report(ran: &Ran) -> String {
    String::from_utf8(ran.stdout.clone()).unwrap()
}

#[test]
fn a_program_alone_in_its_image_cannot_tell() {
    let forms = [
        "ENTRYPOINT [\"/probe\"]\nCMD [\"report\", \"b c\", \"\", \"$HOME\"]",
        "CMD [\"/probe\", \"report\", \"--\", \"-x\"]",
        "ENV PATH=/nowhere:/\nENTRYPOINT [\"probe\", \"report\"]",
    ];
    assert_alike("scratch", &forms, &["", "10001", "10001:20001"]);
}

const FORMS_WITH_SHELL: &[&str] = &[
    "ENTRYPOINT [\"/probe\"]\nCMD [\"report\", \"b c\", \"\", \"$HOME\"]",
    "CMD /probe report \"$DB_PASSWORD\" two; exit 3",
    "ENTRYPOINT exec /probe report \"$DB_PASSWORD\"",
    "ENTRYPOINT [\"sh\", \"-c\", \"exec \\\"$@\\\"\", \"entry\"]\nCMD [\"/probe\", \"report\"]",
];

#[test]
fn a_program_in_a_small_image_cannot_tell() {
    assert_alike(&small_image(), FORMS_WITH_SHELL, &["", "nobody", "10001", "10001:20001"]);
}

#[test]
fn a_program_in_a_debian_image_cannot_tell() {
    assert_alike(&service_image(), FORMS_WITH_SHELL, &["", "nobody", "10001", "10001:20001"]);
}

/// A supervisor that ignores broken pipes or blocks signals hands that on to what it starts; so does the launcher.
#[test]
fn what_signals_mean_is_handed_on() {
    let site = Site::new();
    let run = |words: &[&str]| site.run(&["--entrypoint=/probe"], &service_image(), words);
    let signals = |ran: &Ran| {
        let report = report(ran);
        let lines = report.lines().filter(|line| line.contains("Sig"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    for careless in [&["careless"][..], &[]] {
        let plain = run(&[careless, &["/probe", "report"]].concat());
        let ours = run(&[careless, &["/run/claude-secrets/exec", "--", "/probe", "report"]].concat());
        assert_eq!(signals(&plain), signals(&ours), "{careless:?}");
        assert_eq!(signals(&ours).len(), 3, "{}", report(&ours));
        let ignored = signals(&ours).iter().any(|line| line.contains("SigIgn:\\x090000000000001000"));
        assert_eq!(ignored, !careless.is_empty(), "{}", report(&ours));
    }
}

/// Each entry of the environment and all of them together close to what the kernel takes.
#[test]
fn a_huge_environment_is_handed_on() {
    let big = "x".repeat(131_071 - "BIG_00=".len());
    let mut site = Site::new().file("big", &big);
    for at in 0..10 {
        site = site.variable(&format!("BIG_{at:02}"), "big");
    }
    let ran = site.launch(&[], &service_image(), &["/probe", "report"]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    for at in 0..10 {
        assert!(report(&ran).contains(&format!("variable BIG_{at:02}={big}\n")), "{at}");
    }
}

/// Bytes that are no text reach the program, also through another launcher, which finds them in its environment.
#[test]
fn values_are_bytes_also_when_launchers_are_nested() {
    let bytes: Vec<u8> = (1..=255).collect();
    let site = Site::new().file("bytes", &bytes).variable("BYTES", "bytes").argument("IN", "bytes");
    let argument = "a claude-secrets-placeholder.IN. b";
    let nested = ["/run/claude-secrets/exec", "/run/claude-secrets/exec", "--", "/probe", "report", argument];
    let ran = site.launch(&[], &service_image(), &nested);
    let escaped: String = bytes
        .iter()
        .map(|byte| match byte {
            b'\\' => "\\x5c".to_owned(),
            0x20..=0x7e => char::from(*byte).to_string(),
            byte => format!("\\x{byte:02x}"),
        })
        .collect();
    let report = report(&ran);
    assert!(report.contains(&format!("variable BYTES={escaped}\n")), "{report}");
    assert!(report.contains(&format!("word a {escaped} b\n")), "{report}");
    let has = ["/run/claude-secrets/exec", "/probe", "has", "BYTES", "/run/secrets/bytes"];
    assert_eq!(site.launch(&[], &service_image(), &has).status, 0);
}

/// The engine hands the container's configured variables to every `docker exec`, so that the launcher works there.
#[test]
fn docker_exec_has_the_variables_when_it_asks_for_them() {
    let site = Site::new().file("pw", "value of pw").variable("PW", "pw");
    let container = site.start(&[], &small_image(), &["/probe", "serve"]);
    let exec = |words: &[&str]| {
        let mut command = Engine::shared().command();
        ended(command.arg("exec").args(words)).status
    };
    for user in ["0", "10001"] {
        let user = format!("--user={user}");
        let has = ["/probe", "has", "PW", "/run/secrets/pw"];
        assert_eq!(exec(&[&[user.as_str(), &container, interface::PATH, "--"], &has[..]].concat()), 0);
        assert_eq!(exec(&[&[user.as_str(), &container], &has[..]].concat()), 1);
    }
}
