//! Whether the processes of a service can read what it was granted, by the owner and the mode of each file and by the
//! users that the processes have now.
//!
//! It needs nothing in the container, so it works for images without a shell. It does not see rights that a program has by
//! itself (file capabilities) or has dropped.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::engine::inspection::Process;
use crate::engine::objects::Container;

/// A file that a service was granted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GrantedFile {
    /// Where it is in the container.
    pub target: String,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its permission bits.
    pub mode: u32,
    /// Whether the owner is an ID of the Docker host, else of the container. They differ with `userns-remap`.
    pub seen_from_host: bool,
}

/// A process that cannot read all files.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Hindered {
    /// Whether it is the service's own process, else one that it started.
    pub is_main: bool,
    /// Its user in the container.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The files that it cannot read, each with its owner and mode.
    pub files: Vec<String>,
}

/// Whether any user is unable to read one of the files: only then the processes matter.
pub fn are_restricted(files: &[GrantedFile]) -> bool {
    files.iter().any(|file| file.mode & 0o004 == 0)
}

/// The processes of a running container that cannot read all of the files, each kind once. Processes that came from
/// outside (`docker exec`, health checks) are not checked.
pub fn hindered(container: &Container, processes: &[Process], files: &[GrantedFile]) -> BTreeSet<Hindered> {
    let Some(main) = main_process(container, processes) else {
        return BTreeSet::new();
    };
    let rights = Rights::of(container);
    let inside: BTreeSet<u32> = processes.iter().map(|process| process.pid).collect();
    let with_init = container.pid().filter(|pid| *pid != main);
    let own = processes
        .iter()
        // The init process of `init: true` reads nothing.
        .filter(|process| {
            process.pid == main || inside.contains(&process.parent) && Some(process.pid) != with_init
        });
    own.filter_map(|process| {
        let files: Vec<String> =
            files.iter().filter(|file| !rights.can_read(process, file)).map(GrantedFile::shown).collect();
        let (uid, gid) = (rights.inside(process.uid), rights.inside(process.gid));
        (!files.is_empty()).then(|| Hindered {
            is_main: process.pid == main,
            uid: uid.unwrap_or(process.uid),
            gid: gid.unwrap_or(process.gid),
            files,
        })
    })
    .collect()
}

/// Whether the container was started as root, so that a process with another user has dropped its privileges.
pub fn starts_as_root(container: &Container) -> bool {
    let user = container.raw.pointer("/Config/User").and_then(Value::as_str).unwrap_or_default();
    matches!(user.split(':').next(), Some("" | "0" | "root"))
}

impl GrantedFile {
    fn shown(&self) -> String {
        format!("{} (owner {}:{}, mode {:04o})", self.target, self.uid, self.gid, self.mode)
    }
}

/// The service's own process: the first of the container, or what `init: true` starts.
fn main_process(container: &Container, processes: &[Process]) -> Option<u32> {
    let first = container.pid()?;
    let init = container.raw.pointer("/HostConfig/Init").and_then(Value::as_bool).unwrap_or(false);
    let child = processes.iter().filter(|process| process.parent == first).map(|process| process.pid).min();
    let main = if init { child.unwrap_or(first) } else { first };
    // It may have been restarted since it was inspected.
    processes.iter().any(|process| process.pid == main).then_some(main)
}

/// What decides about reading besides owners and modes.
struct Rights {
    /// Whether root has a capability to read everything.
    root_reads_all: bool,
    /// The ID of the container's root on the Docker host.
    shift: u32,
}

/// How many users a container has with `userns-remap` (subuid(5), as Docker's documentation sets it up).
const REMAPPED: u32 = 65_536;

impl Rights {
    fn of(container: &Container) -> Self {
        let list = |name: &str| -> Vec<String> {
            let list = container.raw.pointer(&format!("/HostConfig/{name}")).and_then(Value::as_array);
            let names = list.into_iter().flatten().filter_map(Value::as_str);
            names.map(|name| name.to_ascii_uppercase().trim_start_matches("CAP_").to_owned()).collect()
        };
        let (added, dropped) = (list("CapAdd"), list("CapDrop"));
        let has = |list: &[String], name: &str| list.iter().any(|entry| entry == name);
        let privileged =
            container.raw.pointer("/HostConfig/Privileged").and_then(Value::as_bool).unwrap_or(false);
        // Docker gives CAP_DAC_OVERRIDE unless it is dropped; a capability in both lists is kept.
        let kept = !has(&dropped, "ALL") && !has(&dropped, "DAC_OVERRIDE")
            || ["ALL", "DAC_OVERRIDE"].iter().any(|name| has(&added, name) && !has(&dropped, name));
        let search = has(&added, "DAC_READ_SEARCH");
        Self { root_reads_all: privileged || kept || search, shift: shift(container) }
    }

    /// The ID of a host's user or group in the container; `None` if it has none there.
    fn inside(&self, number: u32) -> Option<u32> {
        match number.checked_sub(self.shift) {
            Some(inside) if self.shift == 0 || inside < REMAPPED => Some(inside),
            _ => None,
        }
    }

    fn can_read(&self, process: &Process, file: &GrantedFile) -> bool {
        let of_file = |number: u32| if file.seen_from_host { self.inside(number) } else { Some(number) };
        let (owner, group) = (of_file(file.uid), of_file(file.gid));
        let uid = self.inside(process.uid);
        // user_namespaces(7): capabilities apply to files whose owner and group are mapped into the container.
        if uid == Some(0) && self.root_reads_all && owner.is_some() && group.is_some() {
            return true;
        }
        let in_group = |number: u32| group.is_some() && self.inside(number) == group;
        let bit = if owner.is_some() && uid == owner {
            0o400
        } else if in_group(process.gid) || process.groups.iter().any(|group| in_group(*group)) {
            0o040
        } else {
            0o004
        };
        file.mode & bit != 0
    }
}

/// With `userns-remap`, all data of the engine is in a directory named after its root, e.g. `100000.100000`.
fn shift(container: &Container) -> u32 {
    let own = container.raw.pointer("/HostConfig/UsernsMode").and_then(Value::as_str).unwrap_or_default();
    if own == "host" {
        return 0;
    }
    let path = container.raw.pointer("/ResolvConfPath").and_then(Value::as_str).unwrap_or_default();
    let before = path.split("/containers/").next().unwrap_or_default();
    let last = before.rsplit('/').next().unwrap_or_default();
    let ids = last.split_once('.').and_then(|(uid, gid)| uid.parse().ok().zip(gid.parse::<u32>().ok()));
    ids.map_or(0, |(uid, _)| uid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn container(config: &Value) -> Container {
        let raw = json!({"State": {"Pid": 10}, "HostConfig": config, "ResolvConfPath": config["path"]});
        Container { id: "i".into(), name: "n".into(), service: "web".into(), raw }
    }

    fn process(pid: u32, parent: u32, uid: u32, gid: u32, groups: &[u32]) -> Process {
        Process { pid, parent, uid, gid, groups: groups.to_vec() }
    }

    fn file(uid: u32, gid: u32, mode: u32) -> GrantedFile {
        GrantedFile { target: "/run/secrets/key".into(), uid, gid, mode, seen_from_host: false }
    }

    /// Whether a single process of this user can read this file.
    fn reads(config: &Value, process: &Process, file: GrantedFile) -> bool {
        hindered(&container(config), std::slice::from_ref(process), &[file]).is_empty()
    }

    #[test]
    fn owner_group_and_others_are_asked_in_this_order() {
        let user = process(10, 1, 1000, 1001, &[27, 1001]);
        for (uid, gid, mode, expected) in [
            (1000, 0, 0o400, true),
            (0, 1001, 0o440, true),
            (0, 27, 0o440, true),
            (0, 0, 0o444, true),
            (0, 0, 0o440, false),
            (0, 0, 0o400, false),
            (1000, 1001, 0o044, false),
            (0, 1001, 0o404, false),
        ] {
            assert_eq!(reads(&json!({}), &user, file(uid, gid, mode)), expected, "{uid}:{gid} {mode:o}");
        }
    }

    #[test]
    fn root_reads_everything_as_long_as_it_has_the_capability() {
        let root = process(10, 1, 0, 0, &[]);
        for (config, expected) in [
            (json!({}), true),
            (json!({"CapDrop": ["ALL"]}), false),
            (json!({"CapDrop": ["all"], "CapAdd": ["CAP_CHOWN"]}), false),
            (json!({"CapDrop": ["CAP_DAC_OVERRIDE"]}), false),
            (json!({"CapDrop": ["ALL"], "CapAdd": ["DAC_OVERRIDE"]}), true),
            (json!({"CapDrop": ["ALL"], "CapAdd": ["DAC_READ_SEARCH"]}), true),
            (json!({"CapDrop": ["ALL"], "Privileged": true}), true),
            (json!({"CapDrop": ["CHOWN"]}), true),
        ] {
            assert_eq!(reads(&config, &root, file(1000, 1000, 0o400)), expected, "{config}");
            assert!(reads(&config, &root, file(0, 0, 0o400)), "{config}");
        }
    }

    #[test]
    fn numbers_are_compared_inside_of_the_container_where_the_engine_remaps_them() {
        let config = json!({"path": "/var/lib/docker/100000.100000/containers/0f/resolv.conf"});
        let (root, user) = (process(10, 1, 100_000, 100_000, &[]), process(10, 1, 101_000, 101_000, &[]));
        let on_host = |uid, gid| GrantedFile { seen_from_host: true, ..file(uid, gid, 0o400) };
        assert!(reads(&config, &root, file(1000, 1000, 0o400)));
        assert!(reads(&config, &user, file(1000, 1000, 0o400)));
        assert!(!reads(&config, &user, file(1001, 1001, 0o400)));
        assert!(!reads(&config, &root, on_host(0, 0)), "a file of the host's root");
        assert!(reads(&config, &user, on_host(101_000, 101_000)));
        let own = json!({"path": "/srv/docker/containers/0f/resolv.conf", "UsernsMode": ""});
        assert!(!reads(&own, &root, file(0, 0, 0o400)));
    }

    #[test]
    fn workers_are_told_from_the_services_own_process_and_from_what_came_from_outside() {
        let all = [
            process(10, 1, 0, 0, &[]),
            process(11, 10, 33, 33, &[]),
            process(12, 10, 33, 33, &[]),
            process(13, 1, 99, 99, &[]),
        ];
        let found = hindered(&container(&json!({})), &all, &[file(0, 0, 0o400)]);
        let found: Vec<_> = found.into_iter().map(|h| (h.is_main, h.uid)).collect();
        assert_eq!(found, [(false, 33)]);
        // The child of `init: true` is the service; a process that has ended since is not.
        let all = [process(10, 1, 0, 0, &[]), process(11, 10, 33, 33, &[])];
        let found = hindered(&container(&json!({"Init": true})), &all, &[file(0, 0, 0o400)]);
        assert_eq!(found.into_iter().map(|h| (h.is_main, h.uid)).collect::<Vec<_>>(), [(true, 33)]);
        assert!(hindered(&container(&json!({})), &all[1..], &[file(0, 0, 0o400)]).is_empty());
    }
}
