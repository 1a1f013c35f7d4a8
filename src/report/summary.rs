//! The job summary: the report as Markdown for GitHub's page of the run.

use std::collections::BTreeSet;

use super::errors::ErrorRow;
use super::log::{sentence, stages};
use super::markdown::{block, code, codes, text};
use super::model::{Outcome, Report, SecretRow, SecretState, ServiceRow};
use super::picture::picture;
use super::plan::{self, Tense};
use super::text::{duration, shortened};
use super::waits::Waits;
use crate::diagnostic::Diagnostic;

/// GitHub takes 1 MiB a step (`FileCommandManager` in the runner) and drops a longer summary whole.
const MOST_BYTES: usize = 900 * 1024;

/// More rows, problems or warnings than this are counted, not shown.
const MOST_ROWS: usize = 200;

/// The longest fact, in characters: what a program printed may stand in one.
const LONGEST_FACT: usize = 4000;

/// The job summary of a run, a whole Markdown text with a newline at its end. Whatever names and facts hold, it shows
/// as it is and means nothing.
pub fn markdown(report: &Report) -> String {
    let mut sections = vec![heading(report)];
    sections.extend(report.errors().flat_map(|row| error(report, row)));
    if report.degraded {
        sections.push(degraded());
    }
    sections.extend(changes(report));
    sections.extend(drift(report));
    if !report.warnings.is_empty() {
        sections.push("### Warnings".to_owned());
        sections.push(bullets(report.warnings.iter().map(warning)));
    }
    if !report.secrets.is_empty() {
        sections.push("### Secrets".to_owned());
        sections.push(secrets(report));
    }
    if report.secrets.iter().any(SecretRow::is_stale_somewhere) {
        sections.push(
            "**differs**: a source that lost holds another value than the one that won, so one of the two is stale."
                .to_owned(),
        );
    }
    if !report.services.is_empty() {
        sections.push("### Services".to_owned());
        sections.push(services(report));
    }
    if report.sources.iter().any(|source| source.calls > 0) {
        sections.push("### Sources".to_owned());
        sections.push(sources(report));
    }
    sections.extend(picture(report));
    sections.extend(
        report
            .delivery
            .as_ref()
            .map(|delivery| format!("**Delivery** {}: {}", code(&delivery.kind), text(&delivery.reason))),
    );
    sections.extend(
        report.waits.as_ref().and_then(Waits::line).map(|line| format!("**Health** {}", text(&line))),
    );
    if !report.notes.is_empty() {
        sections.push(bullets(report.notes.iter().map(|note| text(note))));
    }
    sections.push(closing(report));
    within_limit(sections)
}

fn heading(report: &Report) -> String {
    let (mark, title) = match report.result {
        Outcome::Deployed => ("✅", "deployed"),
        Outcome::Unchanged => ("✅", "unchanged"),
        Outcome::Validated => ("✅", "validated"),
        Outcome::InSync => ("✅", "in sync"),
        Outcome::Created => ("✅", "created"),
        Outcome::Removed => ("✅", "removed"),
        Outcome::Failed => ("❌", "failed"),
    };
    let (mark, title) = match (report.degraded, mark) {
        (true, "✅") => ("⚠️", format!("{title}, degraded")),
        (_, mark) => (mark, title.to_owned()),
    };
    let mut lines = vec![format!("## {mark} claude-secrets: {title}"), String::new()];
    let mut about = Vec::new();
    about.extend(report.project.as_ref().map(|project| format!("**Project** {}", code(project))));
    about.extend(report.environment.as_ref().map(|name| format!("**Environment** {}", code(name))));
    if !report.mode.is_empty() {
        about.push(format!("**Mode** {}", code(&report.mode)));
    }
    if !about.is_empty() {
        lines.extend([about.join(" · "), String::new()]);
    }
    // The error follows with its fact; it need not be told twice.
    match (report.result, &report.error) {
        (Outcome::Failed, Some(_)) => {}
        _ => lines.push(text(&sentence(report))),
    }
    lines.join("\n").trim_end().to_owned()
}

/// The error's code and fact, its problems, its help.
fn error(report: &Report, error: &ErrorRow) -> Vec<String> {
    let token = match &report.errors_page {
        Some(_) => format!("[{}]({})", code(&error.code), report.explained(&error.code)),
        None => code(&error.code),
    };
    let mut sections = vec![format!("**Error** {token}: {}", fact(&error.fact))];
    if !error.problems.is_empty() {
        sections.push(bullets(
            error.problems.iter().map(|problem| with_fix(&problem.fact, problem.help.as_ref())),
        ));
    }
    if !error.help.is_empty() {
        sections.push("**Fix**".to_owned());
        sections.push(bullets(error.help.iter().map(|help| fact(help))));
    }
    sections
}

/// What changed, or would: first of all, since it is what people look for. An unchanged project has nothing to tell.
fn changes(report: &Report) -> Vec<String> {
    let Some(plan) = &report.plan else { return Vec::new() };
    let (title, tense) = match report.result {
        Outcome::Unchanged => return Vec::new(),
        Outcome::Deployed => ("### What changed", Tense::Did),
        Outcome::Validated => ("### What a deployment would change", Tense::Would),
        _ => ("### What was to change", Tense::Would),
    };
    vec![title.to_owned(), plan::markdown(plan, tense)]
}

fn drift(report: &Report) -> Option<String> {
    let rows = report.drift.iter().map(|row| {
        let service = row.service.as_ref().map_or("–".to_owned(), |service| code(service));
        format!("| {service} | {} | {} |", row.kind, text(&shortened(&row.detail, LONGEST_FACT)))
    });
    (!report.drift.is_empty()).then(|| table("| Service | Drift | What there is |", rows))
}

fn sources(report: &Report) -> String {
    let rows = report.sources.iter().map(|source| {
        format!(
            "| {} | {} of {} | {} | {} |",
            code(&source.id),
            source.found,
            source.asked,
            source.calls,
            duration(source.milliseconds)
        )
    });
    table("| Source | Found | Calls | Time |", rows)
}

fn degraded() -> String {
    "**⚠️ Degraded**: `on-missing` or `on-source-error` let something pass that would otherwise have ended this run. \
     The warnings say what."
        .to_owned()
}

fn warning(warning: &Diagnostic) -> String {
    with_fix(&warning.fact, warning.help.as_ref())
}

fn with_fix(about: &str, fix: Option<&String>) -> String {
    match fix {
        Some(fix) => format!("{}<br>**Fix:** {}", fact(about), fact(fix)),
        None => fact(about),
    }
}

fn fact(fact: &str) -> String {
    block(&shortened(fact, LONGEST_FACT))
}

fn secrets(report: &Report) -> String {
    let changed: BTreeSet<&String> = report.changed.iter().collect();
    let rows = report.secrets.iter().map(|secret| {
        format!(
            "| {} | {} | {} | {} |",
            code(&secret.name),
            source(secret),
            codes(&secret.services),
            state(secret, changed.contains(&secret.name))
        )
    });
    table("| Secret | Source | Services | State |", rows)
}

/// The reference or the source that won, and the sources that it shadows.
fn source(secret: &SecretRow) -> String {
    let won = match (&secret.reference, &secret.source) {
        (Some(reference), Some(source)) if !reference.starts_with(source.as_str()) => {
            format!("{} {}", code(source), code(reference))
        }
        (Some(reference), _) => code(reference),
        (None, Some(source)) => code(source),
        (None, None) => "–".to_owned(),
    };
    if secret.shadowed.is_empty() {
        return won;
    }
    let lost: Vec<String> = (secret.shadowed.iter())
        .map(|other| {
            format!("{} ({})", code(&other.source), if other.differs { "**differs**" } else { "same" })
        })
        .collect();
    format!("{won}<br>shadows {}", lost.join(", "))
}

fn state(secret: &SecretRow, is_changed: bool) -> String {
    let mut words = vec![match secret.state {
        SecretState::Absent => "absent, optional".to_owned(),
        state if state.is_problem() => format!("❌ **{state}**"),
        state => state.to_string(),
    }];
    if is_changed {
        words.push("**changed**".to_owned());
    }
    if !secret.sensitive {
        words.push("not masked".to_owned());
    }
    let dates = [("written", &secret.changed_at), ("expires", &secret.expires_at)];
    words.extend(dates.iter().filter_map(|(word, at)| {
        let day = at.as_deref()?.split('T').next()?;
        Some(format!("{word} {day}"))
    }));
    words.join(", ")
}

fn services(report: &Report) -> String {
    let rows = report.services.iter().map(|service| {
        let user = service.user.as_ref().map_or("–".to_owned(), |user| code(user));
        format!(
            "| {} | {} | {user} | {} |",
            code(&service.name),
            service_state(service),
            codes(&service.secrets)
        )
    });
    table("| Service | State | Reads as | Secrets |", rows)
}

fn service_state(service: &ServiceRow) -> String {
    let state = if service.state.is_problem() {
        format!("❌ **{}**", service.state)
    } else {
        service.state.to_string()
    };
    match &service.detail {
        Some(detail) => format!("{state}: {}", text(&shortened(detail, LONGEST_FACT))),
        None => state,
    }
}

/// Paths, times and the program, for whoever looks for them.
fn closing(report: &Report) -> String {
    let mut parts: Vec<String> = [
        ("Override file", &report.override_file),
        ("Secret files", &report.secrets_dir),
        ("JSON report", &report.report_file),
    ]
    .into_iter()
    .filter_map(|(what, path)| path.as_ref().map(|path| format!("{what} {}", code(path))))
    .collect();
    if !report.stages.is_empty() {
        parts.push(text(&stages(report)));
    }
    parts.push(text(&report.tool));
    format!("<sub>{}</sub>", parts.join(" · "))
}

fn table(head: &str, rows: impl ExactSizeIterator<Item = String>) -> String {
    let more = rows.len().saturating_sub(MOST_ROWS);
    let rule = head.split('|').filter(|cell| !cell.is_empty()).map(|_| "|---").collect::<String>() + "|";
    let lines: Vec<String> = [head.to_owned(), rule].into_iter().chain(rows.take(MOST_ROWS)).collect();
    with_rest(lines, more)
}

fn bullets(items: impl ExactSizeIterator<Item = String>) -> String {
    let more = items.len().saturating_sub(MOST_ROWS);
    with_rest(items.take(MOST_ROWS).map(|item| format!("- {item}")).collect(), more)
}

fn with_rest(mut lines: Vec<String>, more: usize) -> String {
    if more > 0 {
        lines.extend([String::new(), format!("… and {more} more: see the log or the JSON report.")]);
    }
    lines.join("\n")
}

/// The sections with blank lines between them, the ones that would not fit left out.
fn within_limit(sections: Vec<String>) -> String {
    let mut out = String::new();
    let mut left_out = false;
    for section in sections {
        if out.len() + section.len() > MOST_BYTES {
            left_out = true;
            continue;
        }
        out.push_str(&section);
        out.push_str("\n\n");
    }
    if left_out {
        out.push_str("Parts of this summary were too long for GitHub: see the log or the JSON report.");
    }
    out.truncate(out.trim_end().len());
    out + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::SecretName;

    #[test]
    fn a_summary_stays_below_what_github_takes() {
        let name = SecretName::parse("A").map_err(|e| e.to_string()).unwrap();
        let row = SecretRow { services: vec!["s".repeat(120); 200], ..SecretRow::new(&name) };
        let report = Report { secrets: vec![row; 1000], ..Report::default() };
        let markdown = markdown(&report);
        assert!(markdown.len() < 1024 * 1024, "{}", markdown.len());
        assert!(markdown.contains("were too long for GitHub"), "the table is left out, not cut");
        assert!(markdown.starts_with("## ❌ claude-secrets: failed\n"));
    }

    #[test]
    fn rows_beyond_two_hundred_are_counted() {
        let report = Report { warnings: vec![Diagnostic::new("w"); 205], ..Report::default() };
        let markdown = markdown(&report);
        assert_eq!(markdown.matches("\n- w").count(), 200);
        assert!(markdown.contains("… and 5 more: see the log"));
    }
}
