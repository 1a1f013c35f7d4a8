//! A directory of files, each a secret.

use super::fixture::{Case, File, Fixture, Reach, State};
use super::local::{self, Items};

#[derive(Default)]
struct DockerSecrets(Items);

/// The fixture.
pub(crate) fn start() -> Box<dyn Fixture> {
    Box::<DockerSecrets>::default()
}

impl Fixture for DockerSecrets {
    fn kind(&self) -> &'static str {
        "docker-secrets"
    }

    fn gap(&self, case: Case) -> Option<&'static str> {
        local::gap(case)
    }

    fn reach(&self, _: State) -> Reach {
        let file = |(name, bytes): (String, Vec<u8>)| File {
            path: format!("host/{name}"),
            bytes,
            mode: local::mode(&name),
        };
        // The directory is there, also when a case puts nothing into it.
        let other = File { path: "host/other".to_owned(), bytes: b"canary".to_vec(), mode: 0o600 };
        Reach {
            sources: "docker-secrets: { dir: host }".to_owned(),
            files: self.0.all().into_iter().map(file).chain([other]).collect(),
            unprivileged: true,
            ..Reach::default()
        }
    }

    fn reference(&self, name: &str) -> String {
        format!("docker-secrets:{name}")
    }

    fn put(&self, name: &str, value: &[u8]) {
        self.0.put(name, value);
    }
}
