//! Who can read what a service was granted: the users that processes have now, held against what they really read.

use crate::DELIVERIES;
use crate::scene::{Done, Scene, docker, done};

fn deploy(scene: &Scene, delivery: &str) -> Done {
    let mut command = scene.cli(["deploy", "--delivery", delivery]);
    command.env("KEY", "canary-of-a-reader").env("OTHER", "another-canary-of-a-reader");
    done(command)
}

const DROPS: &str = "setpriv --reuid=1000 --regid=1001 --clear-groups sleep 3000";

#[test]
fn an_entry_point_that_gives_up_root_is_told_with_the_line_to_write() {
    for delivery in DELIVERIES {
        let scene = Scene::new("proof-drops");
        scene.compose(&format!(
            "services:\n  bot:\n    image: IMAGE\n    init: true\n    command: {DROPS}\n  \
             plain:\n    image: IMAGE\n    command: {DROPS}\n"
        ));
        scene.write("claude-secrets.yml", "services: { bot: [KEY], plain: [KEY] }\nsecrets: { KEY: }\n");
        for _ in 0..2 {
            let said = deploy(&scene, delivery).expect(6);
            for part in [
                "bot-1 runs as user 1000 and group 1001 and cannot read /run/secrets/key (owner 0:0, mode 0",
                "plain-1 runs as user 1000 and group 1001",
                "It started as root and dropped its privileges.",
                "bot: { uid: 1000, gid: 1001, secrets: […] }",
            ] {
                assert!(said.stderr.contains(part), "{part} with {delivery} in {}", said.stderr);
            }
        }
        let readers = "{ uid: 1000, gid: 1001, secrets: [KEY] }";
        scene.write(
            "claude-secrets.yml",
            format!("services: {{ bot: {readers}, plain: {readers} }}\nsecrets: {{ KEY: }}\n"),
        );
        let said = deploy(&scene, delivery).expect(0);
        assert!(said.stderr.contains("the processes of 2 containers can read"), "{}", said.stderr);
    }
}

#[test]
fn a_worker_that_a_supervisor_starts_as_another_user_is_warned_of_and_a_finished_one_shot_is_not() {
    let scene = Scene::new("proof-worker");
    scene.compose(&format!(
        "services:\n  bot:\n    image: IMAGE\n    command: [sh, -c, '{DROPS} & wait']\n  \
         once:\n    image: IMAGE\n    command: [\"true\"]\n"
    ));
    scene.write("claude-secrets.yml", "services: { bot: [KEY], once: [KEY] }\nsecrets: { KEY: }\n");
    for delivery in DELIVERIES {
        let said = deploy(&scene, delivery).expect(0);
        assert!(
            said.stderr.contains("warning: a process of")
                && said.stderr.contains("runs as user 1000 and group 1001"),
            "{}",
            said.stderr
        );
        assert!(!said.stderr.contains("once-1 runs as"), "{}", said.stderr);
    }
}

/// What a service says of who it is, and what the manifest says of the files.
const SERVICES: &[(&str, &str)] = &[
    ("root", ""),
    ("nocaps", "cap_drop: [ALL]"),
    ("nodac", "cap_drop: [DAC_OVERRIDE]"),
    ("search", "cap_drop: [ALL]\n    cap_add: [DAC_READ_SEARCH]"),
    ("user", "user: '1000:1000'"),
    ("member", "user: '2000:1000'"),
    ("added", "user: '2000:2000'\n    group_add: ['1000']"),
    ("readonly", "user: '2000:2000'\n    read_only: true"),
];

const FILES: &[(&str, &str)] = &[
    ("OWNER", "{ mode: '0400', uid: 1000, gid: 1000 }"),
    ("GROUP", "{ mode: '0440', uid: 0, gid: 1000 }"),
    ("OTHERS", "{ mode: '0404', uid: 0, gid: 1000 }"),
    ("NOTOWNER", "{ mode: '0040', uid: 1000, gid: 1000 }"),
    ("ALL", "{ mode: '0444', uid: 0, gid: 0 }"),
];

#[test]
fn what_is_said_of_readers_is_what_the_kernel_does() {
    for delivery in DELIVERIES {
        let scene = Scene::new("proof-kernel");
        let tries = "for f in /run/secrets/*; do cat $$f >/dev/null 2>&1 && echo reads $$f || echo fails $$f; done; exec sleep 3000";
        let services: String = SERVICES
            .iter()
            .map(|(name, how)| {
                format!("  {name}:\n    image: IMAGE\n    stop_signal: SIGKILL\n    command: [sh, -c, '{tries}']\n    {how}\n")
            })
            .collect();
        scene.compose(&format!("services:\n{services}"));
        let names: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
        let grants: String =
            SERVICES.iter().map(|(name, _)| format!("  {name}: [{}]\n", names.join(", "))).collect();
        let files: String =
            FILES.iter().map(|(name, file)| format!("  {name}: {{ file: {file} }}\n")).collect();
        scene.write("claude-secrets.yml", format!("services:\n{grants}secrets:\n{files}"));
        let mut command = scene.cli(["deploy", "--delivery", delivery, "--report-file", "report.json"]);
        command.envs(names.iter().map(|name| (*name, format!("canary-of-{name}-to-read"))));
        done(command).expect(6);
        let report = std::fs::read_to_string(scene.project().join("report.json")).unwrap();
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        assert_eq!(report["error"]["code"], "secret-unreadable");
        let facts: Vec<&str> = report["error"]["problems"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| p["fact"].as_str().unwrap())
            .collect();
        let (mut can, mut cannot) = (0, 0);
        for (service, (id, _)) in scene.containers() {
            let fact = facts.iter().find(|fact| fact.contains(&format!("-{service}-1 ")));
            let printed = docker(["logs", &id]);
            for name in &names {
                let path = format!("/run/secrets/{}", name.to_lowercase());
                let reads = printed.lines().any(|line| line == format!("reads {path}"));
                let fails = printed.lines().any(|line| line == format!("fails {path}"));
                assert!(reads != fails, "{service} has tried {path}: {printed}");
                let said = fact.is_some_and(|fact| fact.contains(&format!("{path} (owner")));
                assert_eq!(said, fails, "{service} {delivery} {path}: {fact:?}");
                *(if reads { &mut can } else { &mut cannot }) += 1;
            }
        }
        assert!(can > 20 && cannot > 10, "{can} and {cannot}");
    }
}
