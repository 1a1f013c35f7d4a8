//! The closing lines of the readable log, and the annotations that GitHub shows beside a run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::errors::ErrorRow;
use super::model::{Outcome, Report, SecretRow, SecretState, ServiceRow, SourceRow};
use super::text::{duration, list, one_line, shortened};
use super::waits::Waits;
use crate::count::count;
use crate::diagnostic::Diagnostic;
use crate::visible::{visible, without_command};

/// GitHub shows so many errors, and as many warnings, of one step (`_maxIssueCount` in the runner's `ExecutionContext`).
const MOST_ANNOTATIONS: usize = 10;

/// The runner cuts an annotation at 4096 characters; this leaves room for the help.
const LONGEST_ROLL_UP: usize = 3000;

/// No more names than this in a sentence; the table has them all.
const MOST_NAMES: usize = 5;

/// The columns of a log that is no terminal.
pub const WIDTH: usize = 120;

/// Fewer columns are taken for so many.
const NARROWEST: usize = 60;

/// More rows than this are counted, but for those to look at; the JSON report has them all.
const MOST_LINES: usize = 40;

/// More rows than this are counted, whatever they tell.
const MOST_TO_LOOK_AT: usize = 200;

/// The closing lines of the log: the secrets, the services and the sources in aligned columns that fit into so many, the time
/// each stage took, and last the [`sentence`]. No line can be taken for a workflow command.
pub fn table(report: &Report, width: usize) -> Vec<String> {
    let width = width.max(NARROWEST);
    let mut lines = Vec::new();
    if !report.secrets.is_empty() {
        let (told, counted) = told(report);
        let rows = told.into_iter().map(secret_cells).collect();
        lines.extend(aligned(["SECRET", "STATE", "SOURCE", "SERVICES"], rows, width));
        lines.extend(counted);
        lines.push(String::new());
    }
    if !report.services.is_empty() {
        let rows = report.services.iter().map(service_cells).collect();
        lines.extend(aligned(["SERVICE", "STATE", "USER", "SECRETS"], rows, width));
        lines.push(String::new());
    }
    if report.sources.iter().any(|source| source.calls > 0) {
        let rows = report.sources.iter().map(source_cells).collect();
        lines.extend(aligned(["SOURCE", "FOUND", "CALLS", "TIME"], rows, width));
        lines.push(String::new());
    }
    if report.secrets.iter().any(SecretRow::is_stale_somewhere) {
        lines.push("(!) a source that lost holds another value than the one that won".to_owned());
    }
    if let Some(delivery) = &report.delivery {
        lines.push(format!("delivery: {} ({})", one_line(&delivery.kind), one_line(&delivery.reason)));
    }
    lines.extend(report.waits.as_ref().and_then(Waits::line));
    if !report.stages.is_empty() {
        lines.push(stages(report));
    }
    let mut explained: Vec<String> = report.errors().map(|error| report.explained(&error.code)).collect();
    explained.dedup();
    lines.extend(explained.into_iter().map(|place| format!("more on this: {}", one_line(&place))));
    lines.push(sentence(report));
    lines.iter().map(|line| without_command(line)).collect()
}

/// The one sentence that says how the run ended, without a full stop, e.g.
/// `deployed: 3 services, 7 secrets from 2 sources; recreated worker-a`. Of errors it has the codes alone.
pub fn sentence(report: &Report) -> String {
    let degraded = if report.degraded { ", degraded" } else { "" };
    let state = format!("{}{degraded}", report.result);
    let mut codes: Vec<&str> = report.errors().map(|error| error.code.as_str()).collect();
    codes.dedup();
    // What is wrong is told by the errors, which follow.
    let because = if codes.is_empty() { String::new() } else { format!(" ({})", codes.join(", ")) };
    match report.result {
        Outcome::Failed if codes.is_empty() => format!("{state}: the run stopped before its end"),
        Outcome::Failed => format!("{state}{because}"),
        Outcome::InSync => format!("{state}: what runs is what the last deployment left"),
        Outcome::Removed => format!("{state}: the project is stopped, and nothing of ours is left"),
        _ => {
            let amounts = if report.services.is_empty() {
                secret_counts(report)
            } else {
                format!("{}, {}", count(report.services.len(), "service"), secret_counts(report))
            };
            match doings(report) {
                doings if doings.is_empty() => format!("{state}: {amounts}"),
                doings => format!("{state}: {amounts}; {doings}"),
            }
        }
    }
}

/// At most ten messages: GitHub drops what comes after. Of more than ten, the first nine stay and the tenth tells the
/// others in short.
pub fn annotations(messages: &[Diagnostic]) -> Vec<Diagnostic> {
    if messages.len() <= MOST_ANNOTATIONS {
        return messages.to_vec();
    }
    let (kept, rest) = messages.split_at(MOST_ANNOTATIONS - 1);
    let mut text = format!("and {} more:", rest.len());
    for (index, message) in rest.iter().enumerate() {
        let line = format!("\n- {}", one_line(&message.fact));
        if text.len() + line.len() > LONGEST_ROLL_UP {
            let _ = write!(text, "\n- … and {} that do not fit here", rest.len() - index);
            break;
        }
        text.push_str(&line);
    }
    let rolled_up =
        Diagnostic::new(text).help("The job summary and the JSON report have them all, with their remedies.");
    kept.iter().cloned().chain([rolled_up]).collect()
}

/// An error as messages for [`annotations`]: the fact with its help first, then each problem with its own. A single
/// problem is told in one message with the fact.
pub fn error_messages(error: &ErrorRow) -> Vec<Diagnostic> {
    let help = (!error.help.is_empty()).then(|| error.help.join("\n"));
    if let [only] = error.problems.as_slice() {
        let help: Vec<String> = only.help.iter().cloned().chain(help).collect();
        return vec![Diagnostic {
            fact: format!("{}: {}", error.fact, only.fact),
            help: (!help.is_empty()).then(|| help.join("\n")),
            place: only.place.clone(),
        }];
    }
    let fact = Diagnostic { fact: error.fact.clone(), help, place: error.place.clone() };
    [fact].into_iter().chain(error.problems.iter().cloned()).collect()
}

/// How long each stage took, and all of them.
pub(super) fn stages(report: &Report) -> String {
    let total = report.stages.iter().map(|stage| stage.milliseconds).sum();
    let each: Vec<String> = report
        .stages
        .iter()
        .map(|stage| format!("{} {}", one_line(&stage.name), duration(stage.milliseconds)))
        .collect();
    format!("took {}: {}", duration(total), each.join(", "))
}

/// `7 secrets from 2 sources, 1 default, 1 missing`.
fn secret_counts(report: &Report) -> String {
    let with = |state| report.secrets.iter().filter(move |secret| secret.state == state);
    let mut sources: Vec<_> = with(SecretState::Found).filter_map(|secret| secret.source.as_ref()).collect();
    sources.sort_unstable();
    sources.dedup();
    if with(SecretState::Unasked).next().is_some() {
        return format!("{}, for which no source was asked", count(report.secrets.len(), "secret"));
    }
    let mut parts = vec![count(with(SecretState::Found).count(), "secret")];
    if !sources.is_empty() {
        parts = vec![format!("{} from {}", parts[0], count(sources.len(), "source"))];
    }
    for (state, word) in [
        (SecretState::Default, "default"),
        (SecretState::Absent, "optional one absent"),
        (SecretState::Missing, "missing"),
        (SecretState::Denied, "denied"),
        (SecretState::Failed, "failed"),
        (SecretState::Invalid, "invalid"),
    ] {
        match (with(state).count(), state) {
            (0, _) => {}
            (number, SecretState::Default) => parts.push(count(number, word)),
            (number, SecretState::Absent) if number > 1 => {
                parts.push(format!("{number} optional ones absent"));
            }
            (number, _) => parts.push(format!("{number} {word}")),
        }
    }
    parts.join(", ")
}

/// What was done to services, or that nothing was.
fn doings(report: &Report) -> String {
    match report.result {
        Outcome::Unchanged => return "nothing was restarted".to_owned(),
        Outcome::Validated => return "nothing was changed".to_owned(),
        _ => {}
    }
    let named =
        |names: &[String]| list(&names.iter().map(|name| visible(name)).collect::<Vec<_>>(), MOST_NAMES);
    let created = &report.created;
    let mut parts = Vec::new();
    if !created.is_empty() {
        parts.push(format!("created {}", named(created)));
    }
    // In the output, what was created counts as made anew too.
    let recreated: Vec<String> =
        (report.recreated.iter()).filter(|name| !created.contains(name)).cloned().collect();
    if !recreated.is_empty() {
        parts.push(format!("recreated {}", named(&recreated)));
    }
    parts.join(", ")
}

/// Why a secret has a row, the most important reason first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    LookingAt,
    Changed,
    Usual,
}

impl Worth {
    /// How many rows there are at most of these and of those before them.
    fn most(self) -> usize {
        match self {
            Self::LookingAt | Self::Changed => MOST_TO_LOOK_AT,
            Self::Usual => MOST_LINES,
        }
    }

    /// What is said of those that have none.
    fn of_others(self) -> &'static str {
        match self {
            Self::LookingAt => "to look at",
            Self::Changed => "that changed",
            Self::Usual => "as they were",
        }
    }
}

/// The secrets that have a row of their own, and what is said of the others.
fn told(report: &Report) -> (Vec<&SecretRow>, Vec<String>) {
    if report.secrets.len() <= MOST_LINES {
        return (report.secrets.iter().collect(), Vec::new());
    }
    let changed: BTreeSet<&String> = report.changed.iter().collect();
    let worth = |secret: &SecretRow| {
        let is_there = matches!(secret.state, SecretState::Found | SecretState::Unasked);
        match (is_there && !secret.is_stale_somewhere(), changed.contains(&secret.name)) {
            (false, _) => Worth::LookingAt,
            (true, true) => Worth::Changed,
            (true, false) => Worth::Usual,
        }
    };
    let by_worth: Vec<(Worth, &SecretRow)> =
        report.secrets.iter().map(|secret| (worth(secret), secret)).collect();
    let mut chosen = BTreeSet::new();
    let mut counted = Vec::new();
    for wanted in [Worth::LookingAt, Worth::Changed, Worth::Usual] {
        let mut left: BTreeMap<&str, usize> = BTreeMap::new();
        for (at, (_, secret)) in by_worth.iter().enumerate().filter(|(_, (worth, _))| *worth == wanted) {
            if chosen.len() < wanted.most() {
                chosen.insert(at);
            } else {
                *left.entry(secret.source.as_deref().unwrap_or("-")).or_default() += 1;
            }
        }
        let each: Vec<String> =
            left.iter().map(|(source, number)| format!("{number} from {}", one_line(source))).collect();
        if !left.is_empty() {
            let number: usize = left.values().sum();
            let (of_others, each) = (wanted.of_others(), list(&each, MOST_NAMES));
            counted.push(format!("… and {number} more of the secrets, {of_others}: {each}"));
        }
    }
    let rows = by_worth.iter().enumerate().filter(|(at, _)| chosen.contains(at));
    (rows.map(|(_, (_, secret))| *secret).collect(), counted)
}

fn source_cells(source: &SourceRow) -> [String; 4] {
    let found = format!("{} of {}", source.found, source.asked);
    [source.id.clone(), found, source.calls.to_string(), duration(source.milliseconds)]
}

fn secret_cells(secret: &SecretRow) -> [String; 4] {
    let mut source = match (&secret.reference, &secret.source) {
        (Some(reference), Some(source)) if !reference.starts_with(source.as_str()) => {
            format!("{source} {reference}")
        }
        (Some(reference), _) => reference.clone(),
        (None, Some(source)) => source.clone(),
        (None, None) => "-".to_owned(),
    };
    if secret.is_stale_somewhere() {
        source.push_str(" (!)");
    }
    [secret.name.clone(), secret.state.to_string(), source, joined(&secret.services)]
}

fn service_cells(service: &ServiceRow) -> [String; 4] {
    let state = match &service.detail {
        Some(detail) => format!("{} ({detail})", service.state),
        None => service.state.to_string(),
    };
    [service.name.clone(), state, service.user.clone().unwrap_or("-".to_owned()), joined(&service.secrets)]
}

fn joined(names: &[String]) -> String {
    if names.is_empty() { "-".to_owned() } else { names.join(", ") }
}

/// The least that a column keeps of its width.
const LEAST: [usize; 4] = [16, 10, 12, 12];

/// The order in which columns give way: the list at the end first, then the source or user.
const GIVES_WAY: [usize; 4] = [3, 2, 0, 1];

/// The rows under their heads, each column as wide as its widest cell, or less where all of them do not fit. What is cut is
/// whole in the JSON report.
fn aligned(heads: [&str; 4], rows: Vec<[String; 4]>, width: usize) -> Vec<String> {
    let mut all = vec![heads.map(str::to_owned)];
    all.extend(rows.into_iter().map(|row| row.map(|cell| visible(&cell))));
    let mut widths = [0, 1, 2, 3]
        .map(|column: usize| all.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    // Between the columns are two blanks.
    let mut excess = (widths.iter().sum::<usize>() + 6).saturating_sub(width);
    for column in GIVES_WAY {
        let room = widths[column].saturating_sub(LEAST[column]);
        let less = room.min(excess);
        widths[column] -= less;
        excess -= less;
    }
    let [a, b, c, d] = widths;
    all.into_iter()
        .map(|[first, second, third, fourth]| {
            let (first, second) = (shortened(&first, a), shortened(&second, b));
            let (third, fourth) = (in_the_middle(&third, c), names_within(&fourth, d));
            format!("{first:a$}  {second:b$}  {third:c$}  {fourth}").trim_end().to_owned()
        })
        .collect()
}

/// At most so many characters: of what is longer the middle goes. Of a reference both ends tell the most.
fn in_the_middle(text: &str, most: usize) -> String {
    let length = text.chars().count();
    if length <= most {
        return text.to_owned();
    }
    let end = most.saturating_sub(1) / 2;
    let begin = most.saturating_sub(1) - end;
    text.chars().take(begin).chain(['…']).chain(text.chars().skip(length - end)).collect()
}

/// A list of names with commas between them in at most so many characters; those that do not fit are counted: `a, b +3`.
fn names_within(names: &str, most: usize) -> String {
    if names.chars().count() <= most {
        return names.to_owned();
    }
    let all: Vec<&str> = names.split(", ").collect();
    let mut length = 0;
    let mut fitting = 0;
    for (index, name) in all[..all.len() - 1].iter().enumerate() {
        length += name.chars().count() + if index > 0 { 2 } else { 0 };
        if length > most {
            break;
        }
        if length + format!(" +{}", all.len() - index - 1).len() <= most {
            fitting = index + 1;
        }
    }
    if fitting > 0 {
        return format!("{} +{}", all[..fitting].join(", "), all.len() - fitting);
    }
    let rest = if all.len() > 1 { format!(" +{}", all.len() - 1) } else { String::new() };
    format!("{}{rest}", shortened(all[0], most.saturating_sub(rest.chars().count())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(number: usize) -> Vec<Diagnostic> {
        (1..=number).map(|n| Diagnostic::new(format!("warning {n}"))).collect()
    }

    #[test]
    fn ten_messages_stay_as_they_are() {
        assert_eq!(annotations(&messages(10)), messages(10));
        assert!(annotations(&[]).is_empty());
    }

    #[test]
    fn of_eleven_messages_nine_stay_and_the_tenth_tells_the_others() {
        let rolled_up = annotations(&messages(11));
        assert_eq!(rolled_up.len(), 10);
        assert_eq!(rolled_up[..9], messages(9));
        assert_eq!(rolled_up[9].fact, "and 2 more:\n- warning 10\n- warning 11");
    }

    #[test]
    fn the_rolled_up_message_stays_within_what_the_runner_keeps() {
        let many: Vec<Diagnostic> =
            (0..500).map(|n| Diagnostic::new(format!("{n} {}", "x".repeat(50)))).collect();
        let last = annotations(&many).pop().unwrap();
        assert!(last.fact.len() < 3100, "{}", last.fact.len());
        let listed = last.fact.matches("\n- ").count() - 1;
        assert!(last.fact.ends_with(&format!("and {} that do not fit here", 491 - listed)), "{}", last.fact);
    }

    #[test]
    fn an_error_is_its_fact_and_then_each_problem() {
        let row = ErrorRow {
            code: "secrets-missing".into(),
            fact: "2 secrets are missing".into(),
            problems: vec![Diagnostic::with_help("A", "set A"), Diagnostic::new("B")],
            place: None,
            help: vec!["one".into(), "two".into()],
        };
        assert_eq!(
            error_messages(&row),
            [
                Diagnostic::new("2 secrets are missing").help("one\ntwo"),
                Diagnostic::new("A").help("set A"),
                Diagnostic::new("B")
            ]
        );
    }

    #[test]
    fn the_sentence_fits_the_result() {
        let error = |code: &str| {
            Some(ErrorRow {
                code: code.into(),
                fact: "it broke.\nmore".into(),
                problems: vec![],
                help: vec![],
                place: None,
            })
        };
        for (result, error, degraded, expected) in [
            (Outcome::Failed, None, false, "failed: the run stopped before its end"),
            (Outcome::Failed, error("deploy-failed"), false, "failed (deploy-failed)"),
            (Outcome::Removed, None, false, "removed: the project is stopped, and nothing of ours is left"),
            (Outcome::Validated, None, false, "validated: 0 secrets; nothing was changed"),
            (Outcome::Unchanged, None, true, "unchanged, degraded: 0 secrets; nothing was restarted"),
            (Outcome::Created, None, false, "created: 0 secrets"),
        ] {
            let report = Report { result, error, degraded, ..Report::default() };
            assert_eq!(sentence(&report), expected);
        }
    }
}
