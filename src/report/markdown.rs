//! Text from elsewhere made fit for GitHub's Markdown: it shows as it is and means nothing.
//!
//! Markdown's own marks are escaped. What GitHub looks for afterwards, in the finished HTML (mentions, issue numbers,
//! emoji, formulas), no Markdown escape stops; there an element of its own keeps the mark apart from its word.

use super::text::one_line;
use crate::visible::visible;

/// A name in a code span, safe in a paragraph, a list and a table cell.
pub(super) fn code(name: &str) -> String {
    let name = visible(name);
    let plain = |c: char| match c {
        // A code span cannot hold its own delimiter, and a table ends its cell at `|` even there.
        '`' | '|' | '<' | '>' | '&' | '\\' => false,
        c => c.is_ascii_graphic() || c == ' ' || c.is_alphanumeric(),
    };
    // A span drops blanks at its ends, and an empty one is no span.
    if !name.is_empty() && name.trim().len() == name.len() && name.chars().all(plain) {
        format!("`{name}`")
    } else {
        format!("<code>{}</code>", entities(&name))
    }
}

/// More names than this are counted in one place; the JSON report has them all.
const MOST_NAMES: usize = 50;

/// Names in code spans with commas between them; a dash when there are none.
pub(super) fn codes<S: AsRef<str>>(names: &[S]) -> String {
    if names.is_empty() {
        return "–".to_owned();
    }
    let shown = names.iter().take(MOST_NAMES).map(|name| code(name.as_ref())).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MOST_NAMES) {
        0 => shown,
        more => format!("{shown} … and {more} more"),
    }
}

/// A sentence on one line. What stands in backticks becomes a code span, an `https://` address a link, everything
/// else shows as it is. Safe at the start of a paragraph or list item, and in a table cell.
pub(super) fn text(sentence: &str) -> String {
    let line = one_line(sentence);
    let parts: Vec<&str> = line.split('`').collect();
    let paired = parts.len() % 2 == 1 && parts.iter().skip(1).step_by(2).all(|inside| !inside.is_empty());
    if !paired {
        return escaped(&line, true);
    }
    let mut out = String::with_capacity(line.len() + 16);
    for (index, part) in parts.into_iter().enumerate() {
        out.push_str(&if index % 2 == 1 { code(part) } else { escaped(part, index == 0) });
    }
    out
}

/// A fact of several lines: the first as [`text`], the others as they are, in a fixed-width block, since excerpts of
/// files point at columns. All of it is one line of Markdown, so it can stand in a list item.
pub(super) fn block(fact: &str) -> String {
    let (first, rest) = fact.trim_end().split_once('\n').unwrap_or((fact, ""));
    if rest.is_empty() {
        return text(first);
    }
    let lines: Vec<String> = rest.lines().map(|line| entities(&visible(line))).collect();
    format!("{}<pre>{}</pre>", text(first), lines.join("&#10;"))
}

/// Everything but letters, digits, blanks and a few harmless marks as character references, which Markdown never takes
/// for structure (`CommonMark` 0.31, section 2.5).
fn entities(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len() * 2), |out, c| match c {
        ' ' | '-' | '.' | ',' | '/' | '=' => out + c.encode_utf8(&mut [0; 4]),
        c if c.is_ascii_alphanumeric() || !c.is_ascii() => out + c.encode_utf8(&mut [0; 4]),
        c => out + &format!("&#{};", u32::from(c)),
    })
}

/// Plain words with every mark taken literally. `at_start` says that a line may begin here.
fn escaped(words: &str, at_start: bool) -> String {
    let mut out = String::with_capacity(words.len() + 16);
    let mut before = None;
    let mut at = 0;
    if at_start {
        at = block_marker(words);
        out.push_str(&words[..at.saturating_sub(1)]);
        if at > 0 {
            out.push('\\');
            out.push_str(&words[at - 1..at]);
        }
    }
    while let Some(c) = words[at..].chars().next() {
        let rest = &words[at..];
        let word_before = before.is_some_and(char::is_alphanumeric);
        if !word_before && let Some(length) = address(rest) {
            out.push('<');
            out.push_str(&rest[..length]);
            out.push('>');
            at += length;
            before = None;
            continue;
        }
        at += c.len_utf8();
        let after = words[at..].chars().next();
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // Between letters it is no emphasis, and names stay readable.
            '_' if word_before && after.is_some_and(char::is_alphanumeric) => out.push(c),
            '\\' | '`' | '*' | '_' | '[' | ']' | '~' | '|' => out.extend(['\\', c]),
            '@' | '$' => out.extend(["<span>", c.encode_utf8(&mut [0; 4]), "</span>"]),
            '#' if after.is_some_and(|c| c.is_ascii_digit()) => out.push_str("<span>#</span>"),
            ':' if is_emoji(&words[at..]) => out.push_str("<span>:</span>"),
            c => out.push(c),
        }
        before = Some(c);
    }
    out
}

/// Where the mark ends that would make a heading, a list or a rule of the line that starts here; 0 when none does.
fn block_marker(words: &str) -> usize {
    let digits = words.bytes().take_while(u8::is_ascii_digit).count();
    match words.as_bytes().get(digits) {
        Some(b'#' | b'+' | b'-' | b'=') if digits == 0 => 1,
        Some(b'.' | b')') if digits > 0 => digits + 1,
        _ => 0,
    }
}

/// The length of the web address that the text starts with, without the punctuation after it.
fn address(text: &str) -> Option<usize> {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
    let scheme = text.len() - host.len();
    let part_of_it = |c: char| c.is_ascii_alphanumeric() || "-._~:/?#@!&=%+,;()".contains(c);
    let end = text.find(|c| !part_of_it(c)).unwrap_or(text.len());
    let length = text[..end].trim_end_matches(['.', ',', ';', ':', '!', '?', '(', ')', '/']).len();
    // A closing slash belongs to the address, a closing full stop to the sentence.
    let length = if text[length..end].starts_with('/') { length + 1 } else { length };
    (length > scheme && host.starts_with(|c: char| c.is_ascii_alphanumeric())).then_some(length)
}

/// Whether what follows a colon ends an emoji's short name, as in `:key:`. Numbers are lines of a file far more often,
/// and only two of them are emoji.
fn is_emoji(after_colon: &str) -> bool {
    let end = after_colon.find(|c: char| !(c.is_ascii_alphanumeric() || "_+-".contains(c)));
    end.is_some_and(|end| {
        let (name, rest) = after_colon.split_at(end);
        let number = name.bytes().all(|b| b.is_ascii_digit());
        rest.starts_with(':') && (!number || matches!(name, "100" | "1234"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_code_spans_that_cannot_be_left() {
        for (name, markdown) in [
            ("ANTHROPIC_API_KEY", "`ANTHROPIC_API_KEY`"),
            ("vault:secret/a#key@3", "`vault:secret/a#key@3`"),
            ("a|b", "<code>a&#124;b</code>"),
            ("a`b", "<code>a&#96;b</code>"),
            ("a\nb", "<code>a&#92;nb</code>"),
            ("<script>", "<code>&#60;script&#62;</code>"),
            (" a", "<code> a</code>"),
            ("", "<code></code>"),
        ] {
            assert_eq!(code(name), markdown, "{name}");
        }
    }

    #[test]
    fn sentences_show_as_they_are() {
        for (sentence, markdown) in [
            ("ANTHROPIC_API_KEY is missing", "ANTHROPIC_API_KEY is missing"),
            ("_a_ *b* ~c~ [d](e)", "\\_a\\_ \\*b\\* \\~c\\~ \\[d\\](e)"),
            ("a|b \\ <img src=x> &amp;", "a\\|b \\\\ &lt;img src=x&gt; &amp;amp;"),
            ("ask @octocat about #12", "ask <span>@</span>octocat about <span>#</span>12"),
            ("${PW} and :key: and a:b", "<span>$</span>{PW} and <span>:</span>key: and a:b"),
            ("a.yml:3: b, a.yml:100: c", "a.yml:3: b, a.yml<span>:</span>100: c"),
            ("# no heading", "\\# no heading"),
            ("- no list", "\\- no list"),
            ("12. no list", "12\\. no list"),
            ("2 secrets", "2 secrets"),
            ("one\ntwo", "one two"),
            ("run `docker ps`, then `a|b`", "run `docker ps`, then <code>a&#124;b</code>"),
            ("one ` alone", "one \\` alone"),
            ("```fence", "\\`\\`\\`fence"),
            ("see https://example.com/a_b_c.", "see <https://example.com/a_b_c>."),
            ("(https://example.com/)", "(<https://example.com/>)"),
            ("https://{host}/", "https://{host}/"),
            ("javascript://a", "javascript://a"),
            ("`a` - b", "`a` - b"),
        ] {
            assert_eq!(text(sentence), markdown, "{sentence}");
        }
    }

    #[test]
    fn an_excerpt_keeps_its_columns_on_one_line_of_markdown() {
        assert_eq!(
            block("claude-secrets.yml:3: no such key\n  3 | secret: {}\n    | ^^^^^^\n"),
            "claude-secrets.yml:3: no such key<pre>  3 &#124; secret&#58; &#123;&#125;&#10;    &#124; \
             &#94;&#94;&#94;&#94;&#94;&#94;</pre>"
        );
    }
}
