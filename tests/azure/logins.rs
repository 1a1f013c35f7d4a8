//! Every way to log in, and every way in which it is refused.

use serde_json::json;

use crate::case::Case;
use crate::peers::azure::{Azure, CLIENT, DISABLED_CLIENT, EXPIRED_CLIENT, SECRET, SUBJECTS, TENANT};

#[tokio::test]
async fn an_application_logs_in_by_secret_by_certificate_and_by_a_token_in_a_file() {
    let azure = Azure::with_vault();
    azure.put("key", "canary");
    Case::logged_in(&azure, "secret").found("azure:key").await;
    let certificate = azure.file("application.pem").display().to_string();
    let by_certificate = Case::new(&azure, "certificate").with_application();
    by_certificate.clone().setting("client-certificate", &certificate).found("azure:key").await;
    let text = std::fs::read_to_string(&certificate).unwrap();
    by_certificate.variable("AZURE_CLIENT_CERTIFICATE_PATH", &text).found("azure:key").await;
    let file = azure.file("federated-token");
    let token = azure.tell("token", &json!({ "audience": "api://AzureADTokenExchange" }));
    std::fs::write(&file, format!("{}\n", token["value"].as_str().unwrap())).unwrap();
    let by_file = Case::new(&azure, "file").with_application();
    by_file.variable("AZURE_FEDERATED_TOKEN_FILE", &file.display().to_string()).found("azure:key").await;
}

#[tokio::test]
async fn the_workflow_logs_in_by_its_own_identity_once_a_run() {
    let azure = Azure::with_vault();
    azure.put("key", "canary");
    azure.put("other", "canary");
    let case =
        Case::new(&azure, "s").with_application().variables(azure.job("")).secret("OTHER", "azure:other");
    case.found("azure:key").await;
    let by_ids = format!("&subject={}", SUBJECTS[1]);
    Case::new(&azure, "ids").with_application().variables(azure.job(&by_ids)).found("azure:key").await;
    let logins = azure.requests("s").iter().filter(|(kind, _)| kind == "login").count();
    assert_eq!(logins, 1);
    // A secret that is given counts more than what the job might do.
    let secret = Case::logged_in(&azure, "t").variables(azure.job("&subject=repo:evil/x"));
    secret.found("azure:key").await;
}

#[tokio::test]
async fn the_machine_logs_in_when_nothing_else_is_given_or_when_it_is_said() {
    let azure = Azure::with_vault();
    azure.put("key", "canary");
    let (name, host) = azure.machine();
    let machine = Case::new(&azure, "s").variable(&name, &host);
    machine.found("azure:key").await;
    let said = machine.clone().with_application().setting("auth", "managed-identity");
    let (state, fact, help) = said.refused("azure:key").await;
    assert_eq!(state, "Denied");
    assert!(fact.contains(&format!("azure: this machine has no identity {CLIENT}")), "{fact}");
    assert!(help.contains("az vm identity assign"), "{help}");
    azure.tell("identities", &json!({ "identities": [CLIENT] }));
    said.found("azure:key").await;
    let (_, fact, _) = machine.refused("azure:key").await;
    assert!(fact.contains("azure: this machine has no identity of its own"), "{fact}");
}

#[tokio::test]
async fn a_machine_without_a_metadata_service_tells_the_ways_to_log_in_soon() {
    let azure = Azure::with_vault();
    let nobody = crate::peers::proxy::Nobody::take();
    let case = Case::new(&azure, "s").setting("metadata-host", &format!("http://{}", nobody.address));
    let start = std::time::Instant::now();
    let (state, fact, help) = case.refused("azure:key").await;
    assert_eq!(state, "Failed");
    assert!(
        fact.contains(
            "azure: cannot get this machine's own identity from its metadata service: no connection"
        ),
        "{fact}"
    );
    assert!(help.contains("id-token: write") && help.contains("AZURE_CLIENT_SECRET"), "{help}");
    assert!(start.elapsed().as_secs() < 10);
}

#[tokio::test]
async fn a_job_that_may_not_ask_for_a_token_is_told_what_to_add() {
    let azure = Azure::with_vault();
    let case = Case::new(&azure, "s").with_application();
    let (state, fact, help) = case.refused("azure:key").await;
    assert_eq!(state, "Denied");
    assert!(fact.contains("azure: no login: this job is not allowed to request an identity token"), "{fact}");
    assert!(help.contains("permissions:\n  id-token: write"), "{help}");
    assert!(azure.requests("s").is_empty());
}

#[tokio::test]
async fn a_workflow_that_the_application_does_not_trust_is_told_what_to_trust() {
    let azure = Azure::with_vault();
    let main = "repo:octo-org/octo-repo:ref:refs/heads/main";
    let upper = SUBJECTS[0].replace("octo-org", "Octo-Org");
    let rows = [
        (format!("&subject={main}"), "api://AzureADTokenExchange", 700_213, format!("the subject `{main}`")),
        (
            format!("&subject={upper}"),
            "api://AzureADTokenExchange",
            7_002_138,
            format!("the subject `{upper}`, except for upper and lower case"),
        ),
        (
            "&issuer=https://token.example".to_owned(),
            "api://AzureADTokenExchange",
            700_211,
            "the issuer `https://token.example`".to_owned(),
        ),
        (String::new(), "api://other", 700_212, "the audience `api://other`".to_owned()),
    ];
    for (claims, audience, number, which) in rows {
        let case = Case::new(&azure, "s").with_application().setting("audience", audience);
        let (state, fact, help) = case.variables(azure.job(&claims)).refused("azure:key").await;
        assert_eq!(state, "Denied");
        let expected = format!(
            "KEY: azure: no federated credential of the application {CLIENT} has {which} (AADSTS{number})"
        );
        assert_eq!(fact, expected);
        let parameters = help.split('\'').nth(1).unwrap();
        let parameters: serde_json::Value = serde_json::from_str(parameters).unwrap();
        assert_eq!(parameters["audiences"][0], audience);
        assert!(
            help.contains(&format!("az ad app federated-credential create --id {CLIENT} --parameters")),
            "{help}"
        );
        let compared =
            help.ends_with("the policy may have `repo:octo-org@65/octo-repo@74:ref:refs/heads/main`.");
        assert_eq!(compared, number == 700_213, "{help}");
    }
}

#[tokio::test]
async fn each_refusal_of_the_login_has_its_own_sentence_and_remedy() {
    let azure = Azure::with_vault();
    let stranger = "77777777-2222-3333-4444-555555555555";
    for (tenant, client, secret, fact, help) in [
        (TENANT, CLIENT, "wrong", "is wrong (AADSTS7000215)", "the secret's value, not its ID"),
        (
            TENANT,
            EXPIRED_CLIENT,
            "the-expired-secret",
            "has expired (AADSTS7000222)",
            "az ad app credential reset --id",
        ),
        (TENANT, DISABLED_CLIENT, SECRET, "is disabled (AADSTS7000112)", "Enable it"),
        (
            TENANT,
            stranger,
            "x",
            "has no application 77777777-2222-3333-4444-555555555555 (AADSTS700016)",
            "az ad sp create",
        ),
        (
            stranger,
            CLIENT,
            "x",
            "the tenant 77777777-2222-3333-4444-555555555555 does not exist at login.microsoftonline.com (AADSTS90002)",
            "az account show --query tenantId",
        ),
    ] {
        let case = Case::new(&azure, "s").setting("tenant-id", tenant).setting("client-id", client);
        let (state, actual, says) = case.variable("AZURE_CLIENT_SECRET", secret).refused("azure:key").await;
        assert_eq!(state, "Denied");
        assert!(actual.starts_with("KEY: azure: ") && actual.contains(fact), "{actual}");
        assert!(says.contains(help), "{says}");
    }
    assert!(azure.requests("s").iter().all(|(kind, _)| kind == "login"), "no vault is asked without a token");
}

#[tokio::test]
async fn a_login_that_fails_for_a_moment_is_made_again_and_a_page_in_its_place_is_told() {
    let azure = Azure::with_vault();
    azure.put("key", "canary");
    azure.tell("session", &json!({ "name": "s", "fault": "error", "at": "login", "times": 2 }));
    Case::logged_in(&azure, "s").found("azure:key").await;
    assert_eq!(azure.requests("s").len(), 4);
    azure.tell("session", &json!({ "name": "t", "fault": "gateway", "at": "login", "times": 9 }));
    let (state, fact, _) = Case::logged_in(&azure, "t").refused("azure:key").await;
    assert_eq!(state, "Failed");
    assert!(
        fact.contains("login.microsoftonline.com answered the login with status 404, but not like Entra"),
        "{fact}"
    );
}

#[tokio::test]
async fn sovereign_clouds_have_logins_and_audiences_of_their_own() {
    let azure = Azure::with_vault();
    azure.put("key", "canary");
    for (cloud, host) in
        [("china", "login.partner.microsoftonline.cn"), ("AzureUSGovernment", "login.microsoftonline.us")]
    {
        let case =
            Case::new(&azure, cloud).with_application().setting("cloud", cloud).variables(azure.job(""));
        case.found("azure:key").await;
        assert!(azure.requests(cloud)[0].1.contains(TENANT), "{host}");
    }
    let url = "https://kv-tests.vault.sovereign.example/";
    let own = Case::new(&azure, "own").without("vault-name").setting("vault-url", url);
    let own = own
        .setting("vault-suffix", "vault.sovereign.example")
        .setting("authority-host", "login.sovereign.example")
        .variable("AZURE_AUTHORITY_HOST", "https://login.sovereign.example/");
    own.with_application().variable("AZURE_CLIENT_SECRET", SECRET).found("azure:key").await;
}

#[tokio::test]
async fn a_vault_under_another_id_has_variables_of_its_own_and_its_errors_say_so() {
    let azure = Azure::with_vault();
    azure.put("key", "canary");
    let shared = Case::new(&azure, "s").called("shared-kv").with_application();
    shared.clone().variable("SHARED_KV_CLIENT_SECRET", SECRET).found("shared-kv:key").await;
    let (_, fact, help) = shared.clone().refused("shared-kv:key").await;
    assert!(fact.contains("shared-kv: no login"), "{fact}");
    assert!(help.contains("under `sources.shared-kv`") && help.contains("SHARED_KV_CLIENT_SECRET"), "{help}");
    let wrong = shared.variable("SHARED_KV_CLIENT_SECRET", "wrong");
    let (_, fact, help) = wrong.refused("shared-kv:key").await;
    assert!(fact.contains("shared-kv: the client secret of the application"), "{fact}");
    assert!(help.contains("as SHARED_KV_CLIENT_SECRET"), "{help}");
}
