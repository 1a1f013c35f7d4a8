//! The three sources as a run opens them: what each finds, what it calls absent, denied or failed, and what it warns of.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

#[path = "support/opening.rs"]
mod opening;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

use claude_secrets::error::Error;
use claude_secrets::resolve::{Resolution, State, resolve};
use claude_secrets::sources;

struct Case {
    project: tempfile::TempDir,
    lines: &'static str,
    manifest: String,
    variables: Vec<(String, String)>,
}

impl Case {
    fn new(lines: &'static str) -> Self {
        Self { project: tempfile::tempdir().unwrap(), lines, manifest: String::new(), variables: Vec::new() }
    }

    fn file(self, name: &str, text: impl AsRef<[u8]>, mode: u32) -> Self {
        let path = self.project.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    fn manifest(mut self, text: &str) -> Self {
        self.manifest = text.into();
        self
    }

    async fn resolve(&self) -> Result<Resolution, Error> {
        let settings = opening::settings(self.variables.clone(), self.project.path())?;
        let manifest = opening::manifest(&settings, Some(self.lines), &self.manifest).unwrap();
        let opened = opening::open(&settings, &manifest, self.project.path())?;
        Ok(resolve(manifest, &opened, &settings).await)
    }

    /// The first secret: its value and where it was, or what is wrong.
    async fn first(&self) -> String {
        let resolution = match self.resolve().await {
            Ok(resolution) => resolution,
            Err(error) => return format!("error {}", error.code.token()),
        };
        let first = &resolution.secrets[0];
        match (&first.value, &first.origin) {
            (Some(value), Some(origin)) => {
                format!("{} from {}", String::from_utf8_lossy(value.expose()), origin.place)
            }
            _ => format!("{:?}", first.state),
        }
    }
}

#[tokio::test]
async fn env_looks_at_the_file_the_variable_the_input_and_github_secrets_in_this_order() {
    let all = || {
        Case::new("KEY")
            .file("key.txt", "from file\n", 0o600)
            .variable("KEY_FILE", "key.txt")
            .variable("KEY", "from variable")
            .variable("INPUT_KEY", "from input")
            .variable("INPUT_GITHUB-SECRETS", r#"{"KEY":"from json","OTHER":"x"}"#)
    };
    assert_eq!(all().first().await, "from file\n from KEY_FILE");
    let without = |names: &[&str]| {
        let mut case = all();
        case.variables.retain(|(name, _)| !names.contains(&name.as_str()));
        case
    };
    assert_eq!(without(&["KEY_FILE"]).first().await, "from variable from variable KEY");
    assert_eq!(without(&["KEY_FILE", "KEY"]).first().await, "from input from input KEY");
    assert_eq!(without(&["KEY_FILE", "KEY", "INPUT_KEY"]).first().await, "from json from github-secrets");
}

#[tokio::test]
async fn an_empty_variable_is_absent_and_a_named_file_that_is_not_there_is_a_failure() {
    assert_eq!(Case::new("KEY").variable("KEY", "").first().await, "Missing");
    assert_eq!(Case::new("KEY").variable("KEY_FILE", "nowhere").variable("KEY", "v").first().await, "Failed");
}

#[tokio::test]
async fn github_secrets_that_are_no_object_of_texts_are_refused_without_an_echo() {
    for text in ["canary-not-json", r#"["canary"]"#, r#"{"KEY":5}"#, r#"{"KEY":"canary""#] {
        let case = Case::new("KEY").variable("INPUT_GITHUB-SECRETS", text);
        let error = case.resolve().await.err().unwrap();
        assert_eq!(error.code.token(), "github-secrets-invalid");
        assert!(!error.to_string().contains("canary"), "{error}");
    }
}

#[tokio::test]
async fn dotenv_takes_values_literally_and_later_files_win() {
    let case = Case::new("KEY").file(".env", "KEY='a$b'\nEMPTY=\n", 0o600);
    assert_eq!(case.first().await, "a$b from .env line 1");
    let two = Case::new("KEY")
        .file("a.env", "KEY=one\n", 0o600)
        .file("b.env", "\nexport KEY=two # why\n", 0o600)
        .variable("INPUT_ENV-FILE", "a.env\nb.env");
    assert_eq!(two.first().await, "two from b.env line 2");
    let template = Case::new("KEY").file(".env", "KEY=\n", 0o600).variable("KEY", "real");
    assert_eq!(template.first().await, "real from variable KEY");
}

#[tokio::test]
async fn dotenv_warns_of_dollars_of_open_files_and_of_tracked_ones() {
    let case = Case::new("KEY").file(".env", "KEY=p$w0rdTail\nOTHER=$x\n", 0o644);
    let git = |words: &[&str]| {
        let done =
            std::process::Command::new("git").args(words).current_dir(case.project.path()).output().unwrap();
        assert!(done.status.success());
    };
    git(&["init", "-q"]);
    git(&["add", ".env"]);
    let resolution = case.resolve().await.unwrap();
    let warnings: Vec<&str> = resolution.warnings.iter().map(|warning| warning.fact.as_str()).collect();
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(warnings.iter().any(|text| text.contains("mode 644")));
    assert!(warnings.iter().any(|text| text.contains("tracked by git")));
    assert!(warnings.iter().any(|text| text.contains("KEY") && !text.contains("w0rdTail")));
}

#[tokio::test]
async fn a_dotenv_file_that_is_named_and_missing_or_malformed_is_an_error() {
    let missing = Case::new("KEY").variable("INPUT_ENV-FILE", "nowhere.env").variable("KEY", "v");
    assert_eq!(missing.first().await, "error source-failed");
    let malformed = Case::new("KEY").file(".env", "KEY=\"canary\n", 0o600);
    let error = malformed.resolve().await.err().unwrap();
    assert!(error.to_string().contains(".env: line 1") && !error.to_string().contains("canary"), "{error}");
}

#[tokio::test]
async fn docker_secrets_reads_the_directory_that_the_manifest_names() {
    let manifest = "sources: {docker-secrets: {dir: host}}\nsecrets: {KEY: }";
    let case = Case::new("KEY").manifest(manifest).file("host/key", "bytes\n", 0o600);
    let place = case.project.path().join("host/key");
    assert_eq!(case.first().await, format!("bytes\n from {}", place.display()));
    assert_eq!(Case::new("KEY").manifest(manifest).first().await, "error source-failed");
    let own = "sources: {docker-secrets: {dir: data/secrets}}\nsecrets: {KEY: }";
    let output_as_input = Case::new("KEY").manifest(own).file("data/secrets/key", "x", 0o600);
    assert_eq!(output_as_input.first().await, "error manifest-invalid");
}

#[tokio::test]
async fn sources_names_the_order_and_what_is_not_configured_is_an_error() {
    let order =
        Case::new("KEY = env:KEY | dotenv:KEY").variable("KEY", "same").file(".env", "KEY=same\n", 0o600);
    assert_eq!(order.first().await, "same from variable KEY");
    let pinned = Case::new("KEY").variable("INPUT_SOURCES", "env, dotenv").variable("KEY", "same").file(
        ".env",
        "KEY=same\n",
        0o600,
    );
    assert_eq!(pinned.first().await, "same from variable KEY");
    let missing = Case::new("KEY").variable("INPUT_SOURCES", "dotenv").variable("KEY", "v");
    assert_eq!(missing.first().await, "error source-unknown");
}

#[tokio::test]
async fn values_of_any_bytes_and_of_a_megabyte_arrive_whole() {
    let big: Vec<u8> = (0..=250).cycle().take(1024 * 1024).collect();
    let case = Case::new("KEY").file("big", &big, 0o600).variable("KEY_FILE", "big");
    let resolution = case.resolve().await.unwrap();
    assert_eq!(resolution.secrets[0].state, State::Found);
    assert!(resolution.secrets[0].value.as_ref().unwrap().expose() == big.as_slice());
}

#[test]
fn a_store_that_gets_an_empty_credential_is_not_left_out_without_a_word() {
    let said = |variables: &[(&str, &str)]| {
        let project = tempfile::tempdir().unwrap();
        let settings = opening::settings(variables.iter().copied(), project.path()).unwrap();
        let manifest = opening::manifest(&settings, Some("KEY"), "").unwrap();
        let opened = opening::open(&settings, &manifest, project.path()).unwrap();
        let remarks = sources::without_credentials(&settings, &manifest.sources, &opened);
        remarks.into_iter().map(|remark| remark.fact).collect::<Vec<_>>().join("; ")
    };
    let address = ("VAULT_ADDR", "https://vault.example.com");
    assert_eq!(said(&[address, ("VAULT_TOKEN", "")]), "skipping vault: VAULT_TOKEN is set, but empty");
    assert_eq!(
        said(&[("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", ""), ("OP_SERVICE_ACCOUNT_TOKEN", "")]),
        "skipping aws: AWS_ACCESS_KEY_ID is set, but empty; \
         skipping onepassword: OP_SERVICE_ACCOUNT_TOKEN is set, but empty"
    );
    assert_eq!(said(&[address]), "");
    assert_eq!(said(&[address, ("VAULT_TOKEN", "t"), ("VAULT_ROLE_ID", "")]), "");
    assert_eq!(said(&[address, ("VAULT_TOKEN", ""), ("INPUT_SOURCES", "env")]), "");
}

#[test]
fn no_child_gets_a_variable_that_may_hold_a_private_key() {
    let names = sources::credential_variables(&BTreeMap::new());
    for name in ["VAULT_CLIENT_KEY", "AZURE_CLIENT_CERTIFICATE_PATH"] {
        assert!(names.contains(std::ffi::OsStr::new(name)), "{name}");
    }
}
