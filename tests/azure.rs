//! The source `azure`, against the stand-in for Azure, and the stand-in against Microsoft's own client.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

#[path = "azure/case.rs"]
mod case;
#[path = "azure/documentation.rs"]
mod documentation;
#[path = "azure/listing.rs"]
mod listing;
#[path = "azure/logins.rs"]
mod logins;
#[path = "support/opening.rs"]
mod opening;
#[path = "support/pages.rs"]
mod pages;
#[path = "support/peers/mod.rs"]
mod peers;
#[path = "azure/reading.rs"]
mod reading;
#[path = "azure/refusals.rs"]
mod refusals;
#[path = "azure/settings.rs"]
mod settings;

use peers::azure::Azure;

#[test]
fn microsofts_own_client_accepts_the_stand_in() {
    let azure = Azure::start();
    let done = azure.judge().output().unwrap();
    let (said, errors) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{said}\n{errors}");
    assert!(said.lines().filter(|line| line.starts_with("passed ")).count() > 15, "{said}");
}
