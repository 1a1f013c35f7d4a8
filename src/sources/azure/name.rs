//! Names of secrets: what Key Vault allows.

/// The longest name (Azure/azure-rest-api-specs, `secret-name`; learn.microsoft.com, "About keys, secrets, and
/// certificates").
const LONGEST: usize = 127;

/// What is wrong with a text as a secret's name; nothing if it is valid.
pub(super) fn fault(name: &str) -> Option<String> {
    if name.is_empty() || name.len() > LONGEST {
        return Some(format!(
            "it has {}; 1 to {LONGEST} are allowed",
            crate::count::count(name.chars().count(), "character")
        ));
    }
    let at = name.chars().position(|c| !(c.is_ascii_alphanumeric() || c == '-'))?;
    Some(format!("its character {} is not a letter (A-Z, a-z), digit or hyphen", at + 1))
}

/// Whether a text is a version: 32 hexadecimal digits.
pub(super) fn is_version(text: &str) -> bool {
    text.len() == 32 && text.chars().all(|c| c.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_letters_digits_and_hyphens() {
        for (name, expected) in [
            ("a", None),
            ("A-1-", None),
            ("", Some("it has 0 characters; 1 to 127 are allowed")),
            ("a_b", Some("its character 2 is not a letter (A-Z, a-z), digit or hyphen")),
            ("ab/../c", Some("its character 3 is not a letter (A-Z, a-z), digit or hyphen")),
            ("ä", Some("its character 1 is not a letter (A-Z, a-z), digit or hyphen")),
        ] {
            assert_eq!(fault(name).as_deref(), expected, "{name}");
        }
        assert!(fault(&"a".repeat(127)).is_none() && fault(&"a".repeat(128)).is_some());
        assert!(is_version(&"0f".repeat(16)) && !is_version("latest") && !is_version(&"0g".repeat(16)));
    }
}
