//! What is secret by its name or its place, before any source is asked: what every mode redacts and keeps from its children.
//!
//! A run takes it from the environment before it prints its first line, and adds what the manifest declares. Nothing here
//! says that a value is right or in use: a mode that asks no source (`down`, `create-compose`) still prints none.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

use zeroize::Zeroize;

use crate::manifest::Manifest;
use crate::mask::Plan;
use crate::remote;
use crate::reserved;
use crate::secret::SecretValue;
use crate::settings::{Environment, Holding, INPUTS, Kind, Settings, input_variable};
use crate::sources;

/// From this length on (bytes) a value of `github-secrets` that nothing declares is redacted in all its forms. A shorter one
/// may be a region or a port, and counts as a field of the whole input.
const LONG_ENOUGH: usize = 8;
/// The input that is a credential as a whole.
const GITHUB_TOKEN: &str = "github-token";

/// Values that are secret by name or place, and the variables that no child gets. It has no `Debug`: it holds values.
#[derive(Clone, Default)]
pub struct Sensitive {
    /// `None` is one that was taken out again.
    values: Vec<Option<Known>>,
    /// Where in `values` those of a name are, in capitals.
    places: BTreeMap<String, Vec<usize>>,
    /// Variables that no child gets, whatever they hold.
    hidden: BTreeSet<OsString>,
    /// The members of `github-secrets`, by their names in capitals.
    github: BTreeMap<String, Vec<SecretValue>>,
}

/// What children get in place of values.
#[derive(Default)]
pub struct StandIns<'a> {
    /// For whole variables, by name.
    pub variables: BTreeMap<String, String>,
    /// For values inside of other variables: what stands in for each.
    pub values: Vec<(String, &'a SecretValue)>,
}

/// The variables of a child process. Only [`Sensitive`] makes them, so that no program can be started without it.
#[derive(Clone)]
pub struct ChildVariables(BTreeMap<OsString, OsString>);

#[derive(Clone)]
struct Known {
    name: String,
    value: SecretValue,
    place: Place,
}

/// Where a value comes from, which decides who else is kept from it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A declared secret's variable, input or member of `github-secrets`.
    Declared,
    /// What opens a store or a registry.
    Credential,
    /// A token of the runner, or an input as a whole: GitHub masks them already.
    Runner,
    /// A member of `github-secrets` that nothing declares. A variable that holds it as well is the project's own matter.
    Undeclared,
}

impl Sensitive {
    /// What the variables of the process tell by themselves: secret inputs, inputs that are none of ours, credentials of
    /// stores, tokens of the runner.
    pub fn in_environment(variables: &Environment) -> Self {
        let mut all = Self::default();
        all.credentials(variables, &sources::credential_variables(&BTreeMap::new()));
        all.credentials(variables, &remote::SECRET_VARIABLES.iter().map(OsString::from).collect());
        for name in variables.names() {
            let is_token = name == "GITHUB_TOKEN" || name.starts_with("ACTIONS_") && name.ends_with("TOKEN");
            let is_foreign_input = name.starts_with("INPUT_") && !is_input_of_ours(name);
            if let Some(value) = variables.value(name).filter(|_| is_token || is_foreign_input) {
                all.add(name, value, if is_token { Place::Runner } else { Place::Undeclared });
            }
        }
        for input in INPUTS.iter().filter(|input| input.kind == Kind::Secret) {
            if let Some(value) = variables.value(&input_variable(input.name)) {
                all.secret_input(input.name, value);
            }
        }
        all
    }

    /// The same with what only the settings know: secret inputs that came from files.
    pub fn of(settings: &Settings) -> Self {
        let mut all = Self::in_environment(&settings.variables);
        if let Some(value) = &settings.github_secrets {
            all.secret_input("github-secrets", value);
        }
        if let Some(value) = &settings.github.token {
            all.secret_input(GITHUB_TOKEN, value);
        }
        for login in &settings.registries {
            all.add(&login.host, &login.password, Place::Credential);
        }
        all
    }

    /// Adds what the manifest declares: its secrets, the variables that their references read, and the credentials of the
    /// sources that it names. What it says is no secret is taken out again.
    #[must_use]
    pub fn declaring(mut self, settings: &Settings, manifest: &Manifest) -> Self {
        let variables = &settings.variables;
        self.credentials(variables, &sources::credential_variables(&manifest.sources));
        for secret in &manifest.secrets {
            let mut names = secret.variables();
            // What a reference reads a field of is hidden as a whole.
            names.extend(secret.from.iter().flatten().map(|reference| reference.item.clone()));
            for name in &names {
                self.hidden.insert(format!("{name}_FILE").into());
            }
            if !secret.sensitive {
                names.remove(secret.name.as_str());
                self.hidden.extend(names.iter().map(Into::into));
                self.take_out(secret.name.as_str());
                continue;
            }
            for name in &names {
                self.hidden.insert(name.into());
                let mut values = self.github.get(&name.to_ascii_uppercase()).cloned().unwrap_or_default();
                values.extend(variables.value(name).cloned());
                values.extend(variables.value(&input_variable(name)).cloned());
                for value in values {
                    self.add(name, &value, Place::Declared);
                }
            }
            if let Some(value) = &secret.default {
                self.add(secret.name.as_str(), value, Place::Declared);
            }
        }
        self
    }

    /// Adds a credential that a store gave.
    pub fn add_credential(&mut self, name: &str, value: &SecretValue) {
        self.add(name, value, Place::Credential);
    }

    /// Which strings must not be printed: these, and the values that the sources gave.
    pub fn plan<'a>(&'a self, values: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Plan {
        Plan::new(values.into_iter().chain(self.known().map(Known::pair)))
    }

    /// What the runner is told to mask, and which strings must not be printed. The first: the values that the sources gave, what
    /// is declared, credentials. All else it masks by itself.
    pub fn plans<'a>(&'a self, values: &[(&'a str, &'a [u8])]) -> (Plan, Plan) {
        let is_told = |known: &Known| matches!(known.place, Place::Declared | Place::Credential);
        let told = self.known().filter(|known| is_told(known)).map(Known::pair);
        let masks = Plan::new(values.iter().copied().chain(told));
        let all = if self.known().all(is_told) { masks.clone() } else { self.plan(values.iter().copied()) };
        (masks, all)
    }

    /// The variables of Docker's programs while nothing is declared yet: only what they need to find the engine.
    pub fn docker_alone(variables: &Environment) -> ChildVariables {
        ChildVariables(variables.for_docker_alone().into_iter().collect())
    }

    /// The variables of Docker's programs: the step's, without any that is secret or holds one of these values or of
    /// `values`, and with what stands in for declared secrets.
    pub fn child_variables(
        &self,
        variables: &Environment,
        values: &[&SecretValue],
        stand_ins: StandIns,
    ) -> ChildVariables {
        let withheld = self.known().filter(|known| known.place != Place::Undeclared);
        let values: Vec<&SecretValue> =
            values.iter().copied().chain(withheld.map(|known| &known.value)).collect();
        let StandIns { variables: mut placeholders, values: composed } = stand_ins;
        // What holds a declared secret beside others is no variable of the project: it is all of them in one text.
        let undeclared = self.known().map(|known| &known.value);
        let left = Holding::new(values.iter().copied().chain(undeclared).map(SecretValue::expose));
        for (name, text) in variables.with_placeholders(&self.hidden, &composed) {
            if !left.is_any_in(text.as_bytes()) {
                placeholders.entry(name).or_insert(text);
            }
        }
        let mut hidden = self.hidden.clone();
        // Without what they need themselves (`env:DOCKER_HOST`) Docker's programs find nothing.
        hidden.retain(|name| name.to_str().is_none_or(|name| reserved::reader(name).is_none()));
        hidden.extend(variables.names_holding(&values));
        ChildVariables(variables.for_children(&hidden, &placeholders).into_iter().collect())
    }

    fn credentials(&mut self, variables: &Environment, names: &BTreeSet<OsString>) {
        for name in names.iter().filter_map(|name| name.to_str()) {
            if let Some(value) = variables.value(name) {
                self.add(name, value, Place::Credential);
            }
        }
        self.hidden.extend(names.iter().cloned());
    }

    fn secret_input(&mut self, input: &str, value: &SecretValue) {
        if input == GITHUB_TOKEN {
            self.add(input, value, Place::Credential);
            return;
        }
        self.add(input, value, Place::Runner);
        if input == "registries" {
            // A malformed line holds a password somewhere, too.
            let text = String::from_utf8_lossy(value.expose());
            for line in text.lines() {
                let words: Vec<&str> = line.split_whitespace().collect();
                let first = words.len().saturating_sub(1).min(2);
                for word in &words[first..] {
                    self.add(input, &SecretValue::new(word.as_bytes().to_vec()), Place::Credential);
                }
            }
            return;
        }
        let Ok(serde_json::Value::Object(members)) = serde_json::from_slice(value.expose()) else { return };
        for (name, member) in members {
            let mut text = match member {
                serde_json::Value::String(text) => text,
                other => other.to_string(),
            };
            let value = SecretValue::new(text.as_bytes().to_vec());
            text.zeroize();
            if value.expose().len() >= LONG_ENOUGH {
                self.add(&name, &value, Place::Undeclared);
            }
            self.github.entry(name.to_ascii_uppercase()).or_default().push(value);
        }
    }

    fn add(&mut self, name: &str, value: &SecretValue, place: Place) {
        let same = |known: &Known| known.place == place && known.name == name && known.value == *value;
        let places = self.places.entry(name.to_ascii_uppercase()).or_default();
        let is_known = places.iter().filter_map(|at| self.values.get(*at)?.as_ref()).any(same);
        if !value.is_empty() && !is_known {
            places.push(self.values.len());
            self.values.push(Some(Known { name: name.to_owned(), value: value.clone(), place }));
        }
    }

    /// Forgets the values of a name, whatever its capitals.
    fn take_out(&mut self, name: &str) {
        for at in self.places.remove(&name.to_ascii_uppercase()).into_iter().flatten() {
            if let Some(known) = self.values.get_mut(at) {
                *known = None;
            }
        }
    }

    fn known(&self) -> impl Iterator<Item = &Known> {
        self.values.iter().flatten()
    }
}

impl ChildVariables {
    /// The variables by name.
    pub fn into_map(self) -> BTreeMap<OsString, OsString> {
        self.0
    }
}

impl Known {
    fn pair(&self) -> (&str, &[u8]) {
        (&self.name, self.value.expose())
    }
}

fn is_input_of_ours(variable: &str) -> bool {
    INPUTS.iter().any(|input| input_variable(input.name) == variable)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::path::Path;

    use super::*;
    use crate::manifest;
    use crate::mask::Redactor;
    use crate::settings::Given;

    fn environment() -> Environment {
        Environment::from_pairs([
            ("PATH", "/bin"),
            (
                "INPUT_GITHUB-SECRETS",
                r#"{"DECLARED": "d-eclared", "OTHER": "other-canary", "SHORT": "eu-1"}"#,
            ),
            ("INPUT_REGISTRIES", "r.example user registry-canary\nr.example registry2-canary"),
            ("INPUT_GITHUB-TOKEN", "github_pat_canary"),
            ("INPUT_KEY", "input-canary"),
            ("INPUT_MODE", "validate"),
            ("ACTIONS_RUNTIME_TOKEN", "runtime-canary"),
            ("VAULT_TOKEN", "vault-canary"),
            ("OLD_VAULT_TOKEN", "old-canary"),
            ("KEY", "key-canary"),
            ("BOT_KEY", "bot-canary"),
            ("PLAIN", "plain-text"),
            ("ALIAS", "postgres://u:key-canary@db"),
            ("EVERYTHING", r#"{"DECLARED": "d-eclared", "OTHER": "other-canary", "SHORT": "eu-1"}"#),
            ("OTHER", "other-canary"),
            ("IMAGE_TAG", "v1"),
        ])
    }

    fn redacted(sensitive: &Sensitive, text: &str) -> String {
        let redactor = Redactor::new(&sensitive.plan([]));
        String::from_utf8(redactor.redact_line(text.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn places_tell_what_is_secret_before_anything_is_declared() {
        let all = Sensitive::in_environment(&environment());
        for secret in [
            "d-eclared",
            "other-canary",
            "registry-canary",
            "registry2-canary",
            "input-canary",
            "github_pat_canary",
            "runtime-canary",
            "vault-canary",
        ] {
            assert_eq!(redacted(&all, &format!("<{secret}>")), "<***>", "{secret}");
        }
        for plain in ["validate", "r.example", "v1", "plain-text", "key-canary"] {
            assert_eq!(redacted(&all, plain), plain);
        }
    }

    #[test]
    fn what_the_manifest_declares_is_secret_and_reaches_no_child() {
        let variables = environment();
        let mut without_logins = BTreeMap::from([("INPUT_MODE", "validate")]);
        without_logins.insert("INPUT_SECRETS", "KEY\nDECLARED\nBOT = env:BOT_KEY#field\nSHORT");
        let inputs = Environment::from_pairs(without_logins);
        let given =
            Given { flags: &|_| None, variables: &inputs, current_directory: Path::new("/"), verbose: false };
        let settings = Settings { variables: variables.clone(), ..Settings::read(None, &given).unwrap() };
        let known = sources::known();
        let text = "sources: { old-vault: { kind: vault, addr: 'https://v.example' } }\nsecrets: { PLAIN: { sensitive: false } }";
        let manifest = manifest::read(&manifest::Given {
            lines: settings.secrets.as_deref(),
            file: Some((Path::new("m.yml"), text.as_bytes())),
            ..known.given()
        })
        .unwrap();
        let all = Sensitive::in_environment(&variables).declaring(&settings, &manifest);
        for secret in ["key-canary", "bot-canary", "old-canary", "eu-1"] {
            assert_eq!(redacted(&all, &format!("<{secret}>")), "<***>", "{secret}");
        }
        assert_eq!(redacted(&all, "plain-text"), "plain-text");
        let placeholders = BTreeMap::from([("KEY".to_owned(), "placeholder".to_owned())]);
        let stand_ins = StandIns { variables: placeholders, ..StandIns::default() };
        let children = all.child_variables(&variables, &[], stand_ins).into_map();
        let names: Vec<_> = children.keys().map(|name| name.to_str().unwrap()).collect();
        assert_eq!(names, ["IMAGE_TAG", "KEY", "OTHER", "PATH", "PLAIN"]);
        assert_eq!(children[OsStr::new("KEY")], "placeholder");
        let docker = Sensitive::docker_alone(&variables).into_map();
        assert_eq!(docker.into_keys().collect::<Vec<_>>(), ["PATH"]);
    }
}
