//! The `ssm` source: Parameter Store, with the logins of `aws`.

use std::time::{Duration, SystemTime};

use claude_secrets::sources::{Listing, Reply};
use serde_json::{Value, json};

use crate::pages;
use crate::peers::aws::{ACCOUNT, Aws, Keys, REGION, allow, parameters_below};
use crate::peers::program;
use crate::peers::proxy::Proxy;
use crate::run::{Run, shared};

/// What everybody may do who reads below `start`.
fn reader(start: &str) -> Value {
    json!([
        allow(&["ssm:GetParameter", "ssm:GetParameters"], &parameters_below(start)),
        allow(&["ssm:DescribeParameters"], "*"),
    ])
}

fn actions(proxy: &Proxy) -> Vec<String> {
    let target = |target: &str| target.rsplit('.').next().unwrap().to_owned();
    proxy.seen().iter().filter_map(|seen| seen.header("x-amz-target").map(target)).collect()
}

#[tokio::test]
async fn a_parameter_of_every_type_is_found_by_its_name_version_label_and_arn() {
    for aws in [Aws::ministack(), Aws::moto()] {
        let keys = aws.user("types", &reader("/types/"));
        let put = |name: &str, kind: &str, value: &str| {
            let body = json!({ "Name": name, "Value": value, "Type": kind, "Overwrite": true });
            aws.parameters(REGION, "PutParameter", &body);
        };
        put("/types/secure", "SecureString", "value one");
        put("/types/secure", "SecureString", "value two");
        put("/types/plain", "String", r#"{"user": "app", "password": "of the field"}"#);
        put("/types/list", "StringList", "a,b");
        let label = json!({ "Name": "/types/secure", "ParameterVersion": 1, "Labels": ["before"] });
        aws.parameters(REGION, "LabelParameterVersion", &label);
        let arn = format!("ssm:arn:aws:ssm:{REGION}:{}:parameter/types/secure", aws.account());
        let run = Run::at(&aws.url()).keys(&keys);
        let told = run
            .all(&[
                "ssm:/types/secure",
                "ssm:/types/secure@1",
                "ssm:/types/secure@before",
                &arn,
                "ssm:/types/list",
                "ssm:/types/none",
                "ssm:/types/secure@9",
            ])
            .await;
        let values: Vec<&[u8]> = told[..5].iter().map(crate::run::Told::value).collect();
        assert_eq!(values, [&b"value two"[..], b"value one", b"value one", b"value two", b"a,b"]);
        let Reply::Found(found) = &told[0].0 else { unreachable!() };
        assert_eq!(
            (found.place.as_str(), found.version.as_deref()),
            ("parameter /types/secure in eu-central-1", Some("2"))
        );
        let age = SystemTime::now().duration_since(found.changed.unwrap()).unwrap_or_default();
        assert!(age < Duration::from_mins(1) && found.expires.is_none(), "{age:?}");
        assert!(told[5].absent().contains("(no such parameter)"), "{}", told[5].said());
        assert!(told[6].absent().contains("(no such parameter, version or label)"), "{}", told[6].said());
        let resolved = run.resolve("PASSWORD = ssm:/types/plain#password").await;
        assert!(resolved.check().is_ok());
    }
}

#[tokio::test]
async fn ten_are_read_by_a_request_and_one_that_is_denied_denies_no_other() {
    let aws = shared();
    let keys = aws.user("parameters", &reader("/ten/"));
    let names: Vec<String> = (0..25).map(|number| format!("/ten/{number}")).collect();
    for name in &names {
        aws.put_parameter(name, name);
    }
    aws.put_parameter("/other/key", "value");
    let references: Vec<String> = names.iter().map(|name| format!("ssm:{name}")).collect();
    let references: Vec<&str> = references.iter().map(String::as_str).collect();
    let proxy = Proxy::before(aws.address());
    let run = Run::at(&proxy.url()).keys(&keys);
    for (name, told) in names.iter().zip(run.all(&references).await) {
        assert_eq!(told.value(), name.as_bytes());
    }
    assert_eq!(actions(&proxy), ["GetParameters"; 3]);
    // Parameter Store refuses the whole request: its items are then asked one by one.
    let told = run.again().all(&["ssm:/ten/1", "ssm:/other/key", "ssm:/ten/none"]).await;
    assert_eq!(told[0].value(), b"/ten/1");
    told[1].denied();
    assert!(
        told[1].said().contains(&format!("arn:aws:ssm:{REGION}:*:parameter/other/key")),
        "{}",
        told[1].said()
    );
    told[2].absent();
    assert_eq!(actions(&proxy)[3..].iter().filter(|action| *action == "GetParameter").count(), 3);
}

#[tokio::test]
async fn an_import_lists_what_starts_so_at_all_levels_and_no_more() {
    let aws = shared();
    let keys = aws.user("listing", &reader("/listing"));
    for number in 0..12 {
        aws.put_parameter(&format!("/listing/web/{number}"), "value");
    }
    aws.put_parameter("/listing/webhook", "value");
    aws.put_parameter("/listing/other/web", "value");
    let run = Run::at(&aws.url()).keys(&keys);
    let names = |listing: Listing| match listing {
        Listing::Items(mut names) => {
            names.sort();
            names
        }
        Listing::Denied(refusal) | Listing::Failed(refusal) => panic!("{}", refusal.fact),
    };
    assert_eq!(names(run.list_of("ssm", "/listing/web/").await).len(), 12);
    let web = names(run.list_of("ssm", "/listing/web").await);
    assert!(web.len() == 13 && web.contains(&"/listing/webhook".to_owned()), "{web:?}");
    let reads_only = aws.user("not-listing", &json!([allow(&["ssm:GetParameter"], &parameters_below("/"))]));
    let denied = run.again().keys(&reads_only);
    for (run, prefix, why) in [
        (&denied, "/listing/", "is not allowed to list parameters"),
        (&run, "a/b", "begins with `/`"),
        (&run, "arn:aws:ssm", "not by ARN"),
    ] {
        let (Listing::Denied(refusal) | Listing::Failed(refusal)) = run.list_of("ssm", prefix).await else {
            panic!("{prefix} is listed");
        };
        assert!(refusal.fact.contains(why), "{}", refusal.fact);
    }
}

#[tokio::test]
async fn keys_among_the_variables_alone_do_not_mean_it_and_its_region_is_that_of_aws() {
    let aws = shared();
    let keys = aws.user("naming", &reader("/claude-bot/"));
    aws.put_parameter("/claude-bot/api-key", "value");
    let run = Run::at(&aws.url()).keys(&keys);
    let opened = run.open(&["env:ANY"]).unwrap_or_else(|error| panic!("{error}"));
    assert!(!opened.iter().any(|source| source.id().as_str() == "ssm"));
    let run = run.without("AWS_REGION").input("aws-region", REGION).input("sources", "ssm");
    let resolved = run.resolve("API_KEY").await;
    assert!(resolved.check().is_ok());
    // A second source has its own login and its own address.
    let other = run
        .again()
        .without("INPUT_SOURCES")
        .sources("second: { kind: ssm, region: eu-central-1 }")
        .variables(keys.variables("SECOND_"))
        .without("AWS_ACCESS_KEY_ID")
        .without("AWS_SECRET_ACCESS_KEY");
    assert_eq!(other.one("second:/claude-bot/api-key").await.value(), b"value");
}

#[tokio::test]
async fn what_the_page_sets_up_is_what_the_source_reads() {
    let aws = Aws::ministack();
    let directory = tempfile::tempdir().unwrap();
    let trust = json!([{ "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": { "AWS": format!("arn:aws:iam::{ACCOUNT}:root") } }]);
    let role = aws.role("claude-bot-deploy", &trust, &json!([allow(&["sts:GetCallerIdentity"], "*")]));
    let blocks = pages::commands("docs/sources/ssm.md");
    assert_eq!(blocks.len(), 3);
    let cli = program("CLAUDE_SECRETS_AWS_CLI");
    let output = pages::shell(&blocks.join("\n"))
        .current_dir(directory.path())
        .env_clear()
        .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", cli.parent().unwrap().display()))
        .env("HOME", directory.path())
        .env("AWS_ENDPOINT_URL", aws.url())
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let assume = json!([allow(&["sts:AssumeRole"], &role)]);
    let keys: Keys = aws.user("deploy", &assume);
    let run = Run::at(&aws.url()).keys(&keys).input("aws-role-arn", &role);
    let told = run.all(&["ssm:/claude-bot/database-password", "ssm:/claude-bot/database-password@1"]).await;
    assert!(told[0].value().len() == 44 && told[1].value().len() == 44 && told[0].value() != told[1].value());
    run.one("ssm:/claude-bot/none").await.absent();
    run.one("ssm:/other/none").await.denied();
    assert!(run.resolve("DATABASE_PASSWORD = ssm:/claude-bot/database-password").await.check().is_ok());
}

#[test]
fn every_message_that_the_page_explains_is_one_that_is_said() {
    let top = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut said = std::fs::read_to_string(top.join("src/sources/aws/refusal.rs")).unwrap();
    for entry in std::fs::read_dir(top.join("src/sources/aws/parameters")).unwrap() {
        said += &std::fs::read_to_string(entry.unwrap().path()).unwrap();
    }
    let page = std::fs::read_to_string(top.join("docs/sources/ssm.md")).unwrap();
    let (_, table) = page.split_once("## Troubleshooting").unwrap();
    let messages: Vec<&str> =
        table.lines().filter_map(|line| line.strip_prefix("| *")?.split('*').next()).collect();
    assert_eq!(messages.len(), 5);
    for message in messages {
        assert!(said.contains(message), "nothing says: {message}");
    }
}
