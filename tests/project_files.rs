//! What services mount of the checkout on a self-hosted runner, whose next checkout wipes the workspace: it is copied, data
//! stays, and none is left behind in silence.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]

mod support;

use std::process::Command;

use support::project::Workspace;
use support::runner::{Ran, Step};
use support::service_image;

const COMPOSE: &str = "
services:
  web:
    image: IMAGE
    command: SLEEP
    stop_signal: SIGKILL
    environment: [ KEY ]
    volumes: [ './conf:/etc/app', './data:/var/data' ]
  plain: { image: IMAGE, command: SLEEP, stop_signal: SIGKILL, volumes: [ './one.ini:/etc/one.ini:ro' ] }
";

fn checkout() -> Workspace {
    let workspace = Workspace::new();
    workspace.compose(COMPOSE);
    workspace.write("conf/a.conf", "first").write("one.ini", "one").write(".gitignore", "data/\n");
    workspace.commit();
    workspace
}

fn deploy(workspace: &Workspace) -> Step<'_> {
    workspace.step().input("secrets", "KEY").env("KEY", "canary-Zq7-key")
}

fn sees(workspace: &Workspace, service: &str, path: &str) -> Option<String> {
    let read = workspace.engine.read(&workspace.container(service), path)?;
    Some(String::from_utf8(read).unwrap().trim().to_owned())
}

/// The command that a refused run shows behind these words, run as it is but for the image of `cp` and `tar`.
fn run_shown(ran: &Ran, behind: &str) {
    let shown =
        ran.log.lines().find_map(|line| line.split_once(behind)).unwrap_or_else(|| panic!("{}", ran.log)).1;
    let command = shown.split("%0A").next().unwrap().replace(" busybox ", &format!(" {} ", service_image()));
    let done = Command::new("sh").args(["-c", &command]).output().unwrap();
    assert!(done.status.success(), "{command}: {}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn what_is_mounted_of_the_checkout_outlives_the_next_one() {
    let workspace = checkout();
    let ran = deploy(&workspace).succeed();
    assert_eq!(ran.output("result"), "deployed", "{}", ran.log);
    workspace.engine.text(&["exec", &workspace.container("web"), "sh", "-c", "echo kept >/var/data/table"]);
    workspace.checkout();
    std::fs::remove_dir_all(workspace.path().join("conf")).unwrap();
    assert_eq!(sees(&workspace, "web", "/etc/app/a.conf").as_deref(), Some("first"));
    workspace.engine.text(&["restart", "--time", "0", &workspace.container("plain")]);
    assert_eq!(sees(&workspace, "plain", "/etc/one.ini").as_deref(), Some("one"));

    workspace.checkout();
    let before = workspace.standing();
    assert_eq!(deploy(&workspace).succeed().output("result"), "unchanged");
    assert!(workspace.standing() == before);
    workspace.write("conf/a.conf", "second");
    let ran = deploy(&workspace).succeed();
    assert_eq!(ran.list("recreated"), ["web"]);
    assert_eq!(sees(&workspace, "web", "/etc/app/a.conf").as_deref(), Some("second"));
    assert_eq!(sees(&workspace, "web", "/var/data/table").as_deref(), Some("kept"));
    let down = workspace.step().input("mode", "down").input("secrets", "KEY").succeed();
    let volume = format!("{}_data_data", workspace.project);
    assert!(down.log.contains(&format!("docker volume rm {volume}")), "{}", down.log);
    workspace.engine.text(&["volume", "rm", &volume]);
}

#[test]
fn data_of_a_deployment_before_is_never_left_behind_in_silence() {
    let workspace = checkout();
    let ran = deploy(&workspace).input("project-files", "in-place").succeed();
    let said = "./data";
    let said = said.trim_start_matches("./");
    assert!(
        ran.log
            .contains(&format!("{said} of the workspace is mounted by web, and the next checkout wipes it")),
        "{}",
        ran.log
    );
    workspace.engine.text(&["exec", &workspace.container("web"), "sh", "-c", "echo rows >/var/data/table"]);
    let standing = workspace.standing();
    // Whoever else mounts it, and whatever its name.
    let reader =
        "  audit: { image: IMAGE, command: SLEEP, stop_signal: SIGKILL, volumes: [ './data:/seen:ro' ] }\n";
    workspace.compose(&format!("{COMPOSE}{reader}"));
    let refused = deploy(&workspace).fail(5, "project-files");
    assert!(workspace.standing() == standing, "nothing is touched");
    assert!(refused.log.contains("service web has data in"), "{}", refused.log);
    run_shown(&refused, "Move data once: ");
    deploy(&workspace).succeed();
    assert_eq!(sees(&workspace, "web", "/var/data/table").as_deref(), Some("rows"));
    let writing = ["exec", &workspace.container("audit"), "sh", "-c", "echo x >/seen/table"];
    assert!(!workspace.engine.run(&writing).success, "what is mounted to be read is not written to");
    workspace.engine.text(&["rm", "--force", &workspace.container("web"), &workspace.container("audit")]);
    let moved = format!("{}_data_data", workspace.project);
    assert_eq!(
        workspace.engine.volumes(&format!("claude-secrets.data-of={}", workspace.project)),
        [moved.as_str()]
    );
    workspace.engine.text(&["volume", "rm", &moved]);

    // The same where no container tells of it: a workspace that is not wiped.
    let refused = deploy(&workspace).fail(5, "project-files");
    assert!(refused.log.contains("data has data that git ignores"), "{}", refused.log);
    run_shown(&refused, "Move data once: ");
    deploy(&workspace).succeed();
    assert_eq!(sees(&workspace, "web", "/var/data/table").as_deref(), Some("rows"));
    workspace.engine.text(&["rm", "--force", &workspace.container("web"), &workspace.container("audit")]);
    workspace.engine.text(&["volume", "rm", &format!("{}_data_data", workspace.project)]);
}

#[test]
fn what_is_mounted_inside_of_a_directory_of_the_checkout_is_there() {
    let workspace = Workspace::new();
    workspace.compose(
        "services:\n  web:\n    image: IMAGE\n    command: SLEEP\n    stop_signal: SIGKILL\n    environment: [ KEY ]\n    \
         volumes: [ './src:/app', '/app/node_modules', './history:/app/history', './one.ini:/app/conf/one.ini:ro' ]\n    \
         tmpfs: [ '/app/tmp' ]\n",
    );
    workspace.write("src/main", "first").write("src/node_modules/x", "local").write("one.ini", "one");
    workspace.write(".gitignore", "node_modules/\n");
    workspace.commit();
    deploy(&workspace).succeed();
    assert_eq!(sees(&workspace, "web", "/app/main").as_deref(), Some("first"));
    assert_eq!(sees(&workspace, "web", "/app/conf/one.ini").as_deref(), Some("one"));
    let web = workspace.container("web");
    workspace.engine.text(&["exec", &web, "sh", "-c", "touch /app/node_modules/y /app/history/y /app/tmp/y"]);
    assert!(!workspace.engine.run(&["exec", &web, "touch", "/app/y"]).success, "it cannot be written to");
    workspace.step().input("mode", "down").input("secrets", "KEY").succeed();
    workspace.engine.text(&["volume", "rm", &format!("{}_data_history", workspace.project)]);
}

#[test]
fn no_two_directories_share_their_data() {
    let workspace = Workspace::new();
    let compose = |more: &str| {
        format!(
            "services:\n  web: {{ image: IMAGE, command: SLEEP, stop_signal: SIGKILL, environment: [ KEY ], volumes: [ './data/pg:/d' ] }}\n  \
             plain: {{ image: IMAGE, command: SLEEP, stop_signal: SIGKILL, volumes: [ './data-pg:/d', './conf$$d:/c' ] }}\n{more}"
        )
    };
    workspace.compose(&compose("")).write("conf$d/a", "conf");
    workspace.commit();
    deploy(&workspace).succeed();
    workspace.engine.text(&["exec", &workspace.container("web"), "touch", "/d/table"]);
    assert_eq!(workspace.engine.text(&["exec", &workspace.container("plain"), "ls", "/d"]).trim(), "");
    assert_eq!(sees(&workspace, "plain", "/c/a").as_deref(), Some("conf"), "a name with a dollar sign");

    workspace.compose(&compose(
        "  db: { image: IMAGE, command: SLEEP, stop_signal: SIGKILL, volumes: [ 'data_pg:/d' , './pg:/e' ] }\nvolumes: { data_pg: }\n",
    ));
    let refused = deploy(&workspace).fail(5, "project-files");
    assert!(refused.log.contains("which is the project's own volume data_pg"), "{}", refused.log);
    let foreign = format!("{}_data_mine", workspace.project);
    workspace.engine.text(&["volume", "create", &foreign]);
    workspace.compose(&compose("").replace("./data-pg", "./mine"));
    let refused = deploy(&workspace).fail(5, "project-files");
    assert!(refused.log.contains("was not made for the data in mine"), "{}", refused.log);
    workspace.step().input("mode", "down").input("secrets", "KEY").succeed();
    let label = format!("claude-secrets.data-of={}", workspace.project);
    for volume in workspace.engine.volumes(&label).iter().chain([&foreign]) {
        workspace.engine.text(&["volume", "rm", volume]);
    }
}

#[test]
fn a_path_with_two_dots_leads_where_it_leads_for_the_action_too() {
    let workspace = Workspace::new();
    let here = workspace.path().display().to_string();
    let (above, name) = here.rsplit_once('/').unwrap();
    let around = format!("{above}/../{}/{name}", above.rsplit_once('/').unwrap().1);
    let compose = |other: &str, top: &str| {
        format!(
            "services:\n  web: {{ image: IMAGE, command: SLEEP, stop_signal: SIGKILL, environment: [ KEY ] }}\n  \
             other: {{ image: IMAGE, command: SLEEP, stop_signal: SIGKILL, {other} }}\n{top}"
        )
    };
    workspace.compose(&compose("labels: {}", ""));
    workspace.commit();
    deploy(&workspace).input("delivery", "file").succeed();
    let device = format!(
        "volumes: {{ store: {{ driver_opts: {{ type: none, o: bind, device: '{around}/data/secrets' }} }} }}"
    );
    let config = format!("configs: {{ mine: {{ file: '{around}/data/secrets/key' }} }}");
    for (other, top) in [
        (format!("volumes: [ '{around}/data/secrets:/v' ]"), ""),
        ("volumes: [ 'store:/v' ]".to_owned(), device.as_str()),
        ("configs: [ mine ]".to_owned(), config.as_str()),
    ] {
        workspace.compose(&compose(&other, top));
        let refused = deploy(&workspace).input("delivery", "file").fail(2, "secret-not-granted");
        assert!(refused.log.contains("service other mounts"), "{other}: {}", refused.log);
    }
    workspace.write("Dockerfile", "FROM scratch\nCOPY . /app\n");
    workspace.compose(&compose(&format!("build: '{around}'"), ""));
    let refused = deploy(&workspace).input("delivery", "file").fail(5, "delivery-failed");
    assert!(refused.log.contains("build context of service other"), "{}", refused.log);
}

#[test]
fn a_hosted_runner_mounts_the_checkout_itself() {
    let workspace = checkout();
    deploy(&workspace).env("RUNNER_ENVIRONMENT", "github-hosted").succeed();
    let mounts = workspace.engine.inspect(&workspace.container("web"))["Mounts"].to_string();
    assert!(mounts.contains(&workspace.path().join("conf").display().to_string()), "{mounts}");
}

#[test]
fn what_a_run_writes_itself_is_neither_copied_nor_taken_for_data() {
    let workspace = Workspace::new();
    workspace.compose(
        "services: { web: { image: IMAGE, command: SLEEP, stop_signal: SIGKILL, environment: [ KEY ], volumes: [ '.:/app' ] } }",
    );
    workspace.write(".gitignore", "docker-compose.secrets.yml\ndata/\n").commit();
    deploy(&workspace).succeed();
    assert_eq!(deploy(&workspace).succeed().output("result"), "unchanged");
    let listed = workspace.engine.text(&["exec", &workspace.container("web"), "ls", "-A", "/app"]);
    assert_eq!(listed, ".gitignore\ndocker-compose.yml", "neither git's own folder nor what was generated");
}

#[test]
fn without_git_nobody_says_that_data_is_a_release() {
    let workspace = Workspace::new();
    workspace.compose(COMPOSE);
    workspace.write("conf/a.conf", "first").write("one.ini", "one").write("data/table", "rows");
    deploy(&workspace).input("project-files", "in-place").succeed();
    let standing = workspace.standing();
    let refused = deploy(&workspace).fail(5, "project-files");
    assert!(refused.log.contains("the checkout is no git repository"), "{}", refused.log);
    assert!(workspace.standing() == standing);
}
