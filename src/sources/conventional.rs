//! What conventional references are made of, for secrets without a reference: prefix, environment and name. Each store puts
//! them together in its own way.

use crate::manifest::{Reference, Scope, SourceId};
use crate::secret::SecretName;

/// The prefix, and the environment as a second part if there is one.
pub(super) fn path(scope: &Scope) -> String {
    let prefix = scope.prefix.trim_end_matches('/');
    match &scope.environment {
        Some(environment) => format!("{prefix}/{environment}"),
        None => prefix.to_owned(),
    }
}

/// The name in lower case with hyphens, as stores usually have it.
pub(super) fn hyphenated(name: &SecretName) -> String {
    name.file_name().replace('_', "-")
}

/// A reference to the newest version.
pub(super) fn reference(id: &SourceId, item: String, field: Option<&str>) -> Reference {
    Reference { source: id.clone(), item, field: field.map(str::to_owned), version: None }
}

#[cfg(test)]
mod tests {
    use super::super::{aws, azure, onepassword, vault};
    use super::*;

    #[test]
    fn every_store_has_its_own_way_of_prefix_environment_and_name() {
        let id = SourceId::parse("x").unwrap();
        let name = SecretName::parse("ANTHROPIC_API_KEY").ok().unwrap();
        let all = |prefix: &str, environment: Option<&str>| {
            let scope = Scope { prefix: prefix.to_owned(), environment: environment.map(str::to_owned) };
            [
                aws::conventional(&id, &name, &scope),
                aws::conventional_parameter(&id, &name, &scope),
                vault::conventional(&id, "secret", &name, &scope),
                azure::conventional(&id, &name, &scope),
                onepassword::conventional(&id, None, &name, &scope),
            ]
            .map(|reference| reference.item)
        };
        assert_eq!(
            all("claude-bot", None),
            [
                "claude-bot/anthropic-api-key",
                "/claude-bot/anthropic-api-key",
                "secret/claude-bot/anthropic-api-key",
                "claude-bot-anthropic-api-key",
                "op://claude-bot/anthropic-api-key/credential",
            ]
        );
        assert_eq!(
            all("Team_A/bot/", Some("Production")),
            [
                "Team_A/bot/Production/anthropic-api-key",
                "/Team_A/bot/Production/anthropic-api-key",
                "secret/Team_A/bot/Production/anthropic-api-key",
                "team-a-bot-production-anthropic-api-key",
                "op://Team_A-bot-Production/anthropic-api-key/credential",
            ]
        );
    }
}
