//! Role assignments for Key Vault (learn.microsoft.com, "Provide access to Key Vault keys, certificates, and secrets with
//! Azure role-based access control").

use std::fmt::Write as _;

use super::{Needs, Policy, distinct};
use crate::sources::conventional;

/// The built-in role that can only read values.
const ROLE: &str = "Key Vault Secrets User";

/// A command for each secret, or one for the vault if there is an import, which lists it.
pub(super) fn policy(needs: &Needs<'_>) -> Policy {
    let scope = |name: &str| format!("\"$VAULT_ID/secrets/{name}\"");
    let named = needs.references.iter().map(|reference| scope(&reference.item));
    let usual = needs
        .conventional()
        .map(|name| scope(&conventional::azure(&needs.options.id, name, &needs.manifest.scope).item));
    let of_fields = needs.imports.iter().filter(|import| import.field.is_some());
    let mut scopes =
        distinct(named.chain(usual).chain(of_fields.map(|import| scope(&import.item))).collect());
    if needs.imports.iter().any(|import| import.field.is_none()) {
        scopes = vec!["\"$VAULT_ID\"".to_owned()];
    }
    let vault = needs.options.text("vault-name").map(str::to_owned);
    let vault = vault.or_else(|| name_of(needs.options.text("vault-url")?));
    let client = needs.options.text("client-id").unwrap_or("$CLIENT_ID");
    let vault = vault.as_deref().unwrap_or("$VAULT_NAME");
    let mut text = format!("VAULT_ID=$(az keyvault show --name \"{vault}\" --query id --output tsv)\n");
    for scope in scopes {
        let command = "az role assignment create";
        let _ = writeln!(text, "{command} --role \"{ROLE}\" --assignee \"{client}\" --scope {scope}");
    }
    needs.policy("role assignments for the application that logs in (a vault with Azure RBAC)", text)
}

/// `https://NAME.vault.azure.net` → `NAME`.
fn name_of(url: &str) -> Option<String> {
    let host = url.strip_prefix("https://")?;
    host.split('.').next().map(str::to_owned)
}
