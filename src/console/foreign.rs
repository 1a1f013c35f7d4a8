//! The output of one child: redacted line by line, and without what would command the terminal.

use std::collections::VecDeque;

use super::{Console, Piece};
use crate::github::workflow::StopCommands;
use crate::mask::Stream;
use crate::visible::without_colours;

/// How many of a child's last lines are kept for an error message.
const TAIL: usize = 12;
/// A line that is longer is printed in parts.
const LONGEST_LINE: usize = 64 * 1024;

/// The output of one child, redacted line by line. Under GitHub Actions it is enclosed by `::stop-commands::` and its
/// token, so that nothing in it is taken for a workflow command.
pub struct Foreign<'a> {
    console: &'a Console,
    out: Pipe,
    err: Pipe,
    stopped: Option<StopCommands>,
    tail: VecDeque<String>,
    edit: Option<Edit>,
}

/// Changes a line of a child before it is printed, or leaves it out.
pub type Edit = Box<dyn Fn(&str) -> Option<String> + Send>;

/// One pipe of a child: what is redacted of it and not yet printed, up to the end of its line.
struct Pipe {
    stream: Stream,
    line: Vec<u8>,
}

impl Console {
    /// The stream for one child's output.
    pub fn foreign(&self) -> Foreign<'_> {
        let mut state = self.state();
        // Without random numbers commands stay in force, and lines that look like some are broken.
        let stopped = if self.actions && !self.quiet { StopCommands::new().ok() } else { None };
        if let Some(stopped) = &stopped {
            state.print(Piece::Command(stopped.begin()));
        }
        let [out, err] = [(); 2].map(|()| Pipe { stream: state.redactor().stream(), line: Vec::new() });
        Foreign { console: self, out, err, stopped, tail: VecDeque::new(), edit: None }
    }
}

impl Foreign<'_> {
    /// The same stream with every line changed by `edit`, after it was redacted.
    #[must_use]
    pub fn edited(mut self, edit: Option<Edit>) -> Self {
        self.edit = edit;
        self
    }

    /// Takes bytes of the child's standard output.
    pub fn stdout(&mut self, bytes: &[u8]) {
        let lines = self.out.push(bytes);
        self.print(lines);
    }

    /// Takes bytes of the child's standard error.
    pub fn stderr(&mut self, bytes: &[u8]) {
        let lines = self.err.push(bytes);
        self.print(lines);
    }

    /// Prints what is left and takes commands again; returns the last lines.
    pub fn finish(mut self) -> Vec<String> {
        for lines in [self.out.finish(), self.err.finish()] {
            self.print(lines);
        }
        std::mem::take(&mut self.tail).into()
    }

    fn print(&mut self, lines: Vec<Vec<u8>>) {
        for mut line in lines {
            if let Some(edit) = &self.edit {
                match edit(&String::from_utf8_lossy(&line)) {
                    Some(edited) => line = edited.into_bytes(),
                    None => continue,
                }
            }
            if self.tail.len() == TAIL {
                self.tail.pop_front();
            }
            self.tail.push_back(without_colours(&String::from_utf8_lossy(&line)));
            line.push(b'\n');
            if !self.console.quiet {
                let is_guarded = self.stopped.is_some() || !self.console.actions;
                let piece = if is_guarded { Piece::Foreign(line) } else { Piece::ForeignUnguarded(line) };
                self.console.state().print(piece);
            }
        }
    }
}

impl Drop for Foreign<'_> {
    fn drop(&mut self) {
        if let Some(stopped) = &self.stopped {
            self.console.state().print(Piece::Command(stopped.end(true)));
        }
    }
}

impl Pipe {
    /// Redacts a chunk and returns the lines that it completes, without their ends.
    fn push(&mut self, chunk: &[u8]) -> Vec<Vec<u8>> {
        self.stream.push(chunk, &mut self.line);
        let end = self.line.iter().rposition(|byte| matches!(byte, b'\n' | b'\r'));
        let end =
            end.map(|end| end + 1).or_else(|| (self.line.len() > LONGEST_LINE).then_some(self.line.len()));
        let Some(end) = end else { return Vec::new() };
        let rest = self.line.split_off(end);
        split(&std::mem::replace(&mut self.line, rest))
    }

    fn finish(&mut self) -> Vec<Vec<u8>> {
        self.stream.finish(&mut self.line);
        split(&std::mem::take(&mut self.line))
    }
}

fn split(text: &[u8]) -> Vec<Vec<u8>> {
    text.split(|byte| matches!(byte, b'\n' | b'\r'))
        .filter(|line| !line.is_empty())
        .map(<[u8]>::to_vec)
        .collect()
}
