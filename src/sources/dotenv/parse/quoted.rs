//! Quoted values, and the escapes in them.

use zeroize::Zeroizing;

/// The value of text in single quotes: only `\'` is an escape.
pub(super) fn single(raw: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut value = Zeroizing::new(Vec::with_capacity(raw.len()));
    let mut rest = raw;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            value.push(byte);
            continue;
        }
        // A backslash takes the next byte along, so that `\\'` is two backslashes and the end.
        if let Some((&next, after)) = after.split_first() {
            if next != b'\'' {
                value.push(byte);
            }
            value.push(next);
            rest = after;
        }
    }
    value
}

/// The value of text in double quotes, with `dollar` (at most two bytes) for `\$`. Escapes that Compose does not
/// know stay as they are, backslash included.
pub(super) fn double(raw: &[u8], dollar: &[u8]) -> Zeroizing<Vec<u8>> {
    // No escape is longer than its source, so nothing is ever moved, leaving an unwiped copy behind.
    let mut value = Zeroizing::new(Vec::with_capacity(raw.len()));
    let mut rest = raw;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            value.push(byte);
            continue;
        }
        let Some((&escape, after)) = after.split_first() else {
            value.push(byte);
            break;
        };
        rest = after;
        match escape {
            b'"' | b'\\' => value.push(escape),
            b'$' => value.extend_from_slice(dollar),
            b'a' => value.push(0x07),
            b'b' => value.push(0x08),
            b'f' => value.push(0x0C),
            b'n' => value.push(b'\n'),
            b'r' => value.push(b'\r'),
            b't' => value.push(b'\t'),
            b'v' => value.push(0x0B),
            b'0' => {
                if let Some((character, after)) = octal(after) {
                    value.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                    rest = after;
                } else {
                    // Compose drops the zero of an octal escape that is none and keeps the rest.
                    value.push(byte);
                }
            }
            _ => value.extend_from_slice(&[byte, escape]),
        }
    }
    value
}

/// The character of exactly three octal digits up to 377, and what follows them. `\0377` is U+00FF, not the byte 255.
fn octal(digits: &[u8]) -> Option<(char, &[u8])> {
    let (digits, after) = digits.split_first_chunk::<3>()?;
    let mut code = 0_u32;
    for digit in digits {
        code = code * 8 + char::from(*digit).to_digit(8)?;
    }
    u8::try_from(code).ok().map(|code| (char::from(code), after))
}
