//! What a Dockerfile takes from its build context: the sources of `COPY` and `ADD`, and mounts of the context.
//!
//! Where a Dockerfile is written in a way that is not understood here, it is taken to copy everything. What the base image
//! asks for by `ONBUILD` is not known.

use std::path::Path;

use super::build_context::{matches, may_be_in};

/// Whether the instructions copy something of a directory of the context
/// (<https://docs.docker.com/reference/dockerfile/>).
pub(super) fn copies_from(dockerfile: &str, directory: &Path) -> bool {
    let joined = dockerfile.replace("\\\r\n", " ").replace("\\\n", " ").replace("`\n", " ");
    joined.lines().map(str::trim).any(|line| {
        let mut words = line.split_whitespace().peekable();
        words.next_if(|word| word.eq_ignore_ascii_case("ONBUILD"));
        let Some(instruction) = words.next() else { return false };
        let mut flags = Vec::new();
        while let Some(flag) = words.next_if(|word| word.starts_with("--")) {
            flags.push(flag);
        }
        let rest: Vec<&str> = words.collect();
        match instruction.to_ascii_uppercase().as_str() {
            "COPY" | "ADD" => {
                let from_elsewhere = flags.iter().any(|flag| flag.starts_with("--from="));
                !from_elsewhere
                    && sources(&rest).is_none_or(|all| all.iter().any(|one| takes(one, directory)))
            }
            "RUN" => flags.iter().any(|flag| mounts_context(flag)),
            _ => false,
        }
    })
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

fn takes(source: &str, directory: &Path) -> bool {
    if source.starts_with("<<") || source.contains("://") {
        return false;
    }
    let pattern = source.trim_matches('"').trim_start_matches("./").trim_matches('/');
    let everything = matches!(pattern, "" | ".");
    everything
        || pattern.contains(['$', '\'', '"'])
        || pattern.split('/').any(|step| step == "..")
        || directory.ancestors().any(|path| matches(pattern, path))
        || Path::new(pattern).starts_with(directory)
        || may_be_in(pattern, directory)
}

/// `--mount` takes the context unless it says another type or another place.
fn mounts_context(flag: &str) -> bool {
    let Some(options) = flag.strip_prefix("--mount=") else { return false };
    let has = |wanted: &str| options.split(',').any(|option| option.starts_with(wanted));
    !has("from=") && (!has("type=") || has("type=bind"))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        ] {
            assert_eq!(copies_from(text, Path::new("data/secrets")), copies, "{text:?}");
        }
    }
}
