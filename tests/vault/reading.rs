//! What is read, and from which paths.

use serde_json::json;

use crate::case::Case;
use crate::peers::bao::Bao;

#[tokio::test]
async fn a_secret_is_found_with_its_version_and_one_that_is_not_there_is_absent() {
    let bao = Bao::start();
    bao.put("claude-bot/anthropic", &json!({ "key": "canary-key", "value": "canary-value" }));
    let case = Case::as_root(&bao).secret("A", "vault:secret/claude-bot/anthropic#key");
    let case = case.secret("B", "vault:secret/claude-bot/anthropic");
    let case = case.secret("C", "vault:secret/claude-bot/nothing");
    assert_eq!(case.told().await, "canary-key @1\ncanary-value @1\nMissing");
}
