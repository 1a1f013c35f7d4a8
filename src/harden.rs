//! Keeps the memory of this process to itself: no core dumps, no reading by other processes of the same user.

use std::sync::OnceLock;

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

/// The limit of core dumps as it was.
static CORE: OnceLock<Rlimit> = OnceLock::new();

/// Hardens this process. Call it first of all. What the system refuses is left: it is a second line of defence.
pub fn process() {
    harden(Rlimit { current: Some(0), maximum: Some(0) });
}

/// The same for a process that another program will replace: what that would inherit can be put back.
pub fn until_another_program() {
    let before = CORE.get_or_init(|| getrlimit(Resource::Core));
    harden(Rlimit { current: Some(0), maximum: before.maximum });
}

/// Puts back what a program that is started in this process's place would inherit.
pub fn undo_for_another_program() {
    if let Some(before) = CORE.get() {
        let _ = setrlimit(Resource::Core, *before);
    }
}

fn harden(core: Rlimit) {
    let _ = setrlimit(Resource::Core, core);
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
