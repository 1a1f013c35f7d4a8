//! A plan is what the deployment after it does: random changes to a project, each planned by `validate`, deployed, and
//! compared with the deployment's own report and with what the engine and the disk have afterwards.

#![allow(clippy::unwrap_used, clippy::panic)] // clippy.toml allows it in test functions, and the rest here serves these
#![allow(unreachable_pub, dead_code)] // the support files serve several test programs
#![allow(clippy::print_stderr)] // the seed, for a test that fails

#[path = "plan/compare.rs"]
mod compare;
#[path = "plan/random.rs"]
mod random;
#[path = "support/scene.rs"]
mod scene;
#[path = "plan/world.rs"]
mod world;

use compare::Before;
use random::Random;
use serde_json::Value;
use world::World;

const CHANGES: usize = 30;

/// A seed that failed once, for `CLAUDE_SECRETS_SEED`; without one the same changes are tried in every run.
fn seed(delivery: &str) -> u64 {
    let given = std::env::var("CLAUDE_SECRETS_SEED").ok().and_then(|text| text.parse().ok());
    given.unwrap_or(if delivery == "file" { 20_240_817 } else { 20_240_818 })
}

fn thirty_changes(delivery: &'static str) {
    let seed = seed(delivery);
    eprintln!("CLAUDE_SECRETS_SEED={seed} repeats these changes with delivery {delivery}");
    let mut random = Random::new(seed);
    let mut world = World::new(delivery);
    let mut told = Vec::new();
    for number in 0..=CHANGES {
        // The first one is the first deployment.
        let change = if number == 0 { "the first deployment".to_owned() } else { world.change(&mut random) };
        told.push(format!("{number}: {change}"));
        let context = told.join("\n");
        world.write();
        let before = Before::of(&world);
        let validated = world.run("validate");
        let plan = &validated["plan"];
        let deployed = world.run("deploy");
        before.compare(&world, plan, &deployed, &context);
        world.deployed();
        if number % 5 == 0 {
            let again = world.run("validate");
            assert_eq!(again["plan"]["changes"], Value::Bool(false), "{context}\n{:#}", again["plan"]);
        }
    }
}

#[test]
fn thirty_random_changes_are_planned_as_they_are_then_deployed_by_files() {
    thirty_changes("file");
}

#[test]
fn thirty_random_changes_are_planned_as_they_are_then_deployed_by_volumes() {
    thirty_changes("volume");
}
