//! What a service's Compose definition asks for, and in which form: variables, larger values, arguments, files.

use std::collections::{BTreeMap, BTreeSet};

use crate::compose::model::{Model, OwnDefinition};
use crate::compose::placeholder::{Text, variables_in};
use crate::compose::service::{OwnFile, Service, plain_target};
use crate::manifest::Secret;
use crate::secret::SecretName;

/// Where Docker mounts the secrets of a container.
const SECRETS: &str = "/run/secrets/";
/// The mode of a Compose secret or config that does not say one (compose-spec, `services.secrets.mode`).
const DEFAULT_MODE: u32 = 0o444;

/// Which declared secret a variable of the Compose project stands for.
pub struct Owners<'a> {
    by_variable: BTreeMap<String, &'a Secret>,
    /// By what is left of the name of a secret, or of its file, without capitals and joints.
    by_plain_name: BTreeMap<String, &'a Secret>,
}

/// A file that a service asks for at a place of its own.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct AskedFile {
    /// The secret.
    pub secret: SecretName,
    /// Its name below `/run/secrets`, or an absolute path.
    pub target: String,
    /// Owner, group and mode, as the Compose file says.
    pub uid: Option<u32>,
    /// See `uid`.
    pub gid: Option<u32>,
    /// See `uid`.
    pub mode: Option<u32>,
    /// The entry of the service's `secrets` or `configs` that it takes the place of.
    pub instead_of: Option<Entry>,
}

/// An entry of a service's `secrets` or `configs`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Entry {
    /// Of `secrets`: its source.
    Secret(String),
    /// Of `configs`: its source.
    Config(String),
}

/// A text that holds more than one secret's value. It has no `Debug`: the rest of the text may be sensitive, too.
#[derive(Clone)]
pub(super) struct LargerValue {
    /// Where it belongs.
    pub place: LargerPlace,
    /// The text, with placeholders.
    pub text: Text,
    /// The secrets in it.
    pub parts: BTreeSet<SecretName>,
}

/// Where a larger value belongs.
#[derive(Clone)]
pub enum LargerPlace {
    /// A variable.
    Variable(String),
    /// A config's content.
    Config(OwnFile),
}

/// Everything that one service asks for.
#[derive(Default)]
pub(super) struct Asks {
    /// Variables that are one secret's value.
    pub variables: BTreeMap<String, SecretName>,
    /// Variables and configs that hold secrets among other text.
    pub larger: Vec<LargerValue>,
    /// Variables of the project that are interpolated into words of the program, its health check and its hooks, with
    /// the secrets that they stand for.
    pub arguments: BTreeMap<String, SecretName>,
    /// Variables that a shell of the program, its health check or its hooks reads, with their secrets.
    pub shell: BTreeMap<String, SecretName>,
    /// Files at places of their own.
    pub files: Vec<AskedFile>,
    /// Variables that name a secret's file, and name one that this action does not write.
    pub file_variables: BTreeMap<String, SecretName>,
    /// Secrets whose files are named in words of the program.
    pub mentioned: BTreeSet<SecretName>,
    /// Build secrets: keys of the project's `secrets`.
    pub build: BTreeMap<String, SecretName>,
}

/// What one service asks for of one secret.
#[derive(Default)]
pub(super) struct AsksOf<'a> {
    /// See [`Asks::variables`].
    pub variables: BTreeSet<&'a String>,
    /// See [`Asks::file_variables`].
    pub file_variables: Vec<&'a String>,
    /// See [`Asks::files`].
    pub files: Vec<&'a AskedFile>,
}

impl<'a> Owners<'a> {
    /// A declared name is its secret's. A name that references read, and that is not declared, is the secret's that
    /// reads it first.
    pub fn new(secrets: impl IntoIterator<Item = &'a Secret> + Clone) -> Self {
        let mut all = BTreeMap::new();
        for secret in secrets.clone() {
            all.insert(secret.name.to_string(), secret);
        }
        for secret in secrets {
            for variable in secret.variables() {
                all.entry(variable).or_insert(secret);
            }
        }
        let mut by_plain_name = BTreeMap::new();
        for secret in all.values() {
            for name in [plain(&secret.file_name()), plain(secret.name.as_str())] {
                by_plain_name.entry(name).or_insert(*secret);
            }
        }
        Self { by_variable: all, by_plain_name }
    }

    /// The secret of a variable.
    pub fn of(&self, variable: &str) -> Option<&'a Secret> {
        self.by_variable.get(variable).copied()
    }

    /// The variables, with their secrets.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a Secret)> {
        self.by_variable.iter().map(|(variable, secret)| (variable.as_str(), *secret))
    }

    /// The secret that a Compose secret of this name is, by its file's name; `db-password` is `DB_PASSWORD`.
    fn named(&self, source: &str) -> Option<&'a Secret> {
        self.by_plain_name.get(&plain(source)).copied()
    }

    fn of_own(&self, source: &str, definition: Option<OwnDefinition<'_>>) -> Option<&'a Secret> {
        match definition {
            Some(OwnDefinition::Variable(variable)) => self.of(variable),
            Some(OwnDefinition::External(name)) => self.named(name).or_else(|| self.named(source)),
            Some(OwnDefinition::File(_)) | None => self.named(source),
            Some(OwnDefinition::Content(_)) => None,
        }
    }
}

fn plain(name: &str) -> String {
    name.to_ascii_lowercase().replace(['-', '.'], "_")
}

impl Asks {
    /// Reads a service. `secrets_in` names the secrets whose values a text holds in clear.
    pub(super) fn of(
        service: &Service,
        model: &Model,
        owners: &Owners,
        secrets_in: &dyn Fn(&str) -> Vec<String>,
    ) -> Self {
        let mut asks = Self::default();
        asks.files(service, model, owners, secrets_in);
        for (name, value) in &service.environment {
            asks.variable(name, value.as_deref(), owners, secrets_in);
        }
        let hooks = service.hooks.values().flatten().filter_map(|hook| hook.get("command"));
        let hooks = hooks.filter_map(|command| command.as_array()).flatten().filter_map(|word| word.as_str());
        let words = service.entrypoint.iter().flatten().chain(&service.command).chain(&service.healthcheck);
        for word in words.map(String::as_str).chain(hooks) {
            asks.word(word, service, owners);
        }
        for source in &service.build_secrets {
            if let Some(secret) = owners.of_own(source, model.own_file("secrets", source)) {
                asks.build.insert(source.clone(), secret.name.clone());
            }
        }
        asks
    }

    /// Every secret that the service's definition names in any form.
    pub(super) fn by_secret(&self) -> BTreeMap<&SecretName, AsksOf<'_>> {
        let mut all: BTreeMap<&SecretName, AsksOf<'_>> = BTreeMap::new();
        for (variable, secret) in &self.variables {
            all.entry(secret).or_default().variables.insert(variable);
        }
        for (variable, secret) in &self.file_variables {
            all.entry(secret).or_default().file_variables.push(variable);
        }
        for file in &self.files {
            all.entry(&file.secret).or_default().files.push(file);
        }
        let parts = self.larger.iter().flat_map(|larger| &larger.parts);
        let others = self.arguments.values().chain(self.build.values()).chain(parts);
        for secret in others.chain(&self.mentioned) {
            all.entry(secret).or_default();
        }
        all
    }

    /// Secrets and configs of the service's own.
    fn files(
        &mut self,
        service: &Service,
        model: &Model,
        owners: &Owners,
        secrets_in: &dyn Fn(&str) -> Vec<String>,
    ) {
        // `NAME_FILE=/run/secrets/…` says which secret a Compose secret at that place is.
        let named_by_variable = |own: &OwnFile| {
            let path = format!("{SECRETS}{}", own.target.strip_prefix(SECRETS).unwrap_or(&own.target));
            let mut variables = service.environment.iter();
            variables.find_map(|(name, value)| {
                owners.of(file_variable(name)?).filter(|_| value.as_deref() == Some(path.as_str()))
            })
        };
        for own in &service.secrets {
            let secret = owners.of_own(&own.source, model.own_file("secrets", &own.source));
            if let Some(secret) = secret.or_else(|| named_by_variable(own)) {
                let target = own.target.strip_prefix(SECRETS).unwrap_or(&own.target).to_owned();
                self.files.push(asked(own, target, secret, Entry::Secret(own.source.clone())));
            }
        }
        for own in &service.configs {
            let target = config_target(own);
            match model.own_file("configs", &own.source) {
                Some(OwnDefinition::Variable(variable)) => {
                    if let Some(secret) = owners.of(variable) {
                        self.files.push(asked(own, target, secret, Entry::Config(own.source.clone())));
                    }
                }
                Some(OwnDefinition::Content(text)) => {
                    let own = OwnFile { target, ..own.clone() };
                    self.larger_value(LargerPlace::Config(own), text, owners, secrets_in);
                }
                _ => {}
            }
        }
    }

    fn variable(
        &mut self,
        name: &str,
        value: Option<&str>,
        owners: &Owners,
        secrets_in: &dyn Fn(&str) -> Vec<String>,
    ) {
        let written = value.unwrap_or_default();
        if !variables_in(written).is_empty() {
            let text = Text::of_model(written);
            if let Some(secret) = text.whole().and_then(|variable| owners.of(variable)) {
                self.variables.insert(name.to_owned(), secret.name.clone());
            } else {
                let place = LargerPlace::Variable(name.to_owned());
                self.larger_value(place, written, owners, secrets_in);
            }
        } else if let Some(secret) = owners.of(name) {
            // `file:///run/secrets/…` in the variable itself: the program reads the file.
            let path = written.strip_prefix("file://").unwrap_or(written);
            match path.strip_prefix(SECRETS) {
                Some(file) => self.file_at(file, secret),
                None => {
                    self.variables.insert(name.to_owned(), secret.name.clone());
                }
            }
        } else if let Some(secret) = file_variable(name).and_then(|base| owners.of(base)) {
            match written.strip_prefix(SECRETS) {
                Some(file) => self.file_at(file, secret),
                None => {
                    self.file_variables.insert(name.to_owned(), secret.name.clone());
                }
            }
        } else if !written.is_empty() {
            self.larger_value(LargerPlace::Variable(name.to_owned()), written, owners, secrets_in);
        }
    }

    /// Takes a text as a larger value, if it holds any secret: by a placeholder, or in clear.
    fn larger_value(
        &mut self,
        place: LargerPlace,
        written: &str,
        owners: &Owners,
        secrets_in: &dyn Fn(&str) -> Vec<String>,
    ) {
        let text = Text::of_model(written);
        let mut parts: BTreeSet<SecretName> =
            text.variables().into_iter().filter_map(|v| Some(owners.of(v)?.name.clone())).collect();
        let in_clear = secrets_in(text.as_str());
        let declared = |name: &String| owners.of(name).filter(|secret| *name == *secret.name.as_str());
        parts.extend(in_clear.iter().filter_map(declared).map(|secret| secret.name.clone()));
        if !parts.is_empty() {
            self.larger.push(LargerValue { place, text, parts });
        }
    }

    /// A file that a variable names at a place below `/run/secrets`.
    fn file_at(&mut self, file: &str, secret: &Secret) {
        let file = plain_target(file, "/run/secrets");
        if !self.files.iter().any(|asked| asked.target == file) {
            self.files.push(AskedFile {
                secret: secret.name.clone(),
                target: file,
                uid: None,
                gid: None,
                mode: None,
                instead_of: None,
            });
        }
    }

    /// A word of the program, of its health check or of a hook.
    fn word(&mut self, word: &str, service: &Service, owners: &Owners) {
        for variable in variables_in(word) {
            if let Some(secret) = owners.of(variable) {
                self.arguments.insert(variable.to_owned(), secret.name.clone());
            }
        }
        let text = Text::of_model(word);
        for (variable, secret) in owners.iter() {
            let read = names_variable(text.as_str(), variable);
            // What the script sets itself it does not ask for.
            if read && !text.as_str().contains(&format!("{variable}=")) {
                self.shell.insert(variable.to_owned(), secret.name.clone());
            }
            // A variable that the service gives another value is that value.
            if read && !service.environment.contains_key(variable) {
                self.variables.insert(variable.to_owned(), secret.name.clone());
            }
            if names_path(text.as_str(), &format!("{SECRETS}{}", secret.file_name())) {
                self.mentioned.insert(secret.name.clone());
            }
        }
    }
}

/// Where a service's config is in its container (compose-spec, `services.configs.target`).
fn config_target(own: &OwnFile) -> String {
    if own.target.starts_with('/') { own.target.clone() } else { format!("/{}", own.target) }
}

fn asked(own: &OwnFile, target: String, secret: &Secret, instead_of: Entry) -> AskedFile {
    AskedFile {
        secret: secret.name.clone(),
        target,
        uid: own.uid,
        gid: own.gid,
        mode: Some(own.mode.unwrap_or(DEFAULT_MODE)),
        instead_of: Some(instead_of),
    }
}

/// The variable whose file a variable names by the conventions `NAME_FILE` and `NAME__FILE`.
fn file_variable(name: &str) -> Option<&str> {
    name.strip_suffix("__FILE").or_else(|| name.strip_suffix("_FILE"))
}

/// Whether a shell that reads the text reads the variable: `$NAME`, `${NAME}`, `${NAME:-…}`.
fn names_variable(text: &str, name: &str) -> bool {
    [format!("${name}"), format!("${{{name}")].iter().any(|form| occurs(text, form, &is_of_name))
}

fn names_path(text: &str, path: &str) -> bool {
    occurs(text, path, &|c| is_of_name(c) || matches!(c, '-' | '.' | '/'))
}

/// Whether a text holds another, and what follows does not go on with it.
fn occurs(text: &str, form: &str, goes_on: &dyn Fn(char) -> bool) -> bool {
    text.match_indices(form).any(|(at, _)| !text[at + form.len()..].chars().next().is_some_and(goes_on))
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}
