//! Role assignments for Key Vault (learn.microsoft.com, "Provide access to Key Vault keys, certificates, and secrets with
//! Azure role-based access control").

use std::fmt::Write as _;

use super::conventional;
use crate::error::Result;
use crate::shell::after;
use crate::sources::policy::{Needs, Policy, distinct, refuse};

/// The built-in role that can only read values.
const ROLE: &str = "Key Vault Secrets User";

/// A command for each secret, or one for the vault if there is an import, which lists it.
pub(super) fn policy(needs: &Needs<'_>) -> Result<Policy> {
    let items = needs.references.iter().map(|reference| reference.item.clone());
    let usual =
        needs.conventional().map(|name| conventional(&needs.options.id, name, &needs.manifest.scope).item);
    let of_fields = needs.imports.iter().filter(|import| import.field.is_some());
    let names = distinct(items.chain(usual).chain(of_fields.map(|import| import.item.clone())).collect());
    // `x/..` is another scope.
    if let Some(name) = names.iter().find(|name| name.contains('/')) {
        return Err(refuse(
            &needs.options.id,
            name,
            "a slash ends the name in the scope of a role",
            "Names in Key Vault have letters, digits and hyphens only.",
        ));
    }
    let mut scopes: Vec<String> = names.iter().map(|name| after("$VAULT_ID/secrets/", name)).collect();
    if needs.imports.iter().any(|import| import.field.is_none()) {
        scopes = vec!["\"$VAULT_ID\"".to_owned()];
    }
    let vault = needs.options.text("vault-name").map(str::to_owned);
    let vault = vault.or_else(|| name_of(needs.options.text("vault-url")?));
    let client = needs.options.text("client-id");
    let client = client.map_or_else(|| "\"$CLIENT_ID\"".to_owned(), |client| after("", client));
    let vault = vault.map_or_else(|| "\"$VAULT_NAME\"".to_owned(), |vault| after("", &vault));
    let mut text = format!("VAULT_ID=$(az keyvault show --name {vault} --query id --output tsv)\n");
    for scope in scopes {
        let command = "az role assignment create";
        let _ = writeln!(text, "{command} --role \"{ROLE}\" --assignee {client} --scope {scope}");
    }
    Ok(needs.policy("role assignments for the application that logs in (a vault with Azure RBAC)", text))
}

/// `https://NAME.vault.azure.net` → `NAME`.
fn name_of(url: &str) -> Option<String> {
    let host = url.strip_prefix("https://")?;
    host.split('.').next().map(str::to_owned)
}
