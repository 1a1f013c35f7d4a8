//! The role that is assumed: by the workflow's own identity, or with other credentials.

use serde_json::json;

use crate::peers::aws::{ACCOUNT, trust};
use crate::peers::issuer::{Issuer, SUBJECTS};
use crate::peers::proxy::{Fault, Proxy, Rule, Seen};
use crate::run::{Run, reader, shared};

const REPOSITORY: &str = "octo-org/octo-repo";

fn is_login(seen: &Seen) -> bool {
    seen.header("x-amz-target").is_none()
}

fn parameter(seen: &Seen, name: &str) -> Option<String> {
    let body = format!("http://sts/?{}", String::from_utf8_lossy(&seen.body));
    let url = reqwest::Url::parse(&body).unwrap();
    url.query_pairs().find(|(own, _)| own == name).map(|(_, value)| value.into_owned())
}

#[tokio::test]
async fn the_workflow_assumes_it_by_its_own_identity() {
    let aws = shared();
    let issuer = Issuer::start_as_github();
    let role = aws.role("oidc", &trust(REPOSITORY), &reader("oidc/"));
    aws.put("oidc/key", b"value");
    let proxy = Proxy::before(aws.address());
    let run = Run::at(&proxy.url()).variables(issuer.variables()).variable("GITHUB_RUN_ID", "1234567890");
    let run = run.input("aws-role-arn", &role);
    for subject in SUBJECTS {
        issuer.claim("sub", subject);
        assert_eq!(run.again().one("aws:oidc/key").await.value(), b"value", "{subject}");
    }
    assert_eq!(issuer.asked(), ["sts.amazonaws.com"; 2]);
    let login = proxy.seen().into_iter().find(is_login).unwrap();
    assert_eq!(parameter(&login, "Action").unwrap(), "AssumeRoleWithWebIdentity");
    assert_eq!(parameter(&login, "RoleSessionName").unwrap(), "claude-secrets-1234567890");
    assert_eq!(parameter(&login, "DurationSeconds").unwrap(), "900");
    assert!(login.header("authorization").is_none(), "a token needs no signature");
}

#[tokio::test]
async fn its_settings_come_from_the_manifest_too() {
    let aws = shared();
    let issuer = Issuer::start_as_github();
    let mut trusting = trust(REPOSITORY);
    trusting[0]["Condition"]["StringEquals"]["token.actions.githubusercontent.com:aud"] =
        json!("of-the-team");
    let role = aws.role("audience", &trusting, &reader("audience/"));
    aws.put("audience/key", b"value");
    let proxy = Proxy::before(aws.address());
    let sources = format!("aws: {{ role-arn: '{role}', audience: of-the-team, role-session-name: nightly }}");
    let run = Run::at(&proxy.url()).variables(issuer.variables()).sources(&sources);
    assert_eq!(run.one("aws:audience/key").await.value(), b"value");
    let login = proxy.seen().into_iter().find(is_login).unwrap();
    assert_eq!(parameter(&login, "RoleSessionName").unwrap(), "nightly");
    assert_eq!(issuer.asked(), ["of-the-team"]);
}

#[tokio::test]
async fn a_second_source_takes_the_role_of_the_first() {
    let aws = shared();
    let issuer = Issuer::start_as_github();
    let role = aws.role("second", &trust(REPOSITORY), &reader("second/"));
    let only = aws.role("second-only", &trust(REPOSITORY), &reader("second/only"));
    aws.put_in("us-east-1", "second/key", b"value of america");
    let sources = format!(
        "us: {{ kind: aws, region: us-east-1 }}\nnarrow: {{ kind: aws, region: us-east-1, role-arn: '{only}' }}"
    );
    let run =
        Run::at(&aws.url()).variables(issuer.variables()).input("aws-role-arn", &role).sources(&sources);
    assert_eq!(run.one("us:second/key").await.value(), b"value of america");
    let said = run.one("narrow:second/key").await.denied();
    assert!(said.starts_with("narrow:second/key: "), "{said}");
}

#[tokio::test]
async fn a_workflow_that_is_not_trusted_is_told_what_to_put_into_the_trust_policy() {
    let aws = shared();
    let issuer = Issuer::start_as_github();
    issuer.claim("sub", "repo:evil/x:ref:refs/heads/main");
    let role = aws.role("untrusting", &trust(REPOSITORY), &reader(""));
    let run = Run::at(&aws.url()).variables(issuer.variables()).input("aws-role-arn", &role);
    let said = run.one("aws:any").await.denied();
    assert!(said.contains("it does not trust this workflow (AccessDenied"), "{said}");
    let statement = said.split_once("in the role's trust policy:\n").unwrap().1;
    let statement: serde_json::Value = serde_json::from_str(statement).expect("it can be pasted");
    let provider = format!("arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com");
    assert_eq!(statement["Principal"]["Federated"], provider);
    let subject = &statement["Condition"]["StringEquals"]["token.actions.githubusercontent.com:sub"];
    assert_eq!(subject, "repo:evil/x:ref:refs/heads/main");
    let trusting = aws.role("trusting", &json!([statement]), &reader("trusting/"));
    aws.put("trusting/key", b"value");
    assert_eq!(run.input("aws-role-arn", &trusting).one("aws:trusting/key").await.value(), b"value");
    assert_eq!(statement["Action"], "sts:AssumeRoleWithWebIdentity");
}

#[tokio::test]
async fn a_policy_with_the_other_form_of_the_subject_is_told_apart() {
    let aws = shared();
    for (own, other) in [(0, 1), (1, 0)] {
        let (name, own, other) = (format!("form-{own}"), SUBJECTS[own], SUBJECTS[other]);
        let issuer = Issuer::start_as_github();
        issuer.claim("sub", own);
        let mut trusting = trust(REPOSITORY);
        trusting[0]["Condition"]["StringLike"]["token.actions.githubusercontent.com:sub"] = json!(other);
        let role = aws.role(&format!("other-{name}"), &trusting, &reader("other-form/"));
        let run = Run::at(&aws.url()).variables(issuer.variables()).input("aws-role-arn", &role);
        let said = run.one("aws:other-form/key").await.denied();
        assert!(said.contains(&format!("the policy may have `{other}`")), "{said}");
        let statement = said.split_once("in the role's trust policy:\n").unwrap().1;
        let statement: serde_json::Value = serde_json::from_str(statement).expect("it can be pasted");
        let must = &statement["Condition"]["StringEquals"];
        assert_eq!(must["token.actions.githubusercontent.com:sub"], own);
        assert_eq!(must["token.actions.githubusercontent.com:repository_id"], "74");
        // Another repository that has got the name does not have the number.
        let trusting = aws.role(&format!("number-{name}"), &json!([statement]), &reader("number/"));
        aws.put("number/key", b"value");
        let run = run.input("aws-role-arn", &trusting);
        assert_eq!(run.again().one("aws:number/key").await.value(), b"value");
        issuer.claim("repository_id", "75");
        run.one("aws:number/key").await.denied();
    }
}

#[tokio::test]
async fn without_id_token_write_the_error_is_what_to_add() {
    let role = format!("arn:aws:iam::{ACCOUNT}:role/deploy");
    let run = Run::at("http://127.0.0.1:9").input("aws-role-arn", &role);
    let said = run.one("aws:any").await.failed();
    assert!(said.contains("the input `aws-role-arn`"), "{said}");
    assert!(said.contains("permissions:\n  id-token: write\n  contents: read"), "{said}");
}

#[tokio::test]
async fn with_keys_it_is_assumed_by_them() {
    let aws = shared();
    let trusting = json!([{ "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": { "AWS": "*" } }]);
    let role = aws.role("by-keys", &trusting, &reader("by-keys/"));
    aws.put("by-keys/key", b"value");
    let assume = json!([{ "Effect": "Allow", "Action": "sts:AssumeRole", "Resource": role }]);
    let (may, may_not) = (aws.user("by-keys", &assume), aws.user("by-keys-not", &reader("nothing/")));
    let issuer = Issuer::start_as_github();
    let run = Run::at(&aws.url()).variables(issuer.variables()).input("aws-role-arn", &role);
    assert_eq!(run.again().keys(&may).one("aws:by-keys/key").await.value(), b"value");
    assert!(issuer.asked().is_empty());
    let said = run.keys(&may_not).one("aws:by-keys/key").await.denied();
    assert!(
        said.contains("the key in `AWS_ACCESS_KEY_ID` is not allowed to assume it (AccessDenied"),
        "{said}"
    );
    assert!(said.contains(&format!("\"Resource\": \"{role}\"")), "{said}");
}

#[tokio::test]
async fn what_a_role_is_refused_is_told_of_the_role() {
    let aws = shared();
    let issuer = Issuer::start_as_github();
    let role = aws.role("expired", &trust(REPOSITORY), &reader(""));
    let proxy = Proxy::before(aws.address());
    let body = br#"{"__type":"ExpiredTokenException","message":"canary"}"#.to_vec();
    proxy.rule(
        Rule::always(Fault::Status { status: 400, headers: Vec::new(), body }).when(|seen| !is_login(seen)),
    );
    let run = Run::at(&proxy.url()).variables(issuer.variables()).input("aws-role-arn", &role);
    let said = run.one("aws:any").await.denied();
    assert!(said.contains(&format!("the credentials have expired (the role {role})")), "{said}");
}

#[tokio::test]
async fn logging_in_is_tried_again_like_reading() {
    let aws = shared();
    let issuer = Issuer::start_as_github();
    let role = aws.role("patient", &trust(REPOSITORY), &reader("patient/"));
    aws.put("patient/key", b"value");
    issuer.refuse(2, 503);
    let proxy = Proxy::before(aws.address());
    let throttled = b"<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>";
    let throttled = Fault::Status { status: 400, headers: Vec::new(), body: throttled.to_vec() };
    proxy.rule(Rule::times(1, throttled).when(is_login));
    proxy.rule(Rule::times(1, Fault::Reset).when(is_login));
    proxy.rule(Rule::times(1, Fault::status(500)).when(is_login));
    let run = Run::at(&proxy.url()).variables(issuer.variables()).input("aws-role-arn", &role);
    assert_eq!(run.one("aws:patient/key").await.value(), b"value");
    assert_eq!(proxy.seen().iter().filter(|seen| is_login(seen)).count(), 4);
}

#[tokio::test]
async fn an_account_without_the_issuer_is_told_how_to_register_it() {
    let issuer = Issuer::start_as_github();
    let proxy = Proxy::alone();
    let body = b"<ErrorResponse><Error><Code>InvalidIdentityToken</Code><Message>canary</Message></Error></ErrorResponse>";
    proxy.rule(Rule::always(Fault::Status { status: 400, headers: Vec::new(), body: body.to_vec() }));
    let run = Run::at(&proxy.url()).variables(issuer.variables());
    let said =
        run.input("aws-role-arn", "arn:aws:iam::111122223333:role/deploy").one("aws:any").await.denied();
    assert!(said.contains("aws iam create-open-id-connect-provider"), "{said}");
    assert!(!said.contains("canary"), "{said}");
}
