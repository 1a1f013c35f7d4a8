//! What a vault refuses, each kind with its own sentence and remedy; and what is no vault's answer at all.

use claude_secrets::resolve::State;
use serde_json::json;

use crate::case::Case;
use crate::peers::azure::{Azure, CLIENT, OTHER_TENANT, SECRET, TENANT};

#[tokio::test]
async fn each_kind_of_refusal_has_its_own_sentence_and_remedy() {
    let azure = Azure::with_vault();
    let role = format!(
        "az role assignment create --role \"Key Vault Secrets User\" --assignee {CLIENT} --scope \"$(az keyvault show --name kv-tests --query id --output tsv)/secrets/key\""
    );
    let policy = format!("az keyvault set-policy --name kv-tests --spn {CLIENT} --secret-permissions get");
    for (inner, fact, help) in [
        (
            "ForbiddenByRbac",
            "has no role in kv-tests.vault.azure.net that allows it to read it",
            role.as_str(),
        ),
        (
            "AccessDenied",
            "no access policy of kv-tests.vault.azure.net allows the application",
            policy.as_str(),
        ),
        (
            "ForbiddenByFirewall",
            "the firewall of kv-tests.vault.azure.net does not allow this machine's address",
            "az keyvault network-rule add --name kv-tests --ip-address",
        ),
        (
            "ForbiddenByConnection",
            "kv-tests.vault.azure.net is closed to the public network",
            "private endpoint",
        ),
    ] {
        azure.tell("vault", &json!({ "name": "kv-tests", "refuses": inner }));
        let (state, actual, says) = Case::logged_in(&azure, inner).refused("azure:key").await;
        assert_eq!(state, "Denied", "{inner}");
        assert!(actual.starts_with("KEY: azure:key: ") && actual.contains(fact), "{actual}");
        assert!(says.contains(help), "{says}");
        assert_eq!(azure.requests(inner).len(), 2, "a refusal is not asked again");
    }
}

#[tokio::test]
async fn a_vault_of_another_tenant_tells_whose_it_is() {
    let azure = Azure::with_vault();
    azure.put("key", "canary");
    let case = Case::logged_in(&azure, "s").setting("tenant-id", OTHER_TENANT);
    let (state, fact, help) = case.refused("azure:key").await;
    assert_eq!(state, "Denied");
    let expected = format!(
        "kv-tests.vault.azure.net belongs to the tenant {TENANT}, but the login belongs to {OTHER_TENANT}"
    );
    assert!(fact.contains(&expected), "{fact}");
    assert!(help.contains(&format!("Set `tenant-id` to {TENANT}")), "{help}");
}

#[tokio::test]
async fn too_many_requests_are_made_again_after_the_time_that_the_vault_asks_for() {
    let azure = Azure::with_vault();
    azure.put("key", "canary");
    azure.tell("session", &json!({ "name": "s", "fault": "throttle", "at": "vault", "times": 1 }));
    let start = std::time::Instant::now();
    Case::logged_in(&azure, "s").found("azure:key").await;
    assert!(start.elapsed().as_millis() >= 1000, "Retry-After: 1");
    azure.tell("session", &json!({ "name": "t", "fault": "throttle", "at": "vault", "times": 99 }));
    let (state, fact, _) = Case::logged_in(&azure, "t").refused("azure:key").await;
    assert_eq!(state, "Failed");
    assert!(fact.contains("azure:key: kv-tests.vault.azure.net is throttling requests"), "{fact}");
}

#[tokio::test]
async fn a_page_in_place_of_the_vault_is_not_absent() {
    let azure = Azure::with_vault();
    azure.put("key", "canary");
    azure.tell("session", &json!({ "name": "s", "fault": "gateway", "at": "vault", "times": 99 }));
    let (state, fact, help) = Case::logged_in(&azure, "s").refused("azure:key").await;
    assert_eq!(state, "Failed");
    assert!(
        fact.contains("the response of kv-tests.vault.azure.net (status 404) is not that of a key vault"),
        "{fact}"
    );
    assert!(help.contains("proxy"), "{help}");
}

#[tokio::test]
async fn a_vault_that_variables_name_is_meant_and_passed_over_only_where_there_is_no_login() {
    let azure = Azure::with_vault();
    azure.put("denied-key", "canary");
    let variables = [
        ("AZURE_KEYVAULT_URL", "https://kv-tests.vault.azure.net"),
        ("AZURE_TENANT_ID", TENANT),
        ("AZURE_CLIENT_ID", CLIENT),
        ("AZURE_CLIENT_SECRET", SECRET),
        ("KEY", "from below"),
        ("INPUT_PREFIX", "denied"),
    ];
    let case =
        variables.iter().fold(Case::of(azure.route("s")), |case, (name, value)| case.variable(name, value));
    let resolution = case.conventional("KEY").resolve().await.unwrap();
    assert_eq!(resolution.secrets[0].state, State::Denied, "the value below may be stale");
    // Without a login it cannot even be asked.
    let nobody =
        Case::of(azure.route("t")).variable(variables[0].0, variables[0].1).variable("KEY", "from below");
    let resolution = nobody.conventional("KEY").resolve().await.unwrap();
    assert_eq!(resolution.secrets[0].state, State::Found);
    assert!(resolution.warnings[0].fact.contains("no login configured for the vault kv-tests"));
    assert!(azure.requests("t").is_empty());
}
