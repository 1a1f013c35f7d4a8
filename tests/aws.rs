//! The sources `aws` and `ssm` against servers that stand in for AWS: ministack, which checks signatures and policies, and moto as a
//! second opinion. What no such server does is answered by rules of the test's own.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

#[path = "aws/bad_input.rs"]
mod bad_input;
#[path = "aws/docs.rs"]
mod docs;
#[path = "aws/login.rs"]
mod login;
#[path = "aws/network.rs"]
mod network;
#[path = "support/opening.rs"]
mod opening;
#[path = "support/pages.rs"]
mod pages;
#[path = "aws/parameters.rs"]
mod parameters;
#[path = "support/peers/mod.rs"]
mod peers;
#[path = "aws/reading.rs"]
mod reading;
#[path = "aws/refusals.rs"]
mod refusals;
#[path = "aws/role.rs"]
mod role;
#[path = "aws/run.rs"]
mod run;
