//! What Compose is given in a declared secret's place, and how values are put where it stands.
//!
//! Compose interpolates the project with a placeholder for each secret. So every operator works (`${NAME:?}`,
//! `${NAME:+x}`), no value reaches Compose, and a placeholder that is found in the answer shows where a value belongs.

use claude_secrets_launcher::interface;
/// The placeholder of a variable. It is the same in every run, so that nothing is recreated on its account, and ends in a
/// character that no name has, so that text may follow at once.
pub use claude_secrets_launcher::interface::placeholder;
use zeroize::Zeroizing;

use crate::secret::SecretValue;

/// What Compose gets in place of a value in clear (`deliver: env`) where nothing is started.
pub const STAND_IN: &str = "in-clear-by-claude-secrets";

const BEGINNING: &str = interface::PLACEHOLDER;
const END: char = '.';

/// A text that Compose must not interpolate, as a Compose file has it.
pub fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

/// A text of the Compose model, which may hold placeholders and other sensitive text: it has no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Text(Zeroizing<String>);

impl Text {
    /// Takes a text as `docker compose config` prints it, where each dollar sign is doubled.
    pub fn of_model(text: &str) -> Self {
        Self(Zeroizing::new(text.replace("$$", "$")))
    }

    /// The variables whose placeholders it holds, in order.
    pub fn variables(&self) -> Vec<&str> {
        pieces(&self.0).filter_map(Piece::variable).collect()
    }

    /// The variable whose placeholder is the whole text.
    pub fn whole(&self) -> Option<&str> {
        match pieces(&self.0).collect::<Vec<_>>()[..] {
            [Piece::Variable(name)] => Some(name),
            _ => None,
        }
    }

    /// The text with a value in each placeholder's place; `None` when one of the variables has no value.
    pub fn compose<'v>(&self, value_of: impl Fn(&str) -> Option<&'v SecretValue>) -> Option<SecretValue> {
        let mut bytes = Zeroizing::new(Vec::new());
        for piece in pieces(&self.0) {
            match piece {
                Piece::Literal(text) => bytes.extend_from_slice(text.as_bytes()),
                Piece::Variable(name) => bytes.extend_from_slice(value_of(name)?.expose()),
            }
        }
        Some(SecretValue::new(std::mem::take(&mut *bytes)))
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The variables whose placeholders a text holds, in order.
pub fn variables_in(text: &str) -> Vec<&str> {
    pieces(text).filter_map(Piece::variable).collect()
}

enum Piece<'t> {
    Literal(&'t str),
    Variable(&'t str),
}

impl<'t> Piece<'t> {
    fn variable(self) -> Option<&'t str> {
        match self {
            Self::Literal(_) => None,
            Self::Variable(name) => Some(name),
        }
    }
}

/// Cuts a text at its placeholders.
fn pieces(mut rest: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut next = None;
    std::iter::from_fn(move || {
        if let Some(name) = next.take() {
            return Some(Piece::Variable(name));
        }
        if rest.is_empty() {
            return None;
        }
        let mut from = 0;
        while let Some(at) = rest[from..].find(BEGINNING).map(|at| from + at) {
            let name_at = at + BEGINNING.len();
            let name = rest[name_at..].split_once(END).map_or("", |(name, _)| name);
            if !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                let before = &rest[..at];
                rest = &rest[name_at + name.len() + END.len_utf8()..];
                if before.is_empty() {
                    return Some(Piece::Variable(name));
                }
                next = Some(name);
                return Some(Piece::Literal(before));
            }
            from = name_at;
        }
        Some(Piece::Literal(std::mem::take(&mut rest)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_take_the_place_of_placeholders_and_everything_else_stays() {
        let values = |name: &str| {
            (name != "NONE")
                .then(|| Box::leak(Box::new(SecretValue::new(name.to_lowercase().into_bytes()))) as &_)
        };
        for (text, variables, composed) in [
            ("", vec![], Some("")),
            ("plain", vec![], Some("plain")),
            ("claude-secrets-placeholder.PW.", vec!["PW"], Some("pw")),
            (
                "u:claude-secrets-placeholder.PW.x@claude-secrets-placeholder.H.claude-secrets-placeholder.P.",
                vec!["PW", "H", "P"],
                Some("u:pwx@hp"),
            ),
            ("claude-secrets-placeholder.NONE.", vec!["NONE"], None),
            ("claude-secrets-placeholder..", vec![], Some("claude-secrets-placeholder..")),
            ("claude-secrets-placeholder.A B.", vec![], Some("claude-secrets-placeholder.A B.")),
            ("a$$b", vec![], Some("a$b")),
        ] {
            let found = Text::of_model(text);
            assert_eq!(found.variables(), variables, "{text}");
            let value = found.compose(values);
            assert_eq!(value.as_ref().map(SecretValue::expose), composed.map(str::as_bytes), "{text}");
        }
        assert_eq!(Text::of_model(&placeholder("A")).whole(), Some("A"));
        assert_eq!(Text::of_model(&format!("{}x", placeholder("A"))).whole(), None);
    }
}
