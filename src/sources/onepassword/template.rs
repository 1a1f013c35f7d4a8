//! Many references in one `op inject`: a template of references between random separators, and the values in the output.
//! A value may contain newlines, braces, or text that looks like a reference.

use data_encoding::HEXLOWER;
use zeroize::Zeroizing;

use super::reference::SecretReference;
use crate::secret::SecretValue;

/// A template. It contains references, and no values.
pub(super) struct Template {
    /// The text for `op inject`.
    pub(super) text: String,
    /// The separator before and after each reference.
    marks: Vec<(String, String)>,
}

impl Template {
    /// Takes references that `op` supports and returns a template of them; `None` if the system provides no random bytes.
    pub(super) fn new(references: &[&SecretReference]) -> Option<Self> {
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).ok()?;
        Some(Self::with(references, &HEXLOWER.encode(&nonce)))
    }

    fn with(references: &[&SecretReference], nonce: &str) -> Self {
        // No `$`, no brace, no control character: `op` replaces variables, and omits control characters.
        let mark = |index: usize, side: &str| format!("[{nonce}.{index}.{side}]");
        let marks: Vec<_> =
            (0..references.len()).map(|index| (mark(index, "from"), mark(index, "to"))).collect();
        let mut text = String::new();
        for (reference, (from, to)) in references.iter().zip(&marks) {
            text += &[from, "{{ ", &reference.text, " }}", to, "\n"].concat();
        }
        Self { text, marks }
    }

    /// Takes the output of `op inject` and returns the value of each reference; `None` if it does not match this template.
    pub(super) fn values(&self, output: &Zeroizing<Vec<u8>>) -> Option<Vec<SecretValue>> {
        let mut rest: &[u8] = output;
        let mut values = Vec::with_capacity(self.marks.len());
        for (from, to) in &self.marks {
            rest = rest.strip_prefix(from.as_bytes())?;
            let end = rest.windows(to.len()).position(|window| window == to.as_bytes())?;
            values.push(SecretValue::new(rest[..end].to_vec()));
            rest = rest[end + to.len()..].strip_prefix(b"\n")?;
        }
        // `op` adds a newline at the end of its output.
        matches!(rest, b"" | b"\n").then_some(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn references(count: usize) -> Vec<SecretReference> {
        (0..count).map(|n| SecretReference::parse(&format!("op://v/item {n}/f")).ok().unwrap()).collect()
    }

    #[test]
    fn values_of_any_form_come_back_byte_for_byte() {
        let values = [
            "plain",
            "",
            "\n",
            "a\r\nb\r",
            "tail\n\n",
            "{{ op://v/i/f }}",
            "op://v/i/f",
            "ü\u{2028}$HOME ${X}",
            "[0.to]",
        ];
        let references = references(values.len());
        let template = Template::with(&references.iter().collect::<Vec<_>>(), "nonce");
        let mut output = template.text.clone();
        for (reference, value) in references.iter().zip(values) {
            output = output.replace(&format!("{{{{ {} }}}}", reference.text), value);
        }
        for end in ["", "\n"] {
            let read = template.values(&Zeroizing::new(format!("{output}{end}").into_bytes())).unwrap();
            let texts: Vec<_> =
                read.iter().map(|value| std::str::from_utf8(value.expose()).unwrap()).collect();
            assert_eq!(texts, values);
        }
    }

    #[test]
    fn what_is_not_the_template_gives_no_value() {
        let references = references(2);
        let template = Template::with(&references.iter().collect::<Vec<_>>(), "nonce");
        let good = "[nonce.0.from]a[nonce.0.to]\n[nonce.1.from]b[nonce.1.to]\n";
        assert_eq!(template.values(&Zeroizing::new(good.into())).map(|values| values.len()), Some(2));
        for bad in [
            "",
            "x",
            &good[..20],
            &good[1..],
            &format!("{good}more"),
            &good.replace('0', "2"),
            &good.replacen('\n', "", 1),
        ] {
            assert!(template.values(&Zeroizing::new(bad.into())).is_none(), "{bad}");
        }
    }

    #[test]
    fn separators_are_other_ones_each_time() {
        let references = references(1);
        let text = || Template::new(&references.iter().collect::<Vec<_>>()).unwrap().text;
        assert_ne!(text(), text());
    }
}
