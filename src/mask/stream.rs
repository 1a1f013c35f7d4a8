//! Redacts output that arrives in chunks, without holding back more than a value could need.

use super::buffer::Buffer;
use super::{MASK, Redactor};

/// Memory that a stream keeps between chunks (bytes).
const KEPT: usize = 64 * 1024;

/// Redacts chunks of one stream of output. However they are cut, the result is that of [`Redactor::redact_line`] for the
/// whole.
///
/// No pattern contains a line break, so everything up to the last CR or LF is written at once, including progress bars. Of
/// an incomplete line, only what may be the beginning of a value is held back: at most 1,023 bytes.
pub struct Stream {
    redactor: Redactor,
    held: Buffer,
    /// A printed `***` covers everything up to here in `held`; zero if it ends just before.
    masked: Option<usize>,
}

impl Stream {
    /// Starts a stream.
    #[must_use]
    pub fn new(redactor: Redactor) -> Self {
        Self { redactor, held: Buffer::new(), masked: None }
    }

    /// Takes the next chunk and appends everything that is decided to `out`.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        if self.held.len() == 0 {
            let decided = self.decided(chunk);
            self.masked = self.release(chunk, decided, out);
            self.held.extend(&chunk[decided..]);
            return;
        }
        self.held.extend(chunk);
        let decided = self.decided(self.held.as_slice());
        self.masked = self.release(self.held.as_slice(), decided, out);
        self.held.drop_front(decided);
        self.held.shrink(KEPT);
    }

    /// Ends the stream: appends what was held back to `out`. The stream can then be used again.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.release(self.held.as_slice(), self.held.len(), out);
        self.held.drop_front(self.held.len());
        self.masked = None;
    }

    /// The length of the part of `text` in which no value can begin that continues after `text`.
    fn decided(&self, text: &[u8]) -> usize {
        let line = text.iter().rposition(|byte| matches!(byte, b'\r' | b'\n')).map_or(0, |end| end + 1);
        line + self.redactor.undecided_from(&text[line..])
    }

    /// Appends the redacted first `decided` bytes to `out`, and returns what `masked` is behind them.
    fn release(&self, text: &[u8], decided: usize, out: &mut Vec<u8>) -> Option<usize> {
        if decided == 0 {
            return self.masked;
        }
        let mut done = self.masked.unwrap_or(0);
        let mut behind_mask = self.masked.is_some();
        out.reserve(decided);
        for hit in self.redactor.hits(text) {
            if hit.start >= decided {
                break;
            }
            if behind_mask && hit.start <= done {
                done = done.max(hit.end);
                continue;
            }
            out.extend_from_slice(&text[done..hit.start]);
            out.extend_from_slice(MASK.as_bytes());
            done = hit.end;
            behind_mask = true;
        }
        if done < decided {
            out.extend_from_slice(&text[done..decided]);
            behind_mask = false;
            done = decided;
        }
        behind_mask.then_some(done - decided)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mask::Plan;

    fn redactor(values: &[Vec<u8>]) -> (Plan, Redactor) {
        let plan = Plan::new(values.iter().map(|value| ("S", value.as_slice())));
        let redactor = Redactor::new(&plan);
        (plan, redactor)
    }

    fn streamed<'c>(redactor: &Redactor, chunks: impl IntoIterator<Item = &'c [u8]>) -> Vec<u8> {
        let mut stream = redactor.stream();
        let mut out = Vec::new();
        for chunk in chunks {
            stream.push(chunk, &mut out);
            assert!(stream.held.len() < redactor.longest().max(1), "no more is held back than a value needs");
        }
        stream.finish(&mut out);
        out
    }

    fn after_each(redactor: &Redactor, chunks: &[&str]) -> Vec<String> {
        let mut stream = redactor.stream();
        let steps = chunks.iter().map(|chunk| {
            let mut out = Vec::new();
            stream.push(chunk.as_bytes(), &mut out);
            String::from_utf8(out).unwrap()
        });
        steps.collect()
    }

    #[test]
    fn a_value_split_over_two_chunks_is_redacted() {
        let (_, redactor) = redactor(&[b"sk-ant-0123456789".to_vec()]);
        let text = b"key=sk-ant-0123456789;\n";
        for cut in 0..text.len() {
            assert_eq!(streamed(&redactor, [&text[..cut], &text[cut..]]), b"key=***;\n", "{cut}");
        }
    }

    #[test]
    fn complete_lines_and_progress_bars_come_out_at_once() {
        let (_, redactor) = redactor(&[b"sesame-open".to_vec()]);
        assert_eq!(
            after_each(
                &redactor,
                &["Pulling\n", "10%\r20%\r", "open the ses", "ame-", "open now", " sesame-o\n", "?"]
            ),
            ["Pulling\n", "10%\r20%\r", "open the ", "", "*** now", " sesame-o\n", "?"]
        );
    }

    #[test]
    fn a_prompt_without_a_newline_is_not_held_back() {
        let (_, redactor) = redactor(&[b"sesame-open".to_vec()]);
        assert_eq!(after_each(&redactor, &["Continue? [y/N] "]), ["Continue? [y/N] "]);
    }

    #[test]
    fn a_value_is_hidden_at_once_though_a_longer_one_may_follow() {
        let (_, redactor) =
            redactor(&[b"sesame".to_vec(), b"sesame-open-wide".to_vec(), b"same-old".to_vec()]);
        assert_eq!(
            after_each(&redactor, &["a sesame", "-op", "!", "sesame-old.", "x"]),
            ["a ", "", "***-op!", "***.", "x"]
        );
        assert_eq!(streamed(&redactor, [&b"sesame"[..]]), b"***");
    }

    #[test]
    fn touching_values_in_different_chunks_become_one_mask() {
        let (_, redactor) = redactor(&[b"sesame".to_vec(), b"barley".to_vec()]);
        assert_eq!(
            after_each(&redactor, &["sesame", "barley", "sesa", "me", "\n", "barley"]),
            ["***", "", "", "", "\n", "***"]
        );
    }

    #[test]
    fn a_long_value_is_redacted_in_any_chunks_and_cut_short_but_for_its_last_piece() {
        let long: Vec<u8> = (0..100_000_u32)
            .map(|i| b'!' + u8::try_from(i.wrapping_mul(2_654_435_761) >> 16 & 63).unwrap())
            .collect();
        let (_, redactor) = redactor(std::slice::from_ref(&long));
        for size in [1, 7, 511, 512, 513, 8192, 100_000] {
            assert_eq!(streamed(&redactor, long.chunks(size)), b"***", "{size}");
        }
        assert!(redactor.redact_line(&long[..16_384]).len() < 3 + 512);
    }

    #[test]
    fn an_empty_plan_lets_everything_pass() {
        let (plan, redactor) = redactor(&[]);
        assert!(plan.is_empty());
        assert_eq!(streamed(&redactor, [&b"any"[..], b"thing"]), b"anything");
    }

    /// Few different bytes, so that values overlap, repeat and contain each other; some that encodings change.
    fn value() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            4 => proptest::collection::vec(proptest::sample::select(b"abAB1".to_vec()), 4..12),
            2 => proptest::collection::vec(proptest::sample::select(b"ab\"$% {}\n\\'".to_vec()), 4..24),
            1 => proptest::collection::vec(any::<u8>().prop_filter("the mask itself", |b| *b != b'*'), 4..40),
        ]
    }

    /// Values, and a text of pieces of them and of others.
    fn values_and_text() -> impl Strategy<Value = (Vec<Vec<u8>>, Vec<u8>)> {
        let fragment = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..8_u8);
        (proptest::collection::vec(value(), 1..5), proptest::collection::vec(fragment, 0..24)).prop_map(
            |(values, fragments)| {
                let plan = redactor(&values).0;
                let patterns: Vec<&[u8]> = plan.all().collect();
                let mut text = Vec::new();
                for (which, cut, kind) in fragments {
                    let pattern = if patterns.is_empty() {
                        &b"none"[..]
                    } else {
                        patterns[which.index(patterns.len())]
                    };
                    match kind {
                        0..3 => text.extend_from_slice(pattern),
                        3 => text.extend_from_slice(&pattern[..cut.index(pattern.len())]),
                        4 => text.extend_from_slice(&pattern[cut.index(pattern.len())..]),
                        5 => text.extend_from_slice(&values[which.index(values.len())]),
                        6 => text.push(b'a'),
                        _ => text.push(b"\n\r "[cut.index(3)]),
                    }
                }
                text.retain(|byte| *byte != b'*');
                (values, text)
            },
        )
    }

    /// A simple reference implementation of redaction.
    fn by_definition<'p>(patterns: impl Iterator<Item = &'p [u8]>, text: &[u8]) -> Vec<u8> {
        let mut hidden = vec![false; text.len()];
        for pattern in patterns {
            for start in 0..(text.len() + 1).saturating_sub(pattern.len()) {
                if text[start..].starts_with(pattern) {
                    hidden[start..start + pattern.len()].fill(true);
                }
            }
        }
        let mut out = Vec::new();
        for (index, byte) in text.iter().enumerate() {
            match hidden[index] {
                false => out.push(*byte),
                true if index == 0 || !hidden[index - 1] => out.extend_from_slice(b"***"),
                true => {}
            }
        }
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn chunks_cut_anywhere_come_out_as_the_whole_does(
            (values, text) in values_and_text(),
            cuts in proptest::collection::vec(0..9_usize, 0..200),
        ) {
            let (plan, redactor) = redactor(&values);
            let expected = by_definition(plan.all(), &text);
            prop_assert_eq!(&*redactor.redact_line(&text), &expected);

            let mut rest = text.as_slice();
            let mut chunks = Vec::new();
            for cut in cuts {
                let (chunk, behind) = rest.split_at(cut.min(rest.len()));
                chunks.push(chunk);
                rest = behind;
            }
            chunks.push(rest);
            let out = streamed(&redactor, chunks);
            prop_assert_eq!(&out, &expected);
            for pattern in plan.all() {
                prop_assert!(!out.windows(pattern.len()).any(|part| part == pattern));
            }
            prop_assert!(redactor.names_in(&out).is_empty());
            let named = |text: &[u8]| plan.secret().any(|pattern| text.windows(pattern.len()).any(|part| part == pattern));
            prop_assert_eq!(!redactor.names_in(&text).is_empty(), named(&text));
        }

        #[test]
        fn text_without_values_passes_unchanged(
            values in proptest::collection::vec(value(), 0..4),
            text in proptest::collection::vec(any::<u8>(), 0..400),
            size in 1..40_usize,
        ) {
            let (plan, redactor) = redactor(&values);
            prop_assume!(by_definition(plan.all(), &text) == text);
            prop_assert_eq!(streamed(&redactor, text.chunks(size)), text);
        }
    }
}
