//! Compose reads `.env` and `env_file` by itself, interpolates them, and quotes them in its warnings and errors.

use crate::forms::Scanner;
use crate::scene::{Scene, done};

const BARE: &str =
    "services:\n  web:\n    image: IMAGE\n    stop_signal: SIGKILL\n    command: [sleep, '3000']\n";

/// What Compose prints of such a value when it is left alone: the tail, which is not the value.
#[test]
fn the_tail_of_a_value_with_a_dollar_is_not_told_by_composes_warning() {
    let scene = Scene::new("leaks");
    scene.compose(&format!(
        "{BARE}    env_file: [app.env]\n    environment: {{ KEY: '${{KEY}}', TAG: '${{TAG_NOT_SET}}' }}\n"
    ));
    scene.write(".env", "KEY=p$w0rdTail\nOTHER=${an0therTail}x\n");
    scene.write("app.env", "KEY=p$w0rdTail\n");
    for mode in ["validate", "create-compose", "deploy", "deploy", "down"] {
        let said =
            done(scene.cli([mode, "--secrets", "KEY\nOTHER", "--verbose", "--wait=false"])).expect(0).stderr;
        for tail in ["w0rdTail", "an0therTail"] {
            assert!(!said.contains(tail), "{mode} tells {tail}:\n{said}");
        }
        if ["validate", "create-compose"].contains(&mode) {
            assert!(said.contains("TAG_NOT_SET"), "{mode}: what the Compose file names is told:\n{said}");
        }
    }
}

#[test]
fn an_env_file_that_compose_rejects_is_not_quoted() {
    for (file, text) in [
        (".env", "KEY=\"unterminated canary-value\nB=x\n"),
        ("app.env", "KEY=\"unterminated canary-value\nB=x\n"),
        (".env", "KEY=abc${UNCLOSED canary-value\n"),
        ("app.env", "KEY=abc${UNCLOSED canary-value\n"),
        (".env", "KEY=x${V:?canary-value}\n"),
        ("app.env", "KEY=x${V?canary-value}\n"),
        (".env", "KEY-B canary-value=2\n"),
        ("app.env", "canary-value two three\n"),
        ("app.env", "KEY=abc${1canary-value}\n"),
    ] {
        // As a source, and as a file that only Compose reads.
        for sources in ["dotenv, env", "env"] {
            let scene = Scene::new("leaks");
            scene.compose(&format!("{BARE}    env_file: [app.env]\n"));
            scene.write(".env", "B=x\n");
            scene.write("app.env", "B=x\n");
            scene.write(file, text);
            let words = ["deploy", "--verbose", "--secrets", "KEY", "--sources", sources];
            let mut command = scene.cli(words);
            if sources == "env" {
                command.env("KEY", "some-value-of-a-variable");
            }
            let done = done(command);
            assert!(done.code != 0, "{text:?} in {file}");
            assert!(!done.stderr.contains("canary"), "{text:?} in {file}:\n{}", done.stderr);
            assert!(scene.containers().is_empty());
        }
    }
}

#[test]
fn a_type_error_of_compose_tells_no_value() {
    for definition in [
        "ports: ['${KEY}:80']",
        "cpus: '${KEY}'",
        "mem_limit: '${KEY}'",
        "restart: '${KEY}'",
        "user: '${KEY}'",
    ] {
        let scene = Scene::new("leaks");
        scene.compose(&format!("{BARE}    {definition}\n"));
        scene.write(".env", "KEY='canary-value-of-dotenv'\n");
        let done = done(scene.cli(["deploy", "--verbose", "--secrets", "KEY"]));
        assert_eq!(done.code, 2, "{definition}: {}", done.stderr);
        let scanner = Scanner::new([("KEY", &b"canary-value-of-dotenv"[..])]);
        scanner.assert_clean(definition, done.stderr.as_bytes());
        assert!(scene.containers().is_empty());
    }
}

/// Files of all kinds that somebody names as an env file by mistake, in both formats: what Compose says of them names the
/// file and no part of it.
#[test]
fn of_a_file_that_is_no_env_file_nothing_is_told_but_its_path() {
    const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMIIcanary+/canary=\n-----END PRIVATE KEY-----\n";
    for (format, text) in [
        ("raw", "KEY canary-value zwei\n"),
        ("raw", "canary value=x\n"),
        ("raw", "=canary\n"),
        ("raw", "\u{feff}{\"a\": \"canary zwei\"}\n"),
        ("", "{\"a\": \"canary\"}\n"),
        ("", "KEY=x\n=canary zwei\n"),
        ("", "canary\u{0}\u{1}zwei three\n"),
        ("", "A: [canary, 'zwei]\n"),
        ("", "canary-\u{20ac}-value=x\n"),
        ("raw", &KEY.replace("MII", "MII ")),
        ("", &KEY.replace("MII", "MII!")),
    ] {
        for place in ["service", "include", "project"] {
            let scene = Scene::new("leaks");
            let path = if place == "project" { ".env" } else { "deep/app.env" };
            let env_file = match format {
                "raw" => "    env_file: [{ path: '${DIRECTORY:-deep}/app.env', format: raw }]\n",
                _ => "    env_file: [deep/app.env]\n",
            };
            let by = match place {
                "service" => format!("{BARE}{env_file}"),
                "include" => format!("include: [{{ path: more.yaml, env_file: deep/app.env }}]\n{BARE}"),
                _ if format == "raw" => continue,
                _ => BARE.to_owned(),
            };
            scene.compose(&by);
            let image = crate::scene::service_image();
            let other = format!(
                "services: {{ other: {{ image: '{image}', stop_signal: SIGKILL, command: [sleep, '3000'] }} }}"
            );
            scene.write("more.yaml", other);
            scene.write(path, text);
            let words =
                ["validate", "--verbose", "--secrets", "KEY", "--sources", "env", "--grant-to", "web"];
            let mut command = scene.cli(words);
            command.env("KEY", "some-value-of-a-variable");
            let done = done(command);
            let said = done.stderr.to_lowercase();
            for part in ["canary", "zwei", "mii", "&apos;"] {
                assert!(!said.contains(part), "{text:?} ({format}, {place}) tells {part}:\n{}", done.stderr);
            }
            assert!(!said.contains("99 97 110 97"), "{text:?} is told by its bytes:\n{}", done.stderr);
            if done.code == 2 && said.contains("rejects") {
                assert!(
                    said.contains(path) || said.contains("decoding") || said.contains("variable"),
                    "{}",
                    done.stderr
                );
            } else {
                // Some are no mistake to Compose.
                assert!(done.code == 0 || done.code == 3, "{}: {}", done.code, done.stderr);
            }
        }
    }
}

/// Values of `.env` that nothing declares, where Compose wants something else.
#[test]
fn a_value_that_compose_cannot_use_is_not_told_declared_or_not() {
    for (definition, reason) in [
        ("ports: ['${P}:80']", "invalid hostPort"),
        ("cpus: '${P}'", "services.web.cpus"),
        ("mem_limit: '${P}'", "invalid size"),
        ("stop_grace_period: '${P}'", "invalid duration"),
        ("privileged: '${P}'", "invalid boolean"),
        ("depends_on: ['${P}']", "undefined service"),
        ("networks: ['${P}']", "undefined network"),
        ("volumes: ['${P}:/x']", "undefined volume"),
        ("pull_policy: '${P}'", "services.web.pull_policy"),
        ("extra_hosts: ['${P}']", "invalid additional host"),
        ("env_file: ['${P}']", "not found"),
        ("blkio_config: { weight: '${P}' }", "blkio_config.weight"),
        ("ports: [{ target: '${P}' }]", "services.web.ports"),
    ] {
        for value in ["canary", "83746512"] {
            let scene = Scene::new("leaks");
            scene.compose(&format!("{BARE}    {definition}\n"));
            scene.write(".env", format!("P={value}\n"));
            let mut command = scene.cli(["deploy", "--verbose", "--secrets", "KEY", "--sources", "env"]);
            command.env("KEY", "some-value-of-a-variable");
            let done = done(command);
            assert!(!done.stderr.contains(value), "{definition}: {}", done.stderr);
            // A number may be right.
            if value == "canary" {
                assert_eq!(done.code, 2, "{definition}: {}", done.stderr);
                assert!(done.stderr.contains(reason), "{definition}: {reason}: {}", done.stderr);
            }
            assert!(scene.containers().is_empty() || value != "canary");
        }
    }
}

/// What the engine cannot start it names, in Compose's words.
#[test]
fn a_value_that_the_engine_cannot_use_is_not_told() {
    for definition in [
        "entrypoint: ['${P}']",
        "volumes: [{ type: bind, source: '/srv/${P}', target: /x, bind: { create_host_path: false } }]",
        "working_dir: '${P}/x'",
        "sysctls: { '${P}': '1' }",
        "cap_add: ['${P}']",
    ] {
        let scene = Scene::new("leaks");
        scene.compose(&format!("{BARE}    {definition}\n"));
        scene.write(".env", "P=canaryvalue\n");
        let mut command = scene.cli(["deploy", "--secrets", "KEY", "--sources", "env"]);
        command.env("KEY", "some-value-of-a-variable");
        let done = done(command);
        assert!(!done.stderr.contains("canaryvalue"), "{definition}: {}", done.stderr);
    }
}
