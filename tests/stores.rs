//! Deployments whose secrets come from several stores at once: the image, started as GitHub's runner starts it, against real
//! stores. And what a store that stops in the middle does to a deployment.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]

#[path = "support/forms.rs"]
#[allow(dead_code, unreachable_pub, reason = "each test program uses its own part")]
mod forms;
#[path = "support/peers/mod.rs"]
mod peers;
mod support;

use std::net::SocketAddr;
use std::sync::Mutex;

use serde_json::{Value, json};

use forms::{Scanner, heard};
use peers::aws::{Aws, REGION, allow, secrets_below, trust};
use peers::azure::{Azure, CLIENT, SECRET, TENANT};
use peers::bao::{Bao, ROOT};
use peers::gate::Gate;
use peers::issuer::Issuer;
use peers::onepassword::{Account, CONNECT_TOKEN, Item};
use peers::proxy::{Fault, Proxy, Rule};
use support::engine::Engine;
use support::project::Workspace;
use support::runner::{Ran, Step};

/// AWS and Vault that trust the same workflow, with gates for the action's container.
struct Stores {
    issuer: Issuer,
    aws: Aws,
    bao: Bao,
    role: String,
    gates: [Gate; 3],
}

impl Stores {
    fn start() -> Self {
        let (issuer, aws, bao) = (Issuer::start_as_github(), Aws::ministack(), Bao::start());
        let read = json!([
            allow(&["secretsmanager:GetSecretValue"], &secrets_below("claude-bot/")),
            allow(&["secretsmanager:GetSecretValue"], &secrets_below("shop/")),
            allow(&["secretsmanager:BatchGetSecretValue"], "*"),
        ]);
        let role = aws.role("deploy", &trust("octo-org/octo-repo"), &read);
        trust_workflow(&bao, &issuer);
        let gates = [issuer.address, aws.address(), bao.address()]
            .map(|server| Gate::to(server, Engine::shared().gateway()));
        Self { issuer, aws, bao, role, gates }
    }

    /// The step, told of both stores, and with the workflow's identity to log in to them.
    fn told<'a>(&self, step: Step<'a>) -> Step<'a> {
        let [issuer, aws, bao] = &self.gates;
        let identity = self.issuer.variables().into_iter();
        let step = identity.fold(step, |step, (name, value)| {
            let is_address = value.contains("://");
            step.env(&name, if is_address { issuer.through(&value, self.issuer.address) } else { value })
        });
        step.input("aws-region", REGION)
            .input("aws-role-arn", &self.role)
            .env("AWS_ENDPOINT_URL", format!("http://{}", aws.address))
            .input("vault-addr", format!("http://{}", bao.address))
            .input("vault-role", "deploy")
    }
}

/// Makes the server trust the workflow: by its identity token, as a role that may read what is the bot's.
fn trust_workflow(bao: &Bao, issuer: &Issuer) {
    bao.policy("deploy", &[("secret/data/claude-bot/*", "read"), ("secret/data/shop/*", "read")]);
    bao.must("POST", "sys/auth/jwt", &json!({ "type": "jwt" }));
    let keys = format!("http://{}/.well-known/jwks", issuer.address);
    bao.must("POST", "auth/jwt/config", &json!({ "jwks_url": keys, "bound_issuer": issuer.name() }));
    let role = json!({
        "role_type": "jwt",
        "user_claim": "actor",
        "bound_audiences": ["https://github.com/octo-org"],
        "bound_claims": { "repository": "octo-org/octo-repo" },
        "token_policies": ["deploy"],
    });
    bao.must("POST", "auth/jwt/role/deploy", &role);
}

/// The reported source of each secret.
fn sources(ran: &Ran) -> Value {
    serde_json::from_str(ran.output("resolved")).unwrap()
}

/// No value is in what the step printed, but for the masks, nor in its summary, report, outputs and override file.
fn assert_nothing_shows(workspace: &Workspace, ran: &Ran, values: &[(&str, &str)]) {
    let scanner = Scanner::new(values.iter().map(|(name, value)| (*name, value.as_bytes())));
    scanner.assert_clean("the log", &heard(&ran.bytes).rest);
    scanner.assert_clean("the summary", ran.summary.as_bytes());
    scanner.assert_clean("the report", ran.report_text.as_bytes());
    ran.outputs.iter().for_each(|(name, value)| scanner.assert_clean(name, value.as_bytes()));
    scanner.assert_clean("the override", &workspace.read("docker-compose.secrets.yml").unwrap());
    for (service, id) in workspace.containers() {
        scanner.assert_clean(&service, workspace.engine.text(&["inspect", &id]).as_bytes());
    }
}

const BOT: &str = "
services:
  bot:
    image: IMAGE
    command: SLEEP
    user: '1234'
";

#[test]
fn secrets_of_aws_vault_a_dotenv_file_and_github_arrive_in_one_run() {
    let stores = Stores::start();
    stores.aws.put("claude-bot/database", br#"{"url":"postgres://canary-of-aws@db","old":null}"#);
    stores.aws.put("claude-bot/signing-key", b"canary of aws\nin two lines\n");
    stores.bao.put("claude-bot/anthropic", &json!({ "key": "sk-ant-canary-of-vault" }));
    stores.bao.put("claude-bot/webhook", &json!({ "value": "canary-of-vault-by-convention" }));
    let values = [
        ("anthropic_api_key", "sk-ant-canary-of-vault"),
        ("bot_token", "canary-of-github"),
        ("database_url", "postgres://canary-of-aws@db"),
        ("sentry_dsn", "canary-of-dotenv"),
        ("signing_key", "canary of aws\nin two lines\n"),
        ("webhook", "canary-of-vault-by-convention"),
    ];
    for delivery in ["file", "volume"] {
        let workspace = Workspace::new();
        workspace.compose(BOT).write(".env", "SENTRY_DSN=canary-of-dotenv\n");
        let step = workspace
            .deploy(delivery)
            .input(
                "secrets",
                "ANTHROPIC_API_KEY = vault:secret/claude-bot/anthropic#key\nDATABASE_URL = aws:claude-bot/database#url\n\
                 SIGNING_KEY\nWEBHOOK\nSENTRY_DSN\nBOT_TOKEN\nUNUSED?\n",
            )
            .input("github-secrets", r#"{"BOT_TOKEN":"canary-of-github","github_token":"x"}"#);
        let ran = stores.told(step).succeed();
        assert_eq!(ran.output("result"), "deployed");
        workspace.assert_reads("bot", &values);
        let expected = json!({
            "ANTHROPIC_API_KEY": "vault", "DATABASE_URL": "aws", "SIGNING_KEY": "aws", "WEBHOOK": "vault",
            "SENTRY_DSN": "dotenv", "BOT_TOKEN": "env",
        });
        assert_eq!(sources(&ran), expected);
        let dates = ran.report["secrets"].as_array().unwrap().iter().filter(|secret| {
            ["aws", "vault"].contains(&secret["source"].as_str().unwrap_or_default())
                && secret["changed_at"].is_string()
                && secret["version"].is_string()
        });
        assert_eq!(dates.count(), 4, "{}", ran.report_text);
        assert_nothing_shows(&workspace, &ran, &values);
    }
    assert_eq!(stores.bao.tokens(), 1, "the tokens of both runs were given back; root's is left");
}

/// The workflow and the project of `examples/stores`, with the addresses of the stores that are here.
#[test]
fn the_example_of_stores_deploys() {
    let stores = Stores::start();
    stores.bao.put("shop/api", &json!({ "key": "canary-of-vault" }));
    stores.aws.put("shop/database", br#"{"url":"postgres://canary-of-aws@db"}"#);
    stores.aws.put("shop/signing-key", b"canary of aws\nin two lines\n");
    let file = |name: &str| {
        let path = format!("{}/examples/stores/{name}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(path).unwrap()
    };
    let workflow: Value = serde_saphyr::from_str(&file("deploy.yml")).unwrap();
    let steps = workflow["jobs"]["deploy"]["steps"].as_array().unwrap();
    let ours = steps.iter().find(|step| step["id"] == "secrets").unwrap();
    let workspace = Workspace::new();
    let compose = file("docker-compose.yml").replace("debian:trixie-slim", "IMAGE").replace("name: shop", "");
    workspace.compose(&compose);
    let inputs = ours["with"].as_object().unwrap();
    let step = inputs
        .iter()
        .fold(workspace.deploy("volume"), |step, (name, value)| step.input(name, value.as_str().unwrap()));
    let ran = stores.told(step).succeed();
    assert_eq!(ran.output("result"), "deployed");
    let values = [
        ("api_key", "canary-of-vault"),
        ("database_url", "postgres://canary-of-aws@db"),
        ("signing_key", "canary of aws\nin two lines\n"),
    ];
    workspace.assert_reads("web", &values);
    assert_eq!(sources(&ran), json!({ "API_KEY": "vault", "DATABASE_URL": "aws", "SIGNING_KEY": "aws" }));
    assert_nothing_shows(&workspace, &ran, &values);
}

#[test]
fn a_rotated_secret_recreates_who_uses_it_and_an_unchanged_one_nobody() {
    let stores = Stores::start();
    stores.aws.put("claude-bot/key", b"first-value-of-aws");
    stores.bao.put("claude-bot/token", &json!({ "value": "first-value-of-vault" }));
    let workspace = Workspace::new();
    workspace.compose(
        "
services:
  of-aws: { image: IMAGE, command: SLEEP, environment: { KEY: } }
  of-vault: { image: IMAGE, command: SLEEP, environment: { TOKEN: } }
",
    );
    let deploy = || stores.told(workspace.deploy("volume").input("secrets", "KEY\nTOKEN")).succeed();
    assert_eq!(deploy().output("result"), "deployed");
    let before = workspace.standing();
    assert_eq!(deploy().output("result"), "unchanged");
    assert_eq!(workspace.standing(), before);
    stores.bao.put("claude-bot/token", &json!({ "value": "second-value-of-vault" }));
    let ran = deploy();
    assert_eq!(ran.list("recreated"), ["of-vault"]);
    assert_eq!(workspace.standing()["of-aws"], before["of-aws"]);
    workspace.assert_reads("of-vault", &[("token", "second-value-of-vault")]);
}

#[test]
fn all_seven_sources_give_their_secrets_in_one_run() {
    let stores = Stores::start();
    stores.aws.put("claude-bot/from-aws", b"zQ7-first-canary");
    stores.bao.put("claude-bot/from-vault", &json!({ "value": "zQ7-second-canary" }));
    let azure = Azure::with_vault();
    azure.put("claude-bot-from-azure", "zQ7-third-canary");
    let account = Account::new();
    account.vault("claude-bot");
    account.put("claude-bot", Item::credential("from-onepassword", "zQ7-fourth-canary"));
    let connect = account.connect();
    let workspace = Workspace::new();
    workspace
        .compose(BOT)
        .write(".env", "FROM_DOTENV=zQ7-fifth-canary\n")
        .write("files/from_docker_secrets", "zQ7-sixth-canary")
        .write("claude-secrets.yml", "sources:\n  docker-secrets: { dir: files }\n");
    let all = [
        ("AWS", "zQ7-first-canary"),
        ("AZURE", "zQ7-third-canary"),
        ("DOCKER_SECRETS", "zQ7-sixth-canary"),
        ("DOTENV", "zQ7-fifth-canary"),
        ("ENV", "zQ7-seventh-canary"),
        ("ONEPASSWORD", "zQ7-fourth-canary"),
        ("VAULT", "zQ7-second-canary"),
    ];
    let declared = all.map(|(name, _)| format!("FROM_{name}")).join("\n");

    let route = azure.route("seven");
    let proxy = &route.iter().find(|(name, _)| name == "HTTPS_PROXY").unwrap().1;
    let server = server_of(proxy);
    let (to_azure, to_connect) = (
        Gate::to(server, Engine::shared().gateway()),
        Gate::to(connect.address(), Engine::shared().gateway()),
    );
    let step = workspace
        .deploy("volume")
        .input("secrets", declared)
        .input("ca-certificates", std::fs::read_to_string(azure.file("ca.pem")).unwrap())
        .input("azure-vault-url", "https://kv-tests.vault.azure.net")
        .input("azure-tenant-id", TENANT)
        .input("azure-client-id", CLIENT)
        .env("AZURE_CLIENT_SECRET", SECRET)
        .env("HTTPS_PROXY", to_azure.through(proxy, server))
        .env("OP_CONNECT_HOST", to_connect.through(&connect.url(), connect.address()))
        .env("OP_CONNECT_TOKEN", CONNECT_TOKEN)
        .env("FROM_ENV", "zQ7-seventh-canary");
    let ran = stores.told(step).succeed();

    let mut expected = json!({});
    let mut values = Vec::new();
    for (name, value) in all {
        values.push((format!("from_{}", name.to_lowercase()), value));
        expected[format!("FROM_{name}")] = name.to_lowercase().replace('_', "-").into();
    }
    assert_eq!(sources(&ran), expected);
    let values: Vec<(&str, &str)> = values.iter().map(|(file, value)| (file.as_str(), *value)).collect();
    workspace.assert_reads("bot", &values);
    assert_nothing_shows(&workspace, &ran, &values);
    for source in ["docker-secrets", "aws", "vault", "azure", "onepassword", "dotenv", "env"] {
        assert!(ran.summary.contains(source), "the summary does not name {source}");
    }
}

fn server_of(url: &str) -> SocketAddr {
    url.rsplit(['@', '/']).next().unwrap().parse().unwrap()
}

#[test]
fn the_override_is_written_for_what_an_import_names_beside_a_directory_of_the_host() {
    let bao = Bao::start();
    bao.put("claude-bot/api-key", &json!({ "value": "canary-of-vault" }));
    let gate = Gate::to(bao.address(), Engine::shared().gateway());
    // The action's container does not see it.
    let directory = tempfile::tempdir().unwrap();
    let workspace = Workspace::new();
    workspace.compose(BOT).write(
        "claude-secrets.yml",
        format!(
            "sources:\n  docker-secrets: {{ dir: {} }}\nimport: ['vault:secret/claude-bot/*']\n",
            directory.path().display()
        ),
    );
    let ran = workspace
        .step()
        .input("mode", "create-compose")
        .input("delivery", "file")
        .input("vault-addr", format!("http://{}", gate.address))
        .env("VAULT_TOKEN", ROOT)
        .succeed();
    assert_eq!(ran.output("result"), "created");
    let text = String::from_utf8(workspace.read("docker-compose.secrets.yml").unwrap()).unwrap();
    assert!(text.contains("api_key"), "{text}");
    Scanner::new([("API_KEY", b"canary-of-vault".as_slice())]).assert_clean("the override", text.as_bytes());
}

/// A Vault server that dies when it is asked for `secret/claude-bot/key`: after the login, in the middle of a run.
struct Dying {
    /// It stands before the server, and goes with this.
    _proxy: Proxy,
    gate: Gate,
    role: (String, String),
}

impl Dying {
    fn start() -> Self {
        let bao = Bao::start();
        bao.put("claude-bot/key", &json!({ "value": "canary-of-vault" }));
        bao.policy("deploy", &[("secret/data/claude-bot/*", "read")]);
        bao.must("POST", "sys/auth/approle", &json!({ "type": "approle" }));
        let role = bao.approle("deploy", &json!({ "token_policies": ["deploy"] }));
        let proxy = Proxy::before(bao.address());
        let alive = Mutex::new(Some(bao));
        proxy.rule(Rule::always(Fault::Forward).when(move |seen| {
            let asked = seen.path() == "/v1/secret/data/claude-bot/key";
            if asked {
                drop(alive.lock().unwrap().take());
            }
            asked
        }));
        let gate = Gate::to(proxy.address(), Engine::shared().gateway());
        Self { _proxy: proxy, gate, role }
    }

    /// A step that logs in to it as a role, and has another value of `KEY` in its environment.
    fn told<'a>(&self, workspace: &'a Workspace, references: &str) -> Step<'a> {
        workspace
            .deploy("volume")
            .input("secrets", format!("KEY = {references}"))
            .input("vault-addr", format!("http://{}", self.gate.address))
            .env("VAULT_ROLE_ID", &self.role.0)
            .env("VAULT_SECRET_ID", &self.role.1)
            .env("KEY", "canary-of-env")
    }
}

const ABOVE: &str = "vault:secret/claude-bot/key | env:KEY";
const BELOW: &str = "env:KEY | vault:secret/claude-bot/key";

#[test]
fn a_vault_above_the_winner_that_stops_in_the_middle_ends_the_run_and_nothing_is_touched() {
    let workspace = Workspace::new();
    workspace.compose(BOT);
    workspace.deploy("volume").input("secrets", "KEY").env("KEY", "value-of-before").succeed();
    let before = workspace.standing();
    let ran = Dying::start().told(&workspace, ABOVE).fail(4, "source-failed");
    // It stops while it is asked for the item, and what is mounted there, at the same time.
    assert!(ran.log.contains("KEY: vault:"), "{}", ran.log);
    assert!(ran.log.contains("KEY = env:KEY"), "the way out as text to paste: {}", ran.log);
    assert_eq!(workspace.standing(), before);
    workspace.assert_reads("bot", &[("key", "value-of-before")]);
}

#[test]
fn a_vault_below_the_winner_that_stops_in_the_middle_changes_nothing() {
    let workspace = Workspace::new();
    workspace.compose(BOT);
    let ran = Dying::start().told(&workspace, BELOW).succeed();
    assert_eq!((ran.output("result"), ran.output("degraded")), ("deployed", "false"));
    workspace.assert_reads("bot", &[("key", "canary-of-env")]);
    let notes = ran.report["notes"].to_string();
    assert!(notes.contains("a source of higher priority has the secret"), "{notes}");
}

#[test]
fn a_vault_that_stops_in_the_middle_is_passed_over_with_leave_and_the_run_is_degraded() {
    let workspace = Workspace::new();
    workspace.compose(BOT);
    let ran = Dying::start().told(&workspace, ABOVE).input("on-source-error", "next").succeed();
    assert_eq!((ran.output("result"), ran.output("degraded")), ("deployed", "true"));
    workspace.assert_reads("bot", &[("key", "canary-of-env")]);
    assert_eq!(sources(&ran), json!({ "KEY": "env" }));
    assert!(ran.summary.to_lowercase().contains("degraded"), "{}", ran.summary);
}
