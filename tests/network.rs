//! The policy for the network, against servers that do what they should not: attempts and waits, time limits, proxies,
//! trust, and the workflow's identity.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "network/attempts.rs"]
mod attempts;
#[path = "network/identity.rs"]
mod identity;
#[path = "network/limits.rs"]
mod limits;
#[path = "support/opening.rs"]
mod opening;
#[path = "support/peers/mod.rs"]
mod peers;
#[path = "network/proxies.rs"]
mod proxies;
#[path = "network/trust.rs"]
mod trust;

use std::path::Path;

use claude_secrets::error::Result;
use claude_secrets::sources::net::{Answer, Failure, Network, is_transient};

/// The policy of a run with these variables, in this directory.
fn network_in(directory: &Path, variables: &[(&str, &str)]) -> Result<Network> {
    Network::new(&opening::settings(variables.iter().copied(), directory)?)
}

/// The policy of a run with these variables.
fn network(variables: &[(&str, &str)]) -> Network {
    network_in(Path::new("/"), variables).unwrap_or_else(|error| panic!("{error}"))
}

/// Asks for a URL as a source does.
async fn get(network: &Network, url: &str) -> Result<Answer, Failure> {
    let client = network.client().unwrap_or_else(|error| panic!("{error}"));
    network.send(|| client.get(url), is_transient).await
}

/// The status that came, or why none did. (An answer cannot be printed.)
fn outcome(answer: Result<Answer, Failure>) -> Result<u16, Failure> {
    answer.map(|answer| answer.status.as_u16())
}
