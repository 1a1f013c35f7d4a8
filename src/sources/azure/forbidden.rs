//! What a vault forbids, by the inner code of its refusal (learn.microsoft.com, "Azure Key Vault REST API
//! error codes"), with the command that allows it.

use super::answer::{Request, is_word};
use super::vault::Vault;
use crate::sources::SourceError;

impl Request<'_> {
    /// Why the vault refused with status 403.
    pub(super) fn forbidden(&self, inner: &str) -> SourceError {
        let host = &self.vault.host;
        let (what, who) = (&self.what, self.login.who());
        let action = if self.name.is_some() { "read it" } else { "list secrets" };
        match inner {
            "ForbiddenByRbac" => SourceError::denied(
                format!("{what}: {who} has no role in {host} that allows it to {action}"),
                format!("Assign the role; it takes effect after some minutes:\n{}", self.role()),
            ),
            "AccessDenied" | "ForbiddenByPolicy" => SourceError::denied(
                format!("{what}: no access policy of {host} allows {who} to {action}"),
                format!("Add one:\n{}", self.policy()),
            ),
            "ForbiddenByFirewall" => SourceError::denied(
                format!("{what}: the firewall of {host} does not allow this machine's address"),
                format!(
                    "Allow it: `az keyvault network-rule add --name {} --ip-address ADDRESS`. The addresses of GitHub's own runners change with every job: use a self-hosted runner in the vault's network.",
                    self.vault.name
                ),
            ),
            "ForbiddenByConnection" => SourceError::denied(
                format!("{what}: {host} is closed to the public network"),
                "Run this on a machine in the network of the vault's private endpoint, such as a self-hosted runner.",
            ),
            "SecretDisabled" => self.disabled(),
            _ => {
                let code = if is_word(inner) { inner } else { "Forbidden" };
                let fact = format!("{what}: {host} does not allow {who} to {action} (403 {code})");
                let (role, policy) = (self.role(), self.policy());
                SourceError::denied(fact, format!("With roles:\n{role}\nWith access policies:\n{policy}"))
            }
        }
    }

    /// The command for a vault with roles: for the secret, or for a list, which needs a role for the whole vault.
    fn role(&self) -> String {
        let (vault, principal) = (&self.vault.name, self.login.principal());
        let below = self.name.map(|name| format!("/secrets/{name}")).unwrap_or_default();
        format!(
            "az role assignment create --role \"Key Vault Secrets User\" --assignee {principal} --scope \"$(az keyvault show --name {vault} --query id --output tsv){below}\""
        )
    }

    /// The command for a vault with access policies.
    fn policy(&self) -> String {
        let option = if self.login.has_client_id() { "--spn" } else { "--object-id" };
        let permissions = if self.name.is_some() { "get" } else { "get list" };
        format!(
            "az keyvault set-policy --name {} {option} {} --secret-permissions {permissions}",
            self.vault.name,
            self.login.principal()
        )
    }

    fn disabled(&self) -> SourceError {
        let (what, name) = (&self.what, self.name.unwrap_or("NAME"));
        let Vault { name: vault, .. } = self.vault;
        SourceError::failed(
            format!("{what}: the secret is disabled"),
            format!(
                "Enable it, or set a new version:\naz keyvault secret set-attributes --vault-name {vault} --name {name} --enabled true"
            ),
        )
    }
}
