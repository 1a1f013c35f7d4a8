//! How a value looks inside base64, whatever comes before and after it.
//!
//! Base64 writes three bytes as four characters, so a value looks different at each of three offsets, and its
//! first and last character depend on its neighbours. The *core* is what does not.

use data_encoding::{BASE64, BASE64URL, Encoding};

use super::buffer::Buffer;

/// The two alphabets in use (RFC 4648, sections 4 and 5).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Alphabet {
    Standard,
    UrlSafe,
}

/// What comes after the value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Anything: only what the value alone decides.
    Unknown,
    /// Nothing, so that the last character is known too.
    End,
    /// Nothing, with the padding (`=`) that fills up the last four characters.
    Padded,
}

/// Puts into `out` the characters that `value` has in base64 when `offset` (0, 1 or 2) bytes that are not known
/// precede it, modulo three.
pub(super) fn encode(value: &[u8], alphabet: Alphabet, offset: usize, ending: Ending, out: &mut Buffer) {
    let encoding: &Encoding = match alphabet {
        Alphabet::Standard => &BASE64,
        Alphabet::UrlSafe => &BASE64URL,
    };
    let mut input = Buffer::new();
    input.extend(&[0, 0][..offset]);
    input.extend(value);
    let bits = input.len() * 8;
    encoding.encode_mut(input.as_slice(), out.grow(encoding.encode_len(input.len())));
    let end = match ending {
        Ending::Unknown => bits / 6,
        Ending::End => bits.div_ceil(6),
        Ending::Padded => out.len(),
    };
    out.truncate(end);
    out.drop_front((offset * 8).div_ceil(6).min(end));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_is_what_all_neighbours_leave_unchanged() {
        for length in 4..12 {
            let value = &b"\x00\xff\x55\xaa0123456789"[..length];
            for offset in 0..3 {
                let mut core = Buffer::new();
                encode(value, Alphabet::Standard, offset, Ending::Unknown, &mut core);
                let core = String::from_utf8(core.as_slice().to_vec()).unwrap();
                for neighbour in [0x00, 0xff, b'\n'] {
                    let text = [vec![neighbour; offset + 3], value.to_vec(), vec![neighbour; 2]].concat();
                    assert!(BASE64.encode(&text).contains(&core), "{length} {offset}");
                }
                assert!(core.len() * 6 + 10 >= length * 8, "no more than ten bits at the ends are left out");
            }
        }
    }
}
