//! Reads parameters: ten per request, all requests at once; one by one if a version is requested, or if many are not allowed.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use aws_sdk_ssm::types::Parameter;

use super::super::batch::{At, Outcome};
use super::super::credentials::Session;
use super::super::fault::{Fault, within};
use super::Parameters;
use super::name::Wanted;
use super::refusal::{absent, of_read};
use crate::diagnostic::Diagnostic;
use crate::secret::SecretValue;
use crate::sources::net::each;
use crate::sources::{Found, Item, Reply};

/// How many parameters one request may read (`Names` of `GetParameters`).
const BATCH: usize = 10;

/// Answers each item, in the same order.
pub(super) async fn all(source: &Parameters, session: &Session, items: &[Item]) -> Vec<Reply> {
    let reading = Reading { source, session };
    let mut replies = BTreeMap::new();
    let mut regions: BTreeMap<String, Vec<At<Wanted>>> = BTreeMap::new();
    let mut left = Vec::new();
    for (at, item) in items.iter().enumerate() {
        match Wanted::of(item, &source.account.setup.id, &session.region) {
            // Not every server says in its answer for many which version it has of which.
            Ok(one) if one.version.is_some() => left.push((at, one)),
            Ok(one) => regions.entry(one.region.clone()).or_default().push((at, one)),
            Err(refusal) => {
                replies.insert(at, Reply::Failed(refusal));
            }
        }
    }
    let batches =
        regions.into_values().flat_map(|all| all.chunks(BATCH).map(<[_]>::to_vec).collect::<Vec<_>>());
    for outcome in each(batches.map(|batch| reading.many(batch))).await {
        replies.extend(outcome.replies);
        left.extend(outcome.left);
    }
    let one_by_one = left.into_iter().map(|(at, one)| async move { (at, reading.one(&one).await) });
    replies.extend(each(one_by_one).await);
    replies.into_values().collect()
}

#[derive(Clone, Copy)]
struct Reading<'a> {
    source: &'a Parameters,
    session: &'a Session,
}

impl Reading<'_> {
    /// `GetParameters`, of one region.
    async fn many(&self, wanted: Vec<At<Wanted>>) -> Outcome<Wanted> {
        let region = match wanted.as_slice() {
            [] => return Outcome::new(),
            // A single parameter does not need the permission for many.
            [_] => return Outcome::left(wanted),
            [(_, first), ..] => first.region.clone(),
        };
        let names = wanted.iter().map(|(_, one)| one.selected()).collect();
        let client = self.source.client(self.session, &region);
        let call = client.get_parameters().set_names(Some(names)).with_decryption(true);
        let answer = match within(&self.source.account.network, call.send()).await {
            Ok(answer) => answer,
            Err(fault) => return self.many_refused(&fault, wanted),
        };
        let parameters = answer.parameters.unwrap_or_default();
        Outcome::replied(wanted, |one| {
            let is = |parameter: &&Parameter| one.is(parameter.name(), parameter.arn());
            parameters.iter().find(is).map_or_else(|| absent(one), |found| value(found, one))
        })
    }

    /// What to do if the request itself was refused: Parameter Store refuses all of it if one of its items is not allowed. If
    /// that or a missing permission may be the reason, these items are read one by one.
    fn many_refused(&self, fault: &Fault, wanted: Vec<At<Wanted>>) -> Outcome<Wanted> {
        const OF_ONE: [&str; 4] =
            ["AccessDeniedException", "AccessDenied", "InvalidKeyId", "ValidationException"];
        if fault.code().is_some_and(|code| OF_ONE.contains(&code)) {
            return Outcome::left(wanted);
        }
        Outcome::replied(wanted, |one| of_read(fault, one, &self.source.account.setup))
    }

    /// `GetParameter`.
    async fn one(&self, wanted: &Wanted) -> Reply {
        let client = self.source.client(self.session, &wanted.region);
        let call = client.get_parameter().name(wanted.selected()).with_decryption(true);
        match within(&self.source.account.network, call.send()).await {
            Ok(answer) => {
                answer.parameter.as_ref().map_or_else(|| absent(wanted), |found| value(found, wanted))
            }
            Err(fault) => of_read(&fault, wanted, &self.source.account.setup),
        }
    }
}

fn value(parameter: &Parameter, wanted: &Wanted) -> Reply {
    let Some(text) = parameter.value() else {
        return Reply::Failed(Diagnostic::with_help(
            format!("{}: Parameter Store returned no value", wanted.reference),
            format!(
                "Give it one: `aws ssm put-parameter --name {} --overwrite --value file://…`.",
                wanted.name
            ),
        ));
    };
    let name = parameter.name().unwrap_or(&wanted.name);
    let time = parameter.last_modified_date().and_then(|date| {
        let since = Duration::new(u64::try_from(date.secs()).ok()?, date.subsec_nanos());
        SystemTime::UNIX_EPOCH.checked_add(since)
    });
    Reply::Found(Found {
        value: SecretValue::new(text.as_bytes().to_vec()),
        place: format!("parameter {name} in {}", wanted.region),
        version: Some(parameter.version().to_string()),
        changed: time,
        expires: None,
    })
}
