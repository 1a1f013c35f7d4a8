//! The one output stream: every line of ours and of every child passes here, redacted once the masks are known.

use std::io::Write;
use std::sync::Mutex;

use crate::github::workflow;
use crate::mask::{Plan, Redactor};
use crate::settings::Platform;

/// How many of a child's last lines are kept for an error message.
const TAIL: usize = 12;

/// The stream. Under GitHub Actions it is standard output and speaks workflow commands; elsewhere standard error, so
/// that standard output stays free for what a command is asked to print.
pub struct Console {
    state: Mutex<State>,
    actions: bool,
    debug: bool,
}

struct State {
    out: Box<dyn Write + Send>,
    redactor: Option<Redactor>,
    in_group: bool,
}

/// The output of one child, redacted line by line. Under GitHub Actions it stands between `::stop-commands::` and its
/// token, so that nothing in it is taken for a workflow command.
pub struct Foreign<'a> {
    console: &'a Console,
    out: Vec<u8>,
    err: Vec<u8>,
    token: Option<String>,
    tail: std::collections::VecDeque<String>,
}

impl Console {
    /// The stream for where the run stands.
    pub fn new(platform: &Platform) -> Self {
        let out: Box<dyn Write + Send> =
            if platform.actions { Box::new(std::io::stdout()) } else { Box::new(std::io::stderr()) };
        Self::to(out, platform)
    }

    /// The stream into any writer, as for tests.
    pub fn to(out: Box<dyn Write + Send>, platform: &Platform) -> Self {
        Self {
            state: Mutex::new(State { out, redactor: None, in_group: false }),
            actions: platform.actions,
            debug: platform.debug,
        }
    }

    /// Prints the masks, under GitHub Actions only (elsewhere that would be the leak), and redacts from here on.
    pub fn arm(&self, plan: &Plan) {
        let mut state = self.state();
        if self.actions {
            for mask in plan.workflow_masks() {
                state.raw(&workflow::add_mask(&mask));
            }
            let _ = state.out.flush();
        }
        state.redactor = Some(Redactor::new(plan));
    }

    /// Prints a line, or several.
    pub fn line(&self, text: &str) {
        self.state().text(text);
    }

    /// Opens a group of lines; one that is open is closed.
    pub fn group(&self, title: &str) {
        self.end_group();
        let mut state = self.state();
        if self.actions {
            state.text(&workflow::group(title));
            state.in_group = true;
        } else {
            state.text(title);
        }
    }

    /// Closes the group that is open.
    pub fn end_group(&self) {
        let mut state = self.state();
        if std::mem::take(&mut state.in_group) {
            state.text(&workflow::endgroup());
        }
    }

    /// Prints a warning: an annotation under GitHub Actions.
    pub fn warning(&self, text: &str) {
        self.annotated(text, "warning: ", workflow::warning);
    }

    /// Prints an error: an annotation under GitHub Actions.
    pub fn error(&self, text: &str) {
        self.annotated(text, "error: ", workflow::error);
    }

    /// Whether details are wanted.
    pub fn is_debug(&self) -> bool {
        self.debug
    }

    /// A copy of the bytes without any value; as they are before the masks are known.
    pub fn redacted(&self, bytes: &[u8]) -> Vec<u8> {
        self.state().redact(bytes)
    }

    /// Names of the secrets whose values the bytes hold, in any form that is masked.
    pub fn secrets_in(&self, bytes: &[u8]) -> Vec<String> {
        self.state().redactor.as_ref().map(|redactor| redactor.names_in(bytes)).unwrap_or_default()
    }

    /// The stream for one child's output.
    pub fn foreign(&self) -> Foreign<'_> {
        let token = self.actions.then(workflow::random_token);
        if let Some(token) = &token {
            self.state().text(&workflow::stop_commands(token));
        }
        Foreign { console: self, out: Vec::new(), err: Vec::new(), token, tail: std::collections::VecDeque::new() }
    }

    fn annotated(&self, text: &str, label: &str, command: fn(&str) -> String) {
        let mut state = self.state();
        if self.actions {
            let safe = state.redact(text.as_bytes());
            state.raw(command(&String::from_utf8_lossy(&safe)).as_bytes());
        } else {
            state.text(&format!("{label}{text}"));
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // A panic while the lock was held leaves a stream that still works.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl State {
    fn redact(&self, bytes: &[u8]) -> Vec<u8> {
        match &self.redactor {
            Some(redactor) => redactor.redact(bytes).into_owned(),
            None => bytes.to_vec(),
        }
    }

    fn text(&mut self, text: &str) {
        let safe = self.redact(text.as_bytes());
        self.raw(&safe);
    }

    /// Writes a line at once. A reader that has gone away is no reason to stop a deployment.
    fn raw(&mut self, line: &[u8]) {
        let _ = self.out.write_all(line).and_then(|()| self.out.write_all(b"\n")).and_then(|()| self.out.flush());
    }
}

impl Foreign<'_> {
    /// Takes bytes of the child's standard output.
    pub fn stdout(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
        let pending = std::mem::take(&mut self.out);
        self.out = self.lines(pending);
    }

    /// Takes bytes of the child's standard error.
    pub fn stderr(&mut self, bytes: &[u8]) {
        self.err.extend_from_slice(bytes);
        let pending = std::mem::take(&mut self.err);
        self.err = self.lines(pending);
    }

    /// Prints what is left and takes commands again; returns the last lines.
    pub fn finish(mut self) -> Vec<String> {
        for rest in [std::mem::take(&mut self.out), std::mem::take(&mut self.err)] {
            if !rest.is_empty() {
                self.line(&rest);
            }
        }
        std::mem::take(&mut self.tail).into()
    }

    /// Prints the whole lines and returns the rest. No pattern holds a line end, so a whole line is redacted for good.
    fn lines(&mut self, mut pending: Vec<u8>) -> Vec<u8> {
        let Some(end) = pending.iter().rposition(|byte| matches!(byte, b'\n' | b'\r')) else {
            return pending;
        };
        let rest = pending.split_off(end + 1);
        for line in pending.split(|byte| matches!(byte, b'\n' | b'\r')).filter(|line| !line.is_empty()) {
            self.line(line);
        }
        rest
    }

    fn line(&mut self, line: &[u8]) {
        let safe = self.console.redacted(line);
        self.console.state().raw(&safe);
        if self.tail.len() == TAIL {
            self.tail.pop_front();
        }
        self.tail.push_back(String::from_utf8_lossy(&safe).into_owned());
    }
}

impl Drop for Foreign<'_> {
    fn drop(&mut self) {
        if let Some(token) = &self.token {
            self.console.state().text(&workflow::resume_commands(token));
        }
    }
}
