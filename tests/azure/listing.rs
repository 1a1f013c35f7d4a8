//! Which secrets start alike.

use claude_secrets::sources::Listing;
use serde_json::json;

use crate::case::Case;
use crate::peers::azure::Azure;

async fn listed(azure: &Azure, session: &str, prefix: &str) -> Vec<String> {
    match Case::logged_in(azure, session).source().list(prefix).await {
        Listing::Items(items) => items,
        Listing::Denied(refusal) => vec![format!("denied: {} {}", refusal.fact, refusal.help_text())],
        Listing::Failed(refusal) => vec![format!("failed: {} {}", refusal.fact, refusal.help_text())],
    }
}

#[tokio::test]
async fn names_that_start_alike_come_from_all_pages_also_after_an_empty_one() {
    let azure = Azure::with_vault();
    for number in 0..60 {
        azure.put(&format!("Bot-{number:02}"), "canary");
    }
    azure.put("other", "canary");
    azure.tell("vault", &json!({ "name": "kv-tests", "empty_page_first": true }));
    let names = listed(&azure, "s", "bot-").await;
    assert_eq!(names.len(), 60);
    assert_eq!((names[0].as_str(), names[59].as_str()), ("bot-00", "bot-59"), "written as asked for");
    assert_eq!(azure.requests("s").len(), 1 + 4);
    assert_eq!(listed(&azure, "t", "nothing-").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_list_that_leads_to_another_host_is_not_followed() {
    let azure = Azure::with_vault();
    azure.tell(
        "vault",
        &json!({ "name": "kv-tests", "empty_page_first": true, "next_host": "evil.vault.azure.net" }),
    );
    azure.put("bot-key", "canary");
    let said = listed(&azure, "s", "bot-").await.remove(0);
    assert!(
        said.starts_with(
            "failed: azure:bot-*: the next page of the list of kv-tests.vault.azure.net is on another server"
        ),
        "{said}"
    );
    assert_eq!(azure.requests("s").len(), 2);
}

#[tokio::test]
async fn a_list_that_may_not_be_had_is_denied_and_a_prefix_that_cannot_be_is_told() {
    let azure = Azure::with_vault();
    let said = listed(&azure, "s", "bot_").await.remove(0);
    assert!(
        said.contains("azure:bot_*: not a valid prefix of secret names: its character 4 is not a letter"),
        "{said}"
    );
    azure.tell("vault", &json!({ "name": "kv-tests", "refuses": "AccessDenied" }));
    let said = listed(&azure, "s", "bot-").await.remove(0);
    assert!(said.starts_with("denied: azure:bot-*: no access policy"), "{said}");
    assert!(said.contains("--secret-permissions get list"), "{said}");
}
