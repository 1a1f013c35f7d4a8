//! The files that are proposed, as texts.

use std::fmt::Write as _;
use std::path::Path;

use super::Proposal;

/// The manifest: each secret with the services that read it, as the Compose file says.
pub fn manifest(proposal: &Proposal) -> String {
    let mut text = String::from(
        "# Which secrets there are, and where each is kept. Holds no value, so it belongs into git. The services that read a\n\
         # secret are those whose Compose file names it; a list of `services` here would say so by itself.\n\nsecrets:\n",
    );
    for (name, found) in &proposal.secrets {
        let services: Vec<&str> = found.services.iter().map(String::as_str).collect();
        if !services.is_empty() {
            let _ = writeln!(text, "  # Read by {}.", services.join(", "));
        }
        let at_github = Proposal::name_at_github(name);
        let mut entries = Vec::new();
        if at_github != *name {
            entries.push(format!("from: ['env:{at_github}']"));
        }
        if found.is_optional {
            entries.push("required: false".to_owned());
        }
        let _ = match entries.as_slice() {
            [] => writeln!(text, "  {name}:"),
            entries => writeln!(text, "  {name}: {{ {} }}", entries.join(", ")),
        };
    }
    text
}

/// The workflow. `project` is the project directory below the repository's top, and `files` the Compose files where Compose
/// does not find them by itself; both as the inputs take them.
pub fn workflow(proposal: &Proposal, project: &Path, files: &[String]) -> String {
    let mut text = String::from(
        r"name: Deploy

on:
  push:
    branches: [main]
  workflow_dispatch:
  schedule:
    # A rotated secret arrives by itself. A run that finds nothing changed restarts nothing.
    - cron: '17 4 * * *'

permissions:
  contents: read

# Two deployments of one project at the same time make no sense; the one that runs is not cut off.
concurrency:
  group: deploy
  cancel-in-progress: false

jobs:
  deploy:
    # The machine that the project runs on. To deploy to a server by SSH instead, see `docker-host`.
    runs-on: self-hosted
    timeout-minutes: 15
    steps:
      - uses: actions/checkout@v7
        with:
          persist-credentials: false
      - uses: org/claude-secrets-action@v1
",
    );
    let mut inputs = String::new();
    if project != Path::new("") {
        let _ = writeln!(inputs, "          project-directory: {}", quoted(&project.display().to_string()));
    }
    if !files.is_empty() {
        let _ = writeln!(inputs, "          compose-files: {}", quoted(&files.join(",")));
    }
    if !inputs.is_empty() {
        let _ = write!(text, "        with:\n{inputs}");
    }
    if !proposal.secrets.is_empty() || !proposal.settings.is_empty() {
        text.push_str("        env:\n");
    }
    for name in proposal.secrets.keys() {
        let name = Proposal::name_at_github(name);
        let _ = writeln!(text, "          {name}: ${{{{ secrets.{name} }}}}");
    }
    for name in &proposal.settings {
        let _ = writeln!(text, "          {name}: ${{{{ vars.{} }}}}", Proposal::name_at_github(name));
    }
    text
}

/// A text as YAML takes it for itself: in JSON's quotes, which YAML has, too.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._/-,".contains(c);
    if text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(is_plain) {
        return text.to_owned();
    }
    serde_json::Value::from(text).to_string()
}
