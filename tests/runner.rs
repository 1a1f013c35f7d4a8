//! The image, started as GitHub's runner starts it, on a real engine: each service reads exactly its secrets, and a run
//! tells what it did.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]

mod support;

use support::project::Workspace;
use support::runner::Step;

const DELIVERIES: [&str; 2] = ["file", "volume"];

/// Two secrets with bytes that are easily lost on the way.
const API_KEY: &str = "sk-ant-\u{fc}ml\u{e4}ut $HOME ${X} %0A 'q' \"q\" \\n `id` end ";
const PEM: &str =
    "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----\n";
const KEY_FILE: (&str, &str) = ("api_key", API_KEY);
const PEM_FILE: (&str, &str) = ("pem", PEM);

/// A step with one secret that the sources have.
fn deploy_key<'a>(workspace: &'a Workspace, delivery: &str) -> Step<'a> {
    workspace.deploy(delivery).input("secrets", "API_KEY").env("API_KEY", API_KEY)
}

#[test]
fn each_kind_of_service_reads_exactly_its_secrets() {
    for delivery in DELIVERIES {
        let workspace = Workspace::new();
        let image = format!("{}-user", workspace.project);
        workspace.engine.build(&image, "RUN echo app:x:1500:1600::/:/bin/sh >> /etc/passwd\nUSER app");
        workspace.compose(&format!(
            "
x-common: &common
  image: IMAGE
  command: SLEEP
services:
  as-root:
    <<: *common
    environment: {{ API_KEY: '${{API_KEY:?}}', TAG: v1 }}
  both:
    <<: *common
    environment: [ API_KEY, PEM=$PEM ]
  image-user:
    <<: *common
    image: {image}
    environment: [ API_KEY ]
  numeric-user:
    <<: *common
    user: '1234:4321'
    environment: [ PEM ]
  read-only:
    <<: *common
    read_only: true
    user: '77'
    environment: {{ API_KEY: }}
  capless-root:
    <<: *common
    cap_drop: [ ALL ]
    environment: {{ PEM: }}
  capless-user:
    <<: *common
    cap_drop: [ ALL ]
    user: '1234:4321'
    environment: {{ API_KEY: }}
  nothing:
    <<: *common
    environment: {{ TAG: v1 }}
"
        ));
        let ran = workspace
            .deploy(delivery)
            .input("secrets", "API_KEY\nPEM\n")
            .env("API_KEY", API_KEY)
            .env("PEM", PEM)
            .succeed();
        assert_eq!(ran.output("result"), "deployed");
        workspace.assert_reads("as-root", &[KEY_FILE]);
        workspace.assert_reads("both", &[KEY_FILE, PEM_FILE]);
        workspace.assert_reads("image-user", &[KEY_FILE]);
        workspace.assert_reads("numeric-user", &[PEM_FILE]);
        workspace.assert_reads("read-only", &[KEY_FILE]);
        workspace.assert_reads("capless-root", &[PEM_FILE]);
        workspace.assert_reads("capless-user", &[KEY_FILE]);
        workspace.assert_reads("nothing", &[]);
        assert_eq!(workspace.variables("as-root")["TAG"], "v1");
        assert!(workspace.own_containers().is_empty());
    }
}

#[test]
fn an_entry_point_that_drops_privileges_reads_as_the_user_of_the_manifest() {
    for delivery in DELIVERIES {
        let workspace = Workspace::new();
        workspace.compose(
            "
services:
  dropper:
    image: IMAGE
    entrypoint: [setpriv, --reuid=1700, --regid=1800, --clear-groups, --, sh, -c]
    command: ['cat /run/secrets/api_key > /dev/null && sleep 9999 & trap exit TERM; wait']
  other:
    image: IMAGE
    command: SLEEP
",
        );
        workspace.write(
            "claude-secrets.yml",
            "services:\n  dropper: { secrets: [API_KEY], uid: 1700, gid: 1800 }\n  other: [API_KEY]\nsecrets:\n  API_KEY: {}\n",
        );
        workspace.deploy(delivery).env("API_KEY", API_KEY).succeed();
        workspace.assert_reads_as(Some("1700:1800"), "dropper", &[KEY_FILE]);
        workspace.assert_reads("other", &[KEY_FILE]);
    }
}

#[test]
fn plaintext_of_an_env_file_gives_way_and_the_projects_own_secrets_stay() {
    for delivery in DELIVERIES {
        let workspace = Workspace::new();
        workspace.write("app.env", "API_KEY=plaintext-of-old\nCOLOR=green\n");
        workspace.write("own.txt", "the project's own\n");
        workspace.compose(
            "
services:
  web:
    image: IMAGE
    command: SLEEP
    env_file: app.env
    user: '1234'
    secrets:
      - own
      - { source: own, target: renamed }
secrets:
  own: { file: ./own.txt }
",
        );
        deploy_key(&workspace, delivery).succeed();
        assert_eq!(workspace.secret_files("web"), ["api_key", "own", "renamed"], "{delivery}");
        let read = |file| workspace.secret("web", file);
        assert!(read("api_key").is_some_and(|bytes| bytes == API_KEY.as_bytes()), "{delivery}");
        for own in ["own", "renamed"] {
            assert!(read(own).is_some_and(|bytes| bytes == b"the project's own\n"), "{delivery}: {own}");
        }
        let variables = workspace.variables("web");
        assert_eq!((variables["API_KEY"].as_str(), variables["COLOR"].as_str()), ("", "green"));
        assert_eq!(variables["CLAUDE_SECRETS_VARIABLES"], "API_KEY=api_key");
        assert!(!variables.contains_key("API_KEY_FILE"), "{delivery}");
    }
}

#[test]
fn a_service_of_a_profile_gets_its_secrets_when_it_is_started() {
    for delivery in DELIVERIES {
        let workspace = Workspace::new();
        workspace.compose(
            "
services:
  web: { image: IMAGE, command: SLEEP, environment: [ API_KEY ] }
  extra: { image: IMAGE, command: SLEEP, environment: [ API_KEY ], profiles: [ more ] }
",
        );
        deploy_key(&workspace, delivery).succeed();
        assert_eq!(workspace.containers().keys().collect::<Vec<_>>(), ["web"]);
        let web = workspace.container("web");
        let ran = deploy_key(&workspace, delivery).input("profiles", "more").succeed();
        workspace.assert_reads("extra", &[KEY_FILE]);
        assert_eq!(ran.list("recreated"), ["extra"]);
        assert_eq!(workspace.container("web"), web, "what ran is left alone");
    }
}

#[test]
fn a_project_of_many_files_is_read_as_compose_reads_it() {
    for delivery in DELIVERIES {
        let workspace = Workspace::new();
        workspace.compose(
            "
include: [ more/included.yml ]
x-keys: &keys { API_KEY: }
services:
  anchored: { image: IMAGE, command: SLEEP, environment: { <<: *keys, COLOR: red } }
  extended: { extends: { file: base.yml, service: base } }
",
        );
        workspace.compose_file(
            "base.yml",
            "services: { base: { image: IMAGE, command: SLEEP, environment: [ API_KEY ] } }",
        );
        workspace.compose_file(
            "more/included.yml",
            "services: { included: { image: IMAGE, command: SLEEP, environment: [ API_KEY ], volumes: [ './here:/here' ] } }",
        );
        workspace.write("more/here/file", "seen");
        workspace.compose_file(
            "docker-compose.override.yml",
            "services: { overriding: { image: IMAGE, command: SLEEP, environment: [ API_KEY ] } }",
        );
        deploy_key(&workspace, delivery).succeed();
        for service in ["anchored", "extended", "included", "overriding"] {
            workspace.assert_reads(service, &[KEY_FILE]);
        }
        assert_eq!(workspace.variables("anchored")["COLOR"], "red");
        let seen = workspace.engine.text(&["exec", &workspace.container("included"), "cat", "/here/file"]);
        assert_eq!(seen, "seen", "a relative path is one of the host");
    }
}

#[test]
fn compose_file_and_an_override_that_is_named_by_hand_are_understood() {
    for delivery in DELIVERIES {
        let workspace = Workspace::new();
        let service = "{ image: IMAGE, command: SLEEP, environment: [ API_KEY ] }";
        workspace.compose(&format!("services: {{ web: {service} }}"));
        workspace.compose_file("deploy/prod.yml", &format!("services: {{ worker: {service} }}"));
        let files = "docker-compose.yml:deploy/prod.yml";
        deploy_key(&workspace, delivery).env("COMPOSE_FILE", files).succeed();
        workspace.assert_reads("web", &[KEY_FILE]);
        workspace.assert_reads("worker", &[KEY_FILE]);
        let before = workspace.standing();

        let ran = deploy_key(&workspace, delivery)
            .input("compose-files", "docker-compose.yml\ndeploy/prod.yml\ndocker-compose.secrets.yml")
            .succeed();
        assert_eq!(ran.output("result"), "unchanged", "{}", ran.log);
        assert!(workspace.standing() == before);
    }
}

#[test]
fn the_override_serves_a_person_on_the_host_who_starts_the_project_by_hand() {
    for delivery in DELIVERIES {
        let workspace = Workspace::new();
        workspace.compose("services: { web: { image: IMAGE, command: SLEEP, environment: [ API_KEY ] } }");
        let ran = deploy_key(&workspace, delivery).succeed();
        workspace.engine.text(&["rm", "--force", &workspace.container("web")]);
        let mut command = workspace.engine.command();
        command.current_dir(workspace.path()).args(["compose", "-f", "docker-compose.yml", "-f"]);
        let output = command.arg(ran.output("override-file")).args(["up", "-d"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        workspace.assert_reads("web", &[KEY_FILE]);
    }
}

#[test]
fn a_run_says_what_it_did_in_outputs_summary_and_report() {
    for delivery in DELIVERIES {
        let workspace = Workspace::new();
        workspace.compose(
            "services:\n  web: { image: IMAGE, command: SLEEP, environment: [ API_KEY, PEM ] }\n  idle: { image: IMAGE, command: SLEEP }\n",
        );
        workspace.write(".env", "PEM=of-a-file\n");
        let ran = deploy_key(&workspace, delivery)
            .input("secrets", "API_KEY\nPEM\nSPARE?\n")
            .input("environment", "production")
            .succeed();
        assert_eq!(ran.output("result"), "deployed");
        assert_eq!(ran.output("resolved"), r#"{"API_KEY":"env","PEM":"dotenv"}"#);
        assert_eq!((ran.output("missing"), ran.output("degraded")), ("[]", "false"));
        assert_eq!(ran.list("changed"), ["API_KEY", "PEM"]);
        assert_eq!(ran.list("recreated"), ["idle", "web"]);
        let path = |file| workspace.path().join(file).display().to_string();
        assert_eq!(ran.output("override-file"), path("docker-compose.secrets.yml"));
        let dir = if delivery == "file" { path("data/secrets") } else { String::new() };
        assert_eq!(ran.output("secrets-dir"), dir);
        for part in ["deployed", "API\\_KEY", "dotenv", "web", "mermaid"] {
            let plain = part.replace('\\', "");
            assert!(ran.summary.contains(part) || ran.summary.contains(&plain), "{part}: {}", ran.summary);
        }
        assert_eq!((&ran.report["version"], &ran.report["result"]), (&1.into(), &"deployed".into()));
        assert_eq!(ran.report["project"], workspace.project.as_str());
        assert_eq!(ran.report["environment"], "production");
        assert_eq!(ran.report["delivery"]["kind"], delivery);
        for text in [&ran.summary, &ran.report_text] {
            assert!(!text.contains(API_KEY) && !text.contains("of-a-file"));
        }
    }
}

#[test]
fn a_missing_secret_ends_the_run_before_anything_is_touched() {
    for delivery in DELIVERIES {
        let workspace = Workspace::new();
        workspace
            .compose("services: { web: { image: IMAGE, command: SLEEP, environment: [ API_KEY, PEM ] } }");
        let both = "API_KEY\nPEM";
        let files = workspace.files();
        let fresh = workspace
            .deploy(delivery)
            .input("secrets", both)
            .env("API_KEY", API_KEY)
            .fail(3, "secrets-missing");
        assert_eq!(fresh.list("missing"), ["PEM"]);
        assert!(fresh.log.contains("::error") && fresh.summary.contains("PEM"));
        assert_eq!(fresh.report["error"]["code"], "secrets-missing");
        assert!(workspace.files() == files, "nothing is written");
        assert!(workspace.volumes().is_empty() && workspace.containers().is_empty());

        deploy_key(&workspace, delivery).input("secrets", both).env("PEM", PEM).succeed();
        let (files, standing, volumes) = (workspace.files(), workspace.standing(), workspace.volumes());
        // An unset GitHub secret arrives as an empty text.
        deploy_key(&workspace, delivery).input("secrets", both).env("PEM", "").fail(3, "secrets-missing");
        assert!(
            workspace.files() == files && workspace.standing() == standing && workspace.volumes() == volumes
        );
        workspace.assert_reads("web", &[KEY_FILE, PEM_FILE]);
    }
}

#[test]
fn inputs_that_cannot_be_understood_are_told_in_the_outputs_too() {
    let workspace = Workspace::new();
    workspace.compose("services: { web: { image: IMAGE, command: SLEEP } }");
    let ran = workspace.step().input("mode", "depoly").fail(2, "usage");
    assert!(ran.summary.contains("mode") && ran.summary.contains("usage"), "{}", ran.summary);
    assert!(ran.log.contains("::error"), "{}", ran.log);
}

#[test]
fn a_service_that_does_not_stay_up_fails_the_run_and_is_named() {
    for delivery in DELIVERIES {
        let workspace = Workspace::new();
        workspace.compose(
            "services: { web: { image: IMAGE, command: [sh, -c, 'sleep 1; exit 3'], environment: [ API_KEY ] } }",
        );
        let ran = deploy_key(&workspace, delivery).fail(6, "unhealthy");
        assert!(ran.report["error"].to_string().contains("web"), "{}", ran.log);
        assert_eq!(ran.report["services"][0]["state"], "exited");
        assert!(workspace.own_containers().is_empty());
    }
}

#[test]
fn down_removes_what_is_ours_and_nothing_else() {
    for delivery in DELIVERIES {
        let workspace = Workspace::new();
        workspace.write("data/secrets/foreign", "not ours");
        workspace.compose(
            "
services:
  web:
    image: IMAGE
    command: SLEEP
    environment: [ API_KEY ]
    volumes: [ 'kept:/kept' ]
volumes:
  kept: {}
",
        );
        let files = workspace.files();
        deploy_key(&workspace, delivery).succeed();
        let down = || workspace.step().input("mode", "down").input("secrets", "API_KEY");
        let ran = down().succeed();
        assert_eq!(ran.output("result"), "removed");
        assert!(workspace.containers().is_empty() && workspace.volumes().is_empty());
        assert!(workspace.own_containers().is_empty());
        assert!(workspace.files() == files, "{:?}", workspace.files().keys());
        let kept = format!("{}_kept", workspace.project);
        assert!(workspace.engine.run(&["volume", "inspect", &kept]).success, "a volume of the project's own");
        assert_eq!(down().succeed().output("result"), "removed", "a second time is fine");
    }
}

#[test]
fn masks_are_not_printed_where_the_log_driver_ships_them_off_the_machine() {
    let workspace = Workspace::new();
    workspace.compose("services: { web: { image: IMAGE, command: SLEEP, environment: [ API_KEY ] } }");
    let ran = deploy_key(&workspace, "auto")
        .option("--log-driver=gelf")
        .option("--log-opt=gelf-address=udp://127.0.0.1:12201")
        .fail(2, "unsafe-log-driver");
    assert!(!ran.log.contains("add-mask") && !ran.log.contains("sk-ant"), "{}", ran.log);
    assert!(workspace.containers().is_empty());
    for driver in ["local", "none"] {
        let ran = deploy_key(&workspace, "auto").option("--log-driver").option(driver).succeed();
        assert!(ran.log.contains("::add-mask::"));
    }
}

#[test]
fn our_own_mounts_are_found_in_the_network_of_another_container() {
    for delivery in DELIVERIES {
        let workspace = Workspace::new();
        workspace.compose("services: { web: { image: IMAGE, command: SLEEP, environment: [ API_KEY ], volumes: [ './docker-compose.yml:/here/docker-compose.yml' ] } }");
        let label = format!("claude-secrets.project={}", workspace.project);
        let peer = ["run", "--detach", "--label", &label, &support::service_image(), "sleep", "9999"];
        let peer = workspace.engine.text(&peer);
        deploy_key(&workspace, delivery).option("--network").option(&format!("container:{peer}")).succeed();
        workspace.assert_reads("web", &[KEY_FILE]);
        let id = workspace.container("web");
        workspace.engine.text(&["exec", &id, "cat", "/here/docker-compose.yml"]);
    }
}

#[test]
fn a_workspace_may_have_any_name() {
    for (delivery, name) in
        DELIVERIES.into_iter().flat_map(|d| ["b\u{fc}ro und mehr", "$HOME ${X}"].map(|n| (d, n)))
    {
        let workspace = Workspace::named(name);
        workspace.write("seen here/file", "seen");
        workspace.compose(
            "services: { web: { image: IMAGE, command: SLEEP, environment: [ API_KEY ], volumes: [ './seen here:/here' ] } }",
        );
        deploy_key(&workspace, delivery).succeed();
        workspace.assert_reads("web", &[KEY_FILE]);
        let id = workspace.container("web");
        assert_eq!(workspace.engine.text(&["exec", &id, "cat", "/here/file"]), "seen", "{name}");
        assert_eq!(deploy_key(&workspace, delivery).succeed().output("result"), "unchanged", "{name}");
    }
}

#[test]
fn auto_takes_files_where_the_runner_is_thrown_away_and_volumes_where_it_stays() {
    for (kind, delivery) in [("github-hosted", "file"), ("self-hosted", "volume")] {
        let workspace = Workspace::new();
        workspace.compose("services: { web: { image: IMAGE, command: SLEEP, environment: [ API_KEY ] } }");
        let ran = deploy_key(&workspace, "auto").env("RUNNER_ENVIRONMENT", kind).succeed();
        assert_eq!(ran.report["delivery"]["kind"], delivery);
        let reason = ran.report["delivery"]["reason"].as_str().unwrap();
        assert!(ran.log.contains(reason) && !reason.is_empty(), "{}", ran.log);
        workspace.assert_reads("web", &[KEY_FILE]);
        let notes = ran.report["notes"].to_string();
        assert_eq!(notes.contains("GitHub-hosted"), kind == "github-hosted", "{notes}");
    }
}

#[test]
fn an_older_runner_that_does_not_mount_its_temporary_directory_is_fine() {
    for delivery in DELIVERIES {
        let workspace = Workspace::new();
        workspace.compose("services: { web: { image: IMAGE, command: SLEEP, environment: [ API_KEY ] } }");
        let ran = deploy_key(&workspace, delivery).older_runner().succeed();
        assert_eq!(ran.output("report"), "", "a path that is not there is not told");
        assert!(!ran.log.contains("could not be written"), "{}", ran.log);
        workspace.assert_reads("web", &[KEY_FILE]);
    }
}
