//! Keeps the memory of this process to itself: no core dumps, no reading by other processes of the same user.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Hardens this process. Call it first of all. What the system refuses is left: it is a second line of defence.
pub fn process() {
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    // A panic's message may quote what it choked on.
    std::panic::set_hook(Box::new(|info| {
        use std::io::Write;
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(
            std::io::stderr(),
            "claude-secrets: a fault of this program at {place}; please report it"
        );
    }));
}
