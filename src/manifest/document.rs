//! The manifest file as it is written: the types whose fields are its keys, for the parser and for the schema.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};

use super::at::{At, Entries};
use super::decode::Grammar;
use super::rules::{Deliver, Encoding, Trim};
use crate::secret::SecretValue;

/// What the types themselves do not say of how they are written.
pub(super) const GRAMMAR: Grammar = Grammar {
    shorthand: ("GrantEntry", "secrets"),
    no_values: (
        "SecretEntry",
        "Values do not belong in this file. Leave the entry empty, or say where the secret is kept: \
         `from: [env:OTHER_NAME]`.",
    ),
};

/// Declares the secrets of a Docker Compose project, where they are looked up, and which services get them.
#[derive(serde::Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Document {
    /// The first part of conventional references, e.g. `claude-bot` or `claude-bot/{environment}`.
    #[serde(default)]
    pub(super) prefix: At<Text>,
    /// Settings of sources, by their ids. Only needed for what the vendors' own variables do not set.
    #[serde(default)]
    pub(super) sources: At<Option<Entries<SourceEntry>>>,
    /// Which service gets which secrets. Without it, a service gets the secrets that it names in the Compose files.
    #[serde(default)]
    pub(super) services: At<Entries<GrantEntry>>,
    /// How long a service without a health check must stay up in a deployment, e.g. 10s. The input `stable-for` takes
    /// precedence. Default: 3s.
    #[serde(default)]
    pub(super) stable_for: At<Span>,
    /// The secrets, by their names: letters, digits and underscores.
    #[serde(default)]
    #[schemars(schema_with = "secrets_schema")]
    pub(super) secrets: At<Option<Entries<Option<SecretEntry>>>>,
    /// Imports: everything below a prefix becomes a secret, as in `vault:secret/claude-bot/*`, or every field of an item, as
    /// in `aws:claude-bot/db#*`.
    #[serde(default)]
    pub(super) import: At<Vec<At<ReferenceText>>>,
    /// Differences of each environment. If given, only these environments can be used.
    #[serde(default)]
    pub(super) environments: At<Option<Entries<Option<EnvironmentEntry>>>>,
}

/// One declared secret. An empty entry is a required secret that is looked up in every source.
#[derive(serde::Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct SecretEntry {
    /// What it is and where to get it. Shown if it is missing.
    #[serde(default)]
    pub(super) description: At<Text>,
    /// Whether the run fails if no source has it. Default: true.
    #[serde(default)]
    pub(super) required: At<bool>,
    /// Its value if no source has it. Not for real secrets: everyone with access to the repository can read this file.
    #[serde(default)]
    #[schemars(with = "Text")]
    pub(super) default: At<Value>,
    /// Where it is looked up, in this order and nowhere else: `source:item[#field][@version]`.
    #[serde(default)]
    pub(super) from: At<Vec<At<ReferenceText>>>,
    /// What its value is composed of: a text with other secrets in braces, `{NAME}`, or `{NAME|urlencode}`, `|base64`,
    /// `|json`. `{{` and `}}` are braces.
    #[serde(default)]
    pub(super) template: At<Text>,
    /// The text that its value starts with.
    #[serde(default)]
    pub(super) starts_with: At<Text>,
    /// The regular expression that its whole value matches.
    #[serde(default)]
    pub(super) matches: At<Text>,
    /// The minimum length of its value, in bytes.
    #[serde(default)]
    pub(super) min_length: At<Length>,
    /// How old its value may be before a run warns, e.g. 90d, if its source knows when it was written.
    #[serde(default)]
    pub(super) max_age: At<Span>,
    /// How long before its value expires a run warns, e.g. 14d, if its source knows when that is.
    #[serde(default)]
    pub(super) expires_within: At<Span>,
    /// How its value is encoded in the source; it is delivered decoded.
    #[serde(default)]
    pub(super) encoding: At<Encoding>,
    /// What is removed from its value: `none`, or `newline`, one newline at the end. Default: none.
    #[serde(default)]
    pub(super) trim: At<Trim>,
    /// Whether it is masked and removed from the services' variables. Default: true.
    #[serde(default)]
    pub(super) sensitive: At<bool>,
    /// Whether its value may be empty. Default: false.
    #[serde(default)]
    pub(super) allow_empty: At<bool>,
    /// Name, mode and owner of its file.
    #[serde(default)]
    pub(super) file: At<FileEntry>,
}

/// Name, mode and owner of a secret's file. The delivery decides what is not given.
#[derive(serde::Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct FileEntry {
    /// Its name in `/run/secrets`. Default: the lower-cased name of the secret.
    #[serde(default)]
    pub(super) name: At<FileName>,
    /// Its permission bits as octal text, e.g. "0400".
    #[serde(default)]
    pub(super) mode: At<Mode>,
    /// The ID of the user that owns it.
    #[serde(default)]
    pub(super) uid: At<Id>,
    /// The ID of the group that owns it.
    #[serde(default)]
    pub(super) gid: At<Id>,
}

/// The secrets of a service, and who reads them there.
#[derive(serde::Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(transform = or_list)]
pub(super) struct GrantEntry {
    /// The names of the secrets.
    #[serde(default)]
    pub(super) secrets: At<Vec<At<String>>>,
    /// The ID of the user that reads them, if it is not the image's user.
    #[serde(default)]
    pub(super) uid: At<Id>,
    /// The ID of the group that reads them.
    #[serde(default)]
    pub(super) gid: At<Id>,
    /// How it gets the secrets that its Compose file puts into variables: set when the program starts (`variable`), as a file that
    /// `NAME_FILE` names (`file`), or in clear in the container's configuration (`env`). Default: variable.
    #[serde(default)]
    pub(super) deliver: At<Deliver>,
    /// Single variables of this service: the secret of each, and how it is delivered.
    #[serde(default)]
    pub(super) variables: At<Entries<VariableEntry>>,
    /// Whether it starts workers by itself, through the Docker socket: it then gets the name of a directory
    /// (`SECRETS_HOST_DIR`) or a volume (`SECRETS_VOLUME`) to mount at `/run/secrets` of each. Default: false.
    #[serde(default)]
    pub(super) starts_workers: At<bool>,
    /// The secrets of its workers, and who reads them there.
    #[serde(default)]
    pub(super) workers: At<WorkersEntry>,
}

/// The secrets that a service may pass on to the workers that it starts, and who reads them there.
#[derive(serde::Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct WorkersEntry {
    /// The names of the secrets. Default: all that the service gets.
    #[serde(default)]
    pub(super) secrets: At<Vec<At<String>>>,
    /// The ID of the user that reads them in the workers. Without it, every user in a worker can.
    #[serde(default)]
    pub(super) uid: At<Id>,
    /// The ID of the group that reads them. Default: the user's ID.
    #[serde(default)]
    pub(super) gid: At<Id>,
}

/// The secret that a variable of a service takes: its name, or a map.
pub(super) struct VariableEntry {
    /// The secret. Default: the one that the Compose file uses there.
    pub(super) secret: At<String>,
    /// How this variable gets it.
    pub(super) deliver: At<Deliver>,
}

/// The settings of a source.
pub(super) struct SourceEntry(pub(super) Entries<Text>);

/// The differences of one environment.
#[derive(serde::Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct EnvironmentEntry {
    /// The prefix in this environment.
    #[serde(default)]
    pub(super) prefix: At<Text>,
    /// Settings of sources in this environment; each replaces the general one.
    #[serde(default)]
    pub(super) sources: At<Option<Entries<SourceEntry>>>,
}

/// Text; numbers, `true` and `false` keep their spelling.
#[derive(serde::Deserialize)]
pub(super) struct Text(pub(super) String);

/// A reference, not yet taken apart.
#[derive(serde::Deserialize)]
pub(super) struct ReferenceText(pub(super) String);

/// A default: it may be sensitive, so it goes straight into a type that cannot be printed.
pub(super) struct Value(pub(super) SecretValue);

/// A number of bytes.
pub(super) struct Length(pub(super) usize);

/// A duration, e.g. `90d`.
pub(super) struct Span(pub(super) Duration);

/// The ID of a user or group.
pub(super) struct Id(pub(super) u32);

/// Permission bits.
pub(super) struct Mode(pub(super) u32);

/// A plain file name.
pub(super) struct FileName(pub(super) String);

impl<'de> Deserialize<'de> for SourceEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Entries::deserialize(deserializer).map(Self)
    }
}

/// The map form of a [`VariableEntry`].
#[derive(serde::Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct VariableMap {
    /// The name of the secret. Default: the one that the Compose file uses there.
    #[serde(default)]
    secret: At<String>,
    /// How it is delivered: set when the program starts, as a file that `NAME_FILE` names, or in clear in the container's
    /// configuration.
    #[serde(default)]
    deliver: At<Deliver>,
}

impl<'de> Deserialize<'de> for VariableEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = VariableEntry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a secret, or a map with `secret` and `deliver`")
            }

            fn visit_str<E>(self, text: &str) -> Result<VariableEntry, E> {
                let secret = At { value: Some(text.to_owned()), ..At::default() };
                Ok(VariableEntry { secret, deliver: At::default() })
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<VariableEntry, A::Error> {
                let map = VariableMap::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(VariableEntry { secret: map.secret, deliver: map.deliver })
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for VariableEntry {
    fn schema_name() -> Cow<'static, str> {
        "VariableEntry".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let map = generator.subschema_for::<VariableMap>();
        json_schema!({
            "description": "The secret that a variable of a service takes: its name, or a map.",
            "anyOf": [{ "type": "string" }, map],
        })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;

        impl Visitor<'_> for Bytes {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }

            fn visit_str<E>(self, text: &str) -> Result<Value, E> {
                Ok(Value(SecretValue::new(text.as_bytes().to_vec())))
            }
        }

        deserializer.deserialize_str(Bytes)
    }
}

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u64::deserialize(deserializer)?;
        usize::try_from(number).ok().filter(|n| *n <= super::MAX_VALUE_BYTES).map(Self).ok_or_else(|| {
            de::Error::custom("must be a number of bytes of at most 1048576, the largest size of a value")
        })
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text)
            .map(Self)
            .map_err(|_| de::Error::custom("must be a duration with a unit: `90d`, `12h`, `30m`"))
    }
}

impl At<Id> {
    pub(super) fn number(&self) -> Option<u32> {
        self.value.as_ref().map(|id| id.0)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u64::deserialize(deserializer)?;
        // chown(2) takes the highest number as "leave it unchanged".
        u32::try_from(number)
            .ok()
            .filter(|n| *n != u32::MAX)
            .map(Self)
            .ok_or_else(|| de::Error::custom("must be a number from 0 to 4294967294"))
    }
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        mode(&text).map(Self).map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for FileName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
        if plain && !text.is_empty() && !text.starts_with('.') && text.len() <= 200 {
            return Ok(Self(text));
        }
        Err(de::Error::custom(
            "must be a plain file name: letters, digits, `.`, `_` and `-`, no leading dot, at most 200 characters",
        ))
    }
}

/// Octal text as permission bits. A number without a leading 0 is ambiguous, so it is refused.
fn mode(text: &str) -> Result<u32, &'static str> {
    let digits = text.strip_prefix("0o").or_else(|| text.strip_prefix('0'));
    let digits = digits.ok_or("must be an octal number in quotes, with a leading 0: \"0400\"")?;
    let octal = (1..=4).contains(&digits.len()) && digits.bytes().all(|b| (b'0'..=b'7').contains(&b));
    let mode = u32::from_str_radix(digits, 8).ok().filter(|_| octal);
    let mode = mode.ok_or("must be an octal number of three digits with a leading 0: \"0400\"")?;
    if mode > 0o777 {
        return Err("must not have the set-user, set-group or sticky bit");
    }
    if mode & 0o002 != 0 {
        return Err("must not be writable by everyone");
    }
    if mode & 0o111 != 0 {
        return Err("must not have an execute bit");
    }
    if mode & 0o444 == 0 {
        return Err("must be readable by its owner, group or everyone");
    }
    Ok(mode)
}

fn secrets_schema(generator: &mut SchemaGenerator) -> Schema {
    let entry = generator.subschema_for::<Option<SecretEntry>>();
    json_schema!({
        "type": ["object", "null"],
        "propertyNames": { "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,199}$" },
        "additionalProperties": entry,
    })
}

macro_rules! inline_schema {
    ($($type:ty => $schema:tt;)*) => {
        $(impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        })*
    };
}

inline_schema! {
    Text => { "type": ["string", "number", "boolean"] };
    ReferenceText => { "type": "string", "pattern": "^\\s*(op://|[a-z][a-z0-9-]*:)" };
    Length => { "type": "integer", "minimum": 0, "maximum": 1_048_576 };
    Span => { "type": "string", "pattern": "^[0-9]+ *[a-zA-Z]+( *[0-9]+ *[a-zA-Z]+)*$" };
    Id => { "type": "integer", "minimum": 0, "maximum": 4_294_967_294u32 };
    Mode => { "type": "string", "pattern": "^0o?[0-7]{3}$" };
    FileName => { "type": "string", "pattern": "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}$" };
}

impl JsonSchema for SourceEntry {
    fn schema_name() -> Cow<'static, str> {
        "SourceEntry".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let text = generator.subschema_for::<Text>();
        json_schema!({
            "description": "The settings of a source.",
            "type": "object",
            "properties": {
                "kind": {
                    "description": "The kind of source. Default: the id.",
                    "type": "string",
                },
            },
            "additionalProperties": text,
        })
    }
}

/// The map form's schema with the list form beside it.
fn or_list(map: &mut Schema) {
    let names = json_schema!({ "type": "array", "items": { "type": "string" } });
    let map_form = std::mem::take(map);
    *map = json_schema!({
        "description": "The secrets that a service gets: their names, or a map that also says who reads them.",
        "anyOf": [names, map_form],
    });
}
