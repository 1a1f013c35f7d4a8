//! Whom the source logs in as: keys, shared profiles, files with tokens, containers, instances, and sources with ids of
//! their own.

use claude_secrets::resolve::State;
use claude_secrets::sources::Reply;
use serde_json::json;

use crate::peers::aws::{Keys, REGION, trust};
use crate::peers::issuer::Issuer;
use crate::peers::proxy::{Fault, Proxy, Rule};
use crate::run::{Run, reader, shared};

fn profile(name: &str, keys: &Keys) -> String {
    format!("[{name}]\naws_access_key_id = {}\naws_secret_access_key = {}\n", keys.id, keys.secret)
}

/// What a container or an instance is told about its credentials.
fn handed_out(keys: &Keys) -> Fault {
    let until = "2099-01-01T00:00:00Z";
    Fault::json(
        json!({
            "Code": "Success", "Type": "AWS-HMAC", "LastUpdated": "2026-01-01T00:00:00Z", "Expiration": until,
            "AccessKeyId": keys.id, "SecretAccessKey": keys.secret, "Token": "unused",
        })
        .to_string(),
    )
}

#[tokio::test]
async fn a_shared_profile_is_used_where_it_is_asked_for() {
    let aws = shared();
    let (own, other) =
        (aws.user("profile-own", &reader("profile/")), aws.user("profile-other", &reader("nothing/")));
    aws.put("profile/key", b"value");
    let run = Run::at(&aws.url()).without("AWS_REGION");
    let file = run.file("credentials", &(profile("deploy", &own) + &profile("powerless", &other)));
    let config = run.file("config", &format!("[profile deploy]\nregion = {REGION}\n"));
    let run = run.variable("AWS_SHARED_CREDENTIALS_FILE", &file).variable("AWS_CONFIG_FILE", &config);
    // By the manifest it wins over keys that are just there; by a variable it does not, as in AWS's own tools.
    let run = run.keys(&other).sources("aws: { profile: deploy }");
    assert_eq!(run.one("aws:profile/key").await.value(), b"value", "the region is the profile's too");
    let run = run.sources("").variable("AWS_PROFILE", "powerless").keys(&own).variable("AWS_REGION", REGION);
    assert_eq!(run.one("aws:profile/key").await.value(), b"value");
    let run = run.without("AWS_ACCESS_KEY_ID").without("AWS_SECRET_ACCESS_KEY");
    run.one("aws:profile/key").await.denied();
    assert_eq!(run.variable("AWS_PROFILE", "deploy").one("aws:profile/key").await.value(), b"value");
}

#[tokio::test]
async fn a_profile_that_does_not_exist_is_nobody_else() {
    let aws = shared();
    let keys = aws.user("no-profile", &reader("no-profile/"));
    let container = Proxy::alone();
    container.rule(Rule::always(handed_out(&keys)));
    let run = Run::at(&aws.url()).variable("AWS_CONTAINER_CREDENTIALS_FULL_URI", &container.url());
    let file = run.file("credentials", &profile("deploy", &keys));
    let run = run.variable("AWS_SHARED_CREDENTIALS_FILE", &file).variable("AWS_PROFILE", "deplyo");
    let said = run.one("aws:no-profile/key").await.failed();
    assert!(said.starts_with("aws: no shared profile `deplyo` with credentials found"), "{said}");
}

#[tokio::test]
async fn a_profile_may_assume_a_role_or_run_a_program() {
    let aws = shared();
    let keys =
        aws.user("sourced", &json!([{ "Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*" }]));
    let trusting = json!([{ "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": { "AWS": "*" } }]);
    let role = aws.role("sourced", &trusting, &reader("sourced/"));
    let runner = aws.user("program", &reader("sourced/"));
    aws.put("sourced/key", b"value");
    let run = Run::at(&aws.url());
    let printed = json!({ "Version": 1, "AccessKeyId": runner.id, "SecretAccessKey": runner.secret });
    let program = run.file("printed.json", &printed.to_string());
    let config = run.file(
        "config",
        &format!(
            "[profile by-role]\nrole_arn = {role}\nsource_profile = base\n[profile base]\naws_access_key_id = {}\naws_secret_access_key = {}\n\
             [profile by-program]\ncredential_process = cat {program}\n[profile by-broken-program]\ncredential_process = false\n\
             [profile by-environment]\nrole_arn = {role}\ncredential_source = Environment\n",
            keys.id, keys.secret
        ),
    );
    let run = run.variable("AWS_CONFIG_FILE", &config).variable("AWS_SHARED_CREDENTIALS_FILE", "/nowhere");
    for name in ["by-role", "by-program"] {
        let run = run.again().sources(&format!("aws: {{ profile: {name} }}"));
        assert_eq!(run.one("aws:sourced/key").await.value(), b"value", "{name}");
    }
    for name in ["by-broken-program", "by-environment"] {
        let said =
            run.again().sources(&format!("aws: {{ profile: {name} }}")).one("aws:sourced/key").await.failed();
        assert!(said.starts_with(&format!("aws: logging in with the shared profile `{name}`: ")), "{said}");
    }
}

#[tokio::test]
async fn a_token_in_a_file_assumes_the_role() {
    let aws = shared();
    let issuer = Issuer::start_as_github();
    let role = aws.role("by-file", &trust("octo-org/octo-repo"), &reader("by-file/"));
    aws.put("by-file/key", b"value");
    let run = Run::at(&aws.url());
    let file = run.file("token", &issuer.token("sts.amazonaws.com"));
    let run = run.variable("AWS_WEB_IDENTITY_TOKEN_FILE", &file);
    let by_variable = run.again().variable("AWS_ROLE_ARN", &role);
    assert_eq!(by_variable.one("aws:by-file/key").await.value(), b"value");
    let by_input = run.again().input("aws-role-arn", &role);
    assert_eq!(by_input.one("aws:by-file/key").await.value(), b"value");
    let said = run.one("aws:by-file/key").await.failed();
    assert!(said.contains("no role to assume with it"), "{said}");
    let untrusted = aws.role("by-file-untrusted", &trust("octo-org/other"), &reader(""));
    let said = run.again().variable("AWS_ROLE_ARN", &untrusted).one("aws:by-file/key").await.denied();
    assert!(
        said.contains("logging in with the token in `AWS_WEB_IDENTITY_TOKEN_FILE`")
            && said.contains("AccessDenied"),
        "{said}"
    );
    let gone =
        run.again().variable("AWS_ROLE_ARN", &role).variable("AWS_WEB_IDENTITY_TOKEN_FILE", "/nowhere/token");
    let said = gone.one("aws:by-file/key").await.failed();
    assert!(said.contains("the file cannot be read: No such file or directory"), "{said}");
}

#[tokio::test]
async fn a_container_is_handed_its_credentials() {
    let aws = shared();
    let keys = aws.user("container", &reader("container/"));
    aws.put("container/key", b"value");
    let container = Proxy::alone();
    container.rule(
        Rule::always(handed_out_without_token(&keys))
            .when(|seen| seen.header("authorization") == Some("of-the-task")),
    );
    container.rule(Rule::always(Fault::status(401)));
    let run = Run::at(&aws.url())
        .variable("AWS_CONTAINER_CREDENTIALS_FULL_URI", &container.url())
        .variable("AWS_CONTAINER_AUTHORIZATION_TOKEN", "of-the-task");
    assert_eq!(run.one("aws:container/key").await.value(), b"value");
    let said =
        run.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN", "wrong").one("aws:container/key").await.failed();
    assert!(said.starts_with("aws: logging in with the container's credentials: "), "{said}");
    assert!(!said.contains("wrong") && !said.contains(&keys.id), "{said}");
}

#[tokio::test]
async fn an_instance_is_asked_who_it_is_only_for_a_source_that_is_named() {
    let aws = shared();
    let keys = aws.user("instance", &reader("instance/"));
    aws.put("instance/key", b"value");
    let metadata = Proxy::alone();
    let token = vec![("X-Aws-Ec2-Metadata-Token-Ttl-Seconds".to_owned(), "21600".to_owned())];
    metadata.rule(
        Rule::always(Fault::Status { status: 200, headers: token, body: b"token".to_vec() })
            .under("/latest/api/token"),
    );
    metadata.rule(
        Rule::always(handed_out_without_token(&keys)).when(|seen| seen.target.ends_with("/of-the-instance")),
    );
    let name = Fault::Status { status: 200, headers: Vec::new(), body: b"of-the-instance".to_vec() };
    metadata.rule(Rule::always(name).when(|seen| seen.target.contains("/security-credentials")));
    let region = Fault::Status { status: 200, headers: Vec::new(), body: REGION.as_bytes().to_vec() };
    metadata.rule(Rule::always(region).under("/latest/meta-data/placement/region"));
    let run = Run::at(&aws.url())
        .without("AWS_EC2_METADATA_DISABLED")
        .variable("AWS_EC2_METADATA_SERVICE_ENDPOINT", &metadata.url());
    let unnamed = run.resolve("KEY").await;
    assert_eq!(unnamed.secrets[0].state, State::Missing);
    assert!(metadata.seen().is_empty(), "nobody spoke of AWS");
    assert_eq!(run.one("aws:instance/key").await.value(), b"value");
    assert_eq!(run.without("AWS_REGION").one("aws:instance/key").await.value(), b"value");
}

#[tokio::test]
async fn a_source_with_an_id_of_its_own_has_variables_of_its_own_and_falls_back_to_those_of_aws() {
    let aws = shared();
    let (one, two) = (aws.user("ids-one", &reader("ids/")), aws.user("ids-two", &reader("ids/only-two")));
    aws.put_in("us-east-1", "ids/key", b"value of america");
    aws.put("ids/key", b"value of europe");
    aws.put("ids/only-two", b"value of two");
    let sources = "aws: {}\nus: { kind: aws, region: us-east-1 }\nother-team: { kind: aws }";
    let run = Run::at(&aws.url()).keys(&one).variables(two.variables("OTHER_TEAM_")).sources(sources);
    assert_eq!(run.one("aws:ids/key").await.value(), b"value of europe");
    assert_eq!(run.one("us:ids/key").await.value(), b"value of america");
    assert_eq!(run.one("other-team:ids/only-two").await.value(), b"value of two");
    let said = run.one("other-team:ids/key").await.denied();
    assert!(said.starts_with("other-team:ids/key: "), "{said}");
    let resolution = run.resolve("A = aws:ids/key\nB = us:ids/key\nC = other-team:ids/only-two").await;
    assert!(resolution.check().is_ok());
    assert!(resolution.secrets.iter().all(|secret| secret.state == State::Found));
}

#[tokio::test]
async fn variables_alone_configure_it_when_they_say_who_and_where() {
    let aws = shared();
    let keys = aws.user("ambient", &reader("ambient/"));
    aws.put("ambient/key", b"value");
    let run = Run::at(&aws.url()).keys(&keys).input("prefix", "ambient");
    assert_eq!(run.resolve("KEY").await.secrets[0].state, State::Found);
    let nowhere = run.again().without("AWS_REGION").resolve("KEY").await;
    assert_eq!((nowhere.secrets[0].state, nowhere.warnings.len()), (State::Missing, 0));
    let denied = run.again().input("prefix", "elsewhere").input("KEY", "value below").resolve("KEY").await;
    assert_eq!(denied.secrets[0].state, State::Found);
    assert!(
        denied.warnings[0].fact.starts_with("skipping aws: only ambient credentials, and every read denied"),
        "{:?}",
        denied.warnings
    );
    let named = run
        .again()
        .input("prefix", "elsewhere")
        .input("KEY", "below")
        .sources("aws: {}")
        .resolve("KEY")
        .await;
    assert_eq!(named.secrets[0].state, State::Denied);
}

#[tokio::test]
async fn credentials_that_are_not_good_are_told_apart() {
    let aws = shared();
    let keys = aws.user("bad", &reader("bad/"));
    let run = Run::at(&aws.url());
    let none = run.one("aws:bad/key").await.failed();
    assert!(none.starts_with("aws: no AWS credentials found") && none.contains("id-token: write"), "{none}");
    let wrong =
        run.again().keys(&keys).variable("AWS_SECRET_ACCESS_KEY", "wrong-canary").one("aws:bad/key").await;
    assert!(
        wrong.denied().contains("does not accept the signature (the key in `AWS_ACCESS_KEY_ID`)"),
        "{}",
        wrong.said()
    );
    assert!(!wrong.said().contains("canary") && !wrong.said().contains(&keys.id));
    let unknown = run
        .again()
        .keys(&keys)
        .variable("AWS_ACCESS_KEY_ID", "AKIAUNKNOWNUNKNOWN00")
        .one("aws:bad/key")
        .await;
    assert!(unknown.denied().contains("AWS does not know these credentials"), "{}", unknown.said());
    let nowhere = run.again().keys(&keys).without("AWS_REGION").one("aws:bad/key").await;
    assert!(
        nowhere.failed().contains("no AWS region configured") && nowhere.failed().contains("aws-region"),
        "{}",
        nowhere.said()
    );
}

fn handed_out_without_token(keys: &Keys) -> Fault {
    let Fault::Status { status, headers, body } = handed_out(keys) else { unreachable!() };
    let mut json: serde_json::Value = serde_json::from_slice(&body).unwrap();
    json["Token"] = json!("");
    Fault::Status { status, headers, body: json.to_string().into_bytes() }
}

#[tokio::test]
async fn a_run_logs_in_once() {
    let aws = shared();
    let issuer = Issuer::start_as_github();
    let role = aws.role("once", &trust("octo-org/octo-repo"), &reader("once/"));
    let proxy = Proxy::before(aws.address());
    let lines: Vec<String> = (0..45).map(|number| format!("K{number}? = aws:once/{number}")).collect();
    let run = Run::at(&proxy.url()).variables(issuer.variables()).input("aws-role-arn", &role);
    assert!(run.resolve(&lines.join("\n")).await.check().is_ok());
    let logins = proxy.seen().iter().filter(|seen| seen.header("x-amz-target").is_none()).count();
    assert_eq!((logins, issuer.asked().len()), (1, 1));
    let told = Run::at(&proxy.url()).one("aws:once/1").await;
    assert!(matches!(told.0, Reply::Failed(_)));
}
