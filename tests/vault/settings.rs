//! What cannot work is told before anything is asked: one clear error each, with who said it and the way out.

use crate::case::Case;

/// A run with these settings and variables, which begin with `VAULT_` or another big letter.
fn case(all: &[(&str, &str)]) -> Case {
    let case = Case::default().key("vault:secret/claude-bot/anthropic");
    all.iter().fold(case, |case, (name, value)| {
        if name.starts_with(|c: char| c.is_ascii_uppercase()) {
            case.variable(name, value)
        } else {
            case.setting(name, value)
        }
    })
}

const ADDR: (&str, &str) = ("addr", "https://vault.example.com");
const TOKEN: (&str, &str) = ("VAULT_TOKEN", "canary-token");
const ROLE_ID: (&str, &str) = ("VAULT_ROLE_ID", "canary-role-id");

#[tokio::test]
#[allow(clippy::too_many_lines, reason = "it is a table")]
async fn what_cannot_work_is_one_clear_error() {
    for (given, expected) in [
        (
            &[("addr", "canary.example.com"), TOKEN] as &[_],
            "`sources.vault.addr` is not an address that starts with `https://` or `http://` (18 characters)\n\
             fix: Write the server's address with its scheme: `https://vault.example.com:8200`.",
        ),
        (
            &[("VAULT_ADDR", "canary:8200"), TOKEN],
            "`VAULT_ADDR` is not an address that starts with `https://` or `http://` (11 characters)\n\
             fix: Write the server's address with its scheme: `https://vault.example.com:8200`.",
        ),
        (
            &[("INPUT_VAULT-ADDR", "canary"), TOKEN],
            "the input `vault-addr` is not an address that starts with `https://` or `http://` (6 characters)\n\
             fix: Write the server's address with its scheme: `https://vault.example.com:8200`.",
        ),
        (
            &[ADDR, ("VAULT_TOKEN", "canary-token\n")],
            "`VAULT_TOKEN` contains a line break at character 13 (13 bytes, 2 lines)\n\
             fix: Store it again as it was printed, without a line break at its end (`printf %s`, not `echo`).",
        ),
        (
            &[ADDR, ROLE_ID, ("VAULT_SECRET_ID", "canary secret")],
            "`VAULT_SECRET_ID` contains a space at character 7 (13 bytes)\n\
             fix: Store it again as it was printed, without a line break at its end (`printf %s`, not `echo`).",
        ),
        (
            &[ADDR, TOKEN, ROLE_ID],
            "vault: more than one login is configured: `token` from `VAULT_TOKEN` and `approle` from `VAULT_ROLE_ID`\n\
             fix: Remove one of them, or choose one: `sources: { vault: { auth: token } }`.",
        ),
        (
            &[ADDR, ("VAULT_SECRET_ID", "canary")],
            "vault: the auth method `approle` needs `VAULT_ROLE_ID`, which is not set\n\
             fix: Set `VAULT_ROLE_ID`, or choose another method with `auth`.",
        ),
        (
            &[ADDR, ROLE_ID, ("VAULT_SECRET_ID", "canary"), ("VAULT_WRAPPED_SECRET_ID", "canary")],
            "vault: both `VAULT_SECRET_ID` and `VAULT_WRAPPED_SECRET_ID` are set\nfix: Remove one of them.",
        ),
        (
            &[ADDR, TOKEN, ("auth", "userpass")],
            "vault: the auth method `userpass` needs `username`, which is not set\n\
             fix: Set `username`, or choose another method with `auth`.",
        ),
        (
            &[ADDR, ("auth", "userpass"), ("username", "a/b"), ("VAULT_PASSWORD", "canary")],
            "`sources.vault.username` is not a valid user name (3 characters)\nfix: A user name contains no slash.",
        ),
        (
            &[ADDR, ("auth", "kubernetes")],
            "vault: the auth method `kubernetes` needs `role`, which is not set\n\
             fix: Set `role`, or choose another method with `auth`.",
        ),
        (
            &[ADDR, TOKEN, ("auth", "canary")],
            "`sources.vault.auth` is not a supported auth method (6 characters)\n\
             fix: Use one of `token`, `approle`, `jwt`, `userpass`, `kubernetes`.",
        ),
        (
            &[ADDR, TOKEN, ("auth", "ldap")],
            "`sources.vault.auth` is not a supported auth method (4 characters)\n\
             fix: It works like `userpass`: set `auth: userpass` and `auth-mount: ldap`.",
        ),
        (
            &[ADDR, TOKEN, ("VAULT_ADDR", "https://other.example.com")],
            "`sources.vault.addr` and `VAULT_ADDR` are two different servers, and it is unclear which one the login in the variables is for\n\
             fix: If the login is for the server of `sources.vault.addr`, unset `VAULT_ADDR`. Give a second server its own id in \
             `sources`, and so its own variables: `old-vault: { kind: vault, addr: … }` and `OLD_VAULT_TOKEN`.",
        ),
        (
            &[ADDR, TOKEN, ("namespace", "team a")],
            "`sources.vault.namespace` is not a valid namespace: it contains a space, a line break or a non-ASCII letter (6 characters)\n\
             fix: Write it as `team-a` or `org/team-a`.",
        ),
        (
            &[ADDR, TOKEN, ("mount", "a//b")],
            "`sources.vault.mount` is not a valid mount path (4 characters)\nfix: Write it as `secret` or `team/kv`.",
        ),
        (
            &[ADDR, TOKEN, ("kv-version", "v2")],
            "`sources.vault.kv-version` is neither 1 nor 2 (2 characters)\n\
             fix: Set `1` or `2`, or remove it: most servers report it.",
        ),
        (
            &[ADDR, TOKEN, ("client-cert", "-----BEGIN CERTIFICATE-----")],
            "`sources.vault.client-cert` is set, but `client-key` is not\n\
             fix: Set `client-key` as well.",
        ),
        (
            &[ADDR, TOKEN, ("client-key", "-----BEGIN PRIVATE KEY-----canary")],
            "`sources.vault.client-key` contains a private key itself (33 bytes)\n\
             fix: Create a new key, because everyone with access to the repository can read this one, and set it in \
             `VAULT_CLIENT_KEY` or as a file.",
        ),
        (
            &[ADDR, TOKEN, ("ca-certificates", "-----BEGIN canary")],
            "`sources.vault.ca-certificates` contains a certificate that cannot be read (17 bytes)\n\
             fix: It must be PEM, e.g. what `openssl x509` prints.",
        ),
    ] {
        assert_eq!(case(given).told().await, expected, "{given:?}");
    }
}

#[tokio::test]
async fn without_a_login_the_error_has_the_lines_to_add() {
    let told = case(&[ADDR]).told().await;
    assert!(told.starts_with("vault: no login configured\n"), "{told}");
    for line in
        ["id-token: write", "vault-role: …", "`VAULT_TOKEN`, or `VAULT_ROLE_ID` and `VAULT_SECRET_ID`"]
    {
        assert!(told.contains(line), "{told}");
    }
    let old = Case::default().key("old-vault:secret/x").setting_of("old-vault", "kind", "vault");
    // What is given for one server is no login for another.
    let old = old.setting_of("old-vault", "addr", "https://old.example.com").variable(TOKEN.0, TOKEN.1);
    let told = old.told().await;
    assert!(told.starts_with("old-vault: no login configured\n"), "{told}");
    assert!(told.contains("`OLD_VAULT_TOKEN`") && !told.contains("vault-role"), "{told}");
}

#[tokio::test]
async fn a_role_without_the_permission_for_identity_tokens_names_the_lines_that_the_workflow_lacks() {
    let told = case(&[
        ADDR,
        ("role", "deploy"),
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_REPOSITORY_OWNER", "octo-org"),
    ]);
    let told = told.wrong().await;
    assert!(told.contains("is not allowed to request an identity token"), "{told}");
    assert!(told.contains("permissions:") && told.contains("id-token: write"), "{told}");
}

#[tokio::test]
async fn a_server_that_only_variables_speak_of_and_without_a_login_is_none() {
    let case = Case::default().conventional("KEY").variable("VAULT_ADDR", "https://vault.example.com");
    let wrong = case.wrong().await;
    assert!(wrong.contains("KEY was not found") && !wrong.contains("vault:"), "{wrong}");
}
