//! Finds values in what was printed, by encoders that are not the product's own; and the masker of GitHub's runner.

use aho_corasick::AhoCorasick;
use data_encoding::{BASE32, BASE64, BASE64URL, HEXLOWER, HEXUPPER};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

/// What RFC 3986 leaves as it is.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Above this a value is looked for as it is, by its lines, in JSON and in base64 alone, as the product promises.
const LONG: usize = 16 * 1024;

/// Above this a value is not looked for as numbers, nor in an encoding of an encoding.
const MEDIUM: usize = 4 * 1024;

/// A line that is shorter says nothing by itself: brackets, `true,`.
const SHORTEST_LINE: usize = 8;

/// A part of a value of this many bytes is a leak as well.
const PART: usize = 12;

/// Looks for many values at once.
pub struct Scanner {
    search: AhoCorasick,
    labels: Vec<String>,
}

impl Scanner {
    /// A scanner for these secrets: pairs of name and value.
    pub fn new<'a>(secrets: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let mut needles: Vec<Vec<u8>> = Vec::new();
        let mut labels = Vec::new();
        for (name, value) in secrets {
            for (form, needle) in forms(value) {
                labels.push(format!("{name} as {form}"));
                needles.push(needle);
            }
        }
        Self { search: AhoCorasick::new(&needles).unwrap(), labels }
    }

    /// What of which secret stands in the text, each once.
    pub fn find(&self, text: &[u8]) -> Vec<&str> {
        let mut found: Vec<&str> = self
            .search
            .find_overlapping_iter(text)
            .map(|hit| self.labels[hit.pattern().as_usize()].as_str())
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Fails the test if the text holds anything; `what` says which text it is.
    #[track_caller]
    pub fn assert_clean(&self, what: &str, text: &[u8]) {
        let found = self.find(text);
        assert!(found.is_empty(), "{what} holds {found:#?}\n{}", around(self, text));
    }
}

/// The surroundings of the first hit, for whoever has to find out where it came from: these are test values.
fn around(scanner: &Scanner, text: &[u8]) -> String {
    let Some(hit) = scanner.search.find_overlapping_iter(text).next() else {
        return String::new();
    };
    let from = hit.start().saturating_sub(300);
    let to = (hit.end() + 100).min(text.len()).min(hit.start() + 600);
    String::from_utf8_lossy(&text[from..to]).into_owned()
}

/// Every form in which a value must not be found, with the name of the form.
pub fn forms(value: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut all = Vec::new();
    encodings(value.trim_ascii(), value.len() > LONG, &mut all);
    encodings(value, value.len() > LONG, &mut all);
    if (8..=MEDIUM).contains(&value.len()) {
        rare_encodings(value, &mut all);
    }
    for line in value.split(|byte| matches!(byte, b'\n' | b'\r')) {
        let line = line.trim_ascii();
        if line.len() >= SHORTEST_LINE && !line.starts_with(b"-----") && line.len() < value.trim_ascii().len()
        {
            encodings(line, value.len() > LONG, &mut all);
        }
    }
    if value.len() <= LONG {
        let lines = value.split(|byte| matches!(byte, b'\n' | b'\r'));
        for part in lines.filter(|line| !line.starts_with(b"-----")).flat_map(|line| line.windows(PART)) {
            if is_peculiar(part) {
                all.push(("a part", part.to_vec()));
            }
        }
    }
    all
}

fn encodings(text: &[u8], long: bool, all: &mut Vec<(&'static str, Vec<u8>)>) {
    all.push(("it is", text.to_vec()));
    if let Ok(text) = std::str::from_utf8(text) {
        let once = json(text);
        all.push(("JSON in JSON", json(&once).into_bytes()));
        all.push(("compose writes it", text.replace('$', "$$").into_bytes()));
        all.push((
            "a workflow command",
            text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A").into(),
        ));
        all.push(("JSON", once.into_bytes()));
    }
    for offset in 0..3 {
        all.push(("base64", core(&BASE64, text, offset)));
        if !long {
            all.push(("base64 for URLs", core(&BASE64URL, text, offset)));
        }
    }
    if !long {
        let percent = percent_encode(text, UNRESERVED).to_string();
        all.push(("URL", percent.clone().into_bytes()));
        all.push(("URL, form", percent.replace("%20", "+").into_bytes()));
        all.push(("hexadecimal", HEXLOWER.encode(text).into_bytes()));
        all.push(("hexadecimal, upper case", HEXUPPER.encode(text).into_bytes()));
    }
}

/// What programs seldom make of a whole value.
fn rare_encodings(value: &[u8], all: &mut Vec<(&'static str, Vec<u8>)>) {
    let each = |write: &dyn Fn(u8) -> String, between: &str| {
        value.iter().map(|byte| write(*byte)).collect::<Vec<_>>().join(between).into_bytes()
    };
    all.extend([
        ("hexadecimal with blanks", each(&|byte| format!("{byte:02x}"), " ")),
        ("hexadecimal with colons", each(&|byte| format!("{byte:02x}"), ":")),
        ("hexadecimal with blanks, upper case", each(&|byte| format!("{byte:02X}"), " ")),
        ("hexadecimal with colons, upper case", each(&|byte| format!("{byte:02X}"), ":")),
        ("hexadecimal with dashes", each(&|byte| format!("{byte:02X}"), "-")),
        ("numbers", each(&|byte| byte.to_string(), " ")),
        ("numbers with commas", each(&|byte| byte.to_string(), ",")),
        ("\\x for every byte", each(&|byte| format!("\\x{byte:02x}"), "")),
        ("\\x for every byte, upper case", each(&|byte| format!("\\x{byte:02X}"), "")),
        ("% for every byte", each(&|byte| format!("%{byte:02x}"), "")),
        ("% for every byte, upper case", each(&|byte| format!("%{byte:02X}"), "")),
    ]);
    // Base32 of the value behind nothing: its last character may hold bits of what follows.
    let base32 = BASE32.encode(value);
    all.push(("base32", base32.as_bytes()[..value.len() * 8 / 5].to_vec()));
    all.push(("base64 of base64", core(&BASE64, &core(&BASE64, value, 0), 0)));
    let Ok(text) = std::str::from_utf8(value) else { return };
    let character =
        |write: &dyn Fn(u32) -> String| text.chars().map(|c| write(u32::from(c))).collect::<String>();
    all.extend([
        ("entities", character(&|code| format!("&#{code};")).into_bytes()),
        ("hexadecimal entities", character(&|code| format!("&#x{code:x};")).into_bytes()),
        ("hexadecimal entities, upper case", character(&|code| format!("&#x{code:X};")).into_bytes()),
        ("JSON in JSON in JSON", json(&json(&json(text))).into_bytes()),
        ("base64 of JSON", core(&BASE64, json(text).as_bytes(), 0)),
    ]);
    let utf16 = |bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
    all.push(("base64 of UTF-16, little end first", core(&BASE64, &utf16(u16::to_le_bytes), 0)));
    all.push(("base64 of UTF-16, big end first", core(&BASE64, &utf16(u16::to_be_bytes), 0)));
}

/// The base64 characters that hold nothing but bits of the text when `offset` other bytes stand before it.
fn core(encoding: &data_encoding::Encoding, text: &[u8], offset: usize) -> Vec<u8> {
    let mut padded = vec![b'x'; offset];
    padded.extend_from_slice(text);
    let encoded = encoding.encode(&padded);
    let first = (offset * 8).div_ceil(6);
    let last = (offset + text.len()) * 8 / 6;
    encoded.as_bytes()[first..last].to_vec()
}

fn json(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap();
    quoted[1..quoted.len() - 1].to_owned()
}

/// What the values and our own output both may hold.
const OURS: &[&[u8]] = &[
    b"claude-secrets-",
    b"::add-mask::",
    b"::stop-commands::",
    b"\"private_key_id\"",
    b"service_account",
    b"::error::x",
];

/// Whether nobody else writes this by chance: enough different characters, and not words of ours.
fn is_peculiar(part: &[u8]) -> bool {
    let mut different = part.to_vec();
    different.sort_unstable();
    different.dedup();
    different.len() >= 6
        && !OURS.iter().any(|own| own.windows(8).any(|word| part.windows(8).any(|w| w == word)))
}

/// What GitHub's runner makes of a step's output.
pub struct Heard {
    /// The values of `::add-mask::`, unescaped.
    pub masks: Vec<Vec<u8>>,
    /// The commands that it obeyed, masks apart, as names.
    pub commands: Vec<String>,
    /// The log without the mask commands, before any mask is applied.
    pub rest: Vec<u8>,
    /// How many bytes stood before the first and between the masks.
    pub before_last_mask: usize,
}

/// Reads a log as the runner does: commands at the start of a line, `stop-commands`, escapes undone with `%25` last.
pub fn heard(log: &[u8]) -> Heard {
    let mut all = Heard { masks: Vec::new(), commands: Vec::new(), rest: Vec::new(), before_last_mask: 0 };
    let mut stopped: Option<Vec<u8>> = None;
    for line in log.split_inclusive(|byte| *byte == b'\n') {
        let bare = line.trim_ascii();
        let parsed = bare.strip_prefix(b"::").and_then(|rest| {
            rest.windows(2).position(|pair| pair == b"::").map(|at| (&rest[..at], &rest[at + 2..]))
        });
        let Some((head, _)) = parsed else {
            all.rest.extend_from_slice(line);
            continue;
        };
        // Data is not trimmed at its end, but for the line end.
        let data_at = line.windows(head.len() + 4).position(|w| w.starts_with(b"::") && w.ends_with(b"::"));
        let mut data = &line[data_at.unwrap_or(0) + head.len() + 4..];
        data = data.strip_suffix(b"\n").unwrap_or(data);
        let name = head.split(|byte| *byte == b' ').next().unwrap_or_default();
        match &stopped {
            Some(token) if name == token.as_slice() => {
                stopped = None;
                all.rest.extend_from_slice(line);
            }
            Some(_) => all.rest.extend_from_slice(line),
            None if name == b"add-mask" => {
                all.before_last_mask = all.rest.len();
                all.masks.push(unescaped(data));
            }
            None => {
                if name == b"stop-commands" {
                    stopped = Some(data.to_vec());
                }
                all.commands.push(String::from_utf8_lossy(name).into_owned());
                all.rest.extend_from_slice(line);
            }
        }
    }
    all
}

/// The runner's order (`ActionCommand.UnescapeData`): CR, LF, then the percent sign.
fn unescaped(data: &[u8]) -> Vec<u8> {
    let replace = |text: Vec<u8>, from: &[u8], to: u8| {
        let mut out = Vec::with_capacity(text.len());
        let mut rest = text.as_slice();
        while let Some(at) = rest.windows(from.len()).position(|window| window == from) {
            out.extend_from_slice(&rest[..at]);
            out.push(to);
            rest = &rest[at + from.len()..];
        }
        out.extend_from_slice(rest);
        out
    };
    let data = replace(data.to_vec(), b"%0D", b'\r');
    let data = replace(data, b"%0A", b'\n');
    replace(data, b"%25", b'%')
}

/// The runner's masker: what it was told, whole and line by line, and its own encodings of each.
pub struct Masker(AhoCorasick);

impl Masker {
    /// A masker that knows these masks.
    pub fn new(masks: &[Vec<u8>]) -> Self {
        let mut all: Vec<Vec<u8>> = Vec::new();
        for mask in masks.iter().filter(|mask| !mask.trim_ascii().is_empty()) {
            let lines = mask.split(|byte| matches!(byte, b'\n' | b'\r')).map(<[u8]>::trim_ascii);
            for text in std::iter::once(mask.as_slice()).chain(lines).filter(|text| !text.is_empty()) {
                all.push(text.to_vec());
                for offset in 0..3 {
                    if offset < text.len() {
                        all.push(BASE64.encode(&text[offset..]).into_bytes());
                    }
                }
                if let Ok(text) = std::str::from_utf8(text) {
                    all.push(json(text).into_bytes());
                    all.push(percent_encode(text.as_bytes(), UNRESERVED).to_string().into_bytes());
                    all.push(text.replace('"', "\\\"").into_bytes());
                }
            }
        }
        Self(AhoCorasick::new(&all).unwrap())
    }

    /// Whether a text is hidden from end to end.
    pub fn hides(&self, text: &[u8]) -> bool {
        let mut hits: Vec<(usize, usize)> =
            self.0.find_overlapping_iter(text).map(|hit| (hit.start(), hit.end())).collect();
        hits.sort_unstable();
        let mut end = 0;
        for (from, to) in hits {
            if from > end {
                return false;
            }
            end = end.max(to);
        }
        end >= text.len()
    }
}
