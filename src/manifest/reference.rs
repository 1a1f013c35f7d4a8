//! Where in a source: `source:item[#field][@version]`, or `op://vault/item/[section/]field` as 1Password writes it.
//!
//! In every part, `%23` `%40` `%25` `%7B` `%7C` `%7D` mean a literal `#` `@` `%` `{` `|` `}`.
//! References are not URLs: an item may contain colons (ARNs), slashes and spaces.

use std::fmt;

use data_encoding::HEXUPPER;

use super::Scope;

/// The kind that `op://` references belong to.
const ONEPASSWORD: &str = "onepassword";
/// How a 1Password reference starts.
const OP: &str = "op://";
/// The wildcard, at the end of an item or as a field.
const ALL: &str = "*";
/// Characters with a meaning of their own in a reference, which are escaped in a part.
const ESCAPED: &[char] = &['%', '#', '@', '|', '{', '}'];

/// The id of a source: `[a-z][a-z0-9-]*`, at most 64 characters, e.g. `vault` or `old-vault`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SourceId(String);

/// Where in a source a value is kept.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Reference {
    /// The source.
    pub source: SourceId,
    /// The item, in the source's own words; for `op://` references the whole text.
    pub item: String,
    /// The field of the item.
    pub field: Option<String>,
    /// The version of the item.
    pub version: Option<String>,
}

/// Why a text is not a [`Reference`]. It contains nothing of the text, which may be a misplaced value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReferenceError {
    /// The position in the text, in characters, counted from 1.
    pub position: usize,
    /// What is wrong there.
    pub kind: ReferenceErrorKind,
}

/// What is wrong with a reference.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReferenceErrorKind {
    /// The text is empty.
    Empty,
    /// There is no colon that ends a source's id.
    NoSource,
    /// The text before the first colon is not a source id.
    BadSource,
    /// The item, field or version is empty.
    EmptyPart,
    /// An item starts with a space.
    LeadingBlank,
    /// A control character.
    Control,
    /// A `%` that does not start an escape.
    BadEscape,
    /// A second `#`, a second `@`, or a `#` after the `@`.
    Misplaced,
    /// A brace that is not part of `{prefix}` or `{environment}`.
    UnknownPlaceholder,
    /// `{environment}`, but no environment was given.
    NoEnvironment,
    /// A placeholder where there is nothing to put in.
    NoScope,
    /// `op://` without `vault/item/field`.
    IncompleteOp,
}

impl SourceId {
    /// Takes a text and returns it as an id; `None` if it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let good = text.len() <= 64
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        good.then(|| Self(text.to_owned()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Reference {
    /// Takes a text without placeholders and returns what it refers to. Spaces around it are ignored.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        parse(text, None)
    }

    /// Whether it means many secrets: everything below a prefix (`vault:secret/bot/*`), or every field of an item
    /// (`aws:bot/db#*`).
    pub fn is_wildcard(&self) -> bool {
        self.field.as_deref() == Some(ALL) || (self.field.is_none() && self.item.ends_with(ALL))
    }

    /// As [`Reference::parse`], with `{prefix}` and `{environment}` replaced by those of the scope. The inserted text is
    /// literal: a `#` in a prefix does not start a field.
    pub fn parse_in(text: &str, scope: &Scope) -> Result<Self, ReferenceError> {
        parse(text, Some(scope))
    }
}

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Reference {
    /// The canonical text: [`Reference::parse`] gives the same reference again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bare_op = self.source.as_str() == ONEPASSWORD
            && self.field.is_none()
            && self.version.is_none()
            && !self.item.contains(ESCAPED)
            && (is_op(&self.item) || is_op_vault(&self.item));
        if bare_op {
            return f.write_str(&self.item);
        }
        write!(f, "{}:{}", self.source, escape(&self.item))?;
        if let Some(field) = &self.field {
            write!(f, "#{}", escape(field))?;
        }
        if let Some(version) = &self.version {
            write!(f, "@{}", escape(version))?;
        }
        Ok(())
    }
}

impl fmt::Display for ReferenceErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "it is empty",
            Self::NoSource => "it has no source (there is no `:`)",
            Self::BadSource => "the text before the first `:` is not a source",
            Self::EmptyPart => "the item, field or version is empty",
            Self::LeadingBlank => "the item, field or version starts with a space",
            Self::Control => "it contains a control character",
            Self::BadEscape => "`%` must start one of %23 %25 %40 %7B %7C %7D; write a literal `%` as %25",
            Self::Misplaced => {
                "unexpected `#` or `@`; write a literal one as %23 or %40"
            }
            Self::UnknownPlaceholder => {
                "unexpected brace outside of `{prefix}` and `{environment}`; write a literal one as %7B or %7D"
            }
            Self::NoEnvironment => "it contains `{environment}`, but no environment is set",
            Self::NoScope => "placeholders cannot be used here",
            Self::IncompleteOp => {
                "an `op://` reference is `op://vault/item/field` or `op://vault/item/section/field`"
            }
        })
    }
}

impl fmt::Display for ReferenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at character {}: {}", self.position, self.kind)
    }
}

impl std::error::Error for ReferenceError {}

fn parse(text: &str, scope: Option<&Scope>) -> Result<Reference, ReferenceError> {
    let lead = text.chars().take_while(|c| c.is_whitespace()).count();
    let text = text.trim();
    parse_trimmed(text, scope)
        .map_err(|error| ReferenceError { position: error.position + lead, kind: error.kind })
}

fn parse_trimmed(text: &str, scope: Option<&Scope>) -> Result<Reference, ReferenceError> {
    use ReferenceErrorKind as Kind;
    let fail = |position: usize, kind: Kind| Err(ReferenceError { position, kind });
    if text.is_empty() {
        return fail(1, Kind::Empty);
    }
    if let Some(at) = text.chars().position(char::is_control) {
        return fail(at + 1, Kind::Control);
    }
    if text.starts_with(OP) {
        return parse_op(text, scope);
    }
    let Some((id, _)) = text.split_once(':') else {
        return fail(1, Kind::NoSource);
    };
    let Some(source) = SourceId::parse(id) else {
        return fail(1, Kind::BadSource);
    };
    let mut parts = Parts::default();
    let mut rest = Cursor { text, at: id.len() + 1 };
    while let Some((at, c)) = rest.next() {
        match c {
            '#' if parts.field.is_none() && parts.version.is_none() => parts.field = Some(String::new()),
            '@' if parts.version.is_none() => parts.version = Some(String::new()),
            '#' | '@' => return fail(rest.position(at), Kind::Misplaced),
            '%' => match rest.escape() {
                Some(c) => parts.last().push(c),
                None => return fail(rest.position(at), Kind::BadEscape),
            },
            '{' | '}' => match placeholder(&mut rest, c, scope) {
                Ok(put_in) => parts.last().push_str(put_in),
                Err(kind) => return fail(rest.position(at), kind),
            },
            c => parts.last().push(c),
        }
    }
    let Parts { item, field, version } = parts;
    // Only a placeholder can have put the slashes there. What is shown of it would be read as something else.
    if id == "op" && item.starts_with("//") {
        return fail(id.len() + 2, Kind::IncompleteOp);
    }
    for part in [Some(&item), field.as_ref(), version.as_ref()].into_iter().flatten() {
        if part.is_empty() {
            return fail(text.chars().count(), Kind::EmptyPart);
        }
        // `NAME: env: X` and the like: more likely a mistake than a name that starts with a space. A space at the end
        // cannot be distinguished from one after the reference.
        if part.starts_with(char::is_whitespace) || part.ends_with(char::is_whitespace) {
            return fail(id.chars().count() + 2, Kind::LeadingBlank);
        }
    }
    Ok(Reference { source, item, field, version })
}

/// `op://vault/item/[section/]field`: kept whole, since 1Password's own tools read it; only placeholders are replaced.
fn parse_op(text: &str, scope: Option<&Scope>) -> Result<Reference, ReferenceError> {
    let mut item = String::new();
    let mut rest = Cursor { text, at: 0 };
    while let Some((at, c)) = rest.next() {
        match c {
            '{' | '}' => match placeholder(&mut rest, c, scope) {
                Ok(put_in) => item.push_str(put_in),
                Err(kind) => {
                    return Err(ReferenceError { position: rest.position(at), kind });
                }
            },
            c => item.push(c),
        }
    }
    // An environment's name may end in a space.
    if item.ends_with(char::is_whitespace) {
        return Err(ReferenceError {
            position: text.chars().count(),
            kind: ReferenceErrorKind::LeadingBlank,
        });
    }
    if !is_op(&item) && !is_op_vault(&item) {
        let position = text.chars().count();
        return Err(ReferenceError { position, kind: ReferenceErrorKind::IncompleteOp });
    }
    Ok(Reference { source: SourceId(ONEPASSWORD.to_owned()), item, field: None, version: None })
}

/// Whether a text is a whole `op://` reference: a vault, an item, perhaps a section, and a field.
fn is_op(text: &str) -> bool {
    let parts = text.strip_prefix(OP).map(|path| path.split('/'));
    parts.is_some_and(|mut parts| {
        (3..=4).contains(&parts.clone().count()) && parts.all(|part| !part.trim().is_empty())
    })
}

/// Whether a text is `op://vault/*`: everything in a vault.
fn is_op_vault(text: &str) -> bool {
    let vault = text.strip_prefix(OP).and_then(|path| path.strip_suffix("/*"));
    vault.is_some_and(|vault| !vault.trim().is_empty() && !vault.contains('/'))
}

/// The parts behind the source, while they are read.
#[derive(Default)]
struct Parts {
    item: String,
    field: Option<String>,
    version: Option<String>,
}

impl Parts {
    /// The part that is being read.
    fn last(&mut self) -> &mut String {
        self.version.as_mut().or(self.field.as_mut()).unwrap_or(&mut self.item)
    }
}

/// A text and how far it has been read, in bytes.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    /// The next character and its position.
    fn next(&mut self) -> Option<(usize, char)> {
        let at = self.at;
        let c = self.rest().chars().next()?;
        self.at += c.len_utf8();
        Some((at, c))
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The character of the escape after a `%`.
    fn escape(&mut self) -> Option<char> {
        let code = self.rest().get(..2)?;
        let c = char::from(u8::from_str_radix(code, 16).ok()?);
        ESCAPED.contains(&c).then(|| {
            self.at += 2;
            c
        })
    }

    /// A place in bytes as a position in characters, counted from 1.
    fn position(&self, at: usize) -> usize {
        self.text.get(..at).unwrap_or_default().chars().count() + 1
    }
}

/// The replacement of the placeholder whose brace was just read.
fn placeholder<'s>(
    rest: &mut Cursor<'_>,
    brace: char,
    scope: Option<&'s Scope>,
) -> Result<&'s str, ReferenceErrorKind> {
    use ReferenceErrorKind as Kind;
    let name = if brace == '{' { rest.rest().split_once('}').map(|(name, _)| name) } else { None };
    let name =
        name.filter(|name| matches!(*name, "prefix" | "environment")).ok_or(Kind::UnknownPlaceholder)?;
    let scope = scope.ok_or(Kind::NoScope)?;
    rest.at += name.len() + 1;
    if name == "prefix" {
        return Ok(&scope.prefix);
    }
    scope.environment.as_deref().ok_or(Kind::NoEnvironment)
}

fn escape(part: &str) -> String {
    let mut text = String::with_capacity(part.len());
    for c in part.chars() {
        if ESCAPED.contains(&c) {
            text.push('%');
            text.push_str(&HEXUPPER.encode(&[c as u8]));
        } else {
            text.push(c);
        }
    }
    text
}
