//! Settings that cannot work, each with one clear error that names who said it and not what stands there.

use claude_secrets::error::Code;

use crate::case::Case;
use crate::peers::azure::{CLIENT, TENANT};

fn none() -> Case {
    Case::of(Vec::new())
}

#[test]
fn an_address_that_is_no_vaults_is_told_by_who_said_it_and_why() {
    for (url, fact, help) in [
        ("canary.vault.azure.net", "does not start with `https://`", "Write the address"),
        (
            "http://canary.vault.azure.net",
            "starts with `http://`, which would send the token in clear text",
            "Write the address",
        ),
        ("ftp://canary.vault.azure.net", "does not start with `https://`", "Write the address"),
        ("https://", "is not a valid address", "Write the address"),
        (
            "https://canary.vault.azure.net/secrets/key",
            "is the address of a secret",
            "write the secret's name in a reference",
        ),
        (
            "https://canary.vault.azure.net/keys",
            "contains more than `https://` and a host",
            "Write the address",
        ),
        (
            "https://canary.vault.azure.net?x=1",
            "contains more than `https://` and a host",
            "Write the address",
        ),
        (
            "https://canary.vault.azure.net:8443",
            "contains more than `https://` and a host",
            "Write the address",
        ),
        (
            "https://user:pass@canary.vault.azure.net",
            "contains more than `https://` and a host",
            "Write the address",
        ),
        ("https://vault", "contains no vault name", "Write the address"),
        ("https://c--y.vault.azure.net", "contains no vault name", "Write the address"),
        (
            "https://canary.vault.azure.com",
            "is not the address of a key vault, and the token would be sent to an unknown server",
            "`vault-suffix` and `authority-host`",
        ),
        (
            "https://canary.vault.azure.net.evil.example",
            "is not the address of a key vault",
            "Correct the address",
        ),
        (
            "https://canary.managedhsm.azure.net",
            "is a managed HSM, which stores keys but no secrets",
            "Use a key vault",
        ),
        (
            "https://canary.privatelink.vaultcore.azure.net",
            "is the internal name of a private endpoint",
            "`https://NAME.vault.azure.net` with a private endpoint, too",
        ),
    ] {
        let said = none().setting("vault-url", url).mistake();
        let expected = format!("`sources.azure.vault-url` {fact}");
        assert!(said.starts_with(&expected) && said.contains(help), "{url}: {said}");
        assert!(said.contains(&format!("({} characters)", url.chars().count())), "{said}");
        assert!(!said.contains("canary") && !said.contains("pass@"), "the value is told: {said}");
    }
    let said = none().variable("INPUT_AZURE-VAULT-URL", "http://x").mistake();
    assert!(said.starts_with("the input `azure-vault-url` starts with `http://`"), "{said}");
    let said = none().variable("AZURE_KEYVAULT_URL", "http://x").mistake();
    assert!(said.starts_with("`AZURE_KEYVAULT_URL` starts with `http://`"), "{said}");
}

#[test]
fn settings_that_contradict_each_other_are_told_together() {
    let url = "https://canary.vault.azure.net/";
    let rows: [(&[(&str, &str)], &str); 11] = [
        (
            &[("vault-name", "canary"), ("metadata-host", "169.254.169.254")],
            "`sources.azure.metadata-host` is not a valid host address (15 characters)",
        ),
        (
            &[("vault-url", url), ("vault-name", "another")],
            "`sources.azure.vault-url` and `sources.azure.vault-name` are two different vaults",
        ),
        (
            &[("vault-url", "https://canary.vault.azure.cn"), ("cloud", "public")],
            "`sources.azure.vault-url` is a vault of the cloud `china`, but `sources.azure.cloud` is `public`",
        ),
        (
            &[("vault-url", url), ("cloud", "mars")],
            "`sources.azure.cloud` is not a known cloud (4 characters)",
        ),
        (
            &[("vault-url", url), ("authority-host", "login.microsoftonline.us")],
            "the vault is in the cloud `public`, but `sources.azure.authority-host` belongs to `usgov`",
        ),
        (
            &[("vault-url", url), ("authority-host", "http://login.example")],
            "`sources.azure.authority-host` is not a valid host for `https://`",
        ),
        (&[("vault-name", "a_b")], "`sources.azure.vault-name` is not a valid vault name (3 characters)"),
        (
            &[("vault-name", "https://canary.vault.azure.net")],
            "`sources.azure.vault-name` is not a valid vault name",
        ),
        (
            &[("vault-name", "canary"), ("vault-suffix", "vault.example")],
            "`sources.azure.vault-suffix` also needs `authority-host`",
        ),
        (
            &[("vault-name", "canary"), ("vault-suffix", "vault.example"), ("cloud", "china")],
            "`sources.azure.cloud` and `sources.azure.vault-suffix` both set the suffix of the vault's host",
        ),
        (
            &[("vault-url", url), ("vault-suffix", "vault.example")],
            "`sources.azure.vault-url` does not end with the suffix in `sources.azure.vault-suffix`",
        ),
    ];
    for (settings, fact) in rows {
        let case = settings.iter().fold(none(), |case, (name, value)| case.setting(name, value));
        let said = case.mistake();
        assert!(said.starts_with(fact), "{said}");
        assert!(!said.contains("canary"), "the value is told: {said}");
    }
}

#[test]
fn a_login_that_is_not_whole_or_given_twice_is_told() {
    let vault = || none().setting("vault-name", "kv-tests");
    let application = || vault().setting("tenant-id", TENANT).setting("client-id", CLIENT);
    let secret = |case: Case| case.variable("AZURE_CLIENT_SECRET", "canary");
    for (case, fact, help) in [
        (
            secret(vault()),
            "azure: the login to Azure with `client-secret` needs `tenant-id`",
            "AZURE_TENANT_ID",
        ),
        (
            secret(vault().setting("tenant-id", TENANT)),
            "azure: the login to Azure with `client-secret` needs `client-id`",
            "AZURE_CLIENT_ID",
        ),
        (
            vault().setting("tenant-id", TENANT),
            "azure: the login to Azure with `oidc` needs `client-id`",
            "AZURE_CLIENT_ID",
        ),
        (
            application().setting("auth", "client-secret"),
            "azure: the login to Azure with `client-secret` needs `AZURE_CLIENT_SECRET`",
            "`auth`",
        ),
        (
            application().setting("auth", "password"),
            "`sources.azure.auth` is not a known login method (8 characters)",
            "`managed-identity`",
        ),
        (
            secret(application()).variable("AZURE_FEDERATED_TOKEN_FILE", "/token"),
            "azure: 2 logins are configured: `AZURE_CLIENT_SECRET`, `AZURE_FEDERATED_TOKEN_FILE`",
            "`auth: client-secret`, `auth: federated-token-file`",
        ),
        (
            secret(application()).setting("authority-host", "login.canary.example"),
            "`sources.azure.authority-host` is not a Microsoft host, but would get the secret in `AZURE_CLIENT_SECRET`",
            "AZURE_AUTHORITY_HOST",
        ),
        (
            application().variable("AZURE_CLIENT_SECRET", "canary\n"),
            "`AZURE_CLIENT_SECRET` contains a line break or another control character (7 bytes, 2 lines)",
            "Paste only the secret's value",
        ),
        (
            secret(vault().setting("tenant-id", "contoso/../x").setting("client-id", CLIENT)),
            "`sources.azure.tenant-id` is not a valid ID (12 characters)",
            "00000000-0000",
        ),
        (
            application().setting("client-certificate", "/nowhere.pem"),
            "cannot read the file that `sources.azure.client-certificate` names",
            "",
        ),
        (
            application().setting("client-certificate", "-----BEGIN PRIVATE KEY-----canary"),
            "`sources.azure.client-certificate` contains a certificate with its key itself (33 bytes)",
            "AZURE_CLIENT_CERTIFICATE_PATH",
        ),
        (
            application().setting(
                "client-certificate",
                "-----BEGIN CERTIFICATE-----\nY2FuYXJ5\n-----END CERTIFICATE-----\n",
            ),
            "the file that `sources.azure.client-certificate` names contains no key without a passphrase",
            "openssl pkcs12",
        ),
    ] {
        let said = case.mistake();
        assert!(said.starts_with(fact) && said.contains(help), "{said}");
        assert!(!said.contains("canary"), "the value is told: {said}");
    }
}

#[tokio::test]
async fn a_source_that_is_named_and_has_no_vault_is_an_error_and_one_that_nobody_speaks_of_is_not_there() {
    let said = none().setting("client-id", CLIENT).mistake();
    assert!(said.contains("`azure` is not configured") && said.contains("vault-url"), "{said}");
    let nothing = none().variable("AZURE_CLIENT_ID", CLIENT).variable("KEY", "x").conventional("KEY");
    assert!(nothing.resolve().await.unwrap().check().is_ok());
    let referred = none().secret("KEY", "azure:key").resolve().await.unwrap();
    assert_eq!(referred.check().unwrap_err().code, Code::SourceFailed);
}
