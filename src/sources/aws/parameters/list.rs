//! Lists the parameters below a prefix, for references that end in `*`.

use aws_sdk_ssm::types::ParameterStringFilter;

use super::super::credentials::Session;
use super::super::fault::{Fault, within};
use super::super::refusal::Call;
use super::Parameters;
use super::name::check_name;
use super::refusal::of_list;
use crate::diagnostic::Diagnostic;
use crate::sources::Listing;

/// The maximum size of a page (`MaxResults` of `DescribeParameters`).
const PAGE: i32 = 50;

/// The names that start with `prefix`, in the source's own region. `DescribeParameters` returns no values, unlike
/// `GetParametersByPath`, whose permission lets its holder read everything below a path.
pub(super) async fn below(source: &Parameters, session: &Session, prefix: &str) -> Listing {
    let what = format!("{}:{prefix}*", source.account.setup.id);
    if prefix.starts_with("arn:") {
        return Listing::Failed(Diagnostic::with_help(
            format!("{what}: parameters are listed by name, not by ARN"),
            "Use the beginning of the names: `ssm:/claude-bot/*`. For another region, add a source for it.",
        ));
    }
    if let Err(fact) = check_name(prefix) {
        return Listing::Failed(Diagnostic::with_help(
            format!("{what}: {fact}"),
            "Write the beginning of the names with `/` in front: `ssm:/claude-bot/*`.",
        ));
    }
    let call = Call::of_store(&source.account.setup, &session.region, &what);
    let client = source.client(session, &session.region);
    let mut filters = Vec::new();
    if !prefix.is_empty() {
        let filter = ParameterStringFilter::builder().key("Name").option("BeginsWith").values(prefix).build();
        match filter {
            Ok(filter) => filters.push(filter),
            Err(_) => return call.refused(&Fault::Garbled).listing(),
        }
    }
    let (mut names, mut next) = (Vec::new(), None);
    loop {
        let page =
            client.describe_parameters().max_results(PAGE).set_parameter_filters(Some(filters.clone()));
        let page = match within(&source.account.network, page.set_next_token(next).send()).await {
            Ok(page) => page,
            Err(fault) => return of_list(&fault, &call),
        };
        let here = page.parameters.unwrap_or_default().into_iter().filter_map(|parameter| parameter.name);
        names.extend(here.filter(|name| name.starts_with(prefix)));
        next = page.next_token;
        if next.is_none() {
            return Listing::Items(names);
        }
    }
}
