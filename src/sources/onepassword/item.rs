//! An item of a Connect server, and what a reference selects from it.

use std::time::SystemTime;

use serde::{Deserialize, Deserializer};

use super::reference::{Query, SecretReference};
use super::refusal::{is_called, no_such_field};
use crate::diagnostic::Diagnostic;
use crate::secret::SecretValue;
use crate::sources::Reply;

/// An item with its fields. It has no `Debug`, because it contains values.
#[derive(Deserialize)]
pub(super) struct Item {
    pub(super) version: Option<u64>,
    #[serde(rename = "updatedAt")]
    updated_at: Option<String>,
    #[serde(default)]
    sections: Vec<Section>,
    #[serde(default)]
    fields: Vec<Field>,
    #[serde(default)]
    files: Vec<File>,
}

#[derive(Deserialize)]
struct Section {
    id: String,
    #[serde(default)]
    label: String,
}

#[derive(Deserialize)]
struct SectionId {
    id: Option<String>,
}

#[derive(Deserialize)]
struct Field {
    id: String,
    #[serde(default)]
    label: String,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    purpose: String,
    section: Option<SectionId>,
    value: Option<Text>,
    /// The code of a one-time password.
    totp: Option<Text>,
}

#[derive(Deserialize)]
struct File {
    id: String,
    #[serde(default)]
    name: String,
    section: Option<SectionId>,
}

/// A string that may be secret.
struct Text(SecretValue);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(SecretValue::new(text.into_bytes())))
    }
}

/// What a reference selects from an item.
pub(super) enum Picked {
    /// A value.
    Value(SecretValue),
    /// The content of the file with this id.
    File(String),
    /// Nothing, with the reply.
    Nothing(Reply),
}

/// A field or a file that a name may refer to.
enum Part<'a> {
    Field(&'a Field),
    File(&'a File),
}

impl Item {
    /// When it was last changed.
    pub(super) fn changed(&self) -> Option<SystemTime> {
        humantime::parse_rfc3339_weak(self.updated_at.as_deref()?).ok()
    }

    /// Selects what a reference names.
    pub(super) fn pick(&self, reference: &SecretReference) -> Picked {
        let named: Vec<Part> = self
            .parts()
            .filter(|part| part.is_called(&reference.field) && self.is_in(part, reference))
            .collect();
        let Some(part) = self.only(&named, reference) else {
            return Picked::Nothing(if named.is_empty() {
                no_such_field(reference, Some(&self.names()))
            } else {
                self.several(&named, reference)
            });
        };
        match part {
            Part::Field(field) => field.pick(reference),
            Part::File(file) => file.pick(reference),
        }
    }

    fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        self.fields.iter().map(Part::Field).chain(self.files.iter().map(Part::File))
    }

    /// Whether a part is in the section of a reference, if it has one.
    fn is_in(&self, part: &Part, reference: &SecretReference) -> bool {
        let Some(wanted) = &reference.section else { return true };
        part.section().is_some_and(|id| is_called(wanted, id, self.label(id)))
    }

    /// Chooses one: by its ID, else the one without a section if the others have sections.
    fn only<'p>(&self, named: &'p [Part<'p>], reference: &SecretReference) -> Option<&'p Part<'p>> {
        let single = |which: &dyn Fn(&Part) -> bool| {
            let mut found = named.iter().filter(|part| which(part));
            found.next().filter(|_| found.next().is_none())
        };
        single(&|_| true)
            .or_else(|| single(&|part| part.id() == reference.field))
            .or_else(|| single(&|part| part.section().is_none_or(|id| self.label(id).is_empty())))
    }

    fn several(&self, named: &[Part], reference: &SecretReference) -> Reply {
        let SecretReference { text, vault, item, field, .. } = reference;
        let places: Vec<String> = named.iter().map(|part| format!("`{}`", self.path(part))).collect();
        let first = named.first().map(|part| self.unmistakable(part)).unwrap_or_default();
        Reply::Failed(Diagnostic::with_help(
            format!("{text}: the item has several fields `{field}`: {}", places.join(", ")),
            format!("Add the section, or use the field's ID: `op://{vault}/{item}/{first}`."),
        ))
    }

    /// The names of all parts, never values.
    fn names(&self) -> Vec<String> {
        self.parts().map(|part| self.path(&part)).collect()
    }

    /// A part as in a reference: `section/field`.
    fn path(&self, part: &Part) -> String {
        match part.section().map(|id| self.label(id)).filter(|label| !label.is_empty()) {
            Some(section) => format!("{section}/{}", part.name()),
            None => part.name().to_owned(),
        }
    }

    /// A part by its section if that has a name, else by its ID.
    fn unmistakable(&self, part: &Part) -> String {
        let path = self.path(part);
        if path.contains('/') { path } else { part.id().to_owned() }
    }

    fn label(&self, section: &str) -> &str {
        self.sections.iter().find(|one| one.id == section).map_or("", |one| &one.label)
    }
}

impl Part<'_> {
    fn is_called(&self, name: &str) -> bool {
        is_called(name, self.id(), self.name())
    }

    fn id(&self) -> &str {
        match self {
            Self::Field(field) => &field.id,
            Self::File(file) => &file.id,
        }
    }

    fn name(&self) -> &str {
        match self {
            // Fields of templates may have no label.
            Self::Field(field) if field.label.is_empty() => &field.id,
            Self::Field(field) => &field.label,
            Self::File(file) => &file.name,
        }
    }

    fn section(&self) -> Option<&str> {
        let section = match self {
            Self::Field(field) => &field.section,
            Self::File(file) => &file.section,
        };
        section.as_ref()?.id.as_deref()
    }
}

impl Field {
    fn pick(&self, reference: &SecretReference) -> Picked {
        let text = |text: &str| Picked::Value(SecretValue::new(text.as_bytes().to_vec()));
        let value = |value: &Option<Text>| {
            // Empty attributes are not in the response.
            Picked::Value(value.as_ref().map_or_else(|| SecretValue::new(Vec::new()), |text| text.0.clone()))
        };
        match &reference.query {
            Query::None => value(&self.value),
            Query::SshFormat(_) => nothing(
                reference,
                "a Connect server returns SSH keys only as PKCS#8",
                "Remove `?ssh-format=…`, or read it with a service account.",
            ),
            Query::Attribute(name) => match name.as_str() {
                "value" => value(&self.value),
                "otp" if self.totp.is_some() => value(&self.totp),
                "otp" => nothing(
                    reference,
                    "the field contains no one-time password",
                    "Use the field with the one-time password, or remove `?attribute=otp`.",
                ),
                "id" => text(&self.id),
                "label" | "title" => text(&self.label),
                "type" => text(&self.kind),
                "purpose" => text(&self.purpose),
                _ => unknown_attribute(reference, "value, otp, id, label, type, purpose"),
            },
        }
    }
}

impl File {
    fn pick(&self, reference: &SecretReference) -> Picked {
        let text = |text: &str| Picked::Value(SecretValue::new(text.as_bytes().to_vec()));
        match &reference.query {
            Query::None => Picked::File(self.id.clone()),
            Query::Attribute(name) => match name.as_str() {
                "content" => Picked::File(self.id.clone()),
                "id" => text(&self.id),
                "name" => text(&self.name),
                _ => unknown_attribute(reference, "content, id, name"),
            },
            Query::SshFormat(_) => {
                nothing(reference, "an attached file has no other format", "Remove `?ssh-format=…`.")
            }
        }
    }
}

fn unknown_attribute(reference: &SecretReference, known: &str) -> Picked {
    nothing(reference, "it has no such attribute", &format!("The attributes are: {known}."))
}

fn nothing(reference: &SecretReference, fact: &str, help: &str) -> Picked {
    Picked::Nothing(Reply::Failed(Diagnostic::with_help(format!("{}: {fact}", reference.text), help)))
}
