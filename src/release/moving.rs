//! Data that a service has somewhere already, and that a run must not leave behind: it is told with the one command that
//! moves it.

use std::path::Path;

use crate::delivery::choose::is_remote;
use crate::diagnostic::Diagnostic;
use crate::engine::objects::Container;
use crate::labels;

/// The volume that data goes to.
pub(super) struct Volume<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// The Compose project.
    pub(super) project: &'a str,
    /// Where the engine is.
    pub(super) server: &'a str,
}

/// Where a container has a directory of its machine mounted.
pub(super) struct Old<'a> {
    container: &'a Container,
    source: String,
    /// Whether it may write to it.
    pub(super) writable: bool,
}

/// What a service's container has mounted at a place, unless that is a volume of the project.
pub(super) fn of<'a>(
    project: &str,
    containers: &'a [Container],
    service: &str,
    target: &str,
) -> Option<Old<'a>> {
    let own = format!("/volumes/{project}_");
    containers.iter().filter(|container| container.service == service).find_map(|container| {
        let mount = container.mounts().into_iter().find(|(kind, source, at)| {
            *kind == "bind"
                && at.trim_end_matches('/') == target.trim_end_matches('/')
                && !source.contains(&own)
        })?;
        let writable = container.mount_is_writable(mount.2);
        Some(Old { container, source: mount.1.to_owned(), writable })
    })
}

impl Old<'_> {
    /// That the service would get an empty volume in its place.
    pub(super) fn to_volume(&self, shown: &str, volume: &Volume, has_content: bool) -> Diagnostic {
        let (source, name) = (word(&self.source), word(&self.container.name));
        let copy =
            format!("docker run --rm -v {source}:/from:ro {} busybox cp -a /from/. /to", volume.mount());
        Diagnostic::new(format!(
            "service {} has {shown} in {} of the engine's machine so far, and would start with an empty volume",
            self.container.service, self.source
        ))
        .help(format!(
            "{}Move data once: {}\nOr start with nothing: {}",
            if has_content { built(shown) } else { String::new() },
            volume.there(&format!("docker stop {name} && {copy}")),
            volume.there(&volume.create())
        ))
    }

    /// That nobody can say whether it is data.
    pub(super) fn untold(&self, shown: &str) -> Diagnostic {
        Diagnostic::new(format!(
            "service {} writes to {shown}, and the checkout is no git repository: nobody can say whether that is its data",
            self.container.service
        ))
        .help("Check the repository out with git. For what is only read, write `:ro` behind the mount; for data, use a volume.")
    }
}

/// That the checkout has data which git ignores, and the engine's machine none.
pub(super) fn ignored(shown: &str, on_host: &Path, volume: &Volume) -> Diagnostic {
    let directory =
        if volume.is_remote() { shown.to_owned() } else { on_host.join(shown).display().to_string() };
    let unpack = volume.there(&format!("docker run --rm -i {} busybox tar -C /to -x", volume.mount()));
    Diagnostic::new(format!(
        "{shown} has data that git ignores, and the engine's machine has none yet: the service would start with nothing"
    ))
    .help(format!(
        "{}Move data once: tar -C {} -c . | {unpack}\nOr start with nothing: {}",
        built(shown),
        word(&directory),
        volume.there(&volume.create())
    ))
}

/// For what is no data: moved once, the next build's output would stay behind.
fn built(shown: &str) -> String {
    format!(
        "If a build made it, it belongs to the release: `git add --force {}` in the step before.\n",
        word(shown)
    )
}

impl Volume<'_> {
    fn is_remote(&self) -> bool {
        is_remote(self.server)
    }

    /// The option that makes it, with the label by which `down` names it.
    fn mount(&self) -> String {
        let Self { name, project, .. } = self;
        format!(
            "--mount type=volume,source={name},target=/to,volume-label={}",
            labels::with(labels::DATA_OF, project)
        )
    }

    fn create(&self) -> String {
        format!("docker volume create --label {} {}", labels::with(labels::DATA_OF, self.project), self.name)
    }

    /// A command for the machine of the engine.
    fn there(&self, command: &str) -> String {
        let Some(server) = self.server.strip_prefix("ssh://") else { return command.to_owned() };
        let command = if command.contains("&&") { format!("\"{command}\"") } else { command.to_owned() };
        match server.rsplit_once(':') {
            Some((machine, port)) if port.parse::<u16>().is_ok() => {
                format!("ssh -p {port} {machine} {command}")
            }
            _ => format!("ssh {server} {command}"),
        }
    }
}

/// A word for a shell.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '+' | ':' | '@');
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn container(source: &str) -> Container {
        Container {
            id: "1".to_owned(),
            name: "shop-db-1".to_owned(),
            service: "db".to_owned(),
            raw: json!({ "Mounts": [
                { "Type": "bind", "Source": source, "Destination": "/var/lib/db", "RW": true },
            ] }),
        }
    }

    #[test]
    fn what_a_container_has_in_a_directory_is_moved_by_one_command() {
        let all = [container("/srv/shop/my data")];
        let old = of("x", &all, "db", "/var/lib/db/").unwrap();
        let volume = |server| Volume { name: "shop_data_data", project: "shop", server };
        let told = old.to_volume("data", &volume("ssh://u@h:2222"), true);
        let help = told.help.unwrap();
        let command = "ssh -p 2222 u@h \"docker stop shop-db-1 && docker run --rm -v '/srv/shop/my data':/from:ro --mount type=volume,source=shop_data_data,target=/to,volume-label=claude-secrets.data-of=shop busybox cp -a /from/. /to\"";
        assert!(help.contains(command) && help.contains("git add --force data"), "{help}");
        let told = old.to_volume("data", &volume("unix:///var/run/docker.sock"), false);
        assert!(told.help.unwrap().starts_with("Move data once: docker stop shop-db-1 && "));
        assert!(of("x", &all, "db", "/elsewhere").is_none() && of("x", &all, "web", "/var/lib/db").is_none());
        assert!(
            of("x", &[container("/var/lib/docker/volumes/x_data_data/_data")], "db", "/var/lib/db").is_none()
        );
    }
}
