//! The conventional references, for secrets without a reference: prefix, environment and name, in each store's own way.

use crate::manifest::{Reference, Scope, SourceId};
use crate::secret::SecretName;

/// The field of an item of 1Password that has one secret: that of the category "API Credential".
pub(super) const ONEPASSWORD_FIELD: &str = "credential";

/// `aws:claude-bot/production/api-key`, the whole string.
pub(super) fn aws(id: &SourceId, name: &SecretName, scope: &Scope) -> Reference {
    reference(id, format!("{}/{}", path(scope), hyphenated(name)), None)
}

/// `vault:secret/claude-bot/production/api-key#value`.
pub(super) fn vault(id: &SourceId, mount: &str, name: &SecretName, scope: &Scope) -> Reference {
    reference(id, format!("{mount}/{}/{}", path(scope), hyphenated(name)), Some("value"))
}

/// `azure:claude-bot-production-api-key`: names have only letters, digits and hyphens, and ignore case.
pub(super) fn azure(id: &SourceId, name: &SecretName, scope: &Scope) -> Reference {
    let whole = format!("{}/{}", path(scope), hyphenated(name));
    reference(id, whole.to_lowercase().replace(['/', '_'], "-"), None)
}

/// `op://claude-bot-production/api-key/credential`; `vault` is the setting, if there is one.
pub(super) fn onepassword(id: &SourceId, vault: Option<&str>, name: &SecretName, scope: &Scope) -> Reference {
    let vault = onepassword_vault(vault, scope);
    reference(id, format!("op://{vault}/{}/{ONEPASSWORD_FIELD}", hyphenated(name)), None)
}

/// The vault of conventional references: the setting, else the prefix, a hyphen and the environment. A `/` in them would
/// end the vault's name in a reference.
pub(super) fn onepassword_vault(vault: Option<&str>, scope: &Scope) -> String {
    vault.map_or_else(|| path(scope).replace('/', "-"), str::to_owned)
}

/// The prefix, and the environment as a second part if there is one.
pub(super) fn path(scope: &Scope) -> String {
    let prefix = scope.prefix.trim_end_matches('/');
    match &scope.environment {
        Some(environment) => format!("{prefix}/{environment}"),
        None => prefix.to_owned(),
    }
}

fn hyphenated(name: &SecretName) -> String {
    name.file_name().replace('_', "-")
}

fn reference(id: &SourceId, item: String, field: Option<&str>) -> Reference {
    Reference { source: id.clone(), item, field: field.map(str::to_owned), version: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_store_has_its_own_way_of_prefix_environment_and_name() {
        let id = SourceId::parse("x").unwrap();
        let name = SecretName::parse("ANTHROPIC_API_KEY").ok().unwrap();
        let all = |prefix: &str, environment: Option<&str>| {
            let scope = Scope { prefix: prefix.to_owned(), environment: environment.map(str::to_owned) };
            [
                aws(&id, &name, &scope),
                vault(&id, "secret", &name, &scope),
                azure(&id, &name, &scope),
                onepassword(&id, None, &name, &scope),
            ]
            .map(|reference| reference.item)
        };
        assert_eq!(
            all("claude-bot", None),
            [
                "claude-bot/anthropic-api-key",
                "secret/claude-bot/anthropic-api-key",
                "claude-bot-anthropic-api-key",
                "op://claude-bot/anthropic-api-key/credential",
            ]
        );
        assert_eq!(
            all("Team_A/bot/", Some("Production")),
            [
                "Team_A/bot/Production/anthropic-api-key",
                "secret/Team_A/bot/Production/anthropic-api-key",
                "team-a-bot-production-anthropic-api-key",
                "op://Team_A-bot-Production/anthropic-api-key/credential",
            ]
        );
    }
}
