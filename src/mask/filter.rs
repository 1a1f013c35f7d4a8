//! A fast filter: where in a text may a pattern begin? Most text is skipped at a few bytes per clock cycle.
//!
//! The text is not searched for whole patterns but sampled: every eighth position (every fourth, every second, for
//! shorter patterns) eight (four, three) bytes are hashed, and a bitmap tells whether such a *window* belongs to some
//! pattern. For each pattern, as many adjacent windows are known as the distance between two samples, so that one of them
//! is hit wherever the pattern is. Only hashes are stored: no byte of a value is in these tables.

/// The windows of all patterns, by the length of the pattern.
pub(super) struct Filter {
    tiers: [Option<Tier>; 3],
}

/// The patterns of one range of lengths.
struct Tier {
    windows: Windows,
    marks: Marks,
    /// The marks of windows of three bytes.
    threes: [u64; 1024],
    /// Which window it is, and how far from the beginning of the pattern it is: see [`Tier::entry`]. Zero is free.
    table: Vec<u32>,
}

/// How a tier samples text.
#[derive(Clone, Copy)]
struct Windows {
    length: usize,
    step: usize,
}

impl Windows {
    /// The minimum length of a pattern with as many windows as the distance between two samples.
    const fn shortest(self) -> usize {
        self.length + self.step - 1
    }
}

const LONG: Windows = Windows { length: 8, step: 8 };
const MIDDLE: Windows = Windows { length: 4, step: 4 };
const SHORT: Windows = Windows { length: 3, step: 2 };

/// The shortest pattern that can be found (bytes).
pub(super) const SHORTEST: usize = SHORT.shortest();

/// The windows of a long pattern are taken from its first bytes, as many as this and a window.
const FARTHEST: usize = 48;

impl Filter {
    /// The filter for these patterns. A pattern that begins with another one need not be given.
    pub(super) fn new<'p>(patterns: impl Iterator<Item = &'p [u8]> + Clone) -> Self {
        let mut counts = [0; 3];
        for pattern in patterns.clone() {
            counts[tier_of(pattern)] += 1;
        }
        let mut tiers = [LONG, MIDDLE, SHORT];
        let mut tiers = std::array::from_fn(|tier| {
            let windows = std::mem::replace(&mut tiers[tier], SHORT);
            (counts[tier] > 0).then(|| Tier::new(windows, counts[tier] * windows.step))
        });
        for pattern in patterns {
            if let Some(tier) = &mut tiers[tier_of(pattern)] {
                tier.insert(pattern);
            }
        }
        Self { tiers }
    }

    /// Calls `found` with every position of `text` at which a pattern may begin: with each at which one does, with few
    /// others, with some more than once, in no order.
    pub(super) fn each(&self, text: &[u8], found: &mut dyn FnMut(usize)) {
        for tier in self.tiers.iter().flatten() {
            match tier.windows.step {
                8 => {
                    let windows = text.as_chunks::<8>().0.iter().map(|window| u64::from_le_bytes(*window));
                    tier.scan(windows.enumerate().map(|(index, window)| (8 * index, window)), found);
                }
                4 => {
                    let windows = text.as_chunks::<4>().0.iter().map(|window| u32::from_le_bytes(*window));
                    tier.scan(windows.enumerate().map(|(index, window)| (4 * index, window.into())), found);
                }
                _ => tier.scan_threes(text, found),
            }
        }
    }

    /// How many bytes the tables take.
    pub(super) fn memory(&self) -> usize {
        self.tiers.iter().flatten().map(|tier| tier.marks.memory() + 4 * tier.table.len()).sum()
    }
}

fn tier_of(pattern: &[u8]) -> usize {
    match pattern.len() {
        length if length >= LONG.shortest() => 0,
        length if length >= MIDDLE.shortest() => 1,
        _ => 2,
    }
}

impl Tier {
    fn new(windows: Windows, count: usize) -> Self {
        let table = vec![0; (count + count / 2).next_power_of_two().max(16)];
        Self { windows, marks: Marks::new(count), threes: [0; 1024], table }
    }

    fn insert(&mut self, pattern: &[u8]) {
        let Windows { length, step } = self.windows;
        let from = liveliest(pattern, self.windows);
        for offset in from..from + step {
            let hash = mix(word(&pattern[offset..offset + length]));
            self.marks.set(hash);
            if let &[a, b, c] = &pattern[offset..offset + length] {
                let three = mix_three(u32::from_le_bytes([a, b, c, 0]));
                self.threes[usize::from(three >> 6)] |= 1 << (three & 63);
            }
            let entry = entry(hash, offset);
            let mut slot = self.slot(hash);
            while self.table[slot] != 0 && self.table[slot] != entry {
                slot = self.next(slot);
            }
            self.table[slot] = entry;
        }
    }

    /// Looks at windows and where each is.
    #[inline]
    fn scan(&self, windows: impl Iterator<Item = (usize, u64)>, found: &mut dyn FnMut(usize)) {
        for (at, window) in windows {
            let hash = mix(window);
            if self.marks.has(hash) {
                self.look_up(hash, at, found);
            }
        }
    }

    /// The same for windows of three bytes, which would take most of the time: their marks fit into the fastest memory.
    fn scan_threes(&self, text: &[u8], found: &mut dyn FnMut(usize)) {
        let mut look = |window: u32, at: usize| {
            let hash = mix_three(window);
            if self.threes[usize::from(hash >> 6)] >> (hash & 63) & 1 == 1 {
                self.look_up(mix(window.into()), at, found);
            }
        };
        let mut at = 0;
        while let Some(&[a, b, c, d, e, f, g]) = text.get(at..).and_then(<[u8]>::first_chunk) {
            look(u32::from_le_bytes([a, b, c, 0]), at);
            look(u32::from_le_bytes([c, d, e, 0]), at + 2);
            look(u32::from_le_bytes([e, f, g, 0]), at + 4);
            at += 6;
        }
        for (index, window) in text[at..].windows(3).step_by(2).enumerate() {
            look(u32::from_le_bytes([window[0], window[1], window[2], 0]), at + 2 * index);
        }
    }

    /// The marks sometimes match by chance; the table almost never does.
    #[cold]
    #[inline(never)]
    fn look_up(&self, hash: u64, at: usize, found: &mut dyn FnMut(usize)) {
        let mut slot = self.slot(hash);
        while self.table[slot] != 0 {
            let offset = (self.table[slot] & 0xff) as usize;
            if self.table[slot] == entry(hash, offset) && offset <= at {
                found(at - offset);
            }
            slot = self.next(slot);
        }
    }

    fn slot(&self, hash: u64) -> usize {
        usize::try_from(hash >> 12 & 0xffff_ffff).unwrap_or_default() & (self.table.len() - 1)
    }

    fn next(&self, slot: usize) -> usize {
        (slot + 1) & (self.table.len() - 1)
    }
}

/// Which windows some pattern has, as two bits of a word each: a filter that says yes too often, never too rarely.
pub(super) struct Marks {
    words: Vec<u64>,
    shift: u32,
}

impl Marks {
    /// Room for so many windows. With eight to sixteen bits for each, one of twenty others or fewer is taken for one of them.
    fn new(count: usize) -> Self {
        let words = (count / 8).next_power_of_two().max(16);
        Self { words: vec![0; words], shift: 64 - words.trailing_zeros() }
    }

    /// The marks of the first [`SHORTEST`] bytes of these patterns.
    pub(super) fn of_beginnings<'p>(patterns: impl Iterator<Item = &'p [u8]> + Clone) -> Self {
        let mut marks = Self::new(patterns.clone().count());
        for pattern in patterns {
            marks.set(mix(word(&pattern[..SHORTEST])));
        }
        marks
    }

    /// Whether a pattern may begin with the first [`SHORTEST`] bytes of `text`; `true` when there are not as many.
    pub(super) fn may_begin(&self, text: &[u8]) -> bool {
        text.get(..SHORTEST).is_none_or(|beginning| self.has(mix(word(beginning))))
    }

    /// How many bytes they take.
    pub(super) fn memory(&self) -> usize {
        8 * self.words.len()
    }

    fn set(&mut self, hash: u64) {
        let (index, bits) = self.place(hash);
        self.words[index] |= bits;
    }

    #[inline]
    fn has(&self, hash: u64) -> bool {
        let (index, bits) = self.place(hash);
        self.words[index] & bits == bits
    }

    #[inline]
    fn place(&self, hash: u64) -> (usize, u64) {
        let index = usize::try_from(hash >> self.shift).unwrap_or_default();
        (index, 1 << (hash & 63) | 1 << (hash >> 6 & 63))
    }
}

/// Twenty-four bits of the hash, never zero, and the offset.
fn entry(hash: u64, offset: usize) -> u32 {
    let print = u32::try_from(hash >> 40).unwrap_or_default() | 1;
    print << 8 | u32::try_from(offset).unwrap_or_default()
}

/// A hash of which every bit depends on every bit of the window.
#[inline]
#[allow(clippy::cast_possible_truncation)] // the lower half of the product, and the upper one
fn mix(window: u64) -> u64 {
    let product = u128::from(window ^ 0x243f_6a88_85a3_08d3) * 0x9e37_79b9_7f4a_7c15;
    product as u64 ^ (product >> 64) as u64
}

/// A hash of three bytes.
#[inline]
#[allow(clippy::cast_possible_truncation)] // the upper half of the product
fn mix_three(window: u32) -> u16 {
    (window.wrapping_mul(0x9e37_79b1) >> 16) as u16
}

/// Up to eight bytes as a number.
#[inline]
fn word(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

/// Where to take a pattern's windows from: where the kind of character changes most often. Words and armour that many
/// texts share (`postgres://`, `-----BEGIN`, `%20%20`) change seldom.
fn liveliest(pattern: &[u8], windows: Windows) -> usize {
    let kind = |byte: u8| match byte {
        b'a'..=b'z' => 1,
        b'A'..=b'Z' => 2,
        b'0'..=b'9' => 3,
        0x80.. => 4,
        _ => 0_u8,
    };
    let changes = |at: usize| u32::from(kind(pattern[at]) != kind(pattern[at + 1]));
    let stretch = windows.shortest();
    let mut lively: u32 = (0..stretch - 1).map(changes).sum();
    let (mut best, mut most) = (0, lively);
    for start in 1..=(pattern.len() - stretch).min(FARTHEST) {
        lively = lively + changes(start + stretch - 2) - changes(start - 1);
        if lively > most {
            (best, most) = (start, lively);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(patterns: &[&[u8]], text: &[u8]) -> Vec<usize> {
        let filter = Filter::new(patterns.iter().copied());
        let mut found = Vec::new();
        filter.each(text, &mut |start| found.push(start));
        found.sort_unstable();
        found.dedup();
        found
    }

    fn numbered(length: usize) -> Vec<u8> {
        (0..length).map(|i| b'a' + u8::try_from(i * i * 31 % 251 % 26).unwrap()).collect()
    }

    #[test]
    fn a_pattern_of_any_length_is_found_at_any_position() {
        for length in SHORTEST..120 {
            let pattern = numbered(length);
            for before in 0..20 {
                for after in [0, 1, 9] {
                    let text = [vec![b'-'; before], pattern.clone(), vec![b'-'; after]].concat();
                    assert!(found(&[&pattern], &text).contains(&before), "{length} {before} {after}");
                }
            }
        }
    }

    #[test]
    fn text_without_patterns_is_passed_over() {
        let patterns: Vec<Vec<u8>> = (0..2000_u32)
            .map(|i| data_encoding::BASE64.encode(&i.wrapping_mul(2_654_435_761).to_be_bytes()).into_bytes())
            .collect();
        let patterns: Vec<&[u8]> = patterns.iter().map(Vec::as_slice).collect();
        let text =
            b"2026-01-01T00:00:00Z INFO worker 17 took job 4711 from the queue in 35 ms\n".repeat(1000);
        assert!(found(&patterns, &text).len() < 10);
    }

    #[test]
    fn the_tables_hold_a_few_bytes_for_each_window() {
        let patterns: Vec<Vec<u8>> =
            (0..1000).map(|i| [numbered(20), i.to_string().into()].concat()).collect();
        let filter = Filter::new(patterns.iter().map(Vec::as_slice));
        assert!(filter.memory() <= 1000 * 8 * 20, "{}", filter.memory());
    }

    #[test]
    fn what_changes_most_is_looked_for() {
        assert_eq!(liveliest(b"postgres://appuser:x9Kf2mQ7vL1pZ4w@db", LONG), 17);
        assert_eq!(liveliest(b"aaaaaaaaaaaaaaaa", LONG), 0);
    }
}
