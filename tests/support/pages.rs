//! A source's page as its readers use it: its commands, and the errors that it explains.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test program uses its own part, and what fails here fails the test"
)]

#[path = "../documentation/markdown.rs"]
mod markdown;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use markdown::Page;

/// A file of this repository.
pub fn text(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The blocks of commands on a page, in their order.
pub fn commands(page: &str) -> Vec<String> {
    let blocks = Page::new(page.into(), text(page)).blocks("sh");
    blocks.into_iter().map(|block| block.text).collect()
}

/// A shell that runs commands up to the first that fails.
pub fn shell(commands: &str) -> Command {
    let mut bash = Command::new("bash");
    bash.args(["-euo", "pipefail", "-c", commands]);
    bash
}

/// Puts a `gh` into a folder that answers what pages ask GitHub about `octo-org/octo-repo`: its number, its owner's, and how
/// the subjects of its jobs begin (docs.github.com, "REST API endpoints for GitHub Actions OIDC"). Nothing else.
pub fn gh(directory: &Path, subject: &str) {
    let prefix = subject.split(":environment").next().unwrap();
    let script = format!(
        "#!/bin/sh\ncase $* in\n\
         'api repos/octo-org/octo-repo --jq .id') echo 74 ;;\n\
         'api repos/octo-org/octo-repo --jq .owner.id') echo 65 ;;\n\
         'api repos/octo-org/octo-repo/actions/oidc/customization/sub --jq .sub_claim_prefix') echo {prefix} ;;\n\
         *) echo \"gh: not asked so: $*\" >&2; exit 1 ;;\nesac\n"
    );
    let path = directory.join("gh");
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// What the table below a heading explains: the code in the first column of each row.
pub fn explained(page: &str, heading: &str) -> Vec<String> {
    let page = text(page);
    let (_, table) = page.split_once(&format!("\n## {heading}\n")).unwrap();
    let rows = table.split("\n## ").next().unwrap().lines().filter(|line| line.starts_with("| `"));
    rows.filter_map(|row| row.split('|').nth(1))
        .flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned))
        .collect()
}

/// All Rust sources of these files and folders of the repository, one after the other.
pub fn code(paths: &[&str]) -> String {
    let of = |path: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        if path.is_file() {
            return std::fs::read_to_string(path).unwrap();
        }
        let files = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| path.is_file()).map(|path| std::fs::read_to_string(path).unwrap()).collect()
    };
    paths.iter().map(|path| of(path)).collect()
}
