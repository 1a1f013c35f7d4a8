//! What each source of AWS has: its settings, one login a run, and a client for each region.

use std::sync::Arc;

use tokio::sync::OnceCell;

use super::client::Clients;
use super::credentials::Session;
use super::service::Service;
use super::setup::Setup;
use crate::diagnostic::Diagnostic;
use crate::error::Result;
use crate::sources::context::SourceContext;
use crate::sources::identity::Identity;
use crate::sources::in_clear;
use crate::sources::net::Network;
use crate::sources::{About, Options, SourceError};

/// An account of AWS, as one service of it is asked with clients of the type `C`.
pub(super) struct Account<C> {
    pub(super) setup: Setup,
    pub(super) network: Arc<Network>,
    identity: Arc<Identity>,
    /// The login: one per run; if it fails, that is the reply for all items.
    session: OnceCell<Result<Session, SourceError>>,
    pub(super) clients: Clients<C>,
}

impl<C: Clone> Account<C> {
    /// Reads the settings; `None` if there are too few. It makes no request yet.
    ///
    /// # Errors
    /// `usage` for an invalid setting.
    pub(super) fn open(
        options: &Options,
        opening: &SourceContext,
        service: &'static Service,
    ) -> Result<Option<Self>> {
        let setup = Setup::of(options, opening.settings, opening.identity.is_there(), service)?;
        Ok(setup.map(|setup| Self {
            setup,
            network: opening.network.clone(),
            identity: opening.identity.clone(),
            session: OnceCell::new(),
            clients: Clients::new(),
        }))
    }

    /// The login.
    pub(super) async fn session(&self) -> Result<&Session, &SourceError> {
        let start = || Session::start(&self.setup, &self.network, &self.identity);
        self.session.get_or_init(start).await.as_ref()
    }

    /// Where it is, and who it is asked as.
    pub(super) fn about(&self) -> About {
        let mut about = self.setup.about();
        if self.setup.is_by_workflow(self.identity.is_there()) {
            about.hosts.extend(self.identity.host());
        }
        about
    }

    /// That its server has no TLS, if that is so.
    pub(super) fn remarks(&self) -> Vec<Diagnostic> {
        let plain = self.setup.endpoint.as_ref().filter(|endpoint| endpoint.is_plain_and_far());
        let remark = plain.map(|endpoint| in_clear(&self.setup.id, &endpoint.text, "endpoint-url"));
        remark.into_iter().collect()
    }
}
