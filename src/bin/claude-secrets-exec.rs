//! The launcher, which stands before a service's program. All of it is in the package `launcher`.

fn main() -> std::process::ExitCode {
    claude_secrets_launcher::run()
}
