//! The engine is restarted after the workspace was wiped and a run has failed: what is to run always, runs again and has
//! its secrets. On an engine of the test's own.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]

mod support;

use support::daemon::Daemon;
use support::project::Workspace;
use support::wait_until;

/// The services have no network: an engine without one needs nothing of the machine's.
const PROJECT: &str = "
x-common: &common { image: IMAGE, command: SLEEP, restart: always, network_mode: none }
services:
  as-root: { <<: *common, environment: [ KEY ] }
  as-user: { <<: *common, environment: [ KEY, OTHER ], user: '1234:4321', read_only: true }
  capless: { <<: *common, environment: [ OTHER ], cap_drop: [ ALL ] }
  nothing: { <<: *common }
";

#[test]
fn every_service_comes_back_with_its_secrets() {
    let mut daemon = Daemon::start();
    for image in [support::action_image(), support::service_image()] {
        daemon.load(&image);
    }
    let workspace = Workspace::with("shop", daemon.engine());
    workspace.compose(PROJECT).commit();
    let step = || workspace.step().input("secrets", "KEY\nOTHER").env("KEY", "value-of-key");
    let deploy = |other: &str| step().env("OTHER", other).succeed();
    let (key, first, second) =
        (("key", "value-of-key"), ("other", "of-the-first"), ("other", "of-the-second"));

    // A self-hosted runner, hence volumes.
    assert_eq!(deploy(first.1).report["delivery"]["kind"], "volume");
    workspace.checkout();
    assert_eq!(deploy(second.1).list("recreated"), ["as-user", "capless"]);
    workspace.checkout();
    step().fail(3, "secrets-missing");
    let before = workspace.standing();

    daemon.restart();
    wait_until("every service is back", 60, || {
        workspace
            .standing()
            .iter()
            .all(|(service, now)| now.running && now.started != before[service].started)
    });
    let after = workspace.standing();
    assert!(before.iter().all(|(service, old)| after[service].id == old.id), "none was made anew");
    workspace.assert_reads("as-root", &[key]);
    workspace.assert_reads("as-user", &[key, second]);
    workspace.assert_reads("capless", &[second]);
    workspace.assert_reads("nothing", &[]);
    assert_eq!(deploy(second.1).output("result"), "unchanged");
}
