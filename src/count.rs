//! Numbers with their nouns, wherever a sentence counts something.

/// The number with its noun, which takes an `s` in the plural: `1 secret`, `2 secrets`.
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn a_noun_agrees_with_its_number() {
        for (number, text) in [(0, "0 secret files"), (1, "1 secret file"), (2, "2 secret files")] {
            assert_eq!(count(number, "secret file"), text);
        }
    }
}
