//! `doctor`: what is here, on one screen to paste into an issue: programs, engine, rights, the project, sources and who they
//! are asked as, and the hosts that are contacted. Asks no store, and tells no value.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use crate::compose::discovery::ComposeFiles;
use crate::compose::images;
use crate::compose::program;
use crate::console::Console;
use crate::engine::api;
use crate::engine::objects;
use crate::engine::tools::Tools;
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::manifest::{Manifest, Reading};
use crate::mask::Redactor;
use crate::sensitive::Sensitive;
use crate::settings::Settings;
use crate::sources::{self, ProjectDirs};
use crate::stages::declared;
use crate::version;

/// The widest line.
const WIDTH: usize = 80;
/// The width of the first column.
const FIRST: usize = 10;

/// Everything, for standard output.
pub async fn doctor(settings: &Settings, console: &Arc<Console>, interrupt: &Interrupt) -> String {
    let tools = Tools::new(Sensitive::docker_alone(&settings.variables), console.clone(), interrupt.clone());
    let mut page = Page::default();
    for line in version::text(&settings.variables).lines() {
        match line.split_once(": ") {
            Some((program, version)) => page.row(program, version),
            None => page.row("program", line),
        }
    }
    page.row("runs", &place(settings));
    engine(&mut page, settings, &tools).await;
    let found = declared::find_project(settings);
    match &found {
        Ok(found) => {
            let names =
                found.files.files.iter().map(|file| {
                    file.strip_prefix(&found.files.directory).unwrap_or(file).display().to_string()
                });
            let names: Vec<String> = names.collect();
            let directory = at_home(&found.files.directory, settings);
            page.row("project", &format!("{directory}: {}", names.join(", ")));
        }
        Err(error) => page.row("project", &in_short(error)),
    }
    let nowhere = |_| ComposeFiles { directory: settings.workspace.clone(), files: Vec::new() };
    let files = found.map_or_else(nowhere, |found| found.files);
    let mut known = Sensitive::of(settings);
    match declared::read_given(settings, &files, true) {
        Ok(Reading { manifest, error, .. }) => {
            let declared = crate::count::count(manifest.secrets.len(), "secret");
            let imports = if manifest.imports.is_empty() { "" } else { ", and what imports find" };
            match &error {
                Some(error) => page.row("manifest", &in_short(error)),
                None => page.row("manifest", &format!("{declared} declared{imports}")),
            }
            stores(&mut page, settings, &manifest, &files.directory);
            known = known.declaring(settings, &manifest);
        }
        Err(error) => page.row("manifest", &in_short(&error)),
    }
    if !files.files.is_empty() {
        page.row("registries", &registries(settings, &files, &tools).await);
    }
    let redactor = Redactor::new(&known.plan([]));
    let lines = page
        .text
        .lines()
        .map(|line| String::from_utf8_lossy(&redactor.redact_line(line.as_bytes())).into_owned() + "\n");
    lines.collect()
}

/// Where this process is.
fn place(settings: &Settings) -> String {
    let platform = &settings.platform;
    let user = rustix::process::geteuid().as_raw();
    let mut words = vec![format!("{} as user {user}", std::env::consts::ARCH)];
    if platform.in_container {
        words.push("in a container".to_owned());
    }
    if platform.actions {
        let kind = platform.runner_environment.as_deref().unwrap_or("unknown");
        words.push(format!("under GitHub Actions, on a runner of the kind {kind}"));
    }
    words.join(", ")
}

/// The engine and the socket that leads to it.
async fn engine(page: &mut Page, settings: &Settings, tools: &Tools) {
    if let Some(host) = settings.engine.host.as_ref().filter(|host| host.is_remote()) {
        page.row("endpoint", &format!("{host}, by `docker-host`; it is not contacted here"));
        return;
    }
    let endpoint = match objects::endpoint(tools) {
        Ok(endpoint) => endpoint,
        Err(error) => {
            page.row("endpoint", &in_short(&error));
            return;
        }
    };
    let path = match &endpoint {
        None => Some(tools.socket()),
        Some(endpoint) => endpoint.strip_prefix("unix://").map(Into::into),
    };
    match path {
        Some(path) => page.row("endpoint", &format!("{}: {}", path.display(), socket(&path))),
        // It may have a user in it.
        None => page.row("endpoint", &bare(endpoint.as_deref().unwrap_or_default())),
    }
    let Ok(server) = api::version(tools).await else {
        page.row("engine", "it does not answer");
        return;
    };
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or("?").to_owned();
    let (version, api) = (text(server, "Version"), text(server, "ApiVersion"));
    page.row("engine", &format!("{version}, API {api}, {}/{}", text(server, "Os"), text(server, "Arch")));
    let Ok(info) = objects::info(tools).await else { return };
    let list = info.get("SecurityOptions").and_then(Value::as_array).into_iter().flatten();
    let options: Vec<&str> = list.filter_map(Value::as_str).collect();
    let mut words = vec![
        format!("storage {}", text(&info, "Driver")),
        format!("logs {}", text(&info, "LoggingDriver")),
        format!("cgroup {}", text(&info, "CgroupVersion")),
    ];
    for (mark, word) in
        [("name=rootless", "rootless"), ("name=userns", "user namespaces"), ("name=selinux", "SELinux")]
    {
        if options.iter().any(|option| option.contains(mark)) {
            words.push(word.to_owned());
        }
    }
    page.row("", &words.join(", "));
}

/// What a socket is, and whether this user may use it.
fn socket(path: &Path) -> String {
    let Ok(meta) = std::fs::metadata(path) else { return "it is not there, or cannot be seen".to_owned() };
    if !meta.file_type().is_socket() {
        return "it is no socket".to_owned();
    }
    let may = rustix::fs::access(path, rustix::fs::Access::READ_OK | rustix::fs::Access::WRITE_OK).is_ok();
    let word = if may { "may" } else { "may not" };
    format!("mode {:04o}, owner {}:{}; this user {word} use it", meta.mode() & 0o7777, meta.uid(), meta.gid())
}

/// The sources that are configured, as whom each is asked, and the hosts that are contacted.
fn stores(page: &mut Page, settings: &Settings, manifest: &Manifest, directory: &Path) {
    let host_directories = BTreeMap::new();
    let around = ProjectDirs {
        project: directory,
        secrets_dir: &settings.secrets_dir,
        host_directories: &host_directories,
    };
    let mut hosts: BTreeSet<String> = BTreeSet::new();
    match sources::open(settings, manifest, &around) {
        Ok(opened) => {
            for source in &opened {
                let about = source.about();
                let login =
                    if about.login.is_empty() { String::new() } else { format!(", by {}", about.login) };
                page.row(
                    source.id().as_str(),
                    &format!("{}{login}", at_home(Path::new(&about.place), settings)),
                );
                hosts.extend(about.hosts);
            }
        }
        Err(error) => page.row("sources", &in_short(&error)),
    }
    if let Some(host) = settings.engine.host.as_ref().filter(|host| host.is_remote()) {
        hosts.insert(bare(&host.to_string()));
    }
    let hosts: Vec<String> = hosts.into_iter().collect();
    let shown = if hosts.is_empty() { "none by this program".to_owned() } else { hosts.join(", ") };
    page.row("hosts", &shown);
    let proxies: Vec<&str> = ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"]
        .into_iter()
        .filter(|name| settings.variables.has(name) || settings.variables.has(&name.to_lowercase()))
        .collect();
    if !proxies.is_empty() {
        page.row("proxies", &format!("set: {}", proxies.join(", ")));
    }
}

/// The registries that the engine pulls from: those of the services' images, and those of `registries`.
async fn registries(settings: &Settings, files: &ComposeFiles, tools: &Tools) -> String {
    let mut call = program::compose(tools, &[]).option("--project-directory", &files.directory);
    for file in &files.files {
        call = call.option("--file", file);
    }
    let answer = call.words(&["--profile=*", "config", "--format=json"]).output().await;
    let model = answer.ok().filter(|answer| answer.success).and_then(|answer| answer.json());
    let logins = settings.registries.iter().map(|login| login.host.as_str());
    let Some(model) = model else {
        let logins: Vec<&str> = logins.collect();
        let with = if logins.is_empty() { String::new() } else { format!("{}, and ", logins.join(", ")) };
        return format!(
            "{with}unknown ones of the images: `validate` says why Compose cannot read the project"
        );
    };
    let services = model.get("services").and_then(Value::as_object).into_iter().flatten();
    let pulled = services.filter(|(_, service)| service.get("build").is_none());
    let images = pulled.filter_map(|(_, service)| service.get("image").and_then(Value::as_str));
    let hosts: BTreeSet<&str> = images.map(images::registry).chain(logins).collect();
    let hosts: Vec<&str> = hosts.into_iter().collect();
    if hosts.is_empty() {
        "none; builds pull what their Dockerfiles name".to_owned()
    } else {
        hosts.join(", ")
    }
}

/// An address without the user, the password and the path in it.
fn bare(address: &str) -> String {
    let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
    let server = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = server.rsplit_once('@').map_or(server, |(_, host)| host);
    if scheme.is_empty() { host.to_owned() } else { format!("{scheme}://{host}") }
}

/// A path with `~` in place of the user's home, whose name is nobody's business.
fn at_home(path: &Path, settings: &Settings) -> String {
    let home = settings.variables.path("HOME");
    match home.as_ref().and_then(|home| path.strip_prefix(home).ok()) {
        Some(below) if below == Path::new("") => "~".to_owned(),
        Some(below) => format!("~/{}", below.display()),
        None => path.display().to_string(),
    }
}

/// An error on one line: its code and the first line of its fact.
fn in_short(error: &Error) -> String {
    format!("{}: {}", error.code.token(), error.fact.lines().next().unwrap_or_default())
}

/// Rows of two columns, each line at most [`WIDTH`] wide.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn row(&mut self, name: &str, text: &str) {
        let mut lines: Vec<String> = Vec::new();
        let room = WIDTH - FIRST - 1;
        for word in text.split_whitespace() {
            // Names stand in backticks where a sentence is made of them.
            let word: String =
                word.chars().filter(|c| *c != '`').map(|c| if c.is_control() { '?' } else { c }).collect();
            let mut rest = word.as_str();
            loop {
                let length = rest.chars().count();
                if let Some(line) = lines.last_mut()
                    && line.chars().count() + 1 + length <= room
                {
                    line.push(' ');
                    line.push_str(rest);
                    break;
                }
                if length <= room {
                    lines.push(rest.to_owned());
                    break;
                }
                let at = rest.char_indices().nth(room).map_or(rest.len(), |(at, _)| at);
                lines.push(rest[..at].to_owned());
                rest = &rest[at..];
            }
        }
        let name: String = name.chars().filter(|c| !c.is_control()).take(FIRST + 20).collect();
        let mut name = name;
        if name.chars().count() > FIRST {
            let _ = writeln!(self.text, "{name}");
            name.clear();
        }
        if lines.is_empty() {
            let _ = writeln!(self.text, "{name}");
        }
        for line in lines {
            let _ = writeln!(self.text, "{name:FIRST$} {line}");
            name.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_wrapped_at_eighty_columns_and_loses_nothing() {
        let mut page = Page::default();
        page.row("sources", &format!("{} {}", "word ".repeat(40), "x".repeat(200)));
        page.row("docker compose", "2.40.3");
        page.row("", "");
        assert!(page.text.lines().all(|line| line.chars().count() <= WIDTH), "{}", page.text);
        assert_eq!(page.text.matches("word").count(), 40);
        assert_eq!(page.text.matches('x').count(), 200);
        assert!(page.text.contains("\ndocker compose\n           2.40.3\n"), "{}", page.text);
    }

    #[test]
    fn an_address_is_told_without_a_login() {
        for (address, told) in [
            ("https://user:pw@vault.example:8200/v1?x=y", "https://vault.example:8200"),
            ("ssh://deploy@server", "ssh://server"),
            ("tcp://10.0.0.1:2376", "tcp://10.0.0.1:2376"),
        ] {
            assert_eq!(bare(address), told);
        }
    }
}
