//! From paths of our container to paths of the Docker host.
//!
//! The action runs in a container, the daemon on the host: a bind mount must name a path of the host. We find our own
//! container, read where its mounts come from, and put a symbolic link at the host's path, so that Compose can work with
//! host paths throughout. Never is a path passed on unmapped: the daemon would create an empty directory there.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::objects::{self, Container};
use super::tools::Tools;
use crate::error::{Code, Error, Result};
use crate::files;
use crate::settings::{Platform, clean};

/// So many links that lead to nothing yet are followed: as many as the kernel follows.
const MOST_LINKS: usize = 40;

/// A path as the Docker host sees it. It is no path to open here, unless a link was put there.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct HostPath(PathBuf);

impl HostPath {
    /// The path.
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// The path of something below this one.
    #[must_use]
    pub fn join(&self, below: impl AsRef<Path>) -> Self {
        Self(self.0.join(below))
    }
}

impl std::fmt::Display for HostPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.display().fmt(f)
    }
}

/// How paths of ours become paths of the host, and what is known of our own container.
pub struct HostPaths {
    /// (here, on the host), longest path first; `None` when both are the same machine.
    mounts: Option<Vec<(PathBuf, PathBuf)>>,
    /// The log driver of our container, when we are in one.
    pub log_driver: Option<String>,
    /// The id of our container, when we are in one.
    pub own_id: Option<String>,
    /// The id of our container's image, an image that the engine surely has; on another machine, the empty one. By it
    /// directories of the Docker host are read that this process does not see.
    pub own_image: Option<String>,
}

impl HostPaths {
    /// Without any engine: paths are what they are here. Nothing can be started by them that runs elsewhere.
    pub fn without_engine() -> Self {
        Self { mounts: None, log_driver: None, own_id: None, own_image: None }
    }

    /// The same for an engine on another machine: it has no path of ours, and no container that we run in. What is known of
    /// where our own output goes stays.
    #[must_use]
    pub fn of_another_machine(self) -> Self {
        Self { log_driver: self.log_driver, ..Self::without_engine() }
    }

    /// Finds out. Outside of a container both sides are the same.
    pub async fn find(tools: &Tools, platform: &Platform) -> Result<Self> {
        if !platform.in_container || engine_is_beside_us(tools) {
            return Ok(Self::without_engine());
        }
        let us = Traces::read(platform);
        let Some(own) = us.find(tools).await? else {
            return Ok(Self { mounts: Some(Vec::new()), log_driver: None, own_id: None, own_image: None });
        };
        let mut mounts: Vec<(PathBuf, PathBuf)> = mount_sources(&own);
        mounts.sort_by_key(|(here, _)| std::cmp::Reverse(here.as_os_str().len()));
        let log_driver =
            own.raw.pointer("/HostConfig/LogConfig/Type").and_then(|v| v.as_str()).map(str::to_owned);
        Ok(Self {
            mounts: Some(mounts),
            log_driver,
            own_image: Some(own.image_id().to_owned()),
            own_id: Some(own.id),
        })
    }

    /// The host's path of a path here, or an error that says why there is none.
    pub fn to_host(&self, here: &Path) -> Result<HostPath> {
        let Some(mounts) = &self.mounts else {
            return Ok(HostPath(here.to_owned()));
        };
        mounts
            .iter()
            .find_map(|(ours, host)| here.strip_prefix(ours).ok().map(|rest| HostPath(joined(host, rest))))
            .ok_or_else(|| not_mapped(here, self.own_id.is_some()))
    }

    /// The paths without `..` that a path of the host may be: as the kernel follows it, as far as its links can be seen
    /// here, and as Docker shortens it before the kernel sees it.
    pub fn readings(&self, host: &Path) -> Vec<PathBuf> {
        if !host.components().any(|step| step == Component::ParentDir) {
            return vec![host.to_owned()];
        }
        if host.is_relative() {
            return vec![clean(host)];
        }
        let mut followed = PathBuf::from("/");
        for step in host.components() {
            match step {
                Component::ParentDir => {
                    if let Some(real) = self.here(&followed).and_then(|here| self.to_host(&here).ok()) {
                        followed = real.0;
                    }
                    followed.pop();
                }
                Component::Normal(name) => followed.push(name),
                _ => {}
            }
        }
        let mut all = vec![followed, clean(host)];
        all.dedup();
        all
    }

    /// Where a path of the host is read here, links resolved; `None` when it leads to nothing that is mounted here.
    pub fn here(&self, host: &Path) -> Option<PathBuf> {
        let Some(mounts) = &self.mounts else {
            return host.canonicalize().ok();
        };
        let below =
            mounts.iter().filter_map(|(ours, source)| Some((ours, source, host.strip_prefix(source).ok()?)));
        let (ours, _, rest) = below.max_by_key(|(_, source, _)| source.as_os_str().len())?;
        let real = joined(ours, rest).canonicalize().ok()?;
        mounts.iter().any(|(ours, _)| real.starts_with(ours)).then_some(real)
    }

    /// Where a path of the host leads here, links resolved as far as it exists; `None` when it leads to nothing that is
    /// mounted here, or has too many links.
    pub fn leads_to(&self, host: &Path) -> Option<PathBuf> {
        let mut path = host.to_owned();
        for _ in 0..MOST_LINKS {
            let real = self.here(&path);
            if real.is_some() {
                return real;
            }
            // What is not there: the longest part of it that is, and the rest as it is written, or where a link says.
            let (there, rest) = path
                .ancestors()
                .skip(1)
                .find_map(|above| Some((self.here(above)?, path.strip_prefix(above).ok()?)))?;
            let mut parts = rest.components();
            let first = there.join(parts.next()?);
            let Ok(target) = std::fs::read_link(&first) else {
                return Some(there.join(rest));
            };
            let next = there.join(target).join(parts.as_path());
            path = self.to_host(&next).ok()?.0;
        }
        None
    }

    /// Puts a link at the host's path, so that programs here can read what they name to the engine. Nothing is done
    /// where the path already leads to the same place.
    pub fn link(&self, here: &Path) -> Result<HostPath> {
        let host = self.to_host(here)?;
        let Some(mounts) = &self.mounts else {
            return Ok(host);
        };
        let Some((ours, source)) = mounts.iter().find(|(ours, _)| here.starts_with(ours)) else {
            return Ok(host);
        };
        if same_place(source, ours) {
            return Ok(host);
        }
        if let Some(parent) = source.parent() {
            std::fs::create_dir_all(parent)
                .map_err(|error| Error::io(Code::WorkspaceNotOnHost, "make the directory", parent, &error))?;
        }
        std::os::unix::fs::symlink(ours, source).map_err(|error| {
            Error::io(
                Code::WorkspaceNotOnHost,
                "put a link to the workspace at the host's path",
                source,
                &error,
            )
            .help("The action's container must run as root, as GitHub's runner starts it.")
        })?;
        Ok(host)
    }

    /// Whether we are in a container and the engine knows nothing of it.
    pub fn is_lost(&self) -> bool {
        self.mounts.is_some() && self.own_id.is_none()
    }
}

/// Whether the engine runs where we run, as in a container with an engine of its own: the process behind the socket has
/// an id here (the kernel gives 0 for one of another name space, unix(7)) and the same root directory.
fn engine_is_beside_us(tools: &Tools) -> bool {
    use std::os::unix::fs::MetadataExt;
    let Some(process) = std::os::unix::net::UnixStream::connect(tools.socket())
        .ok()
        .and_then(|socket| rustix::net::sockopt::socket_peercred(&socket).ok())
        .map(|credentials| credentials.pid.as_raw_nonzero().get())
        .filter(|process| *process > 0)
    else {
        return false;
    };
    let place = |path: String| std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
    place(format!("/proc/{process}/root/")).is_none_or(|theirs| Some(theirs) == place("/".to_owned()))
}

/// What a process can see of the container that it is in.
struct Traces {
    upper_directory: Option<String>,
    mount_points: BTreeSet<String>,
    command_line: Vec<String>,
    candidates: Vec<String>,
}

impl Traces {
    fn read(platform: &Platform) -> Self {
        let [mountinfo, cgroup, command_line] =
            ["/proc/self/mountinfo", "/proc/self/cgroup", "/proc/1/cmdline"].map(files::told_by_the_kernel);
        let mut this = Self::parse(&mountinfo, &cgroup, &command_line);
        this.candidates.extend(platform.host_name.clone());
        this
    }

    /// From the texts of `/proc/self/mountinfo`, `/proc/self/cgroup` and `/proc/1/cmdline`.
    fn parse(mountinfo: &str, cgroup: &str, command_line: &str) -> Self {
        let fields = |line: &str| line.split(' ').nth(4).map(unescape_octal);
        let root = mountinfo.lines().find(|line| line.split(' ').nth(4) == Some("/"));
        let upper_directory = root
            .and_then(|line| line.split([' ', ',']).find_map(|option| option.strip_prefix("upperdir=")))
            .map(unescape_octal);
        let mut candidates = Vec::new();
        for text in [mountinfo, cgroup] {
            for word in text.split(['/', '-', '.', ':', '\n', ' ']) {
                if word.len() == 64
                    && word.bytes().all(|b| b.is_ascii_hexdigit())
                    && !candidates.iter().any(|c| c == word)
                {
                    candidates.push(word.to_owned());
                }
            }
        }
        Self {
            upper_directory,
            mount_points: mountinfo.lines().filter_map(fields).collect(),
            command_line: command_line.split_terminator('\0').map(str::to_owned).collect(),
            candidates,
        }
    }

    /// Our own container: first the ids that we can see, then every running one, since with a shared network name space
    /// the host name and `/etc/hostname` are another container's.
    async fn find(&self, tools: &Tools) -> Result<Option<Container>> {
        for container in objects::inspect(tools, &self.candidates).await? {
            if self.is_me(&container) {
                return Ok(Some(container));
            }
        }
        let all = objects::inspect(tools, &objects::running(tools).await?).await?;
        let mut mine = all.into_iter().filter(|container| self.is_me(container));
        // Two that look alike: better none than the wrong one.
        match (mine.next(), mine.next()) {
            (Some(one), None) => Ok(Some(one)),
            _ => Ok(None),
        }
    }

    /// The writable layer is proof. Where the storage driver shows none, the program that runs as PID 1 and every mount
    /// point must be ours.
    fn is_me(&self, container: &Container) -> bool {
        let theirs = container.raw.pointer("/GraphDriver/Data/UpperDir").and_then(|v| v.as_str());
        if let (Some(ours), Some(theirs)) = (&self.upper_directory, theirs) {
            return ours == theirs;
        }
        let text = |value: Option<&serde_json::Value>| value.and_then(|v| v.as_str()).map(str::to_owned);
        let arguments = container.raw.get("Args").and_then(|v| v.as_array()).cloned().unwrap_or_default();
        let command: Vec<String> = text(container.raw.get("Path"))
            .into_iter()
            .chain(arguments.iter().filter_map(|v| text(Some(v))))
            .collect();
        !command.is_empty()
            && command == self.command_line
            && container.mounts().iter().all(|(_, _, destination)| self.mount_points.contains(*destination))
    }
}

fn mount_sources(container: &Container) -> Vec<(PathBuf, PathBuf)> {
    let list = container.raw.get("Mounts").and_then(|v| v.as_array()).cloned().unwrap_or_default();
    list.iter()
        .filter_map(|mount| {
            let text = |key: &str| mount.get(key).and_then(|v| v.as_str());
            Some((PathBuf::from(text("Destination")?), PathBuf::from(text("Source")?)))
        })
        .filter(|(here, _)| !here.ends_with("docker.sock"))
        .collect()
}

fn joined(host: &Path, rest: &Path) -> PathBuf {
    if rest.as_os_str().is_empty() { host.to_owned() } else { host.join(rest) }
}

fn same_place(a: &Path, b: &Path) -> bool {
    match (std::fs::canonicalize(a), std::fs::canonicalize(b)) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

/// mountinfo writes blanks, tabs, line ends and backslashes as `\ooo` (proc(5)).
fn unescape_octal(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let code = rest.get(at + 1..at + 4).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        if let Some(byte) = code {
            out.push(char::from(byte));
            rest = &rest[at + 4..];
        } else {
            out.push('\\');
            rest = &rest[at + 1..];
        }
    }
    out + rest
}

fn not_mapped(here: &Path, own_found: bool) -> Error {
    let why = if own_found {
        "it lies in no mount of the action's container"
    } else {
        "the action's container was not found among those of the engine"
    };
    Error::new(Code::WorkspaceNotOnHost, format!("{} has no path on the Docker host: {why}", here.display())).help(
        "The engine behind the socket must be the one that runs this container. When the runner itself runs in a \
         container, mount its work directory at the same path on the host and in it. Or run `claude-secrets` in a \
         `run:` step.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ID: &str = "3f1c9a4be0d27c5a8e6f1b2d3c4a5968778695a4b3c2d1e0f9e8d7c6b5a49382";

    fn traces(upper: &str) -> Traces {
        let mountinfo = format!(
            "1 0 0:50 / / rw - overlay overlay rw,lowerdir=/l1:/l2,upperdir={upper},workdir=/w\n\
             2 1 8:1 /x/containers/{ID}/hostname /etc/hostname rw - ext4 /dev/vda rw\n\
             3 1 8:1 /home/My\\040Work /github/workspace rw - ext4 /dev/vda rw\n"
        );
        Traces::parse(&mountinfo, &format!("0::/docker/{ID}\n"), "/bin/x\0deploy\0")
    }

    fn container(raw: serde_json::Value) -> Container {
        let mut full = json!({"Id": ID, "Name": "/x", "Config": {"Labels": {}}});
        if let (Some(full), serde_json::Value::Object(raw)) = (full.as_object_mut(), raw) {
            full.extend(raw);
        }
        Container { id: ID.into(), name: "x".into(), service: String::new(), raw: full }
    }

    #[test]
    fn the_writable_layer_is_proof() {
        let us = traces("/var/lib/docker/overlay2/a/diff");
        assert_eq!(us.candidates, [ID]);
        for (upper, same) in
            [("/var/lib/docker/overlay2/a/diff", true), ("/var/lib/docker/overlay2/b/diff", false)]
        {
            let other = container(
                json!({"GraphDriver": {"Data": {"UpperDir": upper}}, "Path": "/bin/x", "Args": ["deploy"]}),
            );
            assert_eq!(us.is_me(&other), same);
        }
    }

    #[test]
    fn without_a_layer_the_program_and_the_mounts_must_be_ours() {
        let us = traces("/a");
        let with = |path: &str, destination: &str| {
            container(
                json!({"Path": path, "Args": ["deploy"], "Mounts": [{"Destination": destination, "Source": "/h"}]}),
            )
        };
        assert!(us.is_me(&with("/bin/x", "/github/workspace")));
        assert!(!us.is_me(&with("/bin/y", "/github/workspace")));
        assert!(!us.is_me(&with("/bin/x", "/elsewhere")));
    }

    #[test]
    fn the_longest_mount_maps_a_path() {
        let paths = HostPaths {
            mounts: Some(vec![
                ("/github/workspace".into(), "/home/r/w".into()),
                ("/github".into(), "/other".into()),
            ]),
            log_driver: None,
            own_id: None,
            own_image: None,
        };
        assert_eq!(paths.to_host(Path::new("/github/workspace/a b")).unwrap().to_string(), "/home/r/w/a b");
        assert_eq!(paths.to_host(Path::new("/github/workspace")).unwrap().to_string(), "/home/r/w");
        assert_eq!(paths.to_host(Path::new("/tmp/x")).err().unwrap().code, Code::WorkspaceNotOnHost);
    }

    #[test]
    fn a_path_with_two_dots_is_read_as_the_kernel_and_as_docker_do() {
        let here = tempfile::tempdir().unwrap();
        let work = here.path().canonicalize().unwrap();
        std::fs::create_dir_all(work.join("a/b")).unwrap();
        std::os::unix::fs::symlink("a/b", work.join("link")).unwrap();
        let paths = HostPaths {
            mounts: Some(vec![(work, "/host/r".into())]),
            log_driver: None,
            own_id: None,
            own_image: None,
        };
        for (path, readings) in [
            ("/host/r/x", &["/host/r/x"][..]),
            ("/host/../host/r/x", &["/host/r/x"]),
            ("/host/r/link/../x", &["/host/r/a/x", "/host/r/x"]),
            ("/host/r/a/b/../x", &["/host/r/a/x"]),
            ("/../host/r", &["/host/r"]),
        ] {
            let found: Vec<String> =
                paths.readings(Path::new(path)).iter().map(|path| path.display().to_string()).collect();
            assert_eq!(found, readings, "{path}");
        }
    }

    #[test]
    fn blanks_in_mountinfo_are_octal() {
        assert_eq!(unescape_octal("/home/My\\040Work\\134"), "/home/My Work\\");
    }
}
