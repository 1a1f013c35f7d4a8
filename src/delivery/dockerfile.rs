//! What a Dockerfile takes from its build context: the sources of `COPY` and `ADD`, and mounts of the context.
//!
//! Where a Dockerfile is written in a way that is not understood here, it is taken to copy everything.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::context_pattern::{may_be_in, plain_pattern};

/// Whether the instructions copy something of a directory of the context
/// (<https://docs.docker.com/reference/dockerfile/>). `leads_there` says whether a source does so by a link.
pub(super) fn copies_from(dockerfile: &str, directory: &Path, leads_there: &dyn Fn(&str) -> bool) -> bool {
    let takes = |source: &str| takes(source, directory, leads_there);
    let text = dockerfile.trim_start_matches('\u{feff}');
    let directives = Directives::of(text);
    // What is in a here-document is no instruction, but where one ends is not known for sure.
    directives.other_syntax
        || [false, true].into_iter().any(|skips| {
            instructions(text, directives.escape, skips).iter().any(|line| takes_from(line, &takes))
        })
}

/// The images that stages are built from, as `FROM` names them: what they ask for by `ONBUILD` is done in these stages. Neither
/// a stage of the same Dockerfile nor `scratch` is among them. Arguments have their defaults, or what `given` says; a variable
/// that is not known stays one.
pub(super) fn bases(dockerfile: &str, given: &dyn Fn(&str) -> Option<String>) -> BTreeSet<String> {
    let text = dockerfile.trim_start_matches('\u{feff}');
    let mut all = BTreeSet::new();
    for skips in [false, true] {
        let mut stages = BTreeSet::from(["scratch".to_owned()]);
        let (mut arguments, mut has_stages) = (BTreeMap::new(), false);
        for line in instructions(text, Directives::of(text).escape, skips) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let Some((name, rest)) = words.split_first() else { continue };
            // Only what is declared before the first stage counts in `FROM`.
            if name.eq_ignore_ascii_case("ARG") && !has_stages {
                arguments.extend(rest.iter().filter_map(|word| {
                    let (name, default) = word.split_once('=').unwrap_or((word, ""));
                    let value = given(name).or_else(|| Some(unquoted(default).to_owned()))?;
                    (!value.is_empty() && !value.contains('$')).then(|| (name.to_owned(), value))
                }));
            }
            if !name.eq_ignore_ascii_case("FROM") {
                continue;
            }
            has_stages = true;
            let mut rest = rest.iter().skip_while(|word| word.starts_with("--"));
            let image = rest.next().map(|image| expanded(unquoted(image), &arguments));
            all.extend(image.filter(|image| !stages.contains(&image.to_lowercase())));
            let name = rest.next().filter(|word| word.eq_ignore_ascii_case("AS")).and_then(|_| rest.next());
            stages.extend(name.map(|name| name.to_lowercase()));
        }
    }
    all
}

fn unquoted(word: &str) -> &str {
    word.trim_matches(['"', '\''])
}

/// With the arguments in it: `$NAME`, `${NAME}` and `${NAME:-default}`, where the name has a value.
fn expanded(image: &str, arguments: &BTreeMap<String, String>) -> String {
    let mut whole = image.to_owned();
    for (name, value) in arguments {
        whole = whole.replace(&format!("${{{name}}}"), value);
        while let Some(at) = whole.find(&format!("${{{name}:-")) {
            let Some(end) = whole[at..].find('}') else { break };
            whole.replace_range(at..=at + end, value);
        }
        let plain = format!("${name}");
        let ends = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        while let Some((at, _)) = whole.match_indices(&plain).find(|(at, _)| ends(&whole[at + plain.len()..]))
        {
            whole.replace_range(at..at + plain.len(), value);
        }
    }
    whole
}

/// What the comments at the beginning say of how the rest is read.
struct Directives {
    /// What continues a line at its end.
    escape: char,
    /// Whether another program than Docker's own reads the file.
    other_syntax: bool,
}

impl Directives {
    fn of(text: &str) -> Self {
        let mut this = Self { escape: '\\', other_syntax: false };
        for line in text.lines() {
            let Some((name, value)) = line.trim().strip_prefix('#').and_then(|line| line.split_once('='))
            else {
                break;
            };
            let value = value.trim();
            match name.trim().to_ascii_lowercase().as_str() {
                "escape" => this.escape = value.chars().next().unwrap_or('\\'),
                "syntax" => {
                    let image = value.strip_prefix("docker.io/").unwrap_or(value);
                    this.other_syntax = !image.starts_with("docker/dockerfile");
                }
                _ => {}
            }
        }
        this
    }
}

/// The instructions, each in one line: without comments and empty lines, also where they are inside of one.
fn instructions(text: &str, escape: char, skips_documents: bool) -> Vec<String> {
    let (mut all, mut current) = (Vec::new(), String::new());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let shown = line.trim();
        if shown.is_empty() || shown.starts_with('#') {
            continue;
        }
        if let Some(part) = line.trim_end().strip_suffix(escape) {
            current.push_str(part);
            continue;
        }
        current.push_str(line);
        if skips_documents {
            for end in documents(&current) {
                let mut rest = lines.clone();
                if rest.any(|line| line.trim_start_matches('\t') == end) {
                    lines = rest;
                }
            }
        }
        all.push(std::mem::take(&mut current));
    }
    all.push(current);
    all
}

/// The words that end the here-documents of an instruction: `<<EOF`, `<<-"EOF"`, `3<<EOF`.
fn documents(instruction: &str) -> Vec<String> {
    let words = instruction.split_whitespace().filter_map(|word| {
        let (_, end) = word.split_once("<<")?;
        let end = end.trim_start_matches('-').trim_matches(['"', '\'']);
        (!end.is_empty()).then(|| end.to_owned())
    });
    words.collect()
}

fn takes_from(instruction: &str, takes: &dyn Fn(&str) -> bool) -> bool {
    let mut words = instruction.split_whitespace().peekable();
    words.next_if(|word| word.eq_ignore_ascii_case("ONBUILD"));
    let Some(name) = words.next() else { return false };
    let mut flags = Vec::new();
    while let Some(flag) = words.next_if(|word| word.trim_start_matches(['"', '\'', '\\']).starts_with("--"))
    {
        flags.push(flag.replace(['"', '\'', '\\'], ""));
    }
    let rest: Vec<&str> = words.collect();
    match name.to_ascii_uppercase().as_str() {
        "COPY" | "ADD" => {
            let is_elsewhere = |flag: &String| flag.strip_prefix("--from=").is_some_and(is_another_place);
            !flags.iter().any(is_elsewhere)
                && sources(&rest).is_none_or(|all| all.iter().any(|one| takes(one)))
        }
        "RUN" => flags.iter().any(|flag| mounts_context(flag)),
        _ => false,
    }
}

/// Whether what `from` names is a stage or an image: nothing is the context, and a variable may be nothing.
fn is_another_place(from: &str) -> bool {
    !from.is_empty() && !from.starts_with('$')
}

/// What is copied: everything but the last word; `None` when that is not understood.
fn sources(words: &[&str]) -> Option<Vec<String>> {
    let mut all: Vec<String> = if words.first()?.starts_with('[') {
        serde_json::from_str(&words.join(" ")).ok()?
    } else {
        words.iter().map(|&word| word.to_owned()).collect()
    };
    all.pop().filter(|_| !all.is_empty())?;
    Some(all)
}

fn takes(source: &str, directory: &Path, leads_there: &dyn Fn(&str) -> bool) -> bool {
    if source.starts_with("<<") || source.contains("://") {
        return false;
    }
    let written = source.trim_matches('"');
    let pattern = plain_pattern(written);
    matches!(pattern.as_str(), "" | "." | "/")
        || pattern.contains(['$', '\'', '"'])
        || written.split('/').any(|step| step == "..")
        || may_be_in(&pattern, directory)
        || leads_there(&pattern)
}

/// `--mount` takes the context unless it says another type or another place.
fn mounts_context(flag: &str) -> bool {
    let Some(options) = flag.strip_prefix("--mount=") else { return false };
    let value = |wanted: &str| {
        // Of an option that is said twice the last one counts.
        let pairs = options.split(',').filter_map(|option| option.split_once('='));
        let mut values = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case(wanted));
        values.next_back().map(|(_, value)| value.trim().to_ascii_lowercase())
    };
    let is_other = matches!(value("type").as_deref(), Some("cache" | "secret" | "ssh" | "tmpfs"));
    !is_other && !value("from").is_some_and(|from| is_another_place(&from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stage_is_built_from_is_no_other_stage() {
        for (text, found) in [
            ("FROM x\n", &["x"][..]),
            (
                "from --platform=linux/amd64 reg:5/x:1@sha256:0 AS a\nFROM A\nFROM scratch\n",
                &["reg:5/x:1@sha256:0"],
            ),
            ("ARG B=x\nFROM $B\n", &["x"]),
            ("ARG B\nFROM $B\n", &["$B"]),
            ("ARG V=1 \\\n  W='2'\nFROM x:${V}-${W:-3}$VW\n", &["x:1-2$VW"]),
            ("ARG GIVEN=1\nFROM x:$GIVEN\n", &["x:9"]),
            ("FROM x\nARG V=1\nFROM y:$V\n", &["x", "y:$V"]),
            ("FROM \\\n  # the base\n  \"x\"\nCOPY --from=y . .\n", &["x"]),
            ("FROM x\nRUN <<E\nFROM y\nE\nFROM z as y\n", &["x", "y", "z"]),
            ("RUN FROM\n", &[]),
            ("FROM a\nFROM b AS a\nFROM a\n", &["a", "b"]),
        ] {
            let given = |name: &str| (name == "GIVEN").then(|| "9".to_owned());
            let all: Vec<String> = bases(text, &given).into_iter().collect();
            assert_eq!(all, found, "{text:?}");
        }
    }

    #[test]
    fn only_what_may_take_the_directory_counts() {
        for (text, copies) in [
            ("FROM x\nRUN make\n", false),
            ("FROM x\nCOPY src /src\n", false),
            ("FROM x\nCOPY bot.sh lib/*.py /app/\n", false),
            ("FROM x\nCOPY --from=build . /app\n", false),
            ("FROM x\nCOPY --chown=1:1 . /app\n", true),
            ("FROM x\ncopy ./ /app\n", true),
            ("FROM x\nADD * /app/\n", true),
            ("FROM x\nADD https://example.com/x /x\n", false),
            ("FROM x\nCOPY data /data\n", true),
            ("FROM x\nCOPY data/secrets/key /key\n", true),
            ("FROM x\nCOPY data/* /data/\n", true),
            ("FROM x\nCOPY d?ta /data\n", true),
            ("FROM x\nCOPY [\"src\", \"/src\"]\n", false),
            ("FROM x\nCOPY [\".\", \"/src\"]\n", true),
            ("FROM x\nCOPY [broken\n", true),
            ("FROM x\nCOPY \\\n  --chmod=755 \\\n  . /app\n", true),
            ("FROM x\nARG D\nCOPY $D /app\n", true),
            ("FROM x\nCOPY <<EOF /x\nEOF\n", false),
            ("FROM x\nONBUILD COPY . /app\n", true),
            ("FROM x\nRUN --mount=type=cache,target=/c make\n", false),
            ("FROM x\nRUN --mount=target=/src make\n", true),
            ("FROM x\nRUN --mount=type=bind,from=build,target=/src make\n", false),
            ("# COPY . .\nFROM x\n", false),
            ("FROM x\nCOPY \\\n  # the whole project\n\n  . /app\n", true),
            ("FROM x\nCOP\\\nY . /app\n", true),
            ("FROM x\nRUN echo `date`\nCOPY . /app\n", true),
            ("FROM x\nRUN echo x \\\n  add --no-cache curl\n", false),
            ("#escape = `\nFROM x\nCOPY `\r\n  . /app\r\n", true),
            ("# escape=`\nFROM x\nRUN x \\\nCOPY . /app\n", true),
            ("# syntax=docker/dockerfile:1\nFROM x\nCOPY src /src\n", false),
            ("# syntax=example/other\nFROM x\n", true),
            ("FROM x\nCOPY --from= . /app\n", true),
            ("FROM x\nCOPY --from=\"\" . /app\n", true),
            ("FROM x\nRUN --mount=type=BIND,target=/src make\n", true),
            ("FROM x\nRUN --mount=\"type=bind,target=/src\" make\n", true),
            ("FROM x\nRUN --mount=from=,target=/src make\n", true),
            ("FROM x\nRUN --mount=from=$NOTHING,target=/src make\n", true),
            ("FROM x\nRUN --mount=Type=Cache,target=/c make\n", false),
            ("FROM x\nRUN --mount=type=cache,target=/c --mount=type=bind,target=/s make\n", true),
            ("FROM x\nRUN --mount=type=secret,id=k,target=/c make\n", false),
            ("FROM x\nRUN <<'#E'\nx \\\n#E\nCOPY . /app\n", true),
            ("FROM x\nCOPY <<E . /d/\nhi\nE\n", true),
            ("FROM x\nCOPY data/./* /app/\n", true),
            ("FROM x\nCOPY data//* /app/\n", true),
            ("FROM x\nCOPY /data /app/\n", true),
            ("FROM x\nCOPY d*/secrets/a/t /k\n", true),
            ("FROM x\nCOPY d*/other/a/t /k\n", false),
            ("FROM x\nCOPY link /k\n", true),
        ] {
            let is_link = |source: &str| source == "link";
            assert_eq!(copies_from(text, Path::new("data/secrets"), &is_link), copies, "{text:?}");
        }
    }
}
