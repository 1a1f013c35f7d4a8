//! Reads secrets: twenty per request, all requests at once; one by one if a version is requested, or if batches are not
//! allowed.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueOutput;
use aws_sdk_secretsmanager::primitives::{Blob, DateTime};
use aws_sdk_secretsmanager::types::SecretValueEntry;

use super::Aws;
use super::batch::{At, Outcome};
use super::credentials::Session;
use super::fault::{Fault, within};
use super::item::{Version, Wanted};
use super::refusal::of_read;
use crate::diagnostic::Diagnostic;
use crate::secret::SecretValue;
use crate::sources::net::each;
use crate::sources::{Found, Item, Reply};

/// How many secrets one request may read (`SecretIdList` of `BatchGetSecretValue`).
const BATCH: usize = 20;

/// Answers each item, in the same order.
pub(super) async fn all(source: &Aws, session: &Session, items: &[Item]) -> Vec<Reply> {
    let reading = Reading { source, session };
    let mut replies = BTreeMap::new();
    let mut wanted = Vec::new();
    for (at, item) in items.iter().enumerate() {
        match Wanted::of(item, &source.account.setup.id, &session.region) {
            Ok(one) => wanted.push((at, one)),
            Err(refusal) => {
                replies.insert(at, Reply::Failed(refusal));
            }
        }
    }
    let requests = reading.requests(wanted).into_iter().map(|request| reading.send(request));
    let mut left = Vec::new();
    for outcome in each(requests).await {
        replies.extend(outcome.replies);
        left.extend(outcome.left);
    }
    let one_by_one = left.into_iter().map(|(at, one)| async move { (at, reading.one(&one).await) });
    replies.extend(each(one_by_one).await);
    replies.into_values().collect()
}

/// One request to send.
enum Request {
    One(At<Wanted>),
    /// A batch in one region, without versions.
    Many(Vec<At<Wanted>>),
}

#[derive(Clone, Copy)]
struct Reading<'a> {
    source: &'a Aws,
    session: &'a Session,
}

impl Reading<'_> {
    /// As few requests as possible.
    fn requests(&self, wanted: Vec<At<Wanted>>) -> Vec<Request> {
        let single = self.source.one_by_one.load(Ordering::Relaxed);
        let (one, many): (Vec<_>, Vec<_>) =
            wanted.into_iter().partition(|(_, wanted)| single || wanted.version.is_some());
        let mut regions: BTreeMap<String, Vec<At<Wanted>>> = BTreeMap::new();
        for (at, wanted) in many {
            regions.entry(wanted.region.clone()).or_default().push((at, wanted));
        }
        let mut requests: Vec<Request> = one.into_iter().map(Request::One).collect();
        for mut left in regions.into_values() {
            while !left.is_empty() {
                let mut batch: Vec<_> = left.drain(..left.len().min(BATCH)).collect();
                // A single secret does not need the permission for batches.
                requests.push(match (batch.len(), batch.pop()) {
                    (1, Some(one)) => Request::One(one),
                    (_, last) => {
                        batch.extend(last);
                        Request::Many(batch)
                    }
                });
            }
        }
        requests
    }

    async fn send(&self, request: Request) -> Outcome<Wanted> {
        match request {
            Request::One((at, wanted)) => {
                Outcome { replies: vec![(at, self.one(&wanted).await)], left: Vec::new() }
            }
            Request::Many(wanted) => self.many(wanted).await,
        }
    }

    /// `BatchGetSecretValue`.
    async fn many(&self, wanted: Vec<At<Wanted>>) -> Outcome<Wanted> {
        let Some(region) = wanted.first().map(|(_, one)| one.region.clone()) else {
            return Outcome::new();
        };
        let ids = wanted.iter().map(|(_, one)| one.id.clone()).collect();
        let call =
            self.source.client(self.session, &region).batch_get_secret_value().set_secret_id_list(Some(ids));
        let answer = match within(&self.source.account.network, call.send()).await {
            Ok(answer) => answer,
            Err(fault) => return self.many_refused(&fault, wanted),
        };
        let values: Vec<Value> =
            answer.secret_values.unwrap_or_default().into_iter().map(Value::from).collect();
        let errors = answer.errors.unwrap_or_default();
        let mut outcome = Outcome::new();
        // Another account's secret, requested by its ARN, may have the same name as one of ours.
        let by_arn: Vec<bool> = values
            .iter()
            .map(|value| wanted.iter().any(|(_, one)| one.is(None, value.arn.as_deref())))
            .collect();
        for (at, one) in wanted {
            let candidates = values.iter().zip(&by_arn).filter(|(_, by_arn)| one.is_arn() || !**by_arn);
            let mut candidates = candidates.map(|(value, _)| value);
            let value = candidates.find(|value| one.is(value.name.as_deref(), value.arn.as_deref()));
            let error = errors.iter().find(|error| one.is(error.secret_id(), error.secret_id()));
            match (value, error) {
                (Some(value), _) => outcome.replies.push((at, found(value, &one))),
                (None, Some(error)) => {
                    let fault = Fault::of_part(error.error_code().unwrap_or_default());
                    outcome.replies.push((at, of_read(&fault, &one, &self.source.account.setup)));
                }
                (None, None) => outcome.left.push((at, one)),
            }
        }
        outcome
    }

    /// What to do if the request itself was refused: if one of its items or the missing permission for batches may be the
    /// reason, the items are read one by one.
    fn many_refused(&self, fault: &Fault, wanted: Vec<At<Wanted>>) -> Outcome<Wanted> {
        match fault.code() {
            Some("AccessDeniedException" | "AccessDenied" | "UnknownOperationException") => {
                self.source.one_by_one.store(true, Ordering::Relaxed);
                Outcome::left(wanted)
            }
            Some(
                "InvalidParameterException"
                | "InvalidRequestException"
                | "ResourceNotFoundException"
                | "ValidationException",
            ) => Outcome::left(wanted),
            _ => Outcome::replied(wanted, |one| of_read(fault, one, &self.source.account.setup)),
        }
    }

    /// `GetSecretValue`.
    async fn one(&self, wanted: &Wanted) -> Reply {
        let client = self.source.client(self.session, &wanted.region);
        match self.get(&client, wanted, wanted.version.as_ref()).await {
            Ok(answer) => found(&Value::from(answer), wanted),
            Err(fault) if wanted.version.is_some() && fault.code() == Some("ResourceNotFoundException") => {
                self.without_version(&client, wanted, &fault).await
            }
            Err(fault) => of_read(&fault, wanted, &self.source.account.setup),
        }
    }

    /// AWS's error is the same for a missing secret and a missing version.
    async fn without_version(&self, client: &Client, wanted: &Wanted, fault: &Fault) -> Reply {
        match self.get(client, wanted, None).await {
            Ok(_) => Reply::Absent(format!(
                "{} in {} (the secret exists, but has no such version)",
                wanted.reference, wanted.region
            )),
            Err(_) => of_read(fault, wanted, &self.source.account.setup),
        }
    }

    async fn get(
        &self,
        client: &Client,
        wanted: &Wanted,
        version: Option<&Version>,
    ) -> Result<GetSecretValueOutput, Fault> {
        let call = client.get_secret_value().secret_id(&wanted.id);
        let call = match version {
            Some(Version::Stage(stage)) => call.version_stage(stage),
            Some(Version::Id(id)) => call.version_id(id),
            None => call,
        };
        within(&self.source.account.network, call.send()).await
    }
}

/// A secret in the response of both actions. It has no `Debug`, because it contains the value.
struct Value {
    name: Option<String>,
    arn: Option<String>,
    secret: Option<SecretValue>,
    version: Option<String>,
    created: Option<DateTime>,
}

impl From<GetSecretValueOutput> for Value {
    fn from(answer: GetSecretValueOutput) -> Self {
        Self {
            name: answer.name,
            arn: answer.arn,
            secret: secret(answer.secret_string, answer.secret_binary),
            version: answer.version_id,
            created: answer.created_date,
        }
    }
}

impl From<SecretValueEntry> for Value {
    fn from(entry: SecretValueEntry) -> Self {
        Self {
            name: entry.name,
            arn: entry.arn,
            secret: secret(entry.secret_string, entry.secret_binary),
            version: entry.version_id,
            created: entry.created_date,
        }
    }
}

fn secret(text: Option<String>, bytes: Option<Blob>) -> Option<SecretValue> {
    text.map(String::into_bytes).or(bytes.map(Blob::into_inner)).map(SecretValue::new)
}

fn found(answer: &Value, wanted: &Wanted) -> Reply {
    let Some(secret) = &answer.secret else {
        return Reply::Failed(Diagnostic::with_help(
            format!("{}: Secrets Manager returned neither a string nor binary data", wanted.reference),
            format!(
                "Give the secret a value: `aws secretsmanager put-secret-value --secret-id {} --secret-string file://…`.",
                wanted.id
            ),
        ));
    };
    let name = answer.name.as_deref().unwrap_or(&wanted.id);
    Reply::Found(Found {
        value: secret.clone(),
        place: format!("secret {name} in {}", wanted.region),
        version: answer.version.clone(),
        changed: answer.created.and_then(time),
        expires: None,
    })
}

/// A time after 1970, like all of AWS's.
fn time(date: DateTime) -> Option<SystemTime> {
    let since = Duration::new(u64::try_from(date.secs()).ok()?, date.subsec_nanos());
    SystemTime::UNIX_EPOCH.checked_add(since)
}
