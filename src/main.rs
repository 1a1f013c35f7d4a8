//! Hardens the process, reads what the user said, runs it, and exits with the status that tells how it went.
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::os::fd::AsFd as _;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use claude_secrets::cli::{self, Asked};
use claude_secrets::commands;
use claude_secrets::console::Console;
use claude_secrets::error::{Code, Error, catalogue};
use claude_secrets::harden;
use claude_secrets::interrupt::Interrupt;
use claude_secrets::manifest;
use claude_secrets::mask::Redactor;
use claude_secrets::progress;
use claude_secrets::secret::SecretName;
use claude_secrets::sensitive::Sensitive;
use claude_secrets::settings::{self, Environment, Given, Settings};
use claude_secrets::version;
use claude_secrets::visible::in_lines;
use claude_secrets::worker::{self, Worker};

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|command| command == "exec") {
        harden::until_another_program();
    } else {
        harden::process();
    }
    match cli::parse(std::env::args_os()) {
        Ok(Asked::Schema) => print(&format!("{:#}\n", manifest::schema())),
        Ok(Asked::Explain(token)) => {
            print(&Code::of_token(&token).map(catalogue::section).unwrap_or_default())
        }
        Ok(Asked::Version) => print(&version::text(&Environment::of_this_process())),
        Ok(Asked::Text(text)) => print_bytes(&text),
        Ok(Asked::Policy(matches)) => policy(&matches),
        Ok(Asked::Init(matches)) => init(&matches),
        Ok(Asked::Doctor(matches)) => doctor(&matches),
        Ok(Asked::Get(name)) => get(&name),
        Ok(Asked::Exec(only, command)) => exec(&only, command),
        Ok(Asked::Seen(names)) => seen(&names),
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
    if platform.terminal.is_some() && !platform.quiet && !platform.debug {
        progress::show();
    }
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
            print(&in_lines(&texts))
        }
        Err(error) => refuse(&error),
    }
}

fn init(matches: &clap::ArgMatches) -> ExitCode {
    let write = cli::switch(matches, "write");
    told(matches, async |settings: &Settings, console: &Arc<Console>, interrupt: &Interrupt| {
        commands::init(settings, console, interrupt, write).await
    })
}

fn doctor(matches: &clap::ArgMatches) -> ExitCode {
    told(matches, async |settings: &Settings, console: &Arc<Console>, interrupt: &Interrupt| {
        Ok(commands::doctor(settings, console, interrupt).await)
    })
}

/// Prints what a command makes that is no run: it has no report, and tells nothing while it works.
fn told(
    matches: &clap::ArgMatches,
    make: impl AsyncFnOnce(&Settings, &Arc<Console>, &Interrupt) -> Result<String, Error>,
) -> ExitCode {
    let read = given(matches, |given| Settings::read(Some(settings::Mode::Validate), given));
    let text = read.and_then(|settings| {
        let known = Sensitive::in_environment(&settings.variables);
        let console = Arc::new(Console::new(&settings.platform, known));
        console.release();
        let work = async |interrupt: Interrupt| make(&settings, &console, &interrupt).await;
        runtime(work).unwrap_or_else(|error| Err(Error::new(Code::Internal, format!("{error:#}"))))
    });
    match text {
        Ok(text) => print(&in_lines(&text)),
        Err(error) => refuse(&error),
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
    runtime(async |interrupt: Interrupt| Box::pin(commands::run(settings, console.clone(), interrupt)).await)
}

/// Does something that waits for programs and servers. An error is one of the system's: it could not begin.
fn runtime<T>(work: impl AsyncFnOnce(Interrupt) -> T) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("the program cannot start")?;
    let done = runtime.block_on(async {
        let interrupt = Interrupt::listen().context("the program cannot listen for signals")?;
        Ok(work(interrupt).await)
    });
    // A name server that does not answer keeps a thread for longer than any time that the user gave.
    runtime.shutdown_background();
    done
}

fn get(name: &str) -> ExitCode {
    match worker::load(name).and_then(|value| worker::printable(value, std::io::stdout().is_terminal())) {
        Ok(value) => print_bytes(value.expose()),
        Err(error) => refuse(&error),
    }
}

fn exec(only: &[String], command: Vec<OsString>) -> ExitCode {
    match names(only) {
        Ok(only) => {
            let (said, status) = Worker::of_this_process().start(&only, command);
            complain(&said);
            ExitCode::from(status)
        }
        Err(error) => refuse(&error),
    }
}

fn seen(given: &[String]) -> ExitCode {
    let (text, end) = match names(given) {
        Ok(given) => Worker::of_this_process().seen(&given),
        Err(error) => return refuse(&error),
    };
    let printed = print(&text);
    end.map_or_else(|error| refuse(&error), |()| printed)
}

fn names(texts: &[String]) -> Result<Vec<SecretName>, Error> {
    texts.iter().map(|text| worker::name(text)).collect()
}

fn refuse(error: &Error) -> ExitCode {
    complain(&redacted(&format!("error: {error}\n")));
    ExitCode::from(error.code.exit_status())
}

fn complain(text: &str) {
    use std::io::Write;
    let _ = std::io::stderr().write_all(in_lines(text).as_bytes());
}

fn print(text: &str) -> ExitCode {
    print_bytes(text.as_bytes())
}

fn print_bytes(bytes: &[u8]) -> ExitCode {
    use std::io::Write;
    // Not by the buffer of standard output, which would keep what comes after the last line end, and a copy of it.
    let written = std::io::stdout().as_fd().try_clone_to_owned().map(std::fs::File::from);
    match written.and_then(|mut out| out.write_all(bytes)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
