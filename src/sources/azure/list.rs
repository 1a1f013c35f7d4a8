//! Lists the secrets of a vault, page by page.

use std::collections::BTreeSet;

use reqwest::Url;
use serde::Deserialize;

use super::answer::Request;
use super::{Azure, VERSION, name};
use crate::sources::SourceError;
use crate::sources::net::Answer;

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    value: Vec<Entry>,
    #[serde(rename = "nextLink")]
    next: Option<String>,
}

#[derive(Deserialize)]
struct Entry {
    id: String,
}

impl Azure {
    /// The names that start with `prefix`. The service has no filter, so all are listed: 25 per page.
    pub(super) async fn names(&self, prefix: &str) -> Result<Vec<String>, SourceError> {
        let what = format!("{}:{prefix}*", self.id);
        if let Some(fault) = Some(prefix).filter(|prefix| !prefix.is_empty()).and_then(name::fault) {
            let fact = format!("{what}: not a valid prefix of secret names: {fault}");
            return Err(SourceError::failed(
                fact,
                "Correct the reference: names consist of letters, digits and hyphens.",
            ));
        }
        let question = Request { vault: &self.vault, login: &self.login, what, name: None };
        let mut names = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut next = Some(self.vault.url(&format!("secrets?api-version={VERSION}")));
        while let Some(address) = next {
            let answer = self.ask(&address, &question.what).await?;
            let page = page(&question, &answer)?;
            // A page may be empty and still have a next one.
            names.extend(page.value.iter().filter_map(|entry| below(prefix, &entry.id)));
            next = page.next.filter(|link| !link.is_empty());
            if let Some(link) = &next {
                let own = Url::parse(link).is_ok_and(|link| self.vault.is_own(&link));
                if !own || !seen.insert(link.clone()) {
                    return Err(leads_away(&question));
                }
            }
        }
        Ok(names.into_iter().collect())
    }
}

fn page(question: &Request, answer: &Answer) -> Result<Page, SourceError> {
    if answer.status.as_u16() != 200 {
        return Err(question.refusal(answer));
    }
    serde_json::from_slice(&answer.body).map_err(|_| question.refusal(answer))
}

/// The name in an ID, if it starts with the prefix, which is then written as requested: the service ignores case.
fn below(prefix: &str, id: &str) -> Option<String> {
    let name = id.split("/secrets/").nth(1)?.split('/').next()?;
    let start = name.get(..prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then(|| format!("{prefix}{}", &name[prefix.len()..]))
}

/// The token is sent to no other host, and no page is read twice.
fn leads_away(question: &Request) -> SourceError {
    SourceError::failed(
        format!(
            "{}: the next page of the list of {} is on another server, or was already read",
            question.what, question.vault.host
        ),
        "Check whether something in between, such as a proxy, answers instead. Otherwise, declare each secret.",
    )
}

#[cfg(test)]
mod tests {
    use super::below;

    #[test]
    fn a_name_is_what_an_id_has_after_the_prefix_in_any_case() {
        let id = "https://v.vault.azure.net/secrets/Bot-Key";
        assert_eq!(below("bot-", id).as_deref(), Some("bot-Key"));
        assert_eq!(below("", id).as_deref(), Some("Bot-Key"));
        assert_eq!(below("other-", id), None);
        assert_eq!(below("bot-key-longer", id), None);
    }
}
