//! How a value looks inside base32, whatever comes before and after it.

use data_encoding::BASE32;

use super::buffer::Buffer;

/// Base32 writes five bytes as eight characters, so a value can look different at each of five offsets.
pub(super) const OFFSETS: usize = 5;

/// Puts into `out` the characters that `value` alone decides when `offset` bytes that are not known precede it, modulo
/// five.
pub(super) fn core(value: &[u8], offset: usize, lower: bool, out: &mut Buffer) {
    let mut input = Buffer::new();
    input.extend(&[0; OFFSETS][..offset]);
    input.extend(value);
    let encoded = out.grow(BASE32.encode_len(input.len()));
    BASE32.encode_mut(input.as_slice(), encoded);
    if lower {
        encoded.make_ascii_lowercase();
    }
    out.truncate(input.len() * 8 / 5);
    out.drop_front((offset * 8).div_ceil(5).min(out.len()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_is_what_all_neighbours_leave_unchanged() {
        for offset in 0..OFFSETS {
            let mut out = Buffer::new();
            core(b"sesame-open", offset, false, &mut out);
            let core = String::from_utf8(out.as_slice().to_vec()).unwrap();
            for neighbour in [0x00, 0xff] {
                let text = [vec![neighbour; offset], b"sesame-open".to_vec(), vec![neighbour; 2]].concat();
                assert!(BASE32.encode(&text).contains(&core), "{offset}");
            }
            assert!(core.len() >= 15);
        }
    }
}
