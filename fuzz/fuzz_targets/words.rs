//! What in any text could be a value and is surely no word of ours: an error that shows one of these shows the text.

/// The parts between blanks, quotes and the characters that part a key from a value, of 6 bytes or more, with letters and
/// digits in them, a digit before a letter. No message of ours has such a word, but for keys that it may show.
pub fn telling(text: &[u8]) -> impl Iterator<Item = &str> {
    let parts = text.split(|byte| byte.is_ascii_whitespace() || b"=:'\"`,;()[]{}<>|#".contains(byte));
    parts.filter_map(|part| std::str::from_utf8(part).ok()).filter(|part| {
        let digit_first = part.as_bytes().windows(2).any(|pair| pair[0].is_ascii_digit() && pair[1].is_ascii_alphabetic());
        part.len() >= 6 && digit_first
    })
}
