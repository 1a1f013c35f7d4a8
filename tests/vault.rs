//! The `vault` source against a real `OpenBao` server, and against answers as `HashiCorp`'s server gives them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "what fails here fails the test")]

#[path = "vault/case.rs"]
mod case;
#[path = "vault/docs.rs"]
mod docs;
#[path = "vault/hashicorp.rs"]
mod hashicorp;
#[path = "vault/listing.rs"]
mod listing;
#[path = "vault/logins.rs"]
mod logins;
#[path = "support/opening.rs"]
mod opening;
#[path = "support/pages.rs"]
mod pages;
#[path = "support/peers/mod.rs"]
mod peers;
#[path = "vault/reading.rs"]
mod reading;
#[path = "vault/refusals.rs"]
mod refusals;
#[path = "vault/servers.rs"]
mod servers;
#[path = "vault/settings.rs"]
mod settings;
