//! "Did you mean": the known name that a text was probably meant to be, wherever a user writes one.

/// The known word that a text was probably meant to be.
pub fn meant<'k>(text: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let length = text.chars().count();
    if length > 200 {
        return None;
    }
    known
        .into_iter()
        .map(|word| (strsim::damerau_levenshtein(&text.to_lowercase(), &word.to_lowercase()), word))
        .filter(|(distance, word)| *distance <= word.len() / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// The name beside `text` that is the same but for capitals and what joins its words, or for one letter.
pub fn slip<'k>(text: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let letters = |text: &str| -> String {
        text.chars().filter(|c| c.is_alphanumeric()).map(|c| c.to_ascii_lowercase()).collect()
    };
    let plain = letters(text);
    let is_slip = |name: &&str| {
        *name != text
            && (letters(name) == plain
                || plain.len() >= 5 && strsim::damerau_levenshtein(&letters(name), &plain) == 1)
    };
    known.into_iter().find(is_slip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_recognised() {
        assert_eq!(meant("starts-wiht", ["starts-with", "matches"]), Some("starts-with"));
        assert_eq!(meant("Required", ["required"]), Some("required"));
        assert_eq!(meant("token", ["required", "from"]), None);
        assert_eq!(meant("B", ["A"]), None, "short words are alike by chance");
    }

    #[test]
    fn a_name_is_a_slip_of_another_when_one_letter_or_a_joint_differs() {
        for (text, other) in
            [("API_KEY", "APIKEY"), ("API_KEY", "api-key"), ("API_KEY", "API_KEYS"), ("TOKEN", "TOKNE")]
        {
            assert_eq!(slip(text, ["PATH", other]), Some(other));
        }
        for (text, other) in [("API_KEY", "API_KEY"), ("API_KEY", "OTHER_KEY"), ("A", "B"), ("PWD", "PW")] {
            assert_eq!(slip(text, [other]), None, "{text} {other}");
        }
    }
}
