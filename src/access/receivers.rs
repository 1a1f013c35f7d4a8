//! Which services get a secret, and why: by the manifest, by what they ask for, by `grant-to`, or as the only one.

use std::collections::{BTreeMap, BTreeSet};

use super::asks::Asks;
use super::{Rules, is_managed};
use crate::compose::model::Model;
use crate::secret::SecretName;

/// Why services get a secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Manifest,
    Named,
    /// It is a part of a template: what is composed of it may be all that is asked for.
    Part,
    GrantTo,
    OnlyService,
    Nobody,
}

/// The services by secret, in the order in which the reasons count.
pub(super) struct Receivers<'a> {
    by_manifest: BTreeMap<&'a SecretName, BTreeSet<String>>,
    by_definition: BTreeMap<&'a SecretName, BTreeSet<String>>,
    parts: BTreeSet<&'a SecretName>,
    /// Who gets what nobody else is said to get.
    others: (How, BTreeSet<String>),
}

impl<'a> Receivers<'a> {
    pub(super) fn new(asks: &'a BTreeMap<&String, Asks>, model: &Model, rules: &Rules<'a>) -> Self {
        let mut by_manifest: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
        for (service, grant) in rules.services.into_iter().flatten() {
            for secret in &grant.secrets {
                by_manifest.entry(secret).or_default().insert(service.clone());
            }
        }
        let mut by_definition: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
        for (service, asks) in asks.iter().filter(|(service, _)| !is_managed(model, service)) {
            for secret in asks.by_secret().into_keys() {
                by_definition.entry(secret).or_default().insert((*service).clone());
            }
        }
        let parts = rules.secrets.iter().chain(rules.absent).flat_map(|secret| secret.parts()).collect();
        Self { by_manifest, by_definition, parts, others: others(model, rules) }
    }

    /// The services of a secret.
    pub(super) fn of(&self, secret: &SecretName) -> (How, BTreeSet<String>) {
        if let Some(services) = self.by_manifest.get(secret) {
            return (How::Manifest, services.clone());
        }
        if let Some(services) = self.by_definition.get(secret) {
            return (How::Named, services.clone());
        }
        if self.parts.contains(secret) {
            return (How::Part, BTreeSet::new());
        }
        self.others.clone()
    }
}

fn others(model: &Model, rules: &Rules) -> (How, BTreeSet<String>) {
    if rules.services.is_none() && !rules.grant_to.is_empty() {
        return (How::GrantTo, rules.grant_to.iter().cloned().collect());
    }
    let with_containers = model.services.values().filter(|service| service.provider.is_none());
    match with_containers.collect::<Vec<_>>()[..] {
        [only] => (How::OnlyService, BTreeSet::from([only.name.clone()])),
        _ => (How::Nobody, BTreeSet::new()),
    }
}
