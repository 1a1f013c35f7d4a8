//! GitHub's API, as it is described by GitHub: which secrets a repository has, deployments, and the comment on a pull
//! request. Every request passes Prism, which refuses what breaks the description.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]
#![allow(unreachable_pub, dead_code, reason = "the support files serve several test programs")]

#[path = "github/bad_input.rs"]
mod bad_input;
#[path = "github/case.rs"]
mod case;
#[path = "github/comments.rs"]
mod comments;
#[path = "github/deployments.rs"]
mod deployments;
#[path = "github/in_its_container.rs"]
mod in_its_container;
#[path = "github/names.rs"]
mod names;
#[path = "support/peers/mod.rs"]
mod peers;
#[path = "support/scene.rs"]
mod scene;
mod support;
