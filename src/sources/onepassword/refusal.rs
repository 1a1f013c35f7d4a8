//! The error messages of `op`. It has one exit status for nearly everything and no codes, so this is the only place where
//! messages are interpreted; tests/onepassword/op-says.txt has recordings to test that.
//!
//! A message alone never lets a source of lower priority win: what `op` reports as missing is looked up in the vault's list
//! before it counts as absent (see `batch`).

use super::reference::{SecretReference, same};
use crate::diagnostic::Diagnostic;
use crate::sources::{Reply, SourceError};

/// How much of an unknown message is repeated.
const LONGEST_QUOTE: usize = 200;

/// A message of `op`, without its time stamp.
pub(super) struct Message {
    text: String,
    /// Its meaning.
    pub(super) kind: Kind,
}

/// The meaning of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// A vault does not exist, or is not shared with this login: `op` does not distinguish the two.
    Vault,
    /// An item is not found.
    Item,
    /// Two items have the same title.
    Ambiguous,
    /// An item has no such field.
    Field,
    /// A reference is malformed.
    Reference,
    /// The token is not valid.
    Token,
    /// The service account was deleted.
    Deleted,
    /// Nobody is signed in.
    SignedOut,
    /// The address of this machine is blocked.
    Firewall,
    /// Something is refused.
    Forbidden,
    /// Too many requests.
    Limited,
    /// The program has no such command: it is too old.
    UnknownCommand,
    /// Anything else.
    Other,
}

/// Parts of messages and their meanings; the first match counts.
const KINDS: &[(&str, Kind)] = &[
    ("(429)", Kind::Limited),
    ("Service Account Deleted", Kind::Deleted),
    ("DecodeSACredentials", Kind::Token),
    ("Firewall Rule", Kind::Firewall),
    ("(401)", Kind::Token),
    ("(403)", Kind::Forbidden),
    ("invalid secret reference", Kind::Reference),
    ("isn't a vault in this account", Kind::Vault),
    ("More than one item matches", Kind::Ambiguous),
    ("isn't an item", Kind::Item),
    ("could not find item", Kind::Item),
    ("could not resolve item", Kind::Item),
    ("does not have a field", Kind::Field),
    ("not currently signed in", Kind::SignedOut),
    ("is not signed in", Kind::SignedOut),
    ("No accounts configured", Kind::SignedOut),
    ("no account found", Kind::SignedOut),
    ("not authenticated yet", Kind::SignedOut),
    ("authorization timeout", Kind::SignedOut),
    ("authorization prompt", Kind::SignedOut),
    ("desktop app", Kind::SignedOut),
    ("RequestDelegatedSession", Kind::SignedOut),
    ("unknown command", Kind::UnknownCommand),
];

impl Message {
    /// Takes the standard error of `op`.
    pub(super) fn parse(errors: &str) -> Self {
        let kind =
            KINDS.iter().find(|(part, _)| errors.contains(part)).map_or(Kind::Other, |(_, kind)| *kind);
        // The text before the mark is advice for interactive use.
        let marked = errors.rfind("[ERROR]").map_or(errors, |at| &errors[at + "[ERROR]".len()..]);
        let text = marked.trim_start();
        let text = without_time(text).unwrap_or(text).trim();
        Self { text: text.to_owned(), kind }
    }

    /// Whether it is about this reference. `op` repeats the names as the reference has them.
    pub(super) fn is_about(&self, reference: &SecretReference) -> bool {
        let SecretReference { text, vault, item, .. } = reference;
        let phrases = match self.kind {
            Kind::Vault => vec![format!("\"{vault}\" isn't a vault")],
            Kind::Item => vec![
                format!("\"{item}\" isn't an item in the \"{vault}\" vault"),
                format!("\"{item}\" isn't an item."),
                format!("for item {item}:"),
                format!("could not find item {item} in"),
            ],
            Kind::Ambiguous => vec![format!("matches \"{item}\"")],
            Kind::Field => vec![format!("item '{vault}/{item}' {}", without_field(reference))],
            Kind::Reference => vec![format!("invalid secret reference '{text}'")],
            _ => Vec::new(),
        };
        phrases.iter().any(|phrase| self.says(phrase))
            || !phrases.is_empty() && self.says(&format!("could not read secret '{text}'"))
    }

    /// Whether it says that an item does not have the field of this reference.
    pub(super) fn names_field_of(&self, reference: &SecretReference) -> bool {
        self.kind == Kind::Field && self.says(&without_field(reference))
    }

    fn says(&self, phrase: &str) -> bool {
        self.text.to_lowercase().contains(&phrase.to_lowercase())
    }

    /// Whether the program may be too old to know what it was told.
    pub(super) fn is_unknown(&self) -> bool {
        matches!(self.kind, Kind::UnknownCommand | Kind::Other)
    }

    /// When the limit ends, as `op` reports it: "58 minutes".
    fn retry(&self) -> Option<&str> {
        let (_, rest) = self.text.split_once("retry in ")?;
        let words = rest.split_inclusive(' ').take(2).map(str::len).sum();
        let time = rest.get(..words)?.trim_end_matches([' ', '.', '\n']);
        time.chars().all(|c| c.is_ascii_alphanumeric() || c == ' ').then_some(time)
    }

    /// Its first line, as far as it may be repeated.
    fn quote(&self) -> String {
        let line = self.text.lines().next().unwrap_or_default();
        let mut quote: String = line.chars().filter(|c| !c.is_control()).take(LONGEST_QUOTE).collect();
        if quote.is_empty() {
            quote.push_str("nothing");
        }
        quote
    }

    /// Why there are no replies, if the message is not about a reference. `token` is the variable of the service account's
    /// token, if there is one.
    pub(super) fn refused(&self, token: Option<&str>) -> SourceError {
        let account = "`op service-account create NAME --vault VAULT:read_items` prints a new one";
        let variable = token.unwrap_or("OP_SERVICE_ACCOUNT_TOKEN");
        match self.kind {
            Kind::Token => SourceError::denied(
                format!("1Password does not accept {variable}: it is not a service account token"),
                format!("Copy the whole token, which starts with `ops_`; {account}."),
            ),
            Kind::Deleted => SourceError::denied(
                format!("the service account of {variable} was deleted"),
                format!("Use the token of another one; {account}."),
            ),
            Kind::SignedOut => SourceError::denied(
                "`op` is not signed in to 1Password",
                "Set OP_SERVICE_ACCOUNT_TOKEN. On your own machine, unlock the 1Password app and turn on its CLI integration.",
            ),
            Kind::Firewall => SourceError::denied(
                "1Password's firewall blocks the address of this machine",
                "Allow it in 1Password (Policies, Firewall), or run this from an address that is allowed.",
            ),
            Kind::Forbidden => SourceError::denied(
                "1Password refuses this service account (403)",
                format!("It may have expired, or lack `read_items` on a vault: {account}."),
            ),
            Kind::Limited => SourceError::Failed(self.limited()),
            _ => SourceError::failed(
                format!("`op` failed: {}", self.quote()),
                "Run `op read` with this reference on your own machine to see more; `op update` installs the newest version.",
            ),
        }
    }

    fn limited(&self) -> Diagnostic {
        let when = self.retry().map_or_else(String::new, |time| format!("; retry in {time}"));
        Diagnostic::with_help(
            format!("the rate limit of this service account is reached{when}"),
            "1Password limits reads per hour (1,000 per token, 10,000 in 1Password Business) and per day (all tokens of an account together): `op service-account ratelimit` shows them. Use IDs instead of names, which needs fewer requests, or a Connect server, which has no such limit.",
        )
    }
}

/// The reply for a vault that 1Password does not show.
pub(super) fn no_such_vault(reference: &SecretReference) -> Reply {
    Reply::Denied(hidden_vault(&reference.text, &reference.vault))
}

/// The refusal for a vault that 1Password does not show. It does not distinguish a missing vault from one that is not shared.
pub(super) fn hidden_vault(asked: &str, vault: &str) -> Diagnostic {
    Diagnostic::with_help(
        format!("{asked}: no vault `{vault}` found: it does not exist, or is not shared with this login"),
        format!(
            "Share it: `op service-account create NAME --vault '{vault}:read_items'`, or `op connect token create NAME --server SERVER --vault '{vault},r'`. `op vault list` shows the shared vaults."
        ),
    )
}

/// The reply for a title that several items have.
pub(super) fn several_items(reference: &SecretReference, ids: &[String]) -> Reply {
    let SecretReference { text, vault, item, .. } = reference;
    let first = ids.first().map_or("ID", String::as_str);
    Reply::Failed(Diagnostic::with_help(
        format!("{text}: {} items of the vault `{vault}` are called `{item}`: {}", ids.len(), ids.join(", ")),
        format!("Use the ID of the right one: `op://{vault}/{first}/{}`.", reference.field_path()),
    ))
}

/// The reply for a field that the item does not have; `fields` are those that it has, if they are known.
pub(super) fn no_such_field(reference: &SecretReference, fields: Option<&[String]>) -> Reply {
    let SecretReference { text, vault, item, .. } = reference;
    let path = reference.field_path();
    let known = match fields {
        None => String::new(),
        Some([]) => "; it has no fields".to_owned(),
        Some(fields) => format!("; the fields are: {}", fields.join(", ")),
    };
    Reply::Failed(Diagnostic::with_help(
        format!("{text}: the item has no field `{path}`{known}"),
        format!("Correct the field's name; `op item get '{item}' --vault '{vault}'` lists them."),
    ))
}

/// Whether one of the names of a vault or item is the one that a reference has.
pub(super) fn is_called(part: &str, id: &str, name: &str) -> bool {
    part == id || same(part, name)
}

/// How `op` says that an item lacks a field.
fn without_field(reference: &SecretReference) -> String {
    let section = reference.section.as_ref().map(|section| format!("{section}.")).unwrap_or_default();
    format!("does not have a field '{section}{}'", reference.field)
}

/// A message without the date and time in front: `2026/08/24 14:05:06 `.
fn without_time(text: &str) -> Option<&str> {
    let (stamp, rest) = text.split_at_checked("2026/08/24 14:05:06 ".len())?;
    let is_stamp = stamp.chars().all(|c| c.is_ascii_digit() || matches!(c, '/' | ':' | ' '));
    is_stamp.then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The recordings: what each means, and its text.
    fn recordings() -> Vec<(&'static str, String)> {
        let all = include_str!("../../../tests/onepassword/op-says.txt");
        let lines = all.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        lines
            .map(|line| {
                let (kind, text) = line.split_once('\t').unwrap();
                (kind, text.replace("\\n", "\n").replace("\\t", "\t"))
            })
            .collect()
    }

    fn name(kind: Kind) -> &'static str {
        match kind {
            Kind::Vault => "vault",
            Kind::Item => "item",
            Kind::Ambiguous => "ambiguous",
            Kind::Field => "field",
            Kind::Reference => "reference",
            Kind::Token => "token",
            Kind::Deleted => "deleted",
            Kind::SignedOut => "signed-out",
            Kind::Firewall => "firewall",
            Kind::Forbidden => "forbidden",
            Kind::Limited => "limited",
            Kind::UnknownCommand => "unknown-command",
            Kind::Other => "other",
        }
    }

    #[test]
    fn every_recording_is_told_apart() {
        let recordings = recordings();
        assert!(recordings.len() > 25);
        for (kind, text) in recordings {
            assert_eq!(name(Message::parse(&text).kind), kind, "{text}");
        }
    }

    #[test]
    fn a_message_is_about_the_references_that_it_names() {
        let about = |text: &str, reference: &str| {
            Message::parse(text).is_about(&SecretReference::parse(reference).ok().unwrap())
        };
        let missing = "[ERROR] 2026/08/24 14:05:06 could not resolve item UUID for item a b: could not find item a b in vault 3krb";
        assert!(
            about(missing, "op://v/A b/f") && !about(missing, "op://v/a/f") && !about(missing, "op://v/b/f")
        );
        let field = "[ERROR] 2026/08/24 14:05:30 item 'v/i' does not have a field 's.f'";
        assert!(about(field, "op://v/i/s/f") && !about(field, "op://v/i/f") && !about(field, "op://w/i/s/f"));
        let vault = "[ERROR] 2026/08/24 14:05:30 \"v\" isn't a vault in this account. Specify …";
        assert!(about(vault, "op://v/i/f") && !about(vault, "op://w/v/v"));
        let read = "[ERROR] could not read secret 'op://v/i/f': could not get item v/i: \"i\" isn't an item in the \"v\" vault.";
        assert!(about(read, "op://v/i/f") && !about(read, "op://v/x/f"));
        assert!(!about("[ERROR] 2026/09/14 18:52:01 context deadline exceeded", "op://v/i/f"));
    }

    #[test]
    fn a_limit_says_when_it_is_over() {
        let limited = recordings().into_iter().find(|(kind, _)| *kind == "limited").unwrap().1;
        assert_eq!(Message::parse(&limited).retry(), Some("58 minutes"));
        assert_eq!(Message::parse("(429) Too Many Requests").retry(), None);
    }

    #[test]
    fn an_unknown_message_is_repeated_without_its_time_and_not_at_length() {
        let SourceError::Failed(refusal) =
            Message::parse("[ERROR] 2026/08/24 14:05:06 something\u{1b}[1m new\nmore").refused(None)
        else {
            panic!("it is unknown")
        };
        assert_eq!(refusal.fact, "`op` failed: something[1m new");
        let long = Message::parse(&"x".repeat(1000)).quote();
        assert_eq!(long.len(), LONGEST_QUOTE);
    }
}
