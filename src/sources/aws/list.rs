//! Lists the secrets below a prefix, for references that end in `*`.

use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType};

use super::Aws;
use super::credentials::Session;
use super::fault::within;
use super::item::check_name;
use super::refusal::{Call, of_list};
use crate::diagnostic::Diagnostic;
use crate::sources::Listing;

/// The maximum size of a page (`MaxResults` of `ListSecrets`).
const PAGE: i32 = 100;

/// The names that start with `prefix`, in the source's own region. Secrets that are scheduled for deletion are not included.
pub(super) async fn below(source: &Aws, session: &Session, prefix: &str) -> Listing {
    let what = format!("{}:{prefix}*", source.account.setup.id);
    if prefix.starts_with("arn:") {
        return Listing::Failed(Diagnostic::with_help(
            format!("{what}: secrets are listed by name, not by ARN"),
            "Use the beginning of the names: `aws:claude-bot/*`. For another region, add a source for it.",
        ));
    }
    if let Err(fact) = check_name(prefix) {
        return Listing::Failed(Diagnostic::with_help(
            format!("{what}: {fact}"),
            "A name consists of letters, digits and `/_+=.@-`.",
        ));
    }
    let call = Call::of_store(&source.account.setup, &session.region, &what);
    let client = source.client(session, &session.region);
    let filter = Filter::builder().key(FilterNameStringType::Name).values(prefix).build();
    let filter = Some(filter).filter(|_| !prefix.is_empty());
    let (mut names, mut next) = (Vec::new(), None);
    loop {
        let page =
            client.list_secrets().max_results(PAGE).set_filters(filter.clone().map(|filter| vec![filter]));
        let page = match within(&source.account.network, page.set_next_token(next).send()).await {
            Ok(page) => page,
            Err(fault) => return of_list(&fault, &call),
        };
        let here = page.secret_list.unwrap_or_default().into_iter().filter_map(|secret| secret.name);
        names.extend(here.filter(|name| name.starts_with(prefix)));
        next = page.next_token;
        if next.is_none() {
            return Listing::Items(names);
        }
    }
}
