//! What AWS's codes become: a reply, a sentence, and what helps. The codes come from the API references of Secrets Manager
//! and STS; ministack gives few of them, so that rules of the test's own answer.

use serde_json::json;

use crate::peers::proxy::{Fault, Proxy, Rule};
use crate::run::{Run, Told};

const REQUEST: &str = "8a7b6c5d-1111-2222-3333-444455556666";

/// An answer as Secrets Manager's: the namespace before the code, the message in either spelling.
fn refusing(status: u16, code: &str, message: &str) -> Fault {
    let body =
        json!({ "__type": format!("com.amazonaws.secretsmanager#{code}"), message: "canary of the message" });
    let headers = vec![
        ("Content-Type".to_owned(), "application/x-amz-json-1.1".to_owned()),
        ("x-amzn-RequestId".to_owned(), REQUEST.to_owned()),
    ];
    Fault::Status { status, headers, body: body.to_string().into_bytes() }
}

fn run(server: &Proxy) -> Run {
    Run::at(&server.url())
        .variable("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE000000000")
        .variable("AWS_SECRET_ACCESS_KEY", "canary-of-the-key")
}

async fn told(fault: Fault, reference: &str) -> Told {
    let server = Proxy::alone();
    server.rule(Rule::always(fault));
    let told = run(&server).one(reference).await;
    assert!(!told.said().contains("canary"), "{}", told.said());
    told
}

#[tokio::test]
async fn every_code_has_a_sentence_of_its_own() {
    for (code, reply, fact, help) in [
        ("ResourceNotFoundException", "absent", "no such secret, or one without a value", ""),
        ("InvalidRequestException", "failed", "scheduled for deletion", "restore-secret"),
        (
            "AccessDeniedException",
            "denied",
            "the key in `AWS_ACCESS_KEY_ID` is not allowed to read it",
            "secretsmanager:GetSecretValue",
        ),
        (
            "AccessDeniedException",
            "denied",
            "the key in `AWS_ACCESS_KEY_ID` is not allowed to read it",
            "kms:Decrypt",
        ),
        ("DecryptionFailure", "failed", "cannot decrypt it with its KMS key", "kms:Decrypt"),
        (
            "InvalidParameterException",
            "failed",
            "not accept this as the name or version of a secret",
            "list-secrets",
        ),
        ("ExpiredTokenException", "denied", "the credentials have expired", "id-token: write"),
        ("RequestExpired", "denied", "the credentials have expired", "right before this step"),
        ("UnrecognizedClientException", "denied", "AWS does not know these credentials", "AWS_SESSION_TOKEN"),
        (
            "InvalidClientTokenId",
            "denied",
            "AWS does not know these credentials",
            "the region eu-central-1 (`AWS_REGION`)",
        ),
        ("InvalidSignatureException", "denied", "does not accept the signature", "clock"),
        ("RequestTimeTooSkewed", "denied", "does not accept the signature", "clock"),
        ("OptInRequired", "failed", "the region eu-central-1 (`AWS_REGION`) is not enabled", "Enable"),
        ("NotYetKnownException", "failed", "refused the request (NotYetKnownException", "API reference"),
    ] {
        let told = told(refusing(400, code, "Message"), "aws:team/key").await;
        let said = told.said();
        assert!(said.starts_with(&format!("{reply}: aws:team/key")), "{code}: {said}");
        assert!(said.contains(fact) && said.contains(help), "{code}: {said}");
        if reply != "absent" {
            assert!(said.contains(&format!("({code}, request {REQUEST})")), "{said}");
        }
    }
}

#[tokio::test]
async fn a_code_counts_whatever_the_status_and_the_spelling_of_the_message() {
    for status in [400, 403, 404] {
        told(refusing(status, "ResourceNotFoundException", "message"), "aws:team/key").await.absent();
        told(refusing(status, "AccessDeniedException", "message"), "aws:team/key").await.denied();
    }
}

#[tokio::test]
async fn what_may_be_better_a_moment_later_is_asked_four_times() {
    for (fault, fact) in [
        (refusing(400, "ThrottlingException", "message"), "is throttling requests (ThrottlingException"),
        (
            refusing(500, "InternalServiceError", "message"),
            "reported an internal error (InternalServiceError",
        ),
        (Fault::status(503), "answered with status 503 and without an AWS error code"),
        (Fault::status(429), "answered with status 429 and without an AWS error code"),
    ] {
        let server = Proxy::alone();
        server.rule(Rule::always(fault));
        let said = run(&server).one("aws:team/key").await.failed();
        assert!(said.contains(fact), "{said}");
        assert_eq!(server.seen().len(), 4, "{said}");
    }
}

#[tokio::test]
async fn what_stays_as_it_is_is_asked_once() {
    for code in
        ["ResourceNotFoundException", "AccessDeniedException", "DecryptionFailure", "ExpiredTokenException"]
    {
        let server = Proxy::alone();
        server.rule(Rule::always(refusing(400, code, "message")));
        run(&server).one("aws:team/key").await;
        assert_eq!(server.seen().len(), 1, "{code}");
    }
}

#[tokio::test]
async fn what_is_no_answer_of_aws_is_never_absent() {
    let html = |status| Fault::Status {
        status,
        headers: Vec::new(),
        body: b"<html>canary of a portal</html>".to_vec(),
    };
    let half = br#"{"ARN":"a","Name":"team/key","SecretString":"canary"#.to_vec();
    for fault in [
        Fault::status(404),
        html(404),
        html(403),
        html(200),
        Fault::status(302),
        Fault::Status { status: 200, headers: Vec::new(), body: half },
        Fault::json("{}"),
        Fault::json("[]"),
    ] {
        told(fault, "aws:team/key").await.failed();
    }
}

#[tokio::test]
async fn a_code_that_is_none_is_not_repeated() {
    let said = told(refusing(400, "canary of a code", "message"), "aws:team/key").await.failed();
    assert!(said.contains("(unreadable, request"), "{said}");
}

#[tokio::test]
async fn one_item_that_aws_takes_for_malformed_does_not_spoil_the_others() {
    let server = Proxy::alone();
    let is = |action: &'static str| {
        move |seen: &crate::peers::proxy::Seen| {
            seen.header("x-amz-target").is_some_and(|own| own.ends_with(action))
        }
    };
    server
        .rule(Rule::always(refusing(400, "ValidationException", "message")).when(is(".BatchGetSecretValue")));
    let good = json!({ "ARN": "arn", "Name": "team/a", "SecretString": "value", "VersionId": "v", "CreatedDate": 1.5 });
    server.rule(
        Rule::always(Fault::json(good.to_string()))
            .when(|seen| String::from_utf8_lossy(&seen.body).contains("team/a")),
    );
    server.rule(Rule::always(refusing(400, "ValidationException", "message")));
    let told = run(&server).all(&["aws:team/a", "aws:team/b"]).await;
    assert_eq!(told[0].value(), b"value");
    assert!(told[1].failed().contains("not accept this as the name or version of a secret"));
}

#[tokio::test]
async fn what_a_batch_leaves_out_is_asked_by_itself() {
    let server = Proxy::alone();
    let entry = |name: &str| json!({ "ARN": format!("arn:{name}"), "Name": name, "SecretString": format!("value of {name}") });
    let batch = json!({ "SecretValues": [entry("team/a")], "Errors": [
        { "SecretId": "team/c", "ErrorCode": "DecryptionFailure", "Message": "canary" },
    ] });
    server.rule(
        Rule::always(Fault::json(batch.to_string()))
            .when(|seen| seen.header("x-amz-target") == Some("secretsmanager.BatchGetSecretValue")),
    );
    server.rule(Rule::always(Fault::json(entry("team/b").to_string())));
    let told = run(&server).all(&["aws:team/a", "aws:team/b", "aws:team/c"]).await;
    assert_eq!((told[0].value(), told[1].value()), (&b"value of team/a"[..], &b"value of team/b"[..]));
    assert!(told[2].failed().contains("cannot decrypt it with its KMS key (DecryptionFailure)"));
    assert_eq!(server.seen().len(), 2);
}

/// An entry of a batch: the secret `shared/key` of an account.
fn of_account(account: &str) -> serde_json::Value {
    let arn = format!("arn:aws:secretsmanager:eu-central-1:{account}:secret:shared/key-AbCdEf");
    json!({ "ARN": arn, "Name": "shared/key", "SecretString": format!("value of {account}") })
}

#[tokio::test]
async fn a_secret_of_another_account_is_never_taken_for_ones_own_of_the_same_name() {
    let (own, other) = ("111111111111", "222222222222");
    let arn = format!("aws:arn:aws:secretsmanager:eu-central-1:{other}:secret:shared/key-AbCdEf");
    let missing =
        json!({ "SecretId": "shared/key", "ErrorCode": "ResourceNotFoundException", "Message": "" });
    for (values, errors) in [
        (json!([of_account(other), of_account(own)]), json!([])),
        (json!([of_account(other)]), json!([])),
        (json!([of_account(other)]), json!([missing])),
    ] {
        let server = Proxy::alone();
        let batch = json!({ "SecretValues": values, "Errors": errors });
        server.rule(
            Rule::always(Fault::json(batch.to_string()))
                .when(|seen| seen.header("x-amz-target") == Some("secretsmanager.BatchGetSecretValue")),
        );
        server.rule(Rule::always(Fault::json(of_account(own).to_string())));
        let told = run(&server).all(&["aws:shared/key", &arn]).await;
        assert_eq!(told[1].value(), b"value of 222222222222");
        if errors == json!([]) {
            assert_eq!(told[0].value(), b"value of 111111111111");
        } else {
            told[0].absent();
        }
    }
}
