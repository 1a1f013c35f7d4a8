//! The table of cases and sources: as text, as a file, and in the documentation.

use std::fmt::Write as _;
use std::path::Path;

use crate::cases::CASES;

/// Where the table stands for readers.
const PAGE: &str = "docs/sources.md";
const BEGIN: &str = "<!-- begin conformance -->\n";
const END: &str = "<!-- end conformance -->";

/// How a case of a source ended.
#[derive(Clone)]
pub(crate) enum Cell {
    /// As it should.
    Passed,
    /// There is no such case, for a reason.
    Gap(&'static str),
    /// Otherwise.
    Failed(String),
}

impl Cell {
    /// The word for a line of the log.
    pub(crate) fn word(&self) -> String {
        match self {
            Self::Passed => "ok".to_owned(),
            Self::Gap(reason) => format!("a gap: {reason}"),
            Self::Failed(_) => "FAILED".to_owned(),
        }
    }
}

/// The table: a column for each source, a row for each case.
pub(crate) struct Table {
    names: Vec<&'static str>,
    columns: Vec<Vec<Cell>>,
}

impl Table {
    /// Takes the names of the columns, and all cells, column after column.
    pub(crate) fn new(names: Vec<&'static str>, cells: &[Cell]) -> Self {
        Self { names, columns: cells.chunks(CASES.len()).map(<[Cell]>::to_vec).collect() }
    }

    /// The table and, below it, the reasons of its gaps.
    pub(crate) fn markdown(&self) -> String {
        let mut reasons: Vec<&str> = Vec::new();
        let mut out = "| case |".to_owned();
        for name in &self.names {
            write!(out, " `{name}` |").unwrap();
        }
        out += "\n|---|";
        out += &"---|".repeat(self.names.len());
        for (row, entry) in CASES.iter().enumerate() {
            write!(out, "\n| {} |", entry.title).unwrap();
            for column in &self.columns {
                match &column[row] {
                    Cell::Passed => out += " ✓ |",
                    Cell::Failed(_) => out += " **failed** |",
                    Cell::Gap(reason) => {
                        let at = reasons.iter().position(|known| known == reason).unwrap_or_else(|| {
                            reasons.push(reason);
                            reasons.len() - 1
                        });
                        write!(out, " – ({}) |", at + 1).unwrap();
                    }
                }
            }
        }
        out += "\n\n";
        for (number, reason) in reasons.iter().enumerate() {
            let (first, rest) = reason.trim_end_matches('.').split_at(1);
            writeln!(out, "{}. {}{rest}.", number + 1, first.to_uppercase()).unwrap();
        }
        out
    }

    /// Writes it to the file that `CLAUDE_SECRETS_CONFORMANCE_TABLE` names.
    pub(crate) fn write(&self) {
        if let Some(path) = std::env::var_os("CLAUDE_SECRETS_CONFORMANCE_TABLE") {
            std::fs::write(path, self.markdown()).unwrap();
        }
    }

    /// Whether the documentation has this table; with `UPDATE_DOCS` it has it afterwards.
    pub(crate) fn check_documentation(&self) -> Result<(), String> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
        let old = std::fs::read_to_string(&path).unwrap();
        let (before, rest) = old.split_once(BEGIN).ok_or("docs/sources.md has no place for the table")?;
        let (_, after) = rest.split_once(END).ok_or("docs/sources.md has no end of the table")?;
        let new = format!("{before}{BEGIN}{}{END}{after}", self.markdown());
        if new == old {
            return Ok(());
        }
        if std::env::var_os("UPDATE_DOCS").is_none() {
            return Err(format!("{PAGE} has another table: UPDATE_DOCS=1 cargo test --test conformance"));
        }
        std::fs::write(&path, new).unwrap();
        Ok(())
    }
}
