//! What all readers of YAML have in common.

/// Whether a text was given up because it is nested too deeply, too large, or becomes so by its aliases.
pub(crate) fn is_too_large(error: &serde_saphyr::Error) -> bool {
    use serde_saphyr::Error as E;
    match error {
        E::Budget { .. }
        | E::AliasReplayLimitExceeded { .. }
        | E::AliasExpansionLimitExceeded { .. }
        | E::AliasReplayStackDepthExceeded { .. } => true,
        E::AliasError { error, .. } => is_too_large(error),
        _ => false,
    }
}
