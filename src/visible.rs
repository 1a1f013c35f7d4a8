//! Text from elsewhere made fit for a log: nothing in it begins a line of its own, moves a terminal's cursor, reorders what
//! a reader sees, or is obeyed by GitHub's runner.

/// The text with everything that is not seen as itself written out (`\n`, `\u{202e}`): a name can then neither start
/// a line of its own, where the runner would look for a workflow command, nor reorder what a reader sees
/// (Unicode TR 36, section 2.5).
pub fn visible(text: &str) -> String {
    written_out(text, |_| false)
}

/// One line of a log: [`visible`], and no workflow command.
pub fn in_one_line(text: &str) -> String {
    without_command(&visible(text))
}

/// A text of several lines, which stay lines: each is [`visible`] but for its tabs, and none is a workflow command.
pub fn in_lines(text: &str) -> String {
    let lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    let lines: Vec<String> = lines.map(|line| without_command(&written_out(line, |c| c == '\t'))).collect();
    lines.join("\n")
}

/// A line that another program printed: its colours stay and end with the line, and all else that would command a
/// terminal is written out. Nothing is taken out, so that no value comes together that was none before.
pub fn of_others(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let (mut rest, mut has_colours) = (line, false);
    while let Some(at) = rest.find('\u{1b}') {
        out += &written_out(&rest[..at], |c| c == '\t');
        let length = colour(&rest[at..]);
        has_colours |= length.is_some();
        match length {
            Some(length) => out += &rest[at..at + length],
            None => out += "\\u{1b}",
        }
        rest = &rest[at + length.unwrap_or(1)..];
    }
    out += &written_out(rest, |c| c == '\t');
    if has_colours {
        out += "\u{1b}[0m";
    }
    out
}

/// The line without colours.
pub fn without_colours(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find('\u{1b}') {
        let length = colour(&rest[at..]);
        out += &rest[..at + usize::from(length.is_none())];
        rest = &rest[at + length.unwrap_or(1)..];
    }
    out + rest
}

/// The line with its marks broken, should it be one that the runner would obey: `::` at its start (blanks before it do
/// not matter) or the older `##[` anywhere (`ActionCommand.TryParseV2` and `TryParse` in the runner).
pub fn without_command(line: &str) -> String {
    let line = line.replace("##[", "##\\[");
    if line.trim_start().starts_with("::") { format!("\\{}", line.trim_start()) } else { line }
}

/// Marks that direct, join or hide text and have no picture of their own.
pub fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn written_out(text: &str, stays: impl Fn(char) -> bool) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if (c.is_control() || is_invisible(c)) && !stays(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
        out
    })
}

/// How long the sequence is that sets colours and begins this text (ECMA-48, "Select graphic rendition").
fn colour(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix("\u{1b}[")?;
    let end = parameters.find(|c: char| !c.is_ascii_digit() && c != ';' && c != ':')?;
    parameters[end..].starts_with('m').then_some(end + 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_written_out() {
        assert_eq!(visible("a\n::error::b\u{202e}\u{1b}[31m"), "a\\n::error::b\\u{202e}\\u{1b}[31m");
        assert_eq!(visible("Schlüssel 🔑"), "Schlüssel 🔑");
    }

    #[test]
    fn no_line_is_a_workflow_command() {
        for (line, safe) in [
            ("::error::x", "\\::error::x"),
            ("  ::add-mask::x", "\\::add-mask::x"),
            ("a ##[group]x", "a ##\\[group]x"),
            ("a ::error::", "a ::error::"),
        ] {
            assert_eq!(without_command(line), safe);
            assert_eq!(in_one_line(line), safe);
            assert_eq!(in_lines(&format!("first\r\n{line}\n\tlast")), format!("first\n{safe}\n\tlast"));
        }
    }

    #[test]
    fn of_what_others_print_colours_alone_reach_the_terminal_and_end_with_their_line() {
        for (line, safe) in [
            ("plain\ttext", "plain\ttext"),
            ("\u{1b}[1;31mred\u{1b}[0m", "\u{1b}[1;31mred\u{1b}[0m\u{1b}[0m"),
            ("\u{1b}[2Jgone\u{1b}[31", "\\u{1b}[2Jgone\\u{1b}[31"),
            ("\u{1b}]0;title\u{7}x", "\\u{1b}]0;title\\u{7}x"),
            ("\u{9b}31m\u{202e}abc\u{8}", "\\u{9b}31m\\u{202e}abc\\u{8}"),
        ] {
            assert_eq!(of_others(line), safe);
        }
        assert_eq!(without_colours("a\u{1b}[31mb\u{1b}[0m\u{1b}[2Jc"), "ab\u{1b}[2Jc");
    }
}
