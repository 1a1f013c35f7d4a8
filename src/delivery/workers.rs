//! What a service hands on to the workers that it starts itself, through the Docker socket: a set of files of their own, in a
//! directory or a volume that the service is told of and mounts at `/run/secrets` of each worker.
//!
//! The set is planned like a service's. It has a name that no service can have, since `+` is in none (compose-spec,
//! `^[a-zA-Z0-9._-]+$`), and may be in the name of a directory.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::choose::Kind;
use super::plan::{Available, PlannedFile, Reader, ServicePlan, content};
use crate::access::ServiceAccess;
use crate::manifest::FileSpec;
use crate::secret::SecretName;

/// The variable that tells a service the directory, as the Docker host sees it.
pub const HOST_DIR: &str = "SECRETS_HOST_DIR";
/// The variable that tells a service the name of the volume.
pub const VOLUME: &str = "SECRETS_VOLUME";

const SUFFIX: &str = "+workers";

/// The name of the set of a service's workers.
pub fn set_of(service: &str) -> String {
    format!("{service}{SUFFIX}")
}

/// Whether a name is that of a set, and not of a service.
pub fn is_set(name: &str) -> bool {
    name.ends_with(SUFFIX)
}

/// The service of a set, or the name itself.
pub fn service_of(name: &str) -> &str {
    name.strip_suffix(SUFFIX).unwrap_or(name)
}

/// The set's directory in the secrets directory.
pub fn directory(service: &str) -> PathBuf {
    let set = set_of(service);
    // No service's name begins with `+` either, so that this is no other set's directory.
    PathBuf::from(if set.starts_with('.') { format!("+{set}") } else { set })
}

/// The name of a new volume for a service or a set, whose revision is `short`. The name of a volume has no `+`.
pub fn volume_name(project: &str, name: &str, short: &str) -> String {
    match name.strip_suffix(SUFFIX) {
        Some(service) => format!("{project}_workers_{service}_{short}"),
        None => format!("{project}_secrets_{name}_{short}"),
    }
}

/// The set of a service's workers; `None` when it starts none, or has nothing to hand on.
pub(super) fn plan(
    own: &ServiceAccess,
    available: &BTreeMap<SecretName, Available<'_>>,
    kind: Kind,
) -> Option<ServicePlan> {
    let workers = own.workers.as_ref()?;
    let reader = match (workers.uid, workers.gid) {
        (Some(uid), gid) => Reader::User(uid, gid.unwrap_or(uid)),
        (None, _) => Reader::Unknown,
    };
    let granted: BTreeMap<_, _> = own.secrets.iter().map(|granted| (&granted.name, granted)).collect();
    let file = |name: &SecretName| {
        let found = available.get(name)?;
        let granted = granted.get(name)?;
        // Whom the manifest names for the workers comes before whom it names for the services.
        let spec = FileSpec {
            uid: workers.uid.or(found.spec.uid),
            gid: workers.gid.or(workers.uid).or(found.spec.gid),
            ..found.spec.clone()
        };
        Some(PlannedFile {
            name: Some(name.clone()),
            file: granted.file.clone(),
            value: found.value.clone(),
            spec,
            shared: false,
        })
    };
    let files: Vec<PlannedFile> = workers.secrets.iter().filter_map(file).collect();
    if files.is_empty() {
        return None;
    }
    let content = content(&files, kind, reader);
    Some(ServicePlan { files, reader, content, user: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Granted, Workers};
    use crate::secret::SecretValue;

    #[test]
    fn workers_have_files_of_their_own_for_their_user_or_for_everyone() {
        let name = |name: &str| SecretName::parse(name).ok().unwrap();
        let granted = |text: &str| Granted {
            name: name(text),
            file: text.to_lowercase(),
            variables: Vec::new(),
            places: Vec::new(),
        };
        let value = SecretValue::new(b"v".to_vec());
        let spec = FileSpec { uid: Some(7), ..FileSpec::default() };
        let available: BTreeMap<_, _> =
            ["A", "B"].map(|text| (name(text), Available { value: &value, spec: &spec })).into();
        let with = |uid, gid, secrets: &[&str]| {
            let secrets = secrets.iter().map(|text| name(text)).collect();
            let workers = Some(Workers { secrets, uid, gid });
            let own = ServiceAccess {
                secrets: vec![granted("A"), granted("B")],
                workers,
                ..ServiceAccess::default()
            };
            plan(&own, &available, Kind::Volume)
        };
        for (uid, gid, expected) in [
            (Some(10), None, ((10, 10), 0o400)),
            (Some(10), Some(20), ((10, 20), 0o400)),
            (None, None, ((7, 0), 0o444)),
        ] {
            let plan = with(uid, gid, &["B"]).unwrap();
            let files: Vec<_> = plan.files.iter().map(|file| file.file.as_str()).collect();
            assert_eq!(files, ["b"]);
            let (owner, mode) = plan.files[0].permissions(plan.reader, 0o400);
            assert_eq!((owner.unwrap(), mode), expected);
        }
        assert!(with(None, None, &[]).is_none() && with(None, None, &["NONE"]).is_none());
        assert!(plan(&ServiceAccess::default(), &available, Kind::File).is_none());
    }

    #[test]
    fn a_set_has_a_name_that_is_no_services() {
        assert_eq!(directory("bot"), PathBuf::from("bot+workers"));
        assert_eq!(directory(".bot"), PathBuf::from("+.bot+workers"));
        assert!(is_set(&set_of("bot")) && !is_set("bot_workers"));
        let names = [".bot", "_.bot", "bot", "bot_workers", "workers_bot"];
        let sets = names.map(set_of);
        let all = names.iter().copied().chain(sets.iter().map(String::as_str));
        let volumes: std::collections::BTreeSet<String> =
            all.map(|name| volume_name("p", name, "1")).collect();
        assert_eq!(volumes.len(), 2 * names.len(), "{volumes:?}");
        let directories: std::collections::BTreeSet<PathBuf> = names.map(directory).into();
        assert_eq!(directories.len(), names.len(), "{directories:?}");
    }
}
