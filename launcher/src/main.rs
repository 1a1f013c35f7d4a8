//! The launcher as the image has it.

fn main() -> std::process::ExitCode {
    claude_secrets_launcher::run()
}
