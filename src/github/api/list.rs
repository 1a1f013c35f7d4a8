//! Lists of named things, page by page. Octocrab's own pages do not know what they are called in here.

use serde::Deserialize;

use super::{Api, Asked, RequestError};
use crate::sources::net;

/// How many of a list are read at most: ten times what GitHub lets an organisation have.
const MOST: usize = 10_000;

/// How many of a kind GitHub gives at once (docs.github.com, "REST API endpoints for …", `per_page`).
#[derive(Clone, Copy)]
pub(super) struct PerPage(pub(super) usize);

/// Secrets.
pub(super) const SECRETS: PerPage = PerPage(100);
/// Variables.
pub(super) const VARIABLES: PerPage = PerPage(30);

/// A thing with a name, and when it was last changed.
#[derive(Deserialize)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) updated_at: Option<String>,
}

#[derive(Deserialize)]
struct Page {
    total_count: usize,
    #[serde(alias = "secrets", alias = "variables", alias = "environments")]
    items: Vec<Named>,
}

/// All that a list has, each name once. After the first page it is known how many there are, and they are asked for at the
/// same time.
pub(super) async fn all(
    api: &Api,
    path: &str,
    per: PerPage,
    asked: &Asked<'_>,
) -> Result<Vec<Named>, RequestError> {
    let page = |number: usize| {
        let path = format!("{path}?per_page={}&page={number}", per.0);
        async move { api.get::<Page>(&path, asked).await }
    };
    let first = page(1).await?;
    let pages = first.total_count.min(MOST).div_ceil(per.0);
    let mut items = first.items;
    for further in net::each((2..=pages).map(page)).await {
        items.extend(further?.items);
    }
    // What was added meanwhile moves the others on, to a page that is read as well.
    let mut seen = std::collections::BTreeSet::new();
    items.retain(|item| seen.insert(item.name.clone()));
    Ok(items)
}
