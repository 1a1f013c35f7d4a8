//! Every source is held to the same cases, each source by its real or best peer. A program of its own, so that the table
//! of cases and sources is seen also when all is well.
//!
//! `cargo test --test conformance [PART OF A NAME]…` runs those whose name, `source::case`, holds a part. The table goes
//! to the file that `CLAUDE_SECRETS_CONFORMANCE_TABLE` names, and with `UPDATE_DOCS=1` into docs/sources.md.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what fails here fails the case, and its thread's name says which"
)]

#[path = "conformance/aws.rs"]
mod aws;
#[path = "conformance/azure.rs"]
mod azure;
#[path = "conformance/cases.rs"]
mod cases;
#[path = "conformance/docker_secrets.rs"]
mod docker_secrets;
#[path = "conformance/dotenv.rs"]
mod dotenv;
#[path = "conformance/env.rs"]
mod env;
#[path = "conformance/fixture.rs"]
mod fixture;
#[path = "conformance/harness.rs"]
mod harness;
#[path = "conformance/local.rs"]
mod local;
#[path = "conformance/onepassword.rs"]
mod onepassword;
#[path = "support/opening.rs"]
mod opening;
#[path = "support/peers/mod.rs"]
mod peers;
#[path = "conformance/ssm.rs"]
mod ssm;
#[path = "conformance/table.rs"]
mod table;
#[path = "conformance/vault.rs"]
mod vault;

use std::any::Any;
use std::collections::VecDeque;
use std::io::Write;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::thread;

use claude_secrets::sources::SOURCES;

use cases::{CASES, Entry};
use fixture::Fixture;
use harness::Bench;
use table::{Cell, Table};

/// Every source's fixture, in the order of `SOURCES`: the name of its column, and how it is started.
const FIXTURES: &[(&str, Start)] = &[
    ("docker-secrets", docker_secrets::start),
    ("aws", aws::start),
    ("ssm", ssm::start),
    ("vault", vault::start),
    ("azure", azure::start),
    ("onepassword", onepassword::connect),
    ("onepassword by op", onepassword::op),
    ("dotenv", dotenv::start),
    ("env", env::start),
];

/// How many cases run at the same time. Most of them wait.
const AT_ONCE: usize = 8;

type Start = fn() -> Box<dyn Fixture>;
type Started = Result<Arc<dyn Fixture>, String>;

/// A case of a source that is to be run.
struct Task {
    column: usize,
    row: usize,
    fixture: Started,
}

fn main() -> ExitCode {
    let parts: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let is_wanted = |name: &str| parts.is_empty() || parts.iter().any(|part| name.contains(part));
    let name = |column: usize, entry: &Entry| format!("{}::{}", FIXTURES[column].0, entry.name);
    let wanted: Vec<(usize, usize)> = (0..FIXTURES.len())
        .flat_map(|column| (0..CASES.len()).map(move |row| (column, row)))
        .filter(|(column, row)| is_wanted(&name(*column, &CASES[*row])))
        .collect();
    say(&format!("\nrunning {} tests", wanted.len()));
    let cells = run(&wanted);
    let mut failures: Vec<String> = wanted
        .iter()
        .zip(&cells)
        .filter_map(|((column, row), cell)| match cell {
            Cell::Failed(why) => Some(format!("{}: {why}", name(*column, &CASES[*row]))),
            _ => None,
        })
        .collect();
    if parts.is_empty() {
        let table = Table::new(FIXTURES.iter().map(|(name, _)| *name).collect(), &cells);
        say(&format!("\n{}", table.markdown()));
        table.write();
        // What failed has no place in the documentation.
        let stale = failures.is_empty().then(|| table.check_documentation().err()).flatten();
        failures.extend(stale);
        failures.extend(without_fixture().map(|kind| format!("the source {kind} has no fixture")));
    }
    for failure in &failures {
        say(&format!("\nfailed: {failure}"));
    }
    let count = |which: fn(&Cell) -> bool| cells.iter().filter(|cell| which(cell)).count();
    say(&format!(
        "\ntest result: {}. {} passed; {} failed; {} gaps, each with its reason\n",
        if failures.is_empty() { "ok" } else { "FAILED" },
        count(|cell| matches!(cell, Cell::Passed)),
        failures.len(),
        count(|cell| matches!(cell, Cell::Gap(_)))
    ));
    ExitCode::from(u8::from(!failures.is_empty()))
}

/// The kinds of sources that no column is for.
fn without_fixture() -> impl Iterator<Item = &'static str> {
    let has = |kind: &str| FIXTURES.iter().any(|(name, _)| name.split(' ').next() == Some(kind));
    SOURCES.iter().map(|kind| kind.name).filter(move |kind| !has(kind))
}

/// Runs cases, several at a time, and returns how each ended.
fn run(wanted: &[(usize, usize)]) -> Vec<Cell> {
    let fixtures = start(wanted);
    let fixture = |column: usize| fixtures[column].clone().unwrap();
    let tasks =
        wanted.iter().map(|(column, row)| Task { column: *column, row: *row, fixture: fixture(*column) });
    let queue: Mutex<VecDeque<(usize, Task)>> = Mutex::new(tasks.enumerate().collect());
    let ended: Mutex<Vec<Option<Cell>>> = Mutex::new(vec![None; wanted.len()]);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((at, task)) = next(&queue) {
                    let cell = task.run();
                    say(&format!("test {} ... {}", task.name(), cell.word()));
                    ended.lock().unwrap()[at] = Some(cell);
                }
            });
        }
    });
    ended.into_inner().unwrap().into_iter().map(Option::unwrap).collect()
}

fn next(queue: &Mutex<VecDeque<(usize, Task)>>) -> Option<(usize, Task)> {
    queue.lock().unwrap().pop_front()
}

/// Starts the peers that are needed, all at the same time.
fn start(wanted: &[(usize, usize)]) -> Vec<Option<Started>> {
    let starting: Vec<_> = FIXTURES
        .iter()
        .enumerate()
        .map(|(column, (name, start))| {
            let is_needed = wanted.iter().any(|(wanted, _)| *wanted == column);
            is_needed.then(|| in_thread(format!("{name}: its peer"), move || Arc::from(start())))
        })
        .collect();
    starting.into_iter().map(|thread| thread.map(end_of)).collect()
}

impl Task {
    fn name(&self) -> String {
        format!("{}::{}", FIXTURES[self.column].0, CASES[self.row].name)
    }

    fn run(&self) -> Cell {
        let entry = &CASES[self.row];
        let fixture = match &self.fixture {
            Ok(fixture) => fixture.clone(),
            Err(why) => return Cell::Failed(format!("the peer did not start: {why}")),
        };
        if let Some(reason) = fixture.gap(entry.case) {
            return Cell::Gap(reason);
        }
        // A thread of its own: a case may take privileges from its thread, and what it says bears its name.
        let ended = end_of(in_thread(self.name(), move || (entry.run)(&Bench::new(fixture.as_ref()))));
        ended.map_or_else(Cell::Failed, |()| Cell::Passed)
    }
}

fn in_thread<T: Send + 'static>(
    name: String,
    work: impl FnOnce() -> T + Send + 'static,
) -> thread::JoinHandle<T> {
    thread::Builder::new().name(name).spawn(work).unwrap()
}

fn end_of<T>(thread: thread::JoinHandle<T>) -> Result<T, String> {
    thread.join().map_err(|panic| said_by(panic.as_ref()))
}

fn said_by(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a text").to_owned()
}

fn say(text: &str) {
    writeln!(std::io::stdout().lock(), "{text}").unwrap();
}
