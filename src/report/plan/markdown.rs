//! A plan as Markdown, for the job summary and for a comment on a pull request.

use super::lines::{file_in_words, secret_in_words, service_in_words, summary, volume_in_words};
use super::{Plan, ServiceAction, Tense};
use crate::report::markdown::{code, text};

/// More rows of one kind than this are counted, not shown.
const MOST_ROWS: usize = 200;

/// What a deployment would change, or that it would change nothing: paragraphs, and a table for each kind of thing. It has no
/// heading. Whatever names hold, it shows as it is and means nothing.
pub fn markdown(plan: &Plan, tense: Tense) -> String {
    let mut sections = vec![format!("**{}**", text(&capitalised(&summary(plan, tense))))];
    sections.extend(table(
        "| Secret | What changes |",
        plan.secrets
            .iter()
            .filter(|secret| secret.is_told())
            .map(|secret| format!("| {} | {} |", code(&secret.name), text(&secret_in_words(secret)))),
    ));
    sections.extend(table(
        "| Service | What happens |",
        plan.services.iter().filter(|service| service.is_told()).map(|service| {
            let words = text(&service_in_words(service, tense));
            let bold = matches!(
                service.action,
                ServiceAction::Create
                    | ServiceAction::Recreate
                    | ServiceAction::Remove
                    | ServiceAction::Stale
            );
            let words = if bold {
                words.replacen(
                    service.action.in_words(tense),
                    &format!("**{}**", service.action.in_words(tense)),
                    1,
                )
            } else {
                words
            };
            format!("| {} | {words} |", code(&service.name))
        }),
    ));
    sections.extend(table(
        "| Variable that is taken away | Service | Why |",
        plan.variables.iter().map(|taken| {
            format!("| {} | {} | {} |", code(&taken.name), code(&taken.service), text(&taken.why))
        }),
    ));
    let images = plan.images.iter().map(|image| {
        let again = if image.is_there { " again" } else { "" };
        format!("| image {} | {}{again} |", code(&image.name), image.action.in_words(tense))
    });
    let volumes = plan.volumes.iter().map(|volume| {
        format!("| volume {} | {} |", text(&volume_in_words(volume)), volume.change.in_words(tense))
    });
    let files = plan
        .files
        .iter()
        .map(|file| format!("| file {} | {} |", code(&file.path), file_in_words(file, tense)));
    sections.extend(table("| Image, volume, file | What happens |", images.chain(volumes).chain(files)));
    sections.join("\n\n")
}

fn table(head: &str, rows: impl Iterator<Item = String>) -> Option<String> {
    let rows: Vec<String> = rows.collect();
    if rows.is_empty() {
        return None;
    }
    let more = rows.len().saturating_sub(MOST_ROWS);
    let rule = head.split('|').filter(|cell| !cell.is_empty()).map(|_| "|---").collect::<String>() + "|";
    let mut lines: Vec<String> =
        [head.to_owned(), rule].into_iter().chain(rows.into_iter().take(MOST_ROWS)).collect();
    if more > 0 {
        lines.extend([String::new(), format!("… and {more} more: see the log or the JSON report.")]);
    }
    Some(lines.join("\n"))
}

fn capitalised(sentence: &str) -> String {
    let mut letters = sentence.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    first + letters.as_str()
}
