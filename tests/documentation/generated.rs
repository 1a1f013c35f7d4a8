//! The parts of the documentation that are made from tables in the code.

use std::fmt::Write as _;

use claude_secrets::error::{Code, catalogue};
use claude_secrets::lint::RULES;
use claude_secrets::report::outputs::OUTPUTS;
use claude_secrets::settings::INPUTS;
use claude_secrets::sources::SOURCES;

/// One part: what stands between its two marks in its file.
pub(crate) struct Part {
    pub(crate) file: &'static str,
    pub(crate) name: &'static str,
    text: String,
}

/// Every part.
pub(crate) fn parts() -> Vec<Part> {
    let part = |file, name, text| Part { file, name, text };
    vec![
        part("action.yml", "inputs", action_inputs()),
        part("action.yml", "outputs", action_outputs()),
        part("with-op/action.yml", "inputs", action_inputs()),
        part("with-op/action.yml", "outputs", action_outputs()),
        part("README.md", "inputs", inputs()),
        part("README.md", "outputs", outputs()),
        part("docs/sources.md", "sources", sources()),
        part("docs/errors.md", "errors", errors()),
        part("docs/errors.md", "catalogue", catalogue()),
        part("docs/errors.md", "lint", lint()),
    ]
}

/// A text without the marks of the expressions in it: `${{ x }}` becomes `x`.
pub(crate) fn without_expressions(text: &str) -> String {
    text.replace("${{ ", "").replace(" }}", "")
}

impl Part {
    /// The file's text with this part as it is to be.
    pub(crate) fn put_into(&self, file: &str) -> String {
        let comment = |word: &str| match self.file.rsplit('.').next() {
            Some("yml") => format!("  # {word} {}\n", self.name),
            _ => format!("<!-- {word} {} -->\n", self.name),
        };
        let (begin, end) = (comment("begin"), comment("end"));
        let missing = || panic!("{} has no marks for {}: {begin}", self.file, self.name);
        let start = file.find(&begin).unwrap_or_else(missing) + begin.len();
        let length = file[start..].find(&end).unwrap_or_else(missing);
        format!("{}{}{}", &file[..start], self.text, &file[start + length..])
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn action_inputs() -> String {
    let mut out = String::new();
    for input in INPUTS {
        let description = quoted(&without_expressions(input.help));
        writeln!(out, "  {}:\n    description: {description}\n    required: false", input.name).unwrap();
        if !input.default.is_empty() {
            writeln!(out, "    default: {}", quoted(input.default)).unwrap();
        }
    }
    out
}

fn action_outputs() -> String {
    OUTPUTS.iter().fold(String::new(), |out, (name, help)| {
        out + &format!("  {name}:\n    description: {}\n", quoted(help))
    })
}

/// A row of a Markdown table. A bar would end the cell, also within code.
fn row(cells: &[&str]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    format!("| {} |\n", cells.join(" | "))
}

fn inputs() -> String {
    let mut out = row(&["input", "default", "meaning"]) + "|---|---|---|\n";
    for input in INPUTS {
        let default = match input.default {
            "" => String::new(),
            text => format!("`{text}`"),
        };
        out += &row(&[&format!("`{}`", input.name), &default, input.help]);
    }
    out
}

fn outputs() -> String {
    let head = row(&["output", "meaning"]) + "|---|---|\n";
    let row_of = |(name, help): &(&str, &str)| row(&[&format!("`{name}`"), help]);
    OUTPUTS.iter().map(row_of).fold(head, |out, row| out + &row)
}

fn catalogue() -> String {
    Code::ALL.iter().map(|code| catalogue::section(*code)).collect::<Vec<_>>().join("\n")
}

fn lint() -> String {
    let head = row(&["rule", "what it warns of"]) + "|---|---|\n";
    RULES.iter().fold(head, |out, rule| out + &row(&[&format!("`{}`", rule.name), rule.about]))
}

fn sources() -> String {
    let mut out =
        row(&["priority", "source", "what it reads", "settings in `sources:`"]) + "|---|---|---|---|\n";
    for (index, kind) in SOURCES.iter().enumerate() {
        let settings: Vec<String> =
            kind.settings.iter().map(|setting| format!("`{}`", setting.name)).collect();
        let settings = if settings.is_empty() { "none".to_owned() } else { settings.join(", ") };
        let link = format!("[`{0}`](sources/{0}.md)", kind.name);
        out += &row(&[&(index + 1).to_string(), &link, kind.about, &settings]);
    }
    out
}

fn errors() -> String {
    let mut out = row(&["`error-code`", "exit status", "meaning"]) + "|---|---|---|\n";
    for code in Code::ALL {
        let token = format!("[`{0}`](#{0})", code.token());
        out += &row(&[&token, &code.exit_status().to_string(), code.meaning()]);
    }
    out
}
