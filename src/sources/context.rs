//! What every source is opened with.

use std::sync::Arc;

use super::ProjectDirs;
use super::identity::Identity;
use super::net::Network;
use crate::settings::Settings;

/// The input for opening every source.
pub(super) struct SourceContext<'a> {
    pub(super) settings: &'a Settings,
    pub(super) around: &'a ProjectDirs<'a>,
    /// The network policy and the deadline of this run.
    pub(super) network: Arc<Network>,
    /// The workflow's identity.
    pub(super) identity: Arc<Identity>,
}
