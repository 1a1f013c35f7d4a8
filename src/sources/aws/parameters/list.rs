//! Lists the parameters below a prefix, for references that end in `*`.

use super::super::credentials::Session;
use super::super::fault::within;
use super::super::refusal::Call;
use super::Parameters;
use super::name::check_name;
use super::refusal::of_list;
use crate::sources::{Listing, Refusal};

/// The maximum size of a page (`MaxResults` of `GetParametersByPath`).
const PAGE: i32 = 10;

/// The names that start with `prefix`, in the source's own region. Values are not decrypted.
pub(super) async fn below(source: &Parameters, session: &Session, prefix: &str) -> Listing {
    let what = format!("{}:{prefix}*", source.setup.id);
    if prefix.starts_with("arn:") {
        return Listing::Failed(Refusal::new(
            format!("{what}: parameters are listed by name, not by ARN"),
            "Use the beginning of the names: `ssm:/claude-bot/*`. For another region, add a source for it.",
        ));
    }
    if let Err(fact) = check_name(prefix) {
        return Listing::Failed(Refusal::new(
            format!("{what}: {fact}"),
            "Write the beginning of the names with `/` in front: `ssm:/claude-bot/*`.",
        ));
    }
    // A level that ends within the prefix is listed as a whole. Names without levels are directly below the root.
    let path = match prefix.rsplit_once('/') {
        Some(("", _)) | None => "/",
        Some((path, _)) => path,
    };
    let call = Call::of_store(&source.setup, &session.region, &what);
    let client = source.client(session, &session.region);
    let (mut names, mut next) = (Vec::new(), None);
    loop {
        let page =
            client.get_parameters_by_path().path(path).recursive(prefix.contains('/')).max_results(PAGE);
        let page = match within(&source.network, page.set_next_token(next).send()).await {
            Ok(page) => page,
            Err(fault) => return of_list(&fault, path, &call),
        };
        let here = page.parameters.unwrap_or_default().into_iter().filter_map(|parameter| parameter.name);
        names.extend(here.filter(|name| name.starts_with(prefix)));
        next = page.next_token;
        if next.is_none() {
            return Listing::Items(names);
        }
    }
}
