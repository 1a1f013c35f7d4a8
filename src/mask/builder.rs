//! Builds a plan: the parts of each value, the forms of each part, and which of them are sent to the runner.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::sync::Arc;

use zeroize::Zeroize;

use super::buffer::Buffer;
use super::forms::{self, Extent, Form};
use super::leaf::Class;
use super::parts;
use super::plan::{ALL_FORMS_UP_TO, Patterns, Plan, Span};
use super::structural::{self, Unmaskable};

/// A shorter pattern (bytes) is never used: it would occur by chance.
const SHORTEST_PATTERN: usize = 4;

/// A shorter line (bytes) gets no base64 and other forms of its own, only itself and escapes.
const SHORTEST_LINE_WITH_FORMS: usize = 8;

/// At most this many masks of one value are sent to the runner: its lines and leaves first, the longest of them
/// first. Our own redactor has all of them.
pub(super) const MOST_COMMANDS: usize = 1000;

/// A longer mask (bytes) is sent to the runner in pieces, which the runner finds next to each other.
pub(super) const LONGEST_COMMAND: usize = 16 * 1024;

/// Collects the patterns of values, one after the other.
pub(super) struct Builder {
    bytes: Buffer,
    spans: Vec<Span>,
    commands: Vec<Span>,
    names: Vec<String>,
    unmaskable: Vec<(String, Unmaskable)>,
    hasher: RandomState,
    /// The names and values that were given, by hash.
    given: HashSet<u64>,
    /// The texts of the current value that are done, by hash.
    done: HashMap<u64, Class>,
    /// The patterns of the current text, by hash.
    known: HashMap<u64, Span>,
}

/// What the runner may be sent of one value.
#[derive(Default)]
struct Commands {
    texts: Vec<Span>,
    encoded: Vec<Span>,
}

impl Builder {
    pub(super) fn new() -> Self {
        Self {
            bytes: Buffer::new(),
            spans: Vec::new(),
            commands: Vec::new(),
            names: Vec::new(),
            unmaskable: Vec::new(),
            hasher: RandomState::new(),
            given: HashSet::new(),
            done: HashMap::new(),
            known: HashMap::new(),
        }
    }

    /// Takes the next value.
    pub(super) fn secret(&mut self, name: &str, value: &[u8]) {
        // The same value comes from a source, by the manifest's rules, and from the environment.
        if value.is_empty() || !self.given.insert(self.hasher.hash_one((name, value))) {
            return;
        }
        if let Some(reason) = structural::why_not(value) {
            self.unmaskable.push((name.to_owned(), reason));
            return;
        }
        self.names.push(name.to_owned());
        self.done.clear();
        let long = value.len() > ALL_FORMS_UP_TO;
        let mut commands = Commands::default();
        let has_raw = self.text(Class::Secret, value, long, &mut commands);
        if !has_raw {
            self.unmaskable.push((name.to_owned(), Unmaskable::PlainLines));
        }
        parts::each(value, &mut |class, part| {
            if long {
                parts::each_line(part, &mut |of_line, line| {
                    self.forms(of_line.min(class), line.trim_ascii(), Extent::Raw, &mut commands);
                });
            } else {
                self.text(class, part, false, &mut commands);
            }
        });
        self.choose_commands(commands);
    }

    /// A value or part of one: whole, trimmed, and line by line. Says whether any line of it is masked as it is.
    fn text(&mut self, class: Class, value: &[u8], long: bool, commands: &mut Commands) -> bool {
        let trimmed = value.trim_ascii();
        // For what is only hidden in the log, all forms would cost too much.
        let extent = if class == Class::Secret { Extent::Full } else { Extent::Line };
        if long {
            // The spaces around it do not justify another copy of all its forms.
            self.forms(class, value, Extent::Raw, commands);
            self.forms(class, trimmed, Extent::Few, commands);
        } else {
            self.forms(class, value, extent, commands);
            if trimmed.len() < value.len() {
                self.forms(class, trimmed, extent, commands);
            }
        }
        if !structural::has_line_break(value) {
            return true;
        }
        let mut any = false;
        parts::each_line(value, &mut |of_line, line| {
            any = true;
            let of_line = of_line.min(class);
            let bare = line.trim_ascii();
            let extent = match bare.len() {
                _ if long => Extent::Raw,
                length if length < SHORTEST_LINE_WITH_FORMS => Extent::Escapes,
                _ => Extent::Line,
            };
            if bare.len() < line.len() {
                self.forms(of_line, line, Extent::Raw, &mut Commands::default());
            }
            // The runner needs only the line: the encodings of the whole value contain those of its lines.
            let mut commands_of_line = Commands::default();
            self.forms(of_line, bare, extent, &mut commands_of_line);
            commands.texts.extend(commands_of_line.texts.first().or(commands_of_line.encoded.first()));
        });
        any
    }

    /// Adds the forms of one text as patterns, and those that the runner may be told to `commands`.
    fn forms(&mut self, class: Class, text: &[u8], extent: Extent, commands: &mut Commands) {
        let done = self.done.entry(self.hasher.hash_one((text, extent))).or_insert(Class::Plain);
        if *done >= class {
            return;
        }
        *done = class;
        let name = self.names.len().saturating_sub(1);
        self.known.clear();
        let Self { bytes, spans, known, hasher, .. } = self;
        forms::each(text, extent, &mut |form, pattern| {
            if pattern.len() < SHORTEST_PATTERN || structural::has_line_break(pattern) {
                return;
            }
            // Most forms of most texts are the text itself.
            let span = *known.entry(hasher.hash_one(pattern)).or_insert_with(|| {
                let start = bytes.len();
                bytes.extend(pattern);
                let span = Span { start, end: bytes.len(), name, secret: class == Class::Secret };
                spans.push(span);
                span
            });
            if form != Form::Other && std::str::from_utf8(pattern).is_ok() {
                let kind = if form == Form::Raw { &mut commands.texts } else { &mut commands.encoded };
                kind.push(span);
            }
        });
    }

    /// Limits what one value's masks cost the runner.
    fn choose_commands(&mut self, mut commands: Commands) {
        for kind in [&mut commands.texts, &mut commands.encoded] {
            kind.sort_by_key(|span| Reverse(span.end - span.start));
        }
        for span in commands.texts.into_iter().chain(commands.encoded).take(MOST_COMMANDS) {
            let text = &self.bytes.as_slice()[span.start..span.end];
            self.commands.extend(pieces(text, LONGEST_COMMAND).map(|part| Span {
                start: span.start + part.start,
                end: span.start + part.end,
                ..span
            }));
        }
    }

    /// The plan of all values.
    pub(super) fn finish(self) -> Plan {
        let Self { mut bytes, spans, mut commands, names, unmaskable, .. } = self;
        bytes.shrink_to_fit();
        let mut spans = sorted(&bytes, spans);
        let text = |span: &Span| &bytes.as_slice()[span.start..span.end];
        spans.dedup_by(|a, b| text(a) == text(b));
        spans.shrink_to_fit();
        commands.sort_by(|a, b| text(b).len().cmp(&text(a).len()).then_with(|| text(a).cmp(text(b))));
        commands.dedup_by(|a, b| text(a) == text(b));
        Plan { patterns: Arc::new(Patterns { bytes, spans, commands, names }), unmaskable }
    }
}

/// Sorts patterns by their bytes; of equal ones, those of secret parts first, then those of earlier values.
fn sorted(bytes: &Buffer, spans: Vec<Span>) -> Vec<Span> {
    let text = |span: &Span| &bytes.as_slice()[span.start..span.end];
    // The first bytes beside each other: comparing the patterns where they are would wait for memory each time.
    let beginning = |span: &Span| {
        let mut first = [0; 16];
        let length = first.len().min(span.end - span.start);
        first[..length].copy_from_slice(&text(span)[..length]);
        u128::from_be_bytes(first)
    };
    let mut keyed: Vec<(u128, Span)> = spans.into_iter().map(|span| (beginning(&span), span)).collect();
    keyed.sort_unstable_by(|(a, left), (b, right)| {
        a.cmp(b)
            .then_with(|| text(left).cmp(text(right)))
            .then_with(|| (!left.secret, left.start).cmp(&(!right.secret, right.start)))
    });
    let spans = keyed.iter().map(|(_, span)| *span).collect();
    for (beginning, _) in &mut keyed {
        beginning.zeroize();
    }
    spans
}

/// Cuts UTF-8 text into pieces of at most `longest` bytes, between characters, the last not too short to mask.
fn pieces(text: &[u8], longest: usize) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let rest = text.len() - start;
        let mut end = match rest {
            0 => return None,
            _ if rest <= longest => text.len(),
            // An even cut keeps the last piece from becoming a stump.
            _ if rest < 2 * longest => start + rest / 2,
            _ => start + longest,
        };
        while end < text.len() && end > start + 1 && text[end] & 0xc0 == 0x80 {
            end -= 1;
        }
        let piece = start..end;
        start = end;
        Some(piece)
    })
}
