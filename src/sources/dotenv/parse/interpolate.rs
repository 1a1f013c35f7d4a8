//! The `$` language of Docker Compose 5 in env files: `$X`, `${X}`, `${X:-default}` and its kin, `$$`.

use zeroize::Zeroizing;

use super::problem::ErrorKind;

/// How many bytes the interpolated values of one file may have together: `B=$A$A`, `C=$B$B` … doubles with each line.
pub(super) const BUDGET: usize = 16 * 1024 * 1024;

/// How deep `${A:-${B:-…}}` may nest.
const DEPTH: usize = 64;

/// Whether Compose would change this text. `escaped` is the number of `$$` in it that were
/// written as `\$` and so mean one dollar in any case.
pub(super) fn would_change(text: &[u8], escaped: usize) -> bool {
    let mut pairs = 0;
    let mut at = 0;
    while let Some(offset) = dollar(text, at) {
        let after = text.get(offset + 1..).unwrap_or_default();
        match after.first() {
            Some(b'$') => pairs += 1,
            Some(b'{') => return true,
            _ if name_length(after) > 0 => return true,
            _ => {
                at = offset + 1;
                continue;
            }
        }
        at = offset + 2;
    }
    // Within a run of dollars it does not matter which ones pair up, and a run has at least as many pairs as escapes.
    pairs != escaped
}

/// Replaces references by values.
pub(super) struct Expander<'a> {
    lookup: super::Lookup<'a>,
    budget: &'a mut usize,
    unset: bool,
}

/// One `${NAME…}`, taken apart.
struct Braced<'t> {
    name: &'t str,
    /// `-`, `+` or `?`, whether a colon stands before it, and the text behind it.
    operator: Option<(u8, bool, &'t [u8])>,
    /// Where the text goes on.
    end: usize,
}

impl<'a> Expander<'a> {
    pub(super) fn new(lookup: super::Lookup<'a>, budget: &'a mut usize) -> Self {
        Self { lookup, budget, unset: false }
    }

    /// Whether a variable without a value or a default was met. (Its name may be part of a secret, so it is not kept.)
    pub(super) fn met_unset(&self) -> bool {
        self.unset
    }

    /// The text with every reference replaced.
    pub(super) fn expand(&mut self, text: &[u8]) -> Result<Zeroizing<Vec<u8>>, ErrorKind> {
        self.expand_nested(text, 0)
    }

    fn expand_nested(&mut self, text: &[u8], depth: usize) -> Result<Zeroizing<Vec<u8>>, ErrorKind> {
        if depth > DEPTH {
            return Err(ErrorKind::TooDeep);
        }
        let mut out = Zeroizing::new(Vec::with_capacity(text.len()));
        let mut line = Line::default();
        let mut at = 0;
        while let Some(offset) = dollar(text, at) {
            self.push(&mut out, text.get(at..offset).unwrap_or_default())?;
            let after = text.get(offset + 1..).unwrap_or_default();
            let name = name_length(after);
            if after.first() == Some(&b'$') {
                self.push(&mut out, b"$")?;
                at = offset + 2;
            } else if name > 0 {
                let value = self.value_or_unset(name_of(after, name))?;
                self.push(&mut out, &value)?;
                at = offset + 1 + name;
            } else if after.first() == Some(&b'{') {
                let braced = braced(text, offset, &mut line).ok_or(ErrorKind::InvalidReference)?;
                let value = self.braced(&braced, depth)?;
                self.push(&mut out, &value)?;
                at = braced.end;
            } else {
                self.push(&mut out, b"$")?;
                at = offset + 1;
            }
        }
        self.push(&mut out, text.get(at..).unwrap_or_default())?;
        Ok(out)
    }

    /// A variable without an alternative if it is not set.
    fn value_or_unset(&mut self, name: &str) -> Result<Zeroizing<Vec<u8>>, ErrorKind> {
        let value = self.value(name)?;
        self.unset |= value.is_none();
        Ok(value.unwrap_or_default())
    }

    fn value(&mut self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, ErrorKind> {
        let value = (self.lookup)(name);
        // Looking up is work too: `${A:+}` a hundred thousand times, with a large `A`.
        self.charge(value.as_ref().map_or(0, |value| value.len()))?;
        Ok(value)
    }

    fn braced(&mut self, braced: &Braced<'_>, depth: usize) -> Result<Zeroizing<Vec<u8>>, ErrorKind> {
        let Some((operator, colon, text)) = braced.operator else {
            return self.value_or_unset(braced.name);
        };
        // Compose v2 expands the text even when it is not used, so that an error in it counts either way.
        let value = self.value(braced.name)?;
        let counts = value.as_ref().is_some_and(|value| !(colon && value.is_empty()));
        match operator {
            b'+' if counts => self.expand_nested(text, depth + 1),
            b'-' if !counts => self.expand_nested(text, depth + 1),
            b'?' if !counts => Err(ErrorKind::RequiredVariable),
            _ => Ok(value.unwrap_or_default()),
        }
    }

    fn charge(&mut self, bytes: usize) -> Result<(), ErrorKind> {
        *self.budget = self.budget.checked_sub(bytes).ok_or(ErrorKind::TooLarge)?;
        Ok(())
    }

    /// Appends within the budget. Growing by hand wipes the smaller buffer, which the standard `Vec` would leave behind.
    fn push(&mut self, out: &mut Zeroizing<Vec<u8>>, bytes: &[u8]) -> Result<(), ErrorKind> {
        self.charge(bytes.len())?;
        let needed = out.len() + bytes.len();
        if needed > out.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(needed.max(2 * out.capacity())));
            larger.extend_from_slice(out);
            *out = larger;
        }
        out.extend_from_slice(bytes);
        Ok(())
    }
}

/// The end of the line last looked at and the last `}` on it, so that a line of many references is searched once.
#[derive(Default)]
struct Line {
    end: usize,
    last_brace: Option<usize>,
}

impl Line {
    /// The last `}` from `at` up to the end of its line.
    fn last_brace(&mut self, text: &[u8], at: usize) -> Option<usize> {
        if at >= self.end {
            let rest = text.get(at..).unwrap_or_default();
            let length = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
            self.end = at + length;
            self.last_brace =
                rest.get(..length)?.iter().rposition(|&byte| byte == b'}').map(|brace| at + brace);
        }
        self.last_brace.filter(|&brace| brace >= at)
    }
}

/// Takes the `${` at `offset` apart; `None` where Compose finds it malformed.
fn braced<'t>(text: &'t [u8], offset: usize, line: &mut Line) -> Option<Braced<'t>> {
    let inside = text.get(offset + 2..)?;
    let length = name_length(inside);
    if length == 0 {
        return None;
    }
    let name = name_of(inside, length);
    let start = offset + 2 + length;
    let (operator, colon, operand) = match *text.get(start..)? {
        [b'}', ..] => {
            return Some(Braced { name, operator: None, end: start + 1 });
        }
        [b':', operator @ (b'-' | b'+' | b'?'), ..] => (operator, true, start + 2),
        [operator @ (b'-' | b'+' | b'?'), ..] => (operator, false, start + 1),
        _ => return None,
    };
    // A reference reaches to the brace that closes it, else to the last one on its line.
    let last = line.last_brace(text, operand)?;
    let close = closing_brace(text.get(offset..=last)?).map_or(last, |length| offset + length);
    Some(Braced { name, operator: Some((operator, colon, text.get(operand..close)?)), end: close + 1 })
}

/// Where the first brace of the reference is closed. Compose does not look at the character right after a `{`, be it a brace.
fn closing_brace(reference: &[u8]) -> Option<usize> {
    let mut open = 0_usize;
    let mut at = 0;
    while let Some(&byte) = reference.get(at) {
        if byte == b'{' {
            open += 1;
            at += 1;
        } else if byte == b'}' {
            open = open.saturating_sub(1);
            if open == 0 {
                return Some(at);
            }
        }
        at += 1;
    }
    None
}

fn dollar(text: &[u8], from: usize) -> Option<usize> {
    text.get(from..)?.iter().position(|&byte| byte == b'$').map(|offset| from + offset)
}

/// How many bytes of a variable's name the text starts with. Compose matches names without regard to case, which in Unicode
/// lets the long s and the Kelvin sign pass as letters.
fn name_length(text: &[u8]) -> usize {
    let mut length = 0;
    loop {
        length += match text.get(length..).unwrap_or_default() {
            [b'_' | b'a'..=b'z' | b'A'..=b'Z', ..] => 1,
            [b'0'..=b'9', ..] if length > 0 => 1,
            [0xC5, 0xBF, ..] => 2,
            [0xE2, 0x84, 0xAA, ..] => 3,
            _ => return length,
        };
    }
}

fn name_of(text: &[u8], length: usize) -> &str {
    text.get(..length).and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default()
}
