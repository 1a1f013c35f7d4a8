//! The command line: one command a mode, and each action input that is no secret a flag of the same name.

use std::ffi::OsString;

use clap::builder::PossibleValuesParser;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command};
use clap_complete::Shell;

use crate::error::Code;
use crate::settings::{INPUTS, Input, Kind, Mode};

/// What the command line asks for.
pub enum Asked {
    /// To run a mode; `None` when the `mode` input decides.
    Run(Option<Mode>, ArgMatches),
    /// To print the manifest's JSON Schema.
    Schema,
    /// To print what stands behind an error, by its token.
    Explain(String),
    /// To print the version, the commit and the programs that are used.
    Version,
    /// To print what a shell needs for completing words of the command line, or the manual page.
    Text(Vec<u8>),
    /// To print what the stores must allow.
    Policy(ArgMatches),
    /// To tell what is here.
    Doctor(ArgMatches),
    /// To propose a manifest and a workflow.
    Init(ArgMatches),
    /// To print the secret of this name.
    Get(String),
    /// To start a program with secrets as variables: these, or all that are mounted.
    Exec(Vec<String>, Vec<OsString>),
    /// To say which secrets a worker can see: these, or all that are mounted.
    Seen(Vec<String>),
}

/// Reads the command line. Errors and `--help` come back as clap's own error, which prints itself.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Asked, clap::Error> {
    let mut matches = match command().try_get_matches_from(words) {
        Err(error) if error.kind() == ErrorKind::DisplayVersion => return Ok(Asked::Version),
        matches => matches?,
    };
    Ok(match matches.remove_subcommand() {
        Some((name, _)) if name == "schema" => Asked::Schema,
        Some((name, given)) if name == "explain" => Asked::Explain(flag(&given, "code").unwrap_or_default()),
        Some((name, mut given)) if name == "completions" => {
            let shell = given.remove_one::<Shell>("shell");
            Asked::Text(shell.map(completions).unwrap_or_default())
        }
        Some((name, _)) if name == "man" => Asked::Text(manual_page()?),
        Some((name, given)) if name == "policy" => Asked::Policy(given),
        Some((name, given)) if name == "init" => Asked::Init(given),
        Some((name, given)) if name == "doctor" => Asked::Doctor(given),
        Some((name, given)) if name == "get" => Asked::Get(flag(&given, "name").unwrap_or_default()),
        Some((name, mut given)) if name == "exec" => {
            let command = given.remove_many("command").into_iter().flatten().collect();
            Asked::Exec(texts(&mut given, "only"), command)
        }
        Some((name, mut given)) if name == "validate" && switch(&given, "worker") => {
            Asked::Seen(texts(&mut given, "names"))
        }
        Some((name, given)) => {
            Asked::Run(Mode::ALL.iter().find(|(token, _)| *token == name).map(|(_, mode)| *mode), given)
        }
        None => Asked::Run(None, matches),
    })
}

/// A flag's text; the flag of a secret input has the name `NAME-file`.
pub fn flag(matches: &ArgMatches, name: &str) -> Option<String> {
    matches.try_get_one::<String>(name).ok().flatten().cloned()
}

/// Whether `--verbose` was given.
pub fn is_verbose(matches: &ArgMatches) -> bool {
    switch(matches, "verbose")
}

/// Whether a flag without a value was given.
pub fn switch(matches: &ArgMatches, name: &str) -> bool {
    matches.try_get_one::<bool>(name).ok().flatten().copied().unwrap_or(false)
}

fn texts(matches: &mut ArgMatches, name: &str) -> Vec<String> {
    matches.remove_many(name).into_iter().flatten().collect()
}

fn command() -> Command {
    let root = Command::new("claude-secrets")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Deploys a Docker Compose project with its secrets as Docker secrets, from every store at once.")
        .after_help("Without a command the `mode` input decides, as under GitHub Actions. Exit statuses: 2 usage or manifest, 3 missing secrets, 4 a source failed, 5 delivery failed, 6 deployment failed, 7 a leak was found, 8 what runs is not what the last deployment left.")
        .arg(verbose());
    let modes = [
        (Mode::Deploy, "Runs the project with its secrets"),
        (Mode::CreateFiles, "Writes the secret files"),
        (Mode::CreateCompose, "Writes the override file; needs no values"),
        (Mode::Validate, "Checks everything and prints what a deployment would change"),
        (Mode::Drift, "Compares what runs with what the last deployment left; asks no source"),
        (Mode::Down, "Stops the project and removes the files, volumes and override file"),
    ];
    let root = modes.into_iter().fold(root, |root, (mode, about)| {
        let inputs = INPUTS.iter().filter(|input| input.name != "mode").map(argument);
        root.subcommand(Command::new(mode.name()).about(about).args(inputs).arg(verbose()).args(output()))
    });
    root.mut_subcommand(Mode::Validate.name(), |validate| validate.args(worker()))
        .subcommand(get())
        .subcommand(exec())
        .subcommand(policy())
        .subcommand(init())
        .subcommand(doctor())
        .subcommand(explain())
        .subcommand(Command::new("schema").about("Prints the JSON Schema of claude-secrets.yml"))
        .subcommand(
            Command::new("completions")
                .about("Prints what a shell needs to complete the words of this command line")
                .arg(Arg::new("shell").value_parser(clap::value_parser!(Shell)).required(true)),
        )
        .subcommand(Command::new("man").about("Prints the manual page"))
}

fn completions(shell: Shell) -> Vec<u8> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command(), "claude-secrets", &mut text);
    text
}

/// The page of the program, and below it one for each command.
fn manual_page() -> Result<Vec<u8>, clap::Error> {
    let mut text = Vec::new();
    let mut root = command();
    root.build();
    clap_mangen::Man::new(root.clone()).render(&mut text)?;
    for own in root.get_subcommands().filter(|own| own.get_name() != "help") {
        // Its name and synopsis are the page's already.
        let page = clap_mangen::Man::new(own.clone());
        text.extend_from_slice(format!("\n.SH COMMAND {}\n", own.get_name().to_uppercase()).as_bytes());
        page.render_synopsis_section(&mut text)?;
        page.render_description_section(&mut text)?;
        page.render_options_section(&mut text)?;
    }
    Ok(text)
}

fn worker() -> [Arg; 2] {
    let about = "In a container: says which secrets this process can load, from where, and their shape; needs no project";
    [
        Arg::new("worker").long("worker").action(ArgAction::SetTrue).help(about),
        Arg::new("names")
            .value_name("NAME")
            .num_args(0..)
            .requires("worker")
            .help("With --worker: the secrets that must be there. Default: all that are mounted"),
    ]
}

fn get() -> Command {
    Command::new("get")
        .about("In a container: prints a secret's bytes exactly, with no line end added")
        .after_help(PLACES)
        .arg(Arg::new("name").value_name("NAME").required(true).help("The secret's name"))
}

fn exec() -> Command {
    Command::new("exec")
        .about("In a container: starts a program that reads only variables, with its secrets in them")
        .after_help(PLACES)
        .arg(
            Arg::new("only")
                .long("only")
                .value_name("NAMES")
                .value_delimiter(',')
                .help("The secrets to set. Default: all that are mounted"),
        )
        .arg(
            Arg::new("command")
                .value_name("COMMAND")
                .value_parser(clap::value_parser!(OsString))
                .num_args(1..)
                .last(true)
                .required(true)
                .help("The program and its arguments"),
        )
}

/// Where the commands for containers look.
const PLACES: &str = "A secret is looked for in /run/secrets, in a file of its name in lower case; then in the file that the variable NAME_FILE names; then in the variable NAME.";

fn explain() -> Command {
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.token()).collect();
    Command::new("explain").about("Tells the causes of an error and how to put it right").arg(
        Arg::new("code")
            .value_name("CODE")
            .required(true)
            .hide_possible_values(true)
            .value_parser(PossibleValuesParser::new(codes))
            .help("The error's code, as `error-code` has it"),
    )
}

fn policy() -> Command {
    let about = "Prints the least that each store must allow for what the manifest declares; asks no store";
    let source = Arg::new("source")
        .value_name("SOURCE")
        .help("The id of one source. Default: every one that is named");
    let without = Arg::new("without-batch")
        .long("without-batch")
        .action(ArgAction::SetTrue)
        .help("AWS: without BatchGetSecretValue, whose permission is wider");
    let read = |input: &&Input| input.of_a_store || POLICY_READS.contains(&input.name);
    let inputs = INPUTS.iter().filter(read).map(argument);
    Command::new("policy").about(about).arg(source).arg(without).args(inputs)
}

fn init() -> Command {
    let about = "Proposes claude-secrets.yml, a workflow and the list of GitHub secrets for an existing Compose project";
    let write = Arg::new("write").long("write").action(ArgAction::SetTrue).help(
        "Writes the files that are not there. Without it they are only shown; what is there is never changed",
    );
    let inputs = INPUTS.iter().filter(|input| INIT_READS.contains(&input.name)).map(argument);
    Command::new("init").about(about).arg(write).args(inputs)
}

fn doctor() -> Command {
    let about = "Tells what is here, to paste into an issue: programs, engine, rights, sources, hosts; asks no store, tells no value";
    let reads = |input: &&Input| {
        input.of_a_store || POLICY_READS.contains(&input.name) || DOCTOR_READS.contains(&input.name)
    };
    Command::new("doctor").about(about).args(INPUTS.iter().filter(reads).map(argument))
}

/// The inputs that decide what is contacted.
const DOCTOR_READS: &[&str] = &["env-file", "docker-host"];

/// The inputs that decide where a project is.
const INIT_READS: &[&str] = &["project-directory", "compose-files", "project-name"];

/// The inputs that decide what is declared.
const POLICY_READS: &[&str] =
    &["secrets", "config", "sources", "prefix", "environment", "project-directory", "compose-files"];

/// How a run tells what it did; read like inputs, by [`flag`].
fn output() -> [Arg; 2] {
    [
        Arg::new("quiet")
            .long("quiet")
            .short('q')
            .value_name("true|false")
            .value_parser(["true", "false"])
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .conflicts_with("verbose")
            .help("Prints warnings, errors and how the run ended, and nothing else"),
        Arg::new("format")
            .long("format")
            .value_parser(["text", "json"])
            .help("With json, the report goes to standard output as JSON, and the log to standard error"),
    ]
}

fn verbose() -> Arg {
    Arg::new("verbose")
        .long("verbose")
        .short('v')
        .action(ArgAction::SetTrue)
        .help("Prints every command that is run")
}

fn argument(input: &'static Input) -> Arg {
    let arg = Arg::new(input.name).long(input.name).help(help(input));
    match input.kind {
        Kind::Text | Kind::List => arg.value_name(value_name(input)),
        Kind::Switch => {
            arg.value_name("true|false").num_args(0..=1).require_equals(true).default_missing_value("true")
        }
        // A flag never takes a secret: argv is readable by everyone.
        Kind::Secret => {
            let name = match input.name {
                "github-secrets" => "github-secrets-file",
                "github-token" => "github-token-file",
                _ => "registries-file",
            };
            Arg::new(name).long(name).value_name("FILE").help(format!("A file with this: {}", input.help))
        }
    }
}

fn value_name(input: &Input) -> &'static str {
    if input.kind == Kind::List { "LIST" } else { "TEXT" }
}

fn help(input: &Input) -> String {
    if input.default.is_empty() {
        input.help.to_owned()
    } else {
        format!("{} [default: {}]", input.help, input.default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<std::ffi::OsString> {
        std::iter::once("claude-secrets").chain(text.split_whitespace()).map(Into::into).collect()
    }

    #[test]
    fn the_command_line_is_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn every_shell_gets_completions_and_the_page_has_every_command() {
        for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
            let Ok(Asked::Text(text)) = parse(words(&format!("completions {shell}"))) else {
                panic!("{shell}")
            };
            let text = String::from_utf8(text).unwrap();
            assert!(text.contains("on-source-error") && text.contains("create-compose"), "{shell}");
        }
        let Ok(Asked::Text(page)) = parse(words("man")) else { panic!() };
        let page = String::from_utf8(page).unwrap();
        for own in command().get_subcommands() {
            let heading = format!(".SH COMMAND {}\n", own.get_name().to_uppercase());
            assert!(page.contains(&heading), "{heading}");
        }
        assert!(page.contains("on\\-source\\-error"), "{page}");
    }

    #[test]
    fn every_input_that_is_no_secret_is_a_flag_and_no_secret_is() {
        for input in INPUTS.iter().filter(|input| input.name != "mode") {
            let line = words(&format!(
                "deploy --{}={}",
                input.name,
                if input.kind == Kind::Switch { "true" } else { "x" }
            ));
            assert_eq!(parse(line).is_ok(), input.kind != Kind::Secret, "{}", input.name);
            if input.kind == Kind::Secret {
                assert!(parse(words(&format!("deploy --{}-file=x", input.name))).is_ok(), "{}", input.name);
            }
        }
    }

    #[test]
    fn what_is_told_is_chosen_by_flags() {
        let Ok(Asked::Run(_, given)) = parse(words("deploy -q --format json")) else { panic!() };
        let told = |name| flag(&given, name);
        assert_eq!((told("quiet").as_deref(), told("format").as_deref()), (Some("true"), Some("json")));
        for line in ["deploy --format yaml", "deploy --quiet --verbose"] {
            assert!(parse(words(line)).is_err(), "{line}");
        }
    }

    #[test]
    fn a_switch_needs_no_value() {
        let Ok(Asked::Run(mode, given)) = parse(words("deploy --strict --wait=false")) else { panic!() };
        assert_eq!(mode, Some(Mode::Deploy));
        assert_eq!(
            (flag(&given, "strict").as_deref(), flag(&given, "wait").as_deref()),
            (Some("true"), Some("false"))
        );
    }
}
