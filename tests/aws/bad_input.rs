//! Settings that cannot work: one clear error each, which names the setting and never repeats what was given.

use crate::run::{Run, shared};

const ROLE: &str = "arn:aws:iam::111122223333:role/deploy";

fn run() -> Run {
    Run::at("http://127.0.0.1:9")
        .variable("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE000000000")
        .variable("AWS_SECRET_ACCESS_KEY", "canary-of-the-key")
}

#[test]
fn each_setting_that_cannot_work_is_named_with_what_would() {
    let cases: Vec<(Run, &str, &str)> = vec![
        (run().input("aws-region", "canary"), "the input `aws-region` is not a valid region (6 characters)", "eu-central-1"),
        (run().variable("AWS_REGION", "eu-central-1a"), "`AWS_REGION` is not a valid region", "zone"),
        (run().sources("aws: { region: Canary }"), "`sources.aws.region` is not a valid region", "eu-central-1"),
        (run().input("aws-role-arn", "canary"), "the input `aws-role-arn` is not the ARN of a role", "get-role"),
        (run().variable("AWS_ROLE_ARN", "arn:aws:iam::1:role/canary"), "`AWS_ROLE_ARN` is not the ARN of a role", "role/NAME"),
        (
            run().input("aws-role-arn", ROLE).sources("aws: { role-session-name: 'canary canary' }"),
            "`sources.aws.role-session-name` is not a valid session name",
            "2 to 64",
        ),
        (run().variable("AWS_ENDPOINT_URL", "canary.example.com"), "`AWS_ENDPOINT_URL` is not a server address", "scheme"),
        (
            run().variable("AWS_ENDPOINT_URL", "https://user:canary@example.com"),
            "`AWS_ENDPOINT_URL` is not a server address",
            "scheme",
        ),
        (
            run().sources("aws: { endpoint-url: 'ftp://canary' }"),
            "`sources.aws.endpoint-url` is not a server address",
            "the region determines the address",
        ),
        (
            run().sources("aws: { endpoint-url: 'https://canary.example.com' }"),
            "aws: `sources.aws.endpoint-url` is not an Amazon address, but the login in the variables is for Amazon",
            "AWS_ENDPOINT_URL_SECRETS_MANAGER",
        ),
        (
            run().sources("aws: { endpoint-url: 'https://amazonaws.com.canary.example' }").without("AWS_ENDPOINT_URL"),
            "aws: `sources.aws.endpoint-url` is not an Amazon address",
            "its own id",
        ),
        (run().variable("AWS_SECRET_ACCESS_KEY", ""), "AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not", "both or neither"),
        (run().without("AWS_ACCESS_KEY_ID"), "AWS_SECRET_ACCESS_KEY is set, but AWS_ACCESS_KEY_ID is not", "both or neither"),
        (
            run().variable("AWS_SECRET_ACCESS_KEY", "canary\n"),
            "AWS_SECRET_ACCESS_KEY contains a space, a line break or another character that AWS keys do not have (7 bytes, 2 lines)",
            "extra characters",
        ),
        (run().variable("AWS_SESSION_TOKEN", "canary canary"), "AWS_SESSION_TOKEN contains a space", "extra characters"),
        (
            run()
                .variable("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE000000000")
                .sources("aws: { ca-certificates: '-----BEGIN CERTIFICATE-----\\ncanary\\n-----END CERTIFICATE-----' }"),
            "`sources.aws.ca-certificates` contains a certificate that cannot be read",
            "PEM",
        ),
        (run().variable("AWS_CA_BUNDLE", "/nowhere/bundle.pem"), "the file that `AWS_CA_BUNDLE` names", ""),
    ];
    for (run, fact, help) in cases {
        let error = run.error("aws:any");
        let said = error.to_string();
        assert!(said.contains(fact) && said.contains(help), "{fact}: {said}");
        assert_eq!(error.code.token(), "usage", "{said}");
        assert!(!said.to_lowercase().contains("canary"), "{said}");
    }
}

#[test]
fn two_logins_of_one_source_are_not_chosen_between() {
    let run = run()
        .variable("EU_ACCESS_KEY_ID", "AKIAEXAMPLE000000000")
        .variable("EU_SECRET_ACCESS_KEY", "canary")
        .sources("eu: { kind: aws, profile: deploy }");
    let said = run.error("eu:any").to_string();
    assert!(
        said.contains("two logins are configured, `sources.eu.profile` and `EU_ACCESS_KEY_ID`"),
        "{said}"
    );
}

#[test]
fn what_nobody_means_breaks_nothing() {
    let run = Run::at("http://127.0.0.1:9").variable("AWS_REGION", "nonsense").without("AWS_ENDPOINT_URL");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let resolution = runtime.block_on(run.input("KEY", "value").resolve("KEY"));
    assert!(resolution.check().is_ok());
}

#[tokio::test]
async fn a_malformed_reference_is_told_and_the_others_are_read() {
    let aws = shared();
    let keys = aws.user("malformed", &crate::run::reader("malformed/"));
    aws.put("malformed/key", b"value");
    let run = Run::at(&aws.url()).keys(&keys);
    let told = run
        .all(&[
            "aws:malformed/key",
            "aws:malformed key",
            "aws:arn:aws:secretsmanager:eu-west-1",
            "aws:arn:aws-cn:secretsmanager:cn-north-1:111122223333:secret:x",
            "aws:arn:aws:s3:::bucket:x:y",
            "aws:malformed/key/",
        ])
        .await;
    assert_eq!(told[0].value(), b"value");
    for (told, fact) in told[1..5].iter().zip([
        "aws:malformed key: character 10 of the name is not allowed",
        "aws:arn:aws:secretsmanager:eu-west-1: it is not a complete ARN",
        "aws:arn:aws-cn:secretsmanager:cn-north-1:111122223333:secret:x: it is in the partition `aws-cn`, but this source uses eu-central-1",
        "it is an ARN of something other than a secret (s3)",
    ]) {
        assert!(told.failed().contains(fact), "{}", told.said());
    }
    told[5].absent();
}

/// Amazon's own addresses, those that the variables name as well, and servers for which there are keys of their own.
#[test]
fn a_manifest_may_name_a_server_that_its_login_is_for() {
    let vpce = "https://vpce-1.secretsmanager.eu-central-1.vpce.amazonaws.com";
    let own = |name: &str| format!("OTHER_AWS_{name}");
    for (run, reference) in [
        (run().sources(&format!("aws: {{ endpoint-url: '{vpce}' }}")), "aws:any"),
        (
            run()
                .sources("aws: { endpoint-url: 'https://store.example.com' }")
                .variable("AWS_ENDPOINT_URL_SECRETS_MANAGER", "https://store.example.com/"),
            "aws:any",
        ),
        (
            run()
                .sources("other-aws: { kind: aws, endpoint-url: 'https://store.example.com' }")
                .variable(&own("ACCESS_KEY_ID"), "AKIAEXAMPLE000000001")
                .variable(&own("SECRET_ACCESS_KEY"), "made-up"),
            "other-aws:any",
        ),
    ] {
        assert!(run.opened(reference).is_ok(), "{reference}");
    }
}
