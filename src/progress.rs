//! What is being done right now, for people in front of a terminal: a line with a moving mark for each thing that takes time.
//! Everywhere else, in logs and under GitHub Actions, nothing of this is printed.
//!
//! A process has one terminal, and so this is the process's: [`show`] switches it on. Lines that are printed meanwhile go
//! [`aside`]. What is shown are names and counts, and never a value.

use std::sync::OnceLock;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::visible::is_invisible;

/// How often the mark moves.
const TICK: Duration = Duration::from_millis(120);

/// The longest text; a line that wraps cannot be taken back.
const LONGEST: usize = 60;

static SHOWN: OnceLock<MultiProgress> = OnceLock::new();

/// One thing that is being done; its line goes when this is dropped.
pub struct Doing(Option<ProgressBar>);

/// Shows from now on what is being done, on standard error, if that is a terminal.
pub fn show() {
    SHOWN.get_or_init(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
}

/// Begins something that takes time. Shows nothing unless [`show`] was called.
pub fn begin(what: &str) -> Doing {
    let bar = SHOWN.get().map(|all| {
        let bar = all.add(ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
            bar.set_style(style);
        }
        bar.set_message(shortened(what));
        bar.enable_steady_tick(TICK);
        bar
    });
    Doing(bar)
}

/// Prints something while the lines of what is being done are out of the way.
pub fn aside<T>(print: impl FnOnce() -> T) -> T {
    match SHOWN.get() {
        Some(all) => all.suspend(print),
        None => print(),
    }
}

impl Doing {
    /// Says what of it is being done.
    pub fn tell(&self, what: &str) {
        if let Some(bar) = &self.0 {
            bar.set_message(shortened(what));
        }
    }
}

impl Drop for Doing {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// One line of at most so many characters that can be seen.
fn shortened(text: &str) -> String {
    let line: String =
        text.chars().map(|c| if c.is_control() || is_invisible(c) { ' ' } else { c }).collect();
    if line.chars().count() <= LONGEST {
        return line;
    }
    line.chars().take(LONGEST - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_terminal_nothing_is_shown_and_printing_goes_on() {
        let doing = begin("a thing");
        doing.tell("another");
        assert!(doing.0.is_none());
        assert_eq!(aside(|| 7), 7);
    }

    #[test]
    fn a_text_is_one_short_line() {
        assert_eq!(shortened("a\nb"), "a b");
        assert_eq!(shortened(&"x".repeat(100)).chars().count(), LONGEST);
    }
}
