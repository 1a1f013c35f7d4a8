//! What the manifest says of how services get secrets, on a real engine, by both deliveries: templates, what a
//! service hands on to the workers that it starts, variables in clear, and what is said of variables that are gone.

#![allow(clippy::unwrap_used, clippy::panic)] // clippy.toml allows it in test functions, and the rest here serves these
#![allow(unreachable_pub, dead_code)] // the support files serve several test programs

#[path = "support/scene.rs"]
mod scene;

use scene::{Done, Scene, docker, done};

const DELIVERIES: [&str; 2] = ["file", "volume"];
const SLEEPS: &str = "    image: IMAGE\n    init: true\n    command: [sleep, '3000']\n";

/// Runs a mode with these variables of the step.
#[track_caller]
fn run(scene: &Scene, words: &[&str], variables: &[(&str, &str)], code: i32) -> Done {
    let mut command = scene.cli(words);
    command.envs(variables.iter().copied());
    done(command).expect(code)
}

/// What a command prints in a service's only container.
fn inside(scene: &Scene, service: &str, words: &[&str]) -> String {
    let id = scene.containers()[service].0.clone();
    docker(["exec", &id].into_iter().chain(words.iter().copied()))
}

/// The environment of the service's program, which sleeps.
fn variables_of_program(scene: &Scene, service: &str) -> Vec<String> {
    let script = "for p in /proc/[0-9]*; do case $(tr '\\0' ' ' <$p/cmdline) in 'sleep '*) tr '\\0' '\\n' <$p/environ;; esac; done";
    let text = inside(scene, service, &["sh", "-c", script]);
    text.lines().map(str::to_owned).collect()
}

/// `docker inspect` of a service's container.
fn inspected(scene: &Scene, service: &str) -> String {
    docker(["inspect", &scene.containers()[service].0])
}

/// The image with Docker's client that the example's orchestrator takes it from.
fn client_image() -> String {
    let dockerfile =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/claude-bot/Dockerfile"))
            .unwrap();
    let line = dockerfile.lines().find(|line| line.starts_with("COPY --from=docker:")).unwrap();
    line.trim_start_matches("COPY --from=").split(' ').next().unwrap().to_owned()
}

/// An image made for one test, or a container that a service has started. It goes when this is dropped.
struct Made {
    kind: &'static str,
    name: String,
}

impl Drop for Made {
    fn drop(&mut self) {
        docker([self.kind, "rm", "--force", &self.name]);
    }
}

/// An image whose programs can start containers.
fn orchestrator_image(scene: &Scene) -> Made {
    let lines = format!(
        "FROM {}\nCOPY --from={} /usr/local/bin/docker /usr/local/bin/docker\n",
        scene::service_image(),
        client_image()
    );
    let image = Made { kind: "image", name: format!("{}-orchestrator", scene.name) };
    let mut build = std::process::Command::new("docker")
        .env("DOCKER_BUILDKIT", "0")
        .args(["build", "--quiet", "--tag", &image.name, "-"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut build.stdin.take().unwrap(), lines.as_bytes()).unwrap();
    assert!(build.wait().unwrap().success(), "cannot build {}", image.name);
    image
}

/// A worker that the service `bot` starts through the Docker socket, as this user, with what it may hand on.
fn start_worker(scene: &Scene, number: u32, user: &str) -> Made {
    let worker = Made { kind: "container", name: format!("{}-worker-{number}", scene.name) };
    let start = format!(
        "docker run --detach --init --name {} --user {user} --volume \"${{SECRETS_VOLUME:-$SECRETS_HOST_DIR}}:/run/secrets:ro\" {} sleep 3000",
        worker.name,
        scene::service_image()
    );
    let started = inside(scene, "bot", &["sh", "-c", &start]);
    assert_eq!(started.trim().len(), 64, "it started nothing");
    worker
}

#[test]
fn a_service_hands_secrets_on_to_the_workers_that_it_starts_and_no_variable_holds_one() {
    for (delivery, variable) in [("file", "SECRETS_HOST_DIR"), ("volume", "SECRETS_VOLUME")] {
        let scene = Scene::new("forms-workers");
        let image = orchestrator_image(&scene);
        let manifest = "secrets: { API_KEY: , BOT_TOKEN: }\nservices:\n  bot:\n    secrets: [API_KEY, BOT_TOKEN]\n    \
                        starts-workers: true\n    workers: { secrets: [API_KEY], uid: 10001 }\n";
        scene.write("claude-secrets.yml", manifest);
        scene.compose(&format!(
            "services:\n  bot:\n    image: {}\n    init: true\n    command: [sleep, '3000']\n    environment: {{ API_KEY: }}\n    \
             volumes: ['/var/run/docker.sock:/var/run/docker.sock']\n  other:\n{SLEEPS}",
            image.name
        ));
        let deploy = |key: &str| {
            let values = [("API_KEY", key), ("BOT_TOKEN", "token-of-the-bot-alone")];
            run(&scene, &["deploy", "--delivery", delivery], &values, 0).stderr
        };
        deploy("first-key-for-workers");
        let told = inside(&scene, "bot", &["printenv", variable]);
        assert!(
            !told.trim().is_empty() && !inside(&scene, "other", &["env"]).contains("SECRETS_"),
            "{delivery}"
        );
        let first = start_worker(&scene, 1, "10001:10001");
        let read = |worker: &Made| docker(["exec", &worker.name, "cat", "/run/secrets/api_key"]);
        assert_eq!(read(&first), "first-key-for-workers", "{delivery}");
        assert_eq!(docker(["exec", &first.name, "ls", "/run/secrets"]), "api_key\n", "{delivery}");
        let shown = docker(["inspect", &first.name]) + &inspected(&scene, "bot");
        assert!(!shown.contains("first-key-for-workers"), "{delivery}");
        // Another user of a worker reads nothing.
        let stranger = start_worker(&scene, 2, "10002:10002");
        assert_eq!(read(&stranger), "", "{delivery}");
        drop(stranger);

        let said = deploy("first-key-for-workers");
        assert!(said.contains("all services are up to date"), "{delivery}: {said}");
        let other = scene.containers()["other"].clone();
        deploy("second-key-for-workers");
        assert_eq!(scene.containers()["other"], other, "{delivery}");
        let second = start_worker(&scene, 3, "10001:10001");
        assert_eq!(read(&second), "second-key-for-workers", "{delivery}");
        // A worker that runs on has a volume of its own time, and sees files change.
        let kept = if delivery == "file" { "second-key-for-workers" } else { "first-key-for-workers" };
        assert_eq!(read(&first), kept, "{delivery}");
        drop((first, second));

        let said = run(&scene, &["down"], &[], 0).stderr;
        assert!(said.contains("removed:"), "{delivery}: {said}");
        assert!(!scene.project().join("data").exists(), "{delivery}");
    }
}

#[test]
fn a_template_is_delivered_like_any_secret_and_follows_its_parts() {
    let manifest = "secrets:\n  DB_PASSWORD:\n  DATABASE_URL:\n    template: 'postgres://app:{DB_PASSWORD|urlencode}@db/app?x={{1}}'\n\
                    \x20 SETTINGS: { template: '{{\"pw\": \"{DB_PASSWORD|json}\", \"b\": \"{DB_PASSWORD|base64}\"}}' }\n\
                    services:\n  web: [DATABASE_URL, SETTINGS]\n";
    for delivery in DELIVERIES {
        let scene = Scene::new("forms-template");
        scene.write("claude-secrets.yml", manifest);
        scene.compose(&format!(
            "services:\n  web:\n{SLEEPS}    environment: {{ DATABASE_URL: }}\n  db:\n{SLEEPS}    environment: {{ DB_PASSWORD: }}\n  \
             other:\n{SLEEPS}"
        ));
        let deploy = |value: &str| {
            run(&scene, &["deploy", "--delivery", delivery], &[("DB_PASSWORD", value)], 0).stderr
        };
        let said = deploy("pass/word of \"one\"");
        assert!(said.contains("DATABASE_URL: found {DB_PASSWORD|urlencode}\n"), "{said}");
        let url = "postgres://app:pass%2Fword%20of%20%22one%22@db/app?x={1}";
        assert!(variables_of_program(&scene, "web").contains(&format!("DATABASE_URL={url}")), "{delivery}");
        let read = |file: &str| inside(&scene, "web", &["cat", &format!("/run/secrets/{file}")]);
        assert_eq!(read("database_url"), url);
        assert_eq!(read("settings"), r#"{"pw": "pass/word of \"one\"", "b": "cGFzcy93b3JkIG9mICJvbmUi"}"#);
        // The part is the database's alone.
        assert_eq!(inside(&scene, "web", &["ls", "/run/secrets"]), "database_url\nsettings\n");
        for secret in ["pass/word", "pass%2Fword", "cGFzcy93b3Jk"] {
            assert!(!said.contains(secret), "{delivery}: {said}");
            assert!(!inspected(&scene, "web").contains(secret), "{delivery}");
        }
        let before = scene.containers();
        let said = deploy("pass/word of \"one\"");
        assert!(said.contains("all services are up to date"), "{delivery}: {said}");
        deploy("another-one");
        let now = scene.containers();
        let renewed: Vec<_> =
            now.iter().filter(|(name, found)| before[*name] != **found).map(|(name, _)| name).collect();
        assert_eq!(renewed, ["db", "web"], "{delivery}");
        assert_eq!(read("database_url"), "postgres://app:another-one@db/app?x={1}");
    }
}

#[test]
fn a_template_without_a_part_is_a_missing_secret() {
    let scene = Scene::new("forms-missing");
    scene.write("claude-secrets.yml", "secrets:\n  PW: { required: false }\n  URL: { template: 'x:{PW}' }\n");
    scene.compose(&format!("services:\n  web:\n{SLEEPS}    environment: {{ URL: }}\n"));
    // The variable of the template's own name is no source.
    let said = run(&scene, &["deploy"], &[("URL", "canary-of-nobody")], 3).stderr;
    assert!(said.contains("URL cannot be composed: PW in its template has no value"), "{said}");
    assert!(scene.containers().is_empty());
}

#[test]
fn what_the_manifest_wants_in_clear_is_shown_at_its_own_variables_alone_and_said_aloud() {
    let manifest = "secrets: { API_KEY: , DB_PASSWORD: }\nservices:\n  legacy: { secrets: [API_KEY], deliver: env }\n  \
                    web: { secrets: [API_KEY, DB_PASSWORD], variables: { DATABASE_URL: { deliver: env } } }\n";
    for delivery in DELIVERIES {
        let scene = Scene::new("forms-clear");
        scene.write("claude-secrets.yml", manifest);
        scene.compose(&format!(
            "services:\n  legacy:\n{SLEEPS}    environment: [ API_KEY, TAG=v1 ]\n  web:\n{SLEEPS}    environment:\n      \
             API_KEY: ${{API_KEY:?}}\n      DATABASE_URL: 'postgres://u:${{DB_PASSWORD}}@db/$$x'\n"
        ));
        let deploy = |key: &str, words: &[&str], code: i32| {
            let values = [("API_KEY", key), ("DB_PASSWORD", "password-in-clear")];
            let all = [&["deploy", "--delivery", delivery, "--report-file", "report.json"], words].concat();
            run(&scene, &all, &values, code).stderr
        };
        let said = deploy("first-key-in-clear", &["--strict"], 3);
        assert!(
            said.contains("`docker inspect` shows the values of API_KEY") && scene.containers().is_empty(),
            "{said}"
        );
        let said = deploy("first-key-in-clear", &[], 0);
        for (service, variable) in [("legacy", "API_KEY"), ("web", "DATABASE_URL")] {
            let warning =
                format!("service {service}: `docker inspect` shows the values of {variable}, since");
            assert!(said.contains(&warning), "{delivery}: {said}");
        }
        assert!(said.contains("no secret value found"), "{delivery}: {said}");
        let shown = |service: &str, text: &str| inspected(&scene, service).matches(text).count();
        assert_eq!(shown("legacy", "\"API_KEY=first-key-in-clear\""), 1, "{delivery}");
        assert_eq!((shown("legacy", "in-clear"), shown("web", "key-in-clear")), (1, 0), "{delivery}");
        assert_eq!(shown("web", "\"DATABASE_URL=postgres://u:password-in-clear@db/$x\""), 1, "{delivery}");
        assert_eq!(shown("web", "password-in-clear"), 1, "{delivery}");
        assert!(variables_of_program(&scene, "web").contains(&"API_KEY=first-key-in-clear".to_owned()));
        assert_eq!(inside(&scene, "legacy", &["printenv", "SECRETS_MODE"]), "environment\n", "{delivery}");
        assert_eq!(inside(&scene, "legacy", &["cat", "/run/secrets/api_key"]), "first-key-in-clear");

        let report = std::fs::read_to_string(scene.project().join("report.json")).unwrap();
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        let forms: Vec<String> = report["services"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|service| service["variables"].as_array().unwrap())
            .map(|row| format!("{}: {}", row["name"].as_str().unwrap(), row["form"].as_str().unwrap()))
            .collect();
        assert_eq!(forms, ["API_KEY: env", "API_KEY: variable", "DATABASE_URL: env"]);

        let text = std::fs::read_to_string(scene.project().join("docker-compose.secrets.yml")).unwrap();
        assert!(!text.contains("in-clear"), "{text}");
        let by_hand = ["-f", "compose.yaml", "-f", "docker-compose.secrets.yml", "config"];
        let mut compose = std::process::Command::new("docker");
        compose.arg("compose").args(by_hand);
        let mut compose = scene.scrubbed(compose);
        compose.env("API_KEY", "x").env("DB_PASSWORD", "x");
        let said = done(compose).stderr;
        assert!(said.contains("it is set by"), "{said}");

        let said = deploy("first-key-in-clear", &[], 0);
        assert!(said.contains("all services are up to date"), "{delivery}: {said}");
        deploy("second-key-in-clear", &[], 0);
        assert_eq!(shown("legacy", "\"API_KEY=second-key-in-clear\""), 1, "{delivery}");
        run(&scene, &["down"], &[], 0);
    }
}

#[test]
fn what_is_in_clear_for_one_service_is_read_by_no_other_one_by_its_name() {
    let variable = "CLAUDE_SECRETS_ENV_web_to_KEY";
    for (other, top, env_file) in [
        ("secrets: [x]", format!("secrets: {{ x: {{ environment: {variable} }} }}"), String::new()),
        ("configs: [x]", format!("configs: {{ x: {{ environment: {variable} }} }}"), String::new()),
        (&*format!("labels: ['${{{variable}}}=x']"), String::new(), String::new()),
        ("secrets: [x]", "secrets: { x: { environment: P } }".to_owned(), format!("P=${{{variable}}}\n")),
    ] {
        let scene = Scene::new("forms-named");
        scene.write(
            "claude-secrets.yml",
            "secrets: { KEY: }\nservices: { web: { secrets: [KEY], deliver: env } }\n",
        );
        scene.write(".env", env_file);
        scene.compose(&format!(
            "services:\n  web:\n{SLEEPS}    environment: [KEY]\n  other:\n{SLEEPS}    {other}\n{top}\n"
        ));
        let said =
            run(&scene, &["deploy", "--delivery", "file"], &[("KEY", "key-of-the-web-alone")], 2).stderr;
        assert!(said.contains("names variables of CLAUDE_SECRETS_"), "{other} {top}: {said}");
        assert!(scene.containers().is_empty(), "{other} {top}");
    }
}

#[test]
fn a_program_that_ends_without_a_variable_that_we_took_away_is_told_of_with_the_line_that_gives_it_back() {
    let manifest = "secrets: { KEY: , PW: }\nservices:\n  web: { secrets: [KEY, PW], variables: { KEY: { deliver: file } } }\n";
    for delivery in DELIVERIES {
        let scene = Scene::new("forms-gone");
        scene.write("claude-secrets.yml", manifest);
        scene.compose(
            "services:\n  web:\n    image: IMAGE\n    init: true\n    command: [sh, -c, 'printenv URL | base64 -w0; printenv KEY >/dev/null || \
             exit 3; sleep 3000']\n    environment:\n      KEY: ${KEY}\n      URL: 'postgres://app:${PW}@db/app'\n",
        );
        let values = [("KEY", "key-that-is-gone"), ("PW", "password-in-a-url")];
        let said = run(&scene, &["deploy", "--delivery", delivery], &values, 6).stderr;
        let help = "Its variable KEY was taken away: the manifest says `deliver: file`, and KEY_FILE names the file. When it needs \
                      the variable, in claude-secrets.yml: `services: { web: { variables: { KEY: { deliver: variable } } } }`.";
        assert!(said.contains("ended with status 3") && said.contains(help), "{delivery}: {said}");
        // The larger value is hidden as a whole, also in an encoding: not even its beginning is shown.
        assert!(
            said.contains("last lines of") && !said.contains("cG9zdGdyZXM6Ly9hcHA6"),
            "{delivery}: {said}"
        );
    }
}

#[test]
fn files_are_recommended_where_the_image_promises_to_read_them_and_nothing_is_chosen() {
    let scene = Scene::new("forms-recommended");
    let image = Made { kind: "image", name: "postgres:0-claude-secrets-test".to_owned() };
    docker(["tag", &scene::service_image(), &image.name]);
    scene.compose(&format!(
        "services:\n  db:\n    image: {}\n    init: true\n    command: [sleep, '3000']\n    environment: {{ POSTGRES_PASSWORD: '${{PW}}' }}\n  \
         web:\n{SLEEPS}    environment: {{ PW: }}\n",
        image.name
    ));
    let words = ["deploy", "--secrets", "PW", "--strict", "--report-file", "report.json"];
    let said = run(&scene, &words, &[("PW", "password-of-a-database")], 0).stderr;
    let line = "`services: { db: { deliver: file } }`";
    assert_eq!(said.matches(line).count(), 1, "{said}");
    assert!(
        said.contains("note: service db: its image promises to read POSTGRES_PASSWORD from files (https://"),
        "{said}"
    );
    let report = std::fs::read_to_string(scene.project().join("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert!(report["notes"].as_array().unwrap().iter().any(|note| note.as_str().unwrap().contains(line)));
    let value = "POSTGRES_PASSWORD=password-of-a-database".to_owned();
    assert!(variables_of_program(&scene, "db").contains(&value));
    drop(scene);
    drop(image);
}
