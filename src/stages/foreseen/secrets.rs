//! What becomes of each secret: by the values that services have now, by what the last deployment noted, and by what other
//! services tell.

use std::collections::{BTreeMap, BTreeSet};

use super::super::former::Files;
use super::Foreseen;
use crate::delivery::plan::{PlannedFile, names_in_volume};
use crate::delivery::record::Delivered;
use crate::engine::objects::Container;
use crate::labels;
use crate::report::plan::{Origin, PlannedSecret, SecretChange};
use crate::resolve::{self, Resolved};
use crate::secret::SecretName;

/// What becomes of one secret in one service.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Value {
    Same,
    Other,
    Unknown,
    /// The service did not have it.
    Gained,
}

/// What is told of the secrets.
pub(crate) struct Secrets<'a> {
    basis: Foreseen<'a>,
    /// What the services have now whose secrets are not up to date.
    former: &'a BTreeMap<String, Files>,
    /// The services that had a secret by what the last deployment noted.
    had: BTreeMap<&'a str, Vec<&'a String>>,
    /// The services that are granted a secret.
    granted: BTreeMap<&'a SecretName, Vec<&'a String>>,
    /// The file of each secret in each service, with its name in a volume.
    files: BTreeMap<(&'a str, &'a str), (&'a PlannedFile, Option<String>)>,
}

impl<'a> Secrets<'a> {
    pub(crate) fn new(basis: Foreseen<'a>, former: &'a BTreeMap<String, Files>) -> Self {
        let Foreseen { prepared, planned, .. } = basis;
        let mut had: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (service, left) in prepared.record.iter().flat_map(|record| &record.services) {
            for name in &left.secrets {
                had.entry(name.as_str()).or_default().push(service);
            }
        }
        let mut granted: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (service, own) in &prepared.access.services {
            for one in &own.secrets {
                granted.entry(&one.name).or_default().push(service);
            }
        }
        let mut files = BTreeMap::new();
        for (service, plan) in &planned.plans {
            let in_volume = names_in_volume(&plan.files);
            for file in &plan.files {
                if let Some(name) = &file.name {
                    files
                        .entry((service.as_str(), name.as_str()))
                        .or_insert_with(|| (file, in_volume.get(file.file.as_str()).cloned()));
                }
            }
        }
        Self { basis, former, had, granted, files }
    }

    /// Whether a service had a secret by what the last deployment noted.
    fn has_noted(&self, service: &str, name: &str) -> bool {
        self.had.get(name).is_some_and(|services| services.iter().any(|one| *one == service))
    }

    /// A row for each secret that has a value, and for those that are gone.
    pub(crate) fn rows(&self) -> Vec<PlannedSecret> {
        let resolved = &self.basis.resolution.secrets;
        let mut rows: Vec<PlannedSecret> =
            resolved.iter().filter(|one| one.value.is_some()).map(|one| self.row(one)).collect();
        // What nobody is given by itself may be a part of what is composed.
        let places: BTreeMap<String, usize> =
            rows.iter().enumerate().map(|(at, row)| (row.name.clone(), at)).collect();
        for composed in resolved.iter().filter(|one| one.secret.template.is_some()) {
            let Some(&whole) = places.get(composed.secret.name.as_str()) else { continue };
            let (change, changed_for) = (rows[whole].change, rows[whole].changed_for.clone());
            if !matches!(change, SecretChange::Changed | SecretChange::Uncertain) {
                continue;
            }
            for part in composed.secret.parts() {
                let Some(&at) = places.get(part.as_str()) else { continue };
                let row = &mut rows[at];
                let is_by_itself = self.granted.contains_key(part);
                if !is_by_itself && matches!(row.change, SecretChange::Unchanged | SecretChange::Moved) {
                    row.change = SecretChange::Uncertain;
                    row.changed_for.clone_from(&changed_for);
                }
            }
        }
        rows.extend(self.gone());
        rows
    }

    fn row(&self, resolved: &Resolved) -> PlannedSecret {
        let name = &resolved.secret.name;
        let services = self.services_of(name);
        let values: Vec<(&String, Value)> =
            services.iter().map(|service| (service, self.value_in(service, resolved))).collect();
        let values = self.as_in_others(name.as_str(), values);
        let of = |wanted: &[Value]| -> Vec<String> {
            let chosen = values.iter().filter(|(_, value)| wanted.contains(value));
            chosen.map(|(service, _)| (*service).clone()).collect()
        };
        let gained = of(&[Value::Gained]);
        let origin = origin_of(resolved);
        let noted = self.noted(name.as_str());
        let before = noted.map(origin_noted).filter(|before| Some(before) != origin.as_ref());
        let is_moved = match (noted, &origin) {
            (Some(noted), Some(now)) => {
                noted.source != now.source || (noted.reference.is_some() && noted.reference != now.reference)
            }
            _ => false,
        };
        let (mut change, changed_for) = if !of(&[Value::Other]).is_empty() {
            (SecretChange::Changed, of(&[Value::Other, Value::Unknown]))
        } else if !of(&[Value::Unknown]).is_empty() {
            (SecretChange::Uncertain, of(&[Value::Unknown]))
        } else if !of(&[Value::Same]).is_empty() || (noted.is_some() && services.is_empty()) {
            (SecretChange::Unchanged, Vec::new())
        } else if noted.is_some() {
            // Others had it before those that get it now.
            match self.elsewhere(resolved) {
                Some(true) => (SecretChange::Unchanged, Vec::new()),
                Some(false) => (SecretChange::Changed, gained.clone()),
                None => (SecretChange::Uncertain, gained.clone()),
            }
        } else {
            (SecretChange::New, Vec::new())
        };
        if change == SecretChange::Unchanged && is_moved {
            change = SecretChange::Moved;
        }
        PlannedSecret {
            name: name.to_string(),
            change,
            origin,
            before,
            changed_for,
            gained,
            lost: self.had(name.as_str()).into_iter().filter(|service| !services.contains(service)).collect(),
        }
    }

    /// What the last deployment noted of a secret, unless nothing is left of the services that had it.
    fn noted(&self, name: &str) -> Option<&Delivered> {
        let record = self.basis.prepared.record.as_ref()?;
        let had = self.had.get(name).map(Vec::as_slice).unwrap_or_default();
        let is_left =
            |service: &&String| self.basis.planned.containers.iter().any(|c| c.service == **service);
        record.secrets.get(name).filter(|_| had.is_empty() || had.iter().any(is_left))
    }

    /// Whether services that had a secret before had the value that it has now; `None` when nothing tells.
    fn elsewhere(&self, resolved: &Resolved) -> Option<bool> {
        let Foreseen { planned, .. } = self.basis;
        let keeps = |service: &&String| {
            let is_known = planned.revisions.get(*service).is_some_and(|found| found.known);
            is_known && planned.containers.iter().any(|container| container.service == **service)
        };
        if self.granted.get(&resolved.secret.name).into_iter().flatten().any(keeps) {
            return Some(true);
        }
        let (file, value) = (resolved.secret.file_name(), resolved.value.as_ref()?);
        let mut values = self.former.values().filter_map(|files| files.get(&file)).peekable();
        values.peek()?;
        Some(values.all(|other| other == value))
    }

    /// The services that have a secret by what the last deployment noted, and that this run would change.
    fn had(&self, name: &str) -> Vec<String> {
        self.started(self.had.get(name))
    }

    /// The services that would get a secret in this run.
    fn services_of(&self, name: &SecretName) -> Vec<String> {
        self.started(self.granted.get(name))
    }

    fn started(&self, services: Option<&Vec<&String>>) -> Vec<String> {
        let started = &self.basis.planned.started;
        let all = services.into_iter().flatten().filter(|service| started.contains(**service));
        all.map(|service| (*service).clone()).collect()
    }

    /// The same with what other services tell: the last deployment gave all of them one value. Those do not count whose
    /// containers it did not leave, or left with older secrets.
    fn as_in_others<'s>(&self, name: &str, values: Vec<(&'s String, Value)>) -> Vec<(&'s String, Value)> {
        let Foreseen { prepared, planned, .. } = self.basis;
        let Some(record) = &prepared.record else { return values };
        let is_as_left = |service: &str| {
            let left = record.services.get(service).filter(|left| !left.stale);
            left.is_some_and(|left| {
                let mut own = planned.containers.iter().filter(|container| container.service == service);
                self.has_noted(service, name) && own.all(|container| left.containers.contains(&container.id))
            })
        };
        let keeps = |service: &str| {
            let is_known = planned.revisions.get(service).is_some_and(|found| found.known);
            is_known && is_as_left(service)
        };
        let has =
            |wanted: Value| values.iter().any(|(service, value)| *value == wanted && is_as_left(service));
        let told = if record.services.keys().any(|service| keeps(service)) || has(Value::Same) {
            Value::Same
        } else if has(Value::Other) {
            Value::Other
        } else {
            return values;
        };
        let complete = |(service, value): (&'s String, Value)| match value {
            Value::Unknown if is_as_left(service) => (service, told),
            value => (service, value),
        };
        values.into_iter().map(complete).collect()
    }

    /// What becomes of a secret in a service that is granted it.
    fn value_in(&self, service: &String, resolved: &Resolved) -> Value {
        let Foreseen { prepared, planned, .. } = self.basis;
        let name = resolved.secret.name.as_str();
        let has_ours = |container: &&Container| {
            container.service == *service && container.label(labels::REVISION).is_some()
        };
        let runs_ours = planned.containers.iter().any(|container| has_ours(&container));
        if !runs_ours {
            return Value::Gained;
        }
        if planned.revisions.get(service).is_some_and(|found| found.known) {
            return Value::Same;
        }
        let noted = prepared.record.as_ref().and_then(|record| record.services.get(service));
        let had = noted.map(|_| self.has_noted(service, name));
        let wanted = self.files.get(&(service.as_str(), name));
        let (Some(files), Some((wanted, in_volume))) = (self.former.get(service), wanted) else {
            return if had == Some(false) { Value::Gained } else { Value::Unknown };
        };
        match files.get(&wanted.file).or_else(|| files.get(in_volume.as_ref()?)) {
            Some(value) if *value == wanted.value => Value::Same,
            Some(_) => Value::Other,
            None if had == Some(true) => Value::Unknown,
            None => Value::Gained,
        }
    }

    /// The secrets that services have by what the last deployment noted, and that have no value now.
    fn gone(&self) -> Vec<PlannedSecret> {
        let available: BTreeSet<&str> =
            self.basis.resolution.available().map(|(secret, _)| secret.name.as_str()).collect();
        let noted = self.basis.prepared.record.iter().flat_map(|record| &record.secrets);
        noted
            .filter(|(name, _)| !available.contains(name.as_str()))
            .map(|(name, delivered)| PlannedSecret {
                name: name.clone(),
                change: SecretChange::Gone,
                origin: None,
                before: Some(origin_noted(delivered)),
                changed_for: Vec::new(),
                gained: Vec::new(),
                lost: self.had(name),
            })
            .collect()
    }
}

/// Where a secret comes from, as the record and the plan tell it.
pub(crate) fn origin_of(resolved: &Resolved) -> Option<Origin> {
    resolved.value.as_ref()?;
    if resolved.secret.template.is_some() {
        return Some(Origin { source: resolve::TEMPLATE.to_owned(), ..Origin::default() });
    }
    Some(match &resolved.origin {
        Some(origin) => Origin {
            source: origin.source.to_string(),
            reference: Some(origin.reference.to_string()),
            version: origin.version.clone(),
        },
        None => Origin { source: "default".to_owned(), ..Origin::default() },
    })
}

fn origin_noted(delivered: &Delivered) -> Origin {
    let Delivered { source, reference, version } = delivered.clone();
    Origin { source, reference, version }
}
