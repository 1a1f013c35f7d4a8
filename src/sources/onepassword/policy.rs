//! Vault access for 1Password (developer.1password.com, "Manage service accounts" and "Manage Connect servers").

use super::vault_of;
use crate::error::Result;
use crate::shell::after;
use crate::sources::policy::{Needs, Policy, distinct, refuse};

/// One command: for a service account, or for a token of the Connect server if one is configured, that can read the items
/// of the vaults in the references, and no others.
pub(super) fn policy(needs: &Needs<'_>) -> Result<Policy> {
    let in_reference =
        |item: &str| item.strip_prefix("op://").and_then(|path| path.split('/').next()).map(str::to_owned);
    let all = needs.references.iter().chain(&needs.imports);
    let named = all.filter_map(|reference| in_reference(&reference.item));
    let setting = needs.options.text("vault");
    let usual = needs.conventional().next().map(|_| vault_of(setting, &needs.manifest.scope));
    let vaults = distinct(named.chain(usual).collect());
    // `--vault` takes a vault and what is allowed in it, with these between them.
    if let Some(vault) = vaults.iter().find(|vault| vault.contains([':', ','])) {
        return Err(refuse(
            &needs.options.id,
            vault,
            "in the options of `op`, what is allowed in a vault begins at a `:` or `,`",
            "Write the vault's id in place of its name: `op vault list` prints it.",
        ));
    }
    if needs.options.text("connect-host").is_some() {
        let shares: Vec<String> =
            vaults.iter().map(|vault| format!("--vault {}", after("", &format!("{vault},r")))).collect();
        let text = format!(
            "op connect token create \"claude-secrets\" --server \"$CONNECT_SERVER\" {}\n",
            shares.join(" ")
        );
        let title = "a token of the Connect server for the vaults it needs (it is printed once)";
        return Ok(needs.policy(title, text));
    }
    let share = |vault: &String| format!("--vault {}", after("", &format!("{vault}:read_items")));
    let shares: Vec<String> = vaults.iter().map(share).collect();
    let text = format!("op service-account create \"claude-secrets\" {}\n", shares.join(" "));
    let title =
        "a service account with the vaults it needs (it prints its token once; vaults cannot be added later)";
    Ok(needs.policy(title, text))
}
