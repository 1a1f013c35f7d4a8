//! The proof at the end of a deployment finds a value wherever the project shows it, in the run that put it there and in
//! every later one, and finds nothing where there is nothing; and it tells which service cannot read what it was granted.
//! Against the real engine and the real Compose, in both deliveries.

#![allow(clippy::unwrap_used, clippy::panic)] // clippy.toml allows it in test functions, and the rest here serves these
#![allow(unreachable_pub, dead_code)] // the support files serve several test programs
#![allow(clippy::format_collect)] // the texts of test projects are short

#[path = "support/scene.rs"]
mod scene;

#[path = "proof/database.rs"]
mod database;
#[path = "proof/elsewhere.rs"]
mod elsewhere;
#[path = "proof/images.rs"]
mod images;
#[path = "proof/matrix.rs"]
mod matrix;
#[path = "proof/readers.rs"]
mod readers;
#[path = "proof/surfaces.rs"]
mod surfaces;
#[path = "proof/workspace.rs"]
mod workspace;

/// Both ways to deliver.
const DELIVERIES: [&str; 2] = ["file", "volume"];

/// A value that may be written as a host name, too.
const VALUE: &str = "canary7q3x9z2m8v4t";

/// The password in the document of a database.
const PASSWORD: &str = "canary4h8w2k6n9p3r";

/// A number as a value.
const NUMBER: &str = "1837465291";
