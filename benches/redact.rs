//! The redactor as a program, for `scripts/bench`: copies standard input to standard output without the values of a file
//! (one a line), and says on standard error how long its plan took and how large it is.

#![allow(clippy::print_stderr)] // what it measured goes there

use std::io::{self, Read, Write};
use std::time::Instant;

use claude_secrets::mask::{Plan, Redactor};

/// As much as one read of a pipe gives at most.
const CHUNK: usize = 64 * 1024;

fn main() -> io::Result<()> {
    let Some(values) = std::env::args_os().nth(1) else {
        return Err(io::Error::other("the file of values is missing: redact VALUES <LOG"));
    };
    let values = std::fs::read(values)?;
    let values: Vec<&[u8]> = values.split(|byte| *byte == b'\n').filter(|value| !value.is_empty()).collect();
    let names: Vec<String> = (0..values.len()).map(|number| format!("SECRET_{number}")).collect();

    let start = Instant::now();
    let plan = Plan::new(names.iter().map(String::as_str).zip(values));
    let planned = start.elapsed();
    let start = Instant::now();
    let redactor = Redactor::new(&plan);
    let built = start.elapsed();
    eprintln!(
        "{} secrets, {} patterns, {} kB of memory, planned in {} ms, redactor built in {} ms",
        names.len(),
        plan.len(),
        (plan.memory() + redactor.memory()) / 1024,
        planned.as_millis(),
        built.as_millis()
    );

    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let mut stream = redactor.stream();
    let mut chunk = vec![0; CHUNK];
    let mut redacted = Vec::new();
    loop {
        let length = input.read(&mut chunk)?;
        if length == 0 {
            stream.finish(&mut redacted);
            return output.write_all(&redacted);
        }
        stream.push(&chunk[..length], &mut redacted);
        output.write_all(&redacted)?;
        redacted.clear();
    }
}
