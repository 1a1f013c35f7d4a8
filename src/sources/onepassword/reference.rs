//! `op://vault/item/[section/]field[?attribute=…]`, as 1Password's own tools write it (1Password's documentation,
//! "Secret reference syntax"). Names are compared without case, and each may be an id instead.

use crate::count::count;
use crate::diagnostic::Diagnostic;

/// How every reference starts.
const START: &str = "op://";

/// The place of a value in 1Password.
#[derive(Clone)]
pub(super) struct SecretReference {
    /// The reference as it was written.
    pub(super) text: String,
    /// The vault's name or id.
    pub(super) vault: String,
    /// The item's title or id.
    pub(super) item: String,
    /// The section's label or id.
    pub(super) section: Option<String>,
    /// The field's label or id, or a file's name or id.
    pub(super) field: String,
    /// The requested part of the field.
    pub(super) query: Query,
}

/// The requested part of a field.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Query {
    /// Its value.
    None,
    /// `?attribute=…` or `?attr=…`.
    Attribute(String),
    /// `?ssh-format=…`.
    SshFormat(String),
}

impl SecretReference {
    /// Takes a text and returns what it refers to.
    ///
    /// # Errors
    /// What is wrong with it, and how to correct it.
    pub(super) fn parse(text: &str) -> Result<Self, Diagnostic> {
        let refused = |fact: &str, help: &str| Err(Diagnostic::with_help(format!("{text}: {fact}"), help));
        let Some(whole) = text.strip_prefix(START) else {
            return refused(
                "it is not a 1Password reference",
                "Write it as `op://vault/item/field` or `op://vault/item/section/field`.",
            );
        };
        let (path, query) = whole.split_once('?').map_or((whole, None), |(path, query)| (path, Some(query)));
        let parts: Vec<&str> = path.split('/').collect();
        let (vault, item, section, field) = match parts[..] {
            [vault, item, field] => (vault, item, None, field),
            [vault, item, section, field] => (vault, item, Some(section), field),
            _ => {
                return refused(
                    &format!("it has {} instead of three or four", count(parts.len(), "part")),
                    "Write it as `op://vault/item/field` or `op://vault/item/section/field`. For a name that contains a `/`, use its ID (`op item list --vault VAULT`, `op item get ITEM --format json`).",
                );
            }
        };
        if parts.iter().any(|part| part.trim().is_empty()) {
            return refused(
                "a part of it is empty",
                "Write it as `op://vault/item/field` or `op://vault/item/section/field`.",
            );
        }
        let Some(query) = Query::parse(query) else {
            return refused(
                "the query after the `?` is unknown",
                "It may be `?attribute=otp`, `?attribute=content`, another attribute, or `?ssh-format=openssh`.",
            );
        };
        Ok(Self {
            text: text.to_owned(),
            vault: vault.to_owned(),
            item: item.to_owned(),
            section: section.map(str::to_owned),
            field: field.to_owned(),
            query,
        })
    }

    /// The first character that `op` does not accept in a reference. It accepts ASCII letters and digits, `-`, `_`, `.` and the
    /// space; a template with anything else fails as a whole.
    pub(super) fn unsupported(&self) -> Option<char> {
        let path = self.text.strip_prefix(START).unwrap_or_default().split('?').next().unwrap_or_default();
        path.chars().find(|c| !is_supported(*c) && *c != '/')
    }

    /// The field for messages: with its section.
    pub(super) fn field_path(&self) -> String {
        self.section
            .as_ref()
            .map_or_else(|| self.field.clone(), |section| format!("{section}/{}", self.field))
    }
}

impl Query {
    fn parse(text: Option<&str>) -> Option<Self> {
        let Some(text) = text else { return Some(Self::None) };
        let (name, value) = text.split_once('=')?;
        if value.is_empty() || !value.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            return None;
        }
        match name {
            "attribute" | "attr" => Some(Self::Attribute(value.to_owned())),
            "ssh-format" => Some(Self::SshFormat(value.to_owned())),
            _ => None,
        }
    }
}

/// Whether `op` accepts a character in a name.
pub(super) fn is_supported(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ')
}

/// Whether two names are the same for 1Password.
pub(super) fn same(one: &str, other: &str) -> bool {
    one == other || one.to_lowercase() == other.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> String {
        match SecretReference::parse(text) {
            Ok(reference) => {
                let query = match reference.query {
                    Query::None => String::new(),
                    Query::Attribute(name) => format!(" attribute {name}"),
                    Query::SshFormat(name) => format!(" ssh {name}"),
                };
                let section = reference.section.unwrap_or_else(|| "-".to_owned());
                format!("{} | {} | {section} | {}{query}", reference.vault, reference.item, reference.field)
            }
            Err(refusal) => refusal.fact,
        }
    }

    #[test]
    fn a_reference_is_read_as_1password_writes_it() {
        for (text, expected) in [
            ("op://v/i/f", "v | i | - | f"),
            ("op://my vault/the item/the section/a.field", "my vault | the item | the section | a.field"),
            ("op://v/i/one-time password?attribute=otp", "v | i | - | one-time password attribute otp"),
            ("op://v/i/f?attr=otp", "v | i | - | f attribute otp"),
            ("op://v/i/private key?ssh-format=openssh", "v | i | - | private key ssh openssh"),
            ("op://v/i", "op://v/i: it has 2 parts instead of three or four"),
            ("op://v/i/s/f/x", "op://v/i/s/f/x: it has 5 parts instead of three or four"),
            ("op://v//f", "op://v//f: a part of it is empty"),
            ("op://v/i/ ", "op://v/i/ : a part of it is empty"),
            ("v/i/f", "v/i/f: it is not a 1Password reference"),
            ("op://v/i/f?x=y", "op://v/i/f?x=y: the query after the `?` is unknown"),
            ("op://v/i/f?attribute=", "op://v/i/f?attribute=: the query after the `?` is unknown"),
        ] {
            assert_eq!(parts(text), expected, "{text}");
        }
    }

    #[test]
    fn what_op_takes_in_no_reference_is_known_before_it_is_asked() {
        let unsupported = |text| SecretReference::parse(text).ok().and_then(|one| one.unsupported());
        assert_eq!(unsupported("op://My Vault_1/a.b-c/F?attribute=otp"), None);
        assert_eq!(unsupported("op://v/a(b)/f"), Some('('));
        assert_eq!(unsupported("op://Bücher/i/f"), Some('ü'));
        assert_eq!(unsupported("op://v/i/f#x"), Some('#'));
    }
}
