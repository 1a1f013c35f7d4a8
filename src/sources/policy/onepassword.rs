//! Vault access for 1Password (developer.1password.com, "Manage service accounts" and "Manage Connect servers").

use super::{Needs, Policy, distinct};
use crate::sources::conventional;

/// One command: for a service account, or for a token of the Connect server if one is configured, that can read the items
/// of the vaults in the references, and no others.
pub(super) fn policy(needs: &Needs<'_>) -> Policy {
    let vault_of =
        |item: &str| item.strip_prefix("op://").and_then(|path| path.split('/').next()).map(str::to_owned);
    let all = needs.references.iter().chain(&needs.imports);
    let named = all.filter_map(|reference| vault_of(&reference.item));
    let setting = needs.options.text("vault");
    let usual =
        needs.conventional().next().map(|_| conventional::onepassword_vault(setting, &needs.manifest.scope));
    let vaults = distinct(named.chain(usual).collect());
    if needs.options.text("connect-host").is_some() {
        let shares: Vec<String> = vaults.iter().map(|vault| format!("--vault \"{vault},r\"")).collect();
        let text = format!(
            "op connect token create \"claude-secrets\" --server \"$CONNECT_SERVER\" {}\n",
            shares.join(" ")
        );
        return needs
            .policy("a token of the Connect server for the vaults it needs (it is printed once)", text);
    }
    let shares: Vec<String> = vaults.iter().map(|vault| format!("--vault \"{vault}:read_items\"")).collect();
    let text = format!("op service-account create \"claude-secrets\" {}\n", shares.join(" "));
    needs.policy(
        "a service account with the vaults it needs (it prints its token once; vaults cannot be added later)",
        text,
    )
}
