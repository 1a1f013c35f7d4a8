//! The code of docs/worker.md, as it stands there, finds what the commands find.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::markdown::Page;

const PAGE: &str = "docs/worker.md";

/// A language of the page: what its block is called and defines, how its code is run, and what calls the function with the
/// name that is given, and prints the bytes.
struct Language {
    block: &'static str,
    marks: &'static str,
    program: &'static str,
    call: &'static str,
}

const LANGUAGES: &[Language] = &[
    Language {
        block: "python",
        marks: "def load(",
        program: "python3",
        call: "import sys\nsys.stdout.buffer.write(load(sys.argv[1]))\n",
    },
    Language {
        block: "js",
        marks: "function load(",
        program: "node",
        call: "process.stdout.write(load(process.argv[2]));\n",
    },
    Language { block: "sh", marks: "load() {", program: "sh", call: "load \"$1\"\n" },
];

/// The block of a language as a program of its own, which looks in another directory than a container's.
fn program(language: &Language, folder: &Path) -> PathBuf {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE)).unwrap();
    let blocks = Page::new(PAGE.into(), text).blocks(language.block);
    let block = blocks.iter().find(|block| block.text.contains(language.marks)).unwrap();
    let secrets = folder.join("secrets").display().to_string();
    assert_eq!(block.text.matches("/run/secrets").count(), 1, "{}", language.block);
    let code = block.text.replace("/run/secrets", &secrets);
    let file = folder.join("program");
    std::fs::write(&file, format!("{code}\n{}", language.call)).unwrap();
    file
}

fn run(language: &Language, file: &Path, variables: &[(&str, &str)]) -> (bool, Vec<u8>) {
    let mut command = Command::new(language.program);
    let path = std::env::var_os("PATH").unwrap();
    command.arg(file).arg("CST_KEY").env_clear().env("PATH", path);
    let done = command.envs(variables.iter().copied()).output().unwrap_or_else(|error| {
        panic!(
            "{}, which docs/worker.md has code for, does not start: {error}; scripts/test installs it",
            language.program
        )
    });
    (done.status.success(), done.stdout)
}

fn holds(language: &Language) {
    let folder = tempfile::tempdir().unwrap();
    let secrets = folder.path().join("secrets");
    let file = program(language, folder.path());
    let elsewhere = folder.path().join("elsewhere");
    let bytes = b"one\0\xff \n\n".to_vec();
    std::fs::write(&elsewhere, &bytes).unwrap();
    let (name, gone) = (elsewhere.to_str().unwrap(), "/no/such/file");
    let what = language.block;
    // There need not even be a directory.
    assert!(!run(language, &file, &[]).0, "{what}: a missing secret is an error");
    assert_eq!(
        run(language, &file, &[("CST_KEY", "three \"$x\"\n")]),
        (true, b"three \"$x\"\n".to_vec()),
        "{what}"
    );
    std::fs::create_dir(&secrets).unwrap();
    assert!(!run(language, &file, &[("CST_KEY", ""), ("CST_KEY_FILE", "")]).0, "{what}: empty is missing");
    let both = [("CST_KEY", "three"), ("CST_KEY_FILE", name)];
    assert_eq!(run(language, &file, &both), (true, bytes.clone()), "{what}");
    let wrong = run(language, &file, &[("CST_KEY", "three"), ("CST_KEY_FILE", gone)]);
    assert_eq!(wrong, (false, Vec::new()), "{what}: a path to nothing is an error, not the variable");
    std::fs::create_dir(secrets.join("cst_key")).unwrap();
    let odd = run(language, &file, &both);
    assert_eq!(odd, (false, Vec::new()), "{what}: what is there and cannot be read is an error");
    std::fs::remove_dir(secrets.join("cst_key")).unwrap();
    std::fs::write(secrets.join("cst_key"), b"first\n\xfe").unwrap();
    assert_eq!(run(language, &file, &both), (true, b"first\n\xfe".to_vec()), "{what}");
}

#[test]
fn the_python_of_the_page_finds_what_we_find() {
    holds(&LANGUAGES[0]);
}

#[test]
fn the_javascript_of_the_page_finds_what_we_find() {
    holds(&LANGUAGES[1]);
}

#[test]
fn the_shell_code_of_the_page_finds_what_we_find() {
    holds(&LANGUAGES[2]);
}
