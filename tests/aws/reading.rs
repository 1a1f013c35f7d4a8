//! What is found, what is absent, and in how many requests.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use claude_secrets::sources::{Listing, Reply};
use serde_json::{Value, json};

use crate::peers::aws::{ACCOUNT, Aws, REGION, allow, secrets_below};
use crate::peers::proxy::{Proxy, Seen};
use crate::run::{Run, Told, reader, shared};

#[tokio::test]
async fn a_secret_is_found_with_its_version_and_date_and_another_one_is_absent() {
    let aws = shared();
    let keys = aws.user("first", &reader("first/"));
    aws.put("first/key", b"value of first");
    let run = Run::at(&aws.url()).keys(&keys);
    let told = run.all(&["aws:first/key", "aws:first/other"]).await;
    assert_eq!(told[0].value(), b"value of first");
    let Reply::Found(found) = &told[0].0 else { unreachable!() };
    assert_eq!(found.place, "secret first/key in eu-central-1");
    assert_eq!(found.version.as_ref().unwrap().len(), 36);
    let age = SystemTime::now().duration_since(found.changed.unwrap()).unwrap_or_default();
    assert!(age < Duration::from_mins(1), "{age:?}");
    assert!(found.expires.is_none(), "AWS has no such date");
    assert!(told[1].absent().starts_with("aws:first/other in eu-central-1"), "{}", told[1].said());
}

#[tokio::test]
async fn many_secrets_are_read_twenty_a_request_and_all_requests_at_once() {
    let aws = shared();
    let keys = aws.user("many", &reader("many/"));
    let names: Vec<String> = (0..205).map(|number| format!("many/{number}")).collect();
    for name in &names {
        aws.put(name, name.as_bytes());
    }
    let proxy = Proxy::before(aws.address());
    let references: Vec<String> = names.iter().map(|name| format!("aws:{name}")).collect();
    let told = Run::at(&proxy.url())
        .keys(&keys)
        .all(&references.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
    for (name, told) in names.iter().zip(&told) {
        assert_eq!(told.value(), name.as_bytes());
    }
    let seen = proxy.seen();
    let sizes: Vec<usize> = seen.iter().map(|seen| ids(seen).len()).collect();
    assert_eq!(sizes.len(), 11);
    assert!(sizes.iter().all(|size| *size <= 20), "AWS takes twenty: {sizes:?}");
    let asked: BTreeSet<String> = seen.iter().flat_map(ids).collect();
    assert_eq!(asked, names.into_iter().collect());
    let connections: BTreeSet<usize> = seen.iter().map(|seen| seen.connection).collect();
    assert_eq!(connections.len(), 11, "one after the other");
}

#[tokio::test]
async fn one_secret_needs_no_permission_for_many() {
    let aws = shared();
    let only_get = json!([allow(&["secretsmanager:GetSecretValue"], &secrets_below("single/"))]);
    let keys = aws.user("single", &only_get);
    aws.put("single/key", b"value");
    let proxy = Proxy::before(aws.address());
    assert_eq!(Run::at(&proxy.url()).keys(&keys).one("aws:single/key").await.value(), b"value");
    assert_eq!(actions(&proxy), ["GetSecretValue"]);
}

#[tokio::test]
async fn where_many_at_once_is_not_allowed_each_is_read_by_itself() {
    let aws = shared();
    let only_get = json!([allow(&["secretsmanager:GetSecretValue"], &secrets_below("fallback/"))]);
    let keys = aws.user("fallback", &only_get);
    aws.put("fallback/a", b"value a");
    aws.put("fallback/b", b"value b");
    aws.put("elsewhere/c", b"value c");
    let proxy = Proxy::before(aws.address());
    let run = Run::at(&proxy.url()).keys(&keys);
    let told = run.all(&["aws:fallback/a", "aws:fallback/b", "aws:fallback/none", "aws:elsewhere/c"]).await;
    assert_eq!((told[0].value(), told[1].value()), (&b"value a"[..], &b"value b"[..]));
    told[2].absent();
    assert!(
        told[3]
            .denied()
            .contains("\"Resource\": \"arn:aws:secretsmanager:eu-central-1:*:secret:elsewhere/c-??????\"")
    );
    let mut asked = actions(&proxy);
    asked.sort();
    assert_eq!(
        asked,
        ["BatchGetSecretValue", "GetSecretValue", "GetSecretValue", "GetSecretValue", "GetSecretValue"]
    );
}

#[tokio::test]
async fn the_statement_in_a_message_is_what_was_missing() {
    let aws = shared();
    let keys = aws.user("pasting", &reader("nothing/"));
    let reference = format!("aws:{}", aws.put_in("us-west-2", "pasting/there", b"value there"));
    aws.put("pasting/here", b"value here");
    let run = Run::at(&aws.url()).keys(&keys);
    let told = run.all(&["aws:pasting/here", &reference]).await;
    let statements: Vec<Value> = told
        .iter()
        .map(|told| {
            let said = told.denied();
            let line = said.lines().find(|line| line.starts_with('{')).expect("a statement");
            serde_json::from_str(line).expect("it can be pasted")
        })
        .collect();
    let policy = json!({ "Version": "2012-10-17", "Statement": statements }).to_string();
    aws.iam(
        "PutUserPolicy",
        &[("UserName", "pasting"), ("PolicyName", "pasted"), ("PolicyDocument", &policy)],
    );
    let told = run.all(&["aws:pasting/here", &reference]).await;
    assert_eq!((told[0].value(), told[1].value()), (&b"value here"[..], &b"value there"[..]));
}

#[tokio::test]
async fn a_refusal_of_one_among_many_is_its_own() {
    let aws = shared();
    let keys = aws.user("among", &reader("among/"));
    aws.put("among/a", b"value a");
    aws.put("not-among/b", b"value b");
    let told =
        Run::at(&aws.url()).keys(&keys).all(&["aws:among/a", "aws:not-among/b", "aws:among/none"]).await;
    assert_eq!(told[0].value(), b"value a");
    assert!(told[1].denied().starts_with("aws:not-among/b: "));
    told[2].absent();
}

#[tokio::test]
async fn a_secret_is_read_by_its_name_its_arn_and_its_arn_without_the_end() {
    let aws = shared();
    let keys = aws.user("arns", &reader("arns/"));
    let arn = aws.put("arns/key", b"value");
    let (whole, part) = (format!("aws:{arn}"), format!("aws:{}", &arn[..arn.len() - 7]));
    let run = Run::at(&aws.url()).keys(&keys);
    for told in run.all(&["aws:arns/key", &whole, &part]).await {
        assert_eq!(told.value(), b"value");
    }
    assert_eq!(run.one(&part).await.value(), b"value");
    assert_eq!(run.one(&whole).await.value(), b"value");
}

#[tokio::test]
async fn an_arn_leads_to_another_region() {
    let aws = shared();
    let keys = aws.user("regions", &reader("regions/"));
    aws.put("regions/here", b"value here");
    let there = format!("aws:{}", aws.put_in("us-west-2", "regions/there", b"value there"));
    let more = format!("aws:{}", aws.put_in("us-west-2", "regions/more", b"value more"));
    let run = Run::at(&aws.url()).keys(&keys);
    let told = run.all(&["aws:regions/here", &there, &more, "aws:regions/there"]).await;
    assert_eq!(told[0].value(), b"value here");
    assert_eq!((told[1].value(), told[2].value()), (&b"value there"[..], &b"value more"[..]));
    told[3].absent();
    let Reply::Found(found) = &told[1].0 else { unreachable!() };
    assert_eq!(found.place, "secret regions/there in us-west-2");
}

#[tokio::test]
async fn versions_are_read_by_stage_and_by_id() {
    let aws = shared();
    let keys = aws.user("versions", &reader("versions/"));
    aws.put("versions/key", b"first");
    aws.put("versions/key", b"second");
    let run = Run::at(&aws.url()).keys(&keys);
    let told = run
        .all(&[
            "aws:versions/key",
            "aws:versions/key@AWSPREVIOUS",
            "aws:versions/key@AWSCURRENT",
            "aws:versions/key@NONE",
        ])
        .await;
    let values: Vec<&[u8]> = told[..3].iter().map(Told::value).collect();
    assert_eq!(values, [&b"second"[..], b"first", b"second"]);
    assert!(told[3].absent().contains("the secret exists, but has no such version"));
    let Reply::Found(previous) = &told[1].0 else { unreachable!() };
    let by_id = format!("aws:versions/key@{}", previous.version.as_ref().unwrap());
    assert_eq!(run.one(&by_id).await.value(), b"first");
    let unknown = "aws:versions/key@7e3c0a51-6f0c-4a39-8d4b-3d1c56d5b8a7";
    assert!(run.one(unknown).await.absent().contains("has no such version"));
    let missing = run.one("aws:versions/none@AWSPREVIOUS").await;
    assert!(missing.absent().contains("no such secret"), "{}", missing.said());
}

#[tokio::test]
async fn what_is_marked_for_deletion_is_not_absent() {
    let aws = shared();
    let keys = aws.user("deleted", &reader("deleted/"));
    aws.put("deleted/key", b"value");
    aws.put("deleted/other", b"value");
    aws.secrets(REGION, "DeleteSecret", &json!({ "SecretId": "deleted/key", "RecoveryWindowInDays": 7 }));
    let run = Run::at(&aws.url()).keys(&keys);
    let restore = "aws secretsmanager restore-secret --region eu-central-1 --secret-id deleted/key";
    for told in
        [run.one("aws:deleted/key").await, run.all(&["aws:deleted/key", "aws:deleted/other"]).await.remove(0)]
    {
        let said = told.failed();
        assert!(said.contains("scheduled for deletion") && said.contains(restore), "{said}");
    }
}

#[tokio::test]
async fn a_prefix_lists_the_names_that_start_so_page_after_page() {
    let aws = Aws::moto();
    let names: BTreeSet<String> = (0..120).map(|number| format!("listed/{number}")).collect();
    for name in &names {
        aws.put(name, b"value");
    }
    aws.put("not-listed/1", b"value");
    aws.put("listed-not/1", b"value");
    let proxy = Proxy::before(aws.address());
    let run =
        Run::at(&proxy.url()).variable("AWS_ACCESS_KEY_ID", "any").variable("AWS_SECRET_ACCESS_KEY", "any");
    assert_eq!(items(run.list("listed/").await), names);
    assert_eq!(actions(&proxy), ["ListSecrets", "ListSecrets"]);
    assert_eq!(items(run.list("").await).len(), 122);
    assert!(items(run.list("nothing-there").await).is_empty());
}

#[tokio::test]
async fn who_may_not_list_is_told_what_allows_it() {
    let aws = shared();
    let keys = aws.user("listless", &json!([allow(&["secretsmanager:GetSecretValue"], &secrets_below(""))]));
    match Run::at(&aws.url()).keys(&keys).list("listless/").await {
        Listing::Denied(refusal) => {
            assert!(refusal.fact.starts_with("aws:listless/*: "), "{}", refusal.fact);
            assert!(refusal.help_text().contains("secretsmanager:ListSecrets"), "{}", refusal.help_text());
        }
        _ => panic!("not denied"),
    }
    for (prefix, why) in [("a b", "character 2"), ("arn:aws:secretsmanager:", "not by ARN")] {
        match Run::at(&aws.url()).keys(&keys).list(prefix).await {
            Listing::Failed(refusal) => assert!(refusal.fact.contains(why), "{}", refusal.fact),
            _ => panic!("{prefix}: not failed"),
        }
    }
}

#[tokio::test]
async fn a_server_with_other_statuses_is_understood_by_its_codes() {
    let aws = Aws::moto();
    aws.put("moto/key", b"first");
    aws.put("moto/key", b"second");
    aws.put("moto/bytes", &[0, 255, 10]);
    let run =
        Run::at(&aws.url()).variable("AWS_ACCESS_KEY_ID", "any").variable("AWS_SECRET_ACCESS_KEY", "any");
    run.one("aws:moto/none").await.absent();
    let told =
        run.all(&["aws:moto/key", "aws:moto/bytes", "aws:moto/none", "aws:moto/key@AWSPREVIOUS"]).await;
    assert_eq!((told[0].value(), told[1].value()), (&b"second"[..], &[0, 255, 10][..]));
    told[2].absent();
    assert_eq!(told[3].value(), b"first");
}

#[tokio::test]
async fn the_conventional_place_is_below_the_prefix_and_the_environment() {
    let aws = shared();
    let keys = aws.user("conventional", &reader("bot"));
    aws.put("bot/anthropic-api-key", b"value of all");
    aws.put("bot/production/anthropic-api-key", b"value of production");
    let run = || Run::at(&aws.url()).keys(&keys).sources("aws: {}").input("prefix", "bot/");
    let value = |resolution: claude_secrets::resolve::Resolution| {
        resolution.secrets[0].value.as_ref().unwrap().expose().to_vec()
    };
    assert_eq!(value(run().resolve("ANTHROPIC_API_KEY").await), b"value of all");
    let production = run().input("environment", "production");
    assert_eq!(value(production.resolve("ANTHROPIC_API_KEY").await), b"value of production");
}

#[tokio::test]
async fn the_arn_of_another_account_is_asked_as_it_is() {
    let aws = shared();
    let keys = aws.user("accounts", &reader("accounts/"));
    let other = "aws:arn:aws:secretsmanager:eu-central-1:111122223333:secret:accounts/key-AbCdEf";
    assert_ne!(ACCOUNT, "111122223333");
    let said = Run::at(&aws.url()).keys(&keys).one(other).await.denied();
    assert!(
        said.contains("arn:aws:secretsmanager:eu-central-1:111122223333:secret:accounts/key-AbCdEf"),
        "{said}"
    );
}

fn items(listing: Listing) -> BTreeSet<String> {
    match listing {
        Listing::Items(items) => items.into_iter().collect(),
        Listing::Denied(refusal) | Listing::Failed(refusal) => panic!("{}", refusal.fact),
    }
}

fn actions(proxy: &Proxy) -> Vec<String> {
    proxy.seen().iter().map(action).collect()
}

fn action(seen: &Seen) -> String {
    seen.header("x-amz-target").and_then(|target| target.split('.').nth(1)).unwrap_or("none").to_owned()
}

fn ids(seen: &Seen) -> Vec<String> {
    let body: Value = serde_json::from_slice(&seen.body).unwrap();
    let list = body["SecretIdList"].as_array().cloned().unwrap_or_else(|| vec![body["SecretId"].clone()]);
    list.iter().map(|id| id.as_str().unwrap().to_owned()).collect()
}
