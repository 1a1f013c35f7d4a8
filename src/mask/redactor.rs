//! Finds the plan's patterns in text and replaces them with `***`.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use super::filter::{Filter, Marks};
use super::plan::{Patterns, Plan, Span};
use super::{MASK, Stream};

/// A longer pattern (bytes) is searched in pieces, so that a stream never holds back more than this, and a long value that
/// is printed only in part is redacted except for its last piece.
const LONGEST_PIECE: usize = 1024;

/// The length of such a piece (bytes).
const PIECE: usize = 512;

/// Replaces secret values in text. Cheap to clone: clones share everything.
///
/// The patterns are wiped with the last clone. The tables to find them contain only hashes.
#[derive(Clone)]
pub struct Redactor(Arc<Inner>);

struct Inner {
    patterns: Arc<Patterns>,
    /// The search patterns, sorted by bytes, without duplicates.
    pieces: Vec<Span>,
    /// For each piece, the longest other piece that it begins with.
    parents: Vec<Option<u32>>,
    /// Where in a text a piece may begin.
    filter: Filter,
    /// How a piece can begin.
    beginnings: Marks,
    longest: usize,
}

impl Redactor {
    /// Builds the redactor of a plan. The two share the patterns.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let patterns = Arc::clone(&plan.patterns);
        let pieces = pieces(&patterns);
        let longest = pieces.iter().map(|piece| piece.end - piece.start).max().unwrap_or(0);
        let parents = parents(&patterns, &pieces);
        // A piece that begins with another one is found with that one.
        let roots = pieces.iter().zip(&parents).filter(|(_, parent)| parent.is_none());
        let roots = roots.map(|(piece, _)| patterns.bytes(*piece));
        let filter = Filter::new(roots.clone());
        let beginnings = Marks::of_beginnings(roots);
        Self(Arc::new(Inner { patterns, pieces, parents, filter, beginnings, longest }))
    }

    /// Returns `text` with each value in it replaced by `***`. Hits that overlap or touch become one `***`.
    ///
    /// The text may be a line or many. It must be complete at its end: for chunks there is [`Stream`].
    pub fn redact_line<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        let hits = self.hits(text);
        if hits.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut redacted = Vec::with_capacity(text.len());
        let mut copied = 0;
        for hit in hits {
            redacted.extend_from_slice(&text[copied..hit.start]);
            redacted.extend_from_slice(MASK.as_bytes());
            copied = hit.end;
        }
        redacted.extend_from_slice(&text[copied..]);
        Cow::Owned(redacted)
    }

    /// Returns `text` with each value in it replaced by `***`.
    pub fn redact_text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.redact_line(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            Cow::Owned(redacted) => Cow::Owned(String::from_utf8_lossy(&redacted).into_owned()),
        }
    }

    /// Returns the names of all secrets with a secret part in `text`, in any form, each once, in the order of the plan. What is
    /// only hidden in the log (a user name next to the password) does not count. If two secrets share a form (the same
    /// value), only the first is named.
    pub fn names_in(&self, text: &[u8]) -> Vec<&str> {
        let mut seen = BTreeSet::new();
        self.starts(text, |_, piece| {
            // Every piece that begins here counts, not only the longest.
            let mut next = Some(piece);
            while let Some(index) = next {
                let piece = self.0.pieces[index];
                if piece.secret {
                    seen.insert(piece.name);
                }
                next = self.0.parent(index);
            }
        });
        seen.into_iter().map(|name| self.0.patterns.names[name].as_str()).collect()
    }

    /// Starts to redact output that arrives in chunks.
    pub fn stream(&self) -> Stream {
        Stream::new(self.clone())
    }

    /// How many bytes of memory it takes, without the patterns, which it shares with the plan.
    pub fn memory(&self) -> usize {
        let of_piece = std::mem::size_of::<Span>() + std::mem::size_of::<Option<u32>>();
        self.0.pieces.len() * of_piece + self.0.filter.memory() + self.0.beginnings.memory()
    }

    /// The parts of `text` to hide, from left to right, with a gap of at least one byte between two.
    pub(super) fn hits(&self, text: &[u8]) -> Vec<Range<usize>> {
        let length = |piece: usize| self.0.pieces[piece].end - self.0.pieces[piece].start;
        let mut found: Vec<Range<usize>> = Vec::new();
        self.starts(text, |start, piece| found.push(start..start + length(piece)));
        found.sort_unstable_by_key(|hit| hit.start);
        let mut merged: Vec<Range<usize>> = Vec::with_capacity(found.len());
        for hit in found {
            match merged.last_mut() {
                Some(last) if hit.start <= last.end => last.end = last.end.max(hit.end),
                _ => merged.push(hit),
            }
        }
        merged
    }

    /// The first position in `text` from which on a pattern has begun and not ended: what follows may complete
    /// it. The length of `text` if there is none.
    pub(super) fn undecided_from(&self, text: &[u8]) -> usize {
        let first = text.len().saturating_sub(self.0.longest.saturating_sub(1));
        (first..text.len()).find(|&start| self.0.is_begun(&text[start..])).unwrap_or(text.len())
    }

    /// How many bytes a stream can hold back at most, plus one.
    #[cfg(test)]
    pub(super) fn longest(&self) -> usize {
        self.0.longest
    }

    /// Calls `found` with every position at which a piece begins, and the longest such piece; not in order, some perhaps
    /// more than once.
    fn starts(&self, text: &[u8], mut found: impl FnMut(usize, usize)) {
        self.0.filter.each(text, &mut |start| {
            if let Some(piece) = self.0.longest_at(&text[start..]) {
                found(start, piece);
            }
        });
    }
}

impl Inner {
    fn parent(&self, piece: usize) -> Option<usize> {
        self.parents[piece].map(|parent| parent as usize)
    }

    /// The longest piece that `text` begins with.
    fn longest_at(&self, text: &[u8]) -> Option<usize> {
        // A piece that `text` begins with is not greater than `text`, and between the two are only pieces that
        // begin with it: so it is the last one not greater, or an ancestor of that.
        let after = self.pieces.partition_point(|piece| self.patterns.bytes(*piece) <= text);
        let mut candidate = after.checked_sub(1);
        while let Some(index) = candidate {
            if text.starts_with(self.patterns.bytes(self.pieces[index])) {
                return Some(index);
            }
            candidate = self.parent(index);
        }
        None
    }

    /// Whether some piece begins with `text` and goes on.
    fn is_begun(&self, text: &[u8]) -> bool {
        if !self.beginnings.may_begin(text) {
            return false;
        }
        let after = self.pieces.partition_point(|piece| self.patterns.bytes(*piece) <= text);
        self.pieces.get(after).is_some_and(|piece| self.patterns.bytes(*piece).starts_with(text))
    }
}

/// The patterns, the long ones in pieces, sorted by bytes and each once.
fn pieces(patterns: &Patterns) -> Vec<Span> {
    let mut pieces = Vec::with_capacity(patterns.spans.len());
    for &span in &patterns.spans {
        if span.end - span.start <= LONGEST_PIECE {
            pieces.push(span);
            continue;
        }
        let starts = (span.start..span.end - PIECE).step_by(PIECE).chain([span.end - PIECE]);
        pieces.extend(starts.map(|start| Span { start, end: start + PIECE, ..span }));
    }
    // Sorted already, unless something was cut up. Of equal ones the secret part stays.
    pieces.sort_by(|a, b| patterns.bytes(*a).cmp(patterns.bytes(*b)).then(b.secret.cmp(&a.secret)));
    pieces.dedup_by(|a, b| patterns.bytes(*a) == patterns.bytes(*b));
    pieces
}

/// For each of the sorted pieces, the longest other one that it begins with.
fn parents(patterns: &Patterns, pieces: &[Span]) -> Vec<Option<u32>> {
    let mut open: Vec<u32> = Vec::new();
    let mut parents = Vec::with_capacity(pieces.len());
    for (index, &piece) in (0..).zip(pieces) {
        let begins_with =
            |other: u32| patterns.bytes(piece).starts_with(patterns.bytes(pieces[other as usize]));
        while open.pop_if(|other| !begins_with(*other)).is_some() {}
        parents.push(open.last().copied());
        open.push(index);
    }
    parents
}
