//! What is printed is put into effect by real servers, and then suffices: everything that the manifest names is read with
//! exactly that, and nothing else is.

use std::collections::BTreeMap;

use claude_secrets::error::Error;
use claude_secrets::resolve::{Resolution, Resolved, State};
use serde_json::{Value, json};

use crate::opening;
use crate::peers::aws::{ACCOUNT, Aws, trust};
use crate::peers::bao::Bao;
use crate::peers::issuer::Issuer;
use crate::printed;

/// What a run with this manifest and these variables makes of its secrets.
async fn run(text: &str, variables: &[(String, String)]) -> Result<Resolution, Error> {
    let project = tempfile::tempdir().unwrap();
    let settings = opening::settings(variables.iter().cloned(), project.path())?;
    let manifest = opening::manifest(&settings, None, text)?;
    let opened = opening::open(&settings, &manifest, project.path())?;
    opening::resolve(&settings, manifest, &opened).await
}

/// Each secret with its value, or with how it ended.
fn told(resolution: &Resolution) -> BTreeMap<String, String> {
    let one = |resolved: &Resolved| match &resolved.value {
        Some(value) => String::from_utf8_lossy(value.expose()).into_owned(),
        None => format!("{:?}", resolved.state),
    };
    resolution.secrets.iter().map(|resolved| (resolved.secret.name.to_string(), one(resolved))).collect()
}

fn expected(all: &[(&str, &str)]) -> BTreeMap<String, String> {
    all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// How a run with one more secret, at this reference, ends for that secret.
async fn outside(manifest: &str, reference: &str, variables: &[(String, String)]) -> State {
    let text = format!("{manifest}  OUTSIDE: {{ from: ['{reference}'] }}\n");
    let resolution = run(&text, variables).await.unwrap();
    let secret = resolution.secrets.iter().find(|resolved| resolved.secret.name.as_str() == "OUTSIDE");
    secret.unwrap().state
}

/// The variables of a workflow whose role, of this name, has the policy that is printed for the manifest.
fn with_printed_policy(
    aws: &Aws,
    issuer: &Issuer,
    name: &str,
    manifest: &str,
    words: &[&str],
) -> Vec<(String, String)> {
    let (status, policy, said) = printed(manifest, words);
    assert_eq!(status, 0, "{said}");
    let policy: Value = serde_json::from_str(&policy).unwrap();
    let role = aws.role(name, &trust("octo-org/octo-repo"), &policy["Statement"]);
    assert!(manifest.contains(&role), "{role}");
    let mut variables = issuer.variables();
    variables.push(("AWS_ENDPOINT_URL".to_owned(), aws.url()));
    variables
}

#[tokio::test]
async fn the_printed_iam_policy_lets_a_role_read_what_the_manifest_names_and_nothing_else() {
    let (aws, issuer) = (Aws::ministack(), Issuer::start_as_github());
    aws.put("claude-bot/api-key", b"canary-conventional");
    aws.put("team/one", br#"{"field":"canary-one"}"#);
    let arn = aws.put("team/two", b"canary-two");
    let whole = aws.put("team/three", b"canary-three");
    let without_end = &whole[..whole.len() - "-abcdef".len()];
    aws.put("team/db", br#"{"user":"canary-user"}"#);
    aws.put("team/imported/key", b"canary-imported");
    aws.put("team/one-more", b"canary-of-others");
    aws.put("claude-botany/key", b"canary-of-others");
    for (name, words) in [("batch", &["aws"][..]), ("narrow", &["aws", "--without-batch"])] {
        let manifest = format!(
            "
prefix: claude-bot
sources:
  aws: {{ region: eu-central-1, role-arn: 'arn:aws:iam::{ACCOUNT}:role/{name}' }}
import: ['aws:team/imported/*', 'aws:team/db#*']
secrets:
  API_KEY:
  NOWHERE: {{ required: false }}
  ONE: {{ from: ['aws:team/one#field'] }}
  TWO: {{ from: ['aws:{arn}'] }}
  THREE: {{ from: ['aws:{without_end}'] }}
"
        );
        let variables = with_printed_policy(&aws, &issuer, name, &manifest, words);
        let resolution = run(&manifest, &variables).await.unwrap();
        let all = [
            ("API_KEY", "canary-conventional"),
            ("KEY", "canary-imported"),
            ("NOWHERE", "Absent"),
            ("ONE", "canary-one"),
            ("THREE", "canary-three"),
            ("TWO", "canary-two"),
            ("USER", "canary-user"),
        ];
        assert_eq!(told(&resolution), expected(&all), "{name}");
        for other in ["aws:team/one-more", "aws:team/nowhere", "aws:claude-botany/key"] {
            assert_eq!(outside(&manifest, other, &variables).await, State::Denied, "{name}: {other}");
        }
    }
}

#[tokio::test]
async fn the_printed_policy_for_parameters_lets_a_role_read_these_and_nothing_else() {
    let (aws, issuer) = (Aws::ministack(), Issuer::start_as_github());
    for (name, value) in [
        ("/claude-bot/api-key", "canary-conventional"),
        ("/team/one", r#"{"field":"canary-one"}"#),
        ("/team/two", "canary-two"),
        ("/team/db", r#"{"user":"canary-user"}"#),
        ("/team/imported/key", "canary-imported"),
        ("top", "canary-top"),
        ("/team/one-more", "canary-of-others"),
        ("/claude-botany/key", "canary-of-others"),
    ] {
        aws.put_parameter(name, value);
    }
    for (name, words) in [("parameters", &["ssm"][..]), ("narrow-parameters", &["ssm", "--without-batch"])] {
        let manifest = format!(
            "
prefix: claude-bot
sources:
  ssm: {{ region: eu-central-1, role-arn: 'arn:aws:iam::{ACCOUNT}:role/{name}' }}
import: ['ssm:/team/imported/*', 'ssm:/team/db#*']
secrets:
  API_KEY:
  NOWHERE: {{ required: false }}
  ONE: {{ from: ['ssm:/team/one#field'] }}
  TWO: {{ from: ['ssm:arn:aws:ssm:eu-central-1:{ACCOUNT}:parameter/team/two'] }}
  TOP: {{ from: ['ssm:top'] }}
"
        );
        let variables = with_printed_policy(&aws, &issuer, name, &manifest, words);
        let resolution = run(&manifest, &variables).await.unwrap();
        let all = [
            ("API_KEY", "canary-conventional"),
            ("KEY", "canary-imported"),
            ("NOWHERE", "Absent"),
            ("ONE", "canary-one"),
            ("TOP", "canary-top"),
            ("TWO", "canary-two"),
            ("USER", "canary-user"),
        ];
        assert_eq!(told(&resolution), expected(&all), "{name}");
        for other in ["ssm:/team/one-more", "ssm:/team/nowhere", "ssm:/claude-botany/key"] {
            assert_eq!(outside(&manifest, other, &variables).await, State::Denied, "{name}: {other}");
        }
    }
}

#[tokio::test]
async fn the_printed_hcl_lets_a_token_read_what_the_manifest_names_and_nothing_else() {
    let bao = Bao::start();
    bao.put("claude-bot/api-key", &json!({ "value": "canary-conventional" }));
    bao.put("team/one", &json!({ "key": "canary-one" }));
    bao.put("team/db", &json!({ "user": "canary-user" }));
    bao.put("imported/key", &json!({ "value": "canary-imported" }));
    bao.put("imported/folder/key", &json!({ "value": "canary-in-a-folder" }));
    bao.put("team/one-more", &json!({ "value": "canary-of-others" }));
    bao.put("claude-botany/key", &json!({ "value": "canary-of-others" }));
    for (mount, version) in [("first", "1"), ("second", "2")] {
        bao.mount(mount, "kv", &json!({ "version": version }));
    }
    bao.put("team/keys/k-fourth", &json!({ "value": "canary-by-its-start" }));
    bao.put("team/keys/other", &json!({ "value": "canary-of-others" }));
    bao.mount("of/many/parts", "kv", &json!({ "version": "2" }));
    bao.must("POST", "of/many/parts/data/one", &json!({ "data": { "key": "canary-third" } }));
    bao.must("POST", "first/one", &json!({ "key": "canary-first" }));
    bao.must("POST", "second/data/one", &json!({ "data": { "key": "canary-second" } }));
    let manifest = format!(
        "
prefix: claude-bot
sources:
  vault: {{ addr: '{}' }}
import: ['vault:secret/imported/*', 'vault:secret/team/db#*', 'vault:secret/team/keys/k-*']
secrets:
  API_KEY:
  NOWHERE: {{ required: false }}
  ONE: {{ from: ['vault:/v1/secret/data/team/one#key'] }}
  THIRD: {{ from: ['vault:of/many/parts/one#key'] }}
  FIRST: {{ from: ['vault:first/one#key'] }}
  SECOND: {{ from: ['vault:second/one#key'] }}
",
        bao.url()
    );
    let (status, policy, said) = printed(&manifest, &["vault"]);
    assert_eq!(status, 0, "{said}");
    bao.must("PUT", "sys/policies/acl/printed", &json!({ "policy": policy }));
    let token = bao.token(&json!({ "policies": ["printed"], "no_default_policy": true }));
    let variables = [("VAULT_TOKEN".to_owned(), token)];
    let resolution = run(&manifest, &variables).await.unwrap();
    let all = [
        ("API_KEY", "canary-conventional"),
        ("FIRST", "canary-first"),
        ("FOLDER_KEY", "canary-in-a-folder"),
        ("FOURTH", "canary-by-its-start"),
        ("KEY", "canary-imported"),
        ("NOWHERE", "Absent"),
        ("ONE", "canary-one"),
        ("SECOND", "canary-second"),
        ("THIRD", "canary-third"),
        ("USER", "canary-user"),
    ];
    assert_eq!(told(&resolution), expected(&all));
    for other in [
        "vault:secret/team/one-more",
        "vault:secret/team/nowhere",
        "vault:secret/team/keys/other",
        "vault:secret/claude-botany/key",
    ] {
        assert_eq!(outside(&manifest, other, &variables).await, State::Denied, "{other}");
    }
    let wider = manifest.replace("vault:secret/imported/*", "vault:secret/team/*");
    assert_eq!(run(&wider, &variables).await.err().unwrap().code.token(), "source-denied");
}
