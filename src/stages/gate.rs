//! The end of a deployment: services come up and stay up, and meanwhile it is proved that nothing leaked.

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::oneshot;

use crate::delivery::plan::ServicePlan;
use crate::delivery::workers;
use crate::deployment::health;
use crate::deployment::readers::{self, Readers};
use crate::engine::events::Events;
use crate::engine::objects::{self, Container};
use crate::error::{self, Result};
use crate::stages::applying::Deployment;
use crate::stages::applying::gone_from;
use crate::stages::planning::Planned;
use crate::stages::rows;
use crate::stages::run::Run;

impl Deployment<'_> {
    /// The health gate, for services that have containers at all, and the proof, which searches while services show that they
    /// stay up. Without `events` the proof alone. Returns the project's containers.
    pub(crate) async fn gate(
        &self,
        run: &mut Run,
        planned: &Planned,
        events: Option<&Events>,
    ) -> Result<Vec<Container>> {
        let model = &self.prepared.project.model;
        let proof = self.proof(planned);
        let Some(events) = events else {
            let now = objects::containers(self.tools, &model.name).await?;
            rows::services(run, self.prepared, planned, self.images, &now);
            proof.of(run, &now, false).await?;
            return Ok(now);
        };
        let scaled = |name: &&String| model.services.get(*name).is_some_and(|service| service.replicas > 0);
        let services: BTreeSet<String> = planned.started.iter().filter(scaled).cloned().collect();
        let (console, readers, gone) =
            (run.console.clone(), readers_of(planned), gone_from(&self.prepared.access));
        let mut watch = health::Watch::begin(health::Gate {
            tools: self.tools,
            console: &console,
            project: &model.name,
            services: &services,
            before: &planned.containers,
            readers: &readers,
            gone: &gone,
            timeout: run.settings.compose.wait_timeout,
            stable_for: self.stable_for,
            events,
        })
        .await?;
        let settled = watch.settle().await;
        rows::services(run, self.prepared, planned, self.images, watch.containers());
        rows::waits(run, self.stable_for, &watch);
        settled?;
        let before = watch.containers().to_vec();
        let (is_well, reads) = oneshot::channel();
        let stay = async {
            let stayed = watch.stay().await;
            // Nobody reads any more when the search failed.
            let _ = is_well.send(stayed.is_ok());
            stayed
        };
        let reads = async { reads.await.unwrap_or(false) };
        let (proved, stayed) = tokio::join!(proof.while_waiting(run, &before, reads), stay);
        rows::services(run, self.prepared, planned, self.images, watch.containers());
        rows::waits(run, self.stable_for, &watch);
        error::both(proved, stayed)?;
        if runs(watch.containers()) != runs(&before) {
            // One was restarted meanwhile, and another one may have come.
            proof.of(run, watch.containers(), false).await?;
        }
        Ok(watch.containers().to_vec())
    }
}

/// Who can read the secrets of which service, where it is one user alone.
fn readers_of(planned: &Planned) -> Readers {
    let names = |plan: &ServicePlan| -> Vec<String> {
        plan.files.iter().filter_map(|file| Some(file.name.as_ref()?.to_string())).collect()
    };
    let reader = |(service, plan): (&String, &ServicePlan)| {
        let secrets = names(plan);
        let shares = |(other, plan): &(&String, &ServicePlan)| {
            *other != service
                && !workers::is_set(other)
                && names(plan).iter().any(|name| secrets.contains(name))
        };
        let others = planned.plans.iter().filter(shares).map(|(other, _)| other.clone()).collect();
        Some((service.clone(), readers::Reader { user: plan.only_reader()?, secrets, others }))
    };
    let services = planned.plans.iter().filter(|(name, _)| !workers::is_set(name));
    services.filter_map(reader).collect()
}

/// The containers, and when each was started.
fn runs(containers: &[Container]) -> BTreeMap<&str, Option<&str>> {
    let one = containers.iter().map(|container| {
        let start = container.raw.pointer("/State/StartedAt").and_then(|at| at.as_str());
        (container.id.as_str(), start)
    });
    one.collect()
}
