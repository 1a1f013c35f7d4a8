//! Words for a POSIX shell, which takes them as they are.

/// The text as one word.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The text as one word that begins with this one, in which variables are meant: in double quotes, unless the text has what
/// means something in them.
pub fn after(begin: &str, text: &str) -> String {
    match text.contains(['"', '$', '`', '\\', '!', '\'']) {
        false => format!("\"{begin}{text}\""),
        true if begin.is_empty() => quoted(text),
        true => format!("\"{begin}\"{}", quoted(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_gets_out_of_its_quotes() {
        assert_eq!(quoted("/a'; reboot; '"), r"'/a'\''; reboot; '\'''");
        assert_eq!(after("$ID/", "name of it"), "\"$ID/name of it\"");
        for text in ["a$(id)", "`id`", "\"; id; \"", "'; id; '", "\\", "!!"] {
            assert_eq!(after("", text), quoted(text));
            assert_eq!(after("$ID/", text), format!("\"$ID/\"{}", quoted(text)));
        }
    }
}
