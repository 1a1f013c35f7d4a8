//! Hardens the process, reads what the user said, runs it, and exits with the status that tells how it went.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use claude_secrets::cli::{self, Asked};
use claude_secrets::commands;
use claude_secrets::console::Console;
use claude_secrets::error::{Code, Error};
use claude_secrets::harden;
use claude_secrets::interrupt::Interrupt;
use claude_secrets::manifest;
use claude_secrets::mask::Redactor;
use claude_secrets::sensitive::Sensitive;
use claude_secrets::settings::{self, Environment, Given, Settings};

fn main() -> ExitCode {
    harden::process();
    match cli::parse(std::env::args_os()) {
        Ok(Asked::Schema) => print(&format!("{:#}\n", manifest::schema())),
        Ok(Asked::Policy(matches)) => policy(&matches),
        Ok(Asked::Run(mode, matches)) => given(&matches, |given| start(mode, given)),
        Err(error) => {
            misread(&error);
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
        }
    }
}

/// Hands on what was given by flags and by the process: this is where the program looks at its surroundings.
fn given<T>(matches: &clap::ArgMatches, read: impl FnOnce(&Given) -> T) -> T {
    let variables = Environment::of_this_process();
    let here = std::env::current_dir().unwrap_or_default();
    read(&Given {
        flags: &|name| cli::flag(matches, name),
        variables: &variables,
        current_directory: &here,
        verbose: cli::is_verbose(matches),
    })
}

fn start(mode: Option<settings::Mode>, given: &Given) -> ExitCode {
    let platform = settings::platform(given);
    let console = Arc::new(Console::new(&platform, Sensitive::in_environment(given.variables)));
    console.take_log_of_this_process();
    let status = match Settings::read(mode, given) {
        Ok(settings) => {
            run(settings, &console).map_err(|error| Error::new(Code::Internal, format!("{error:#}")))
        }
        Err(error) => Err(error),
    };
    match status {
        Ok(status) => ExitCode::from(status),
        Err(error) => ExitCode::from(commands::refuse(&error, &platform, &console)),
    }
}

fn policy(matches: &clap::ArgMatches) -> ExitCode {
    let only = cli::flag(matches, "source");
    let batch = !cli::switch(matches, "without-batch");
    let made = given(matches, |given| Settings::read(Some(settings::Mode::Validate), given))
        .and_then(|settings| commands::policy(&settings, only.as_deref(), batch));
    match made {
        Ok((texts, titles)) => {
            complain(&titles);
            print(&texts)
        }
        Err(error) => {
            complain(&redacted(&format!("error: {error}\n")));
            ExitCode::from(error.code.exit_status())
        }
    }
}

/// Prints what the command line's parser says. It quotes what it was given, and somebody may have given a secret.
fn misread(error: &clap::Error) {
    let text = error.to_string();
    if redacted(&text) == text {
        let _ = error.print();
    } else {
        complain(&redacted(&text));
    }
}

/// A text without anything that the variables of this process tell to be secret.
fn redacted(text: &str) -> String {
    let known = Sensitive::in_environment(&Environment::of_this_process());
    let redactor = Redactor::new(&known.plan([]));
    String::from_utf8_lossy(&redactor.redact_line(text.as_bytes())).into_owned()
}

/// Runs the mode and returns the exit status. An error is one of the system's: the run could not begin.
fn run(settings: Settings, console: &Arc<Console>) -> anyhow::Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("the program cannot start")?;
    let status = runtime.block_on(async {
        let interrupt = Interrupt::listen().context("the program cannot listen for signals")?;
        Ok(commands::run(settings, console.clone(), interrupt).await)
    });
    // A name server that does not answer keeps a thread for longer than any time that the user gave.
    runtime.shutdown_background();
    status
}

fn complain(text: &str) {
    use std::io::Write;
    let _ = std::io::stderr().write_all(text.as_bytes());
}

fn print(text: &str) -> ExitCode {
    use std::io::Write;
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
