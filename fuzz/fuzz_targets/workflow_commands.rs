//! Any text as what is told to GitHub's runner: read back as the runner reads it, it is what was meant, and nothing else
//! is obeyed.
#![no_main]

use claude_secrets::github::workflow::{self, Annotation, Level, StopCommands};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (String, String, String, u32, Vec<u8>)| {
    let (message, title, file, line, value) = input;
    let annotation = Annotation {
        title: Some(&title),
        file: Some(&file),
        line: Some(line),
        ..Annotation::new(Level::Warning, &message)
    };
    let command = only(annotation.to_string().as_bytes());
    assert_eq!((command.name.as_str(), command.data.as_slice()), ("warning", message.as_bytes()));
    let property = |name: &str| {
        let found = command.properties.iter().find(|(key, _)| key == name);
        found.map_or(&b""[..], |(_, value)| value.as_slice())
    };
    // The runner trims what stands between the name and the text, and the title is the last in it.
    assert_eq!(property("title"), title.trim_end_matches([' ', '\t', '\x0c']).as_bytes());
    assert_eq!(property("file"), file.as_bytes());
    assert_eq!(property("line"), line.to_string().as_bytes());
    assert_eq!(only(workflow::error(&message).as_bytes()).data, message.as_bytes());
    assert_eq!(only(workflow::group(&message).as_bytes()).data, message.as_bytes());

    if let Some(mask) = workflow::add_mask(&value) {
        let command = only(&mask);
        assert_eq!((command.name.as_str(), command.data), ("add-mask", value.clone()));
    }
    if let Ok(stopped) = StopCommands::new() {
        let foreign =
            [stopped.begin().as_bytes(), &value, stopped.end(false).as_bytes(), b"::error::after\n"].concat();
        let names: Vec<String> = obeyed(&foreign).into_iter().map(|command| command.name).collect();
        assert_eq!(names, ["stop-commands", "error"], "nothing in between is obeyed");
    }
});

struct Command {
    name: String,
    properties: Vec<(String, Vec<u8>)>,
    data: Vec<u8>,
}

fn only(output: &[u8]) -> Command {
    let body = output.strip_suffix(b"\n").expect("a command ends its line");
    assert!(!body.iter().any(|byte| matches!(byte, b'\r' | b'\n')), "a command is one line");
    let mut all = obeyed(output);
    assert_eq!(all.len(), 1);
    all.remove(0)
}

/// What the runner obeys, line by line.
fn obeyed(log: &[u8]) -> Vec<Command> {
    let mut stopped: Option<Vec<u8>> = None;
    let mut all = Vec::new();
    for line in log.split(|byte| matches!(byte, b'\r' | b'\n')) {
        let Some(command) = parse(line) else { continue };
        match &stopped {
            Some(token) if command.name.as_bytes().eq_ignore_ascii_case(token) => stopped = None,
            Some(_) => {}
            None => {
                if command.name == "stop-commands" {
                    stopped = Some(command.data.clone());
                }
                all.push(command);
            }
        }
    }
    all
}

fn parse(line: &[u8]) -> Option<Command> {
    let rest = line.trim_ascii_start().strip_prefix(b"::")?;
    let end = rest.windows(2).position(|pair| pair == b"::")?;
    let (head, data) = (&rest[..end], &rest[end + 2..]);
    let blank = head.iter().position(|byte| *byte == b' ').unwrap_or(head.len());
    let properties = head[blank..].trim_ascii().split(|byte| *byte == b',').filter_map(|property| {
        let equals = property.iter().position(|byte| *byte == b'=')?;
        let name = String::from_utf8_lossy(&property[..equals]).into_owned();
        let codes = [("%0D", b'\r'), ("%0A", b'\n'), ("%3A", b':'), ("%2C", b','), ("%25", b'%')];
        Some((name, undone(&property[equals + 1..], &codes)))
    });
    Some(Command {
        name: String::from_utf8_lossy(&head[..blank]).into_owned(),
        properties: properties.collect(),
        data: undone(data, &[("%0D", b'\r'), ("%0A", b'\n'), ("%25", b'%')]),
    })
}

/// Undoes escapes, one kind after the other, as the runner does.
fn undone(text: &[u8], codes: &[(&str, u8)]) -> Vec<u8> {
    codes.iter().fold(text.to_vec(), |text, (code, byte)| {
        let mut out = Vec::new();
        let mut rest = text.as_slice();
        while let Some((first, behind)) = rest.split_first() {
            if let Some(behind) = rest.strip_prefix(code.as_bytes()) {
                out.push(*byte);
                rest = behind;
            } else {
                out.push(*first);
                rest = behind;
            }
        }
        out
    })
}
