//! A plan as lines of the log.

use std::fmt::Write as _;

use super::{
    Plan, PlannedFile, PlannedSecret, PlannedService, PlannedVolume, SecretChange, ServiceAction, Tense,
};
use crate::count::count;
use crate::report::text::{list, one_line};
use crate::visible::without_command;

/// More lines of one kind than this are counted, not printed.
const MOST: usize = 200;

/// No more names than this in a line.
const MOST_NAMES: usize = 5;

/// The lines of a plan, each with a mark of what is done: `+` made, `~` changed, `-` taken away, `!` to look at. What stays
/// as it is, is counted.
pub fn lines(plan: &Plan, tense: Tense) -> Vec<String> {
    let mut all = Vec::new();
    section(&mut all, plan.secrets.iter().filter(|secret| secret.is_told()).map(secret));
    section(&mut all, plan.services.iter().filter(|s| s.is_told()).map(|s| service(s, tense)));
    section(
        &mut all,
        plan.variables
            .iter()
            .map(|taken| format!("- variable {} of {}: {}", taken.name, taken.service, one_line(&taken.why))),
    );
    section(
        &mut all,
        plan.images.iter().map(|image| {
            let verb = image.action.in_words(tense);
            let again = if image.is_there { " again" } else { "" };
            format!("+ image {}: {verb}{again} for {}", image.name, list(&image.services, MOST_NAMES))
        }),
    );
    section(&mut all, plan.volumes.iter().map(|one| volume(one, tense)));
    section(
        &mut all,
        plan.files.iter().map(|file| {
            let mark = match file.change {
                super::FileChange::Write => '+',
                super::FileChange::Replace => '~',
                super::FileChange::Remove => '-',
            };
            format!("{mark} file {}: {}", file.path, file_in_words(file, tense))
        }),
    );
    all.push(summary(plan, tense));
    all.iter().map(|line| without_command(&one_line(line))).collect()
}

/// One line of what a plan comes to: `2 secrets changed, 1 service to recreate, 3 services to keep as they are`.
pub fn summary(plan: &Plan, tense: Tense) -> String {
    if !plan.changes {
        let verb = if tense == Tense::Did { "was" } else { "would be" };
        return format!("nothing {verb} restarted, written or removed");
    }
    let mut parts = Vec::new();
    let mut add = |number: usize, word: &str, done: &str| {
        if number > 0 {
            parts.push(format!("{} {done}", count(number, word)));
        }
    };
    let secrets = |change| plan.secrets.iter().filter(|secret| secret.change == change).count();
    for (change, done) in [
        (SecretChange::New, "new"),
        (SecretChange::Changed, "changed"),
        (SecretChange::Uncertain, "perhaps changed"),
        (SecretChange::Moved, "moved"),
        (SecretChange::Gone, "gone"),
    ] {
        add(secrets(change), "secret", done);
    }
    let services = |action| plan.services.iter().filter(|service| service.action == action).count();
    for action in [
        ServiceAction::Create,
        ServiceAction::Recreate,
        ServiceAction::Scale,
        ServiceAction::Start,
        ServiceAction::Restart,
        ServiceAction::Remove,
        ServiceAction::Keep,
    ] {
        let words = action.in_words(tense);
        let done = if tense == Tense::Did { words.to_owned() } else { format!("to {words}") };
        add(services(action), "service", &done);
    }
    if parts.is_empty() {
        let others = plan.files.len() + plan.volumes.len() + plan.images.len();
        parts.push(format!(
            "{}, and no service is touched",
            if others == 1 {
                "1 file, volume or image".to_owned()
            } else {
                format!("{others} files, volumes and images")
            }
        ));
    }
    parts.join(", ")
}

fn section(all: &mut Vec<String>, rows: impl Iterator<Item = String>) {
    let rows: Vec<String> = rows.collect();
    let more = rows.len().saturating_sub(MOST);
    all.extend(rows.into_iter().take(MOST));
    if more > 0 {
        all.push(format!("… and {more} more: the JSON report has them"));
    }
}

fn secret(secret: &PlannedSecret) -> String {
    let mark = match secret.change {
        SecretChange::New => '+',
        SecretChange::Gone => '-',
        _ => '~',
    };
    format!("{mark} secret {}: {}", secret.name, secret_in_words(secret))
}

/// What becomes of a secret, in words.
pub(super) fn secret_in_words(secret: &PlannedSecret) -> String {
    let from =
        secret.origin.as_ref().map(|origin| format!(" from {}", origin.in_words())).unwrap_or_default();
    let before = secret.before.as_ref().map(|origin| format!(", before from {}", origin.in_words()));
    let services = |names: &[String]| list(names, MOST_NAMES);
    let mut words = match secret.change {
        SecretChange::New => format!("new{from}"),
        SecretChange::Changed => format!("changed for {}", services(&secret.changed_for)),
        SecretChange::Uncertain => {
            format!("perhaps changed: the values of {} are others", services(&secret.changed_for))
        }
        SecretChange::Moved => format!("the same value{from}"),
        SecretChange::Gone => "gone".to_owned(),
        SecretChange::Unchanged => "the same value".to_owned(),
    };
    if secret.change.is_of_value() && secret.change != SecretChange::New && before.is_some() {
        words.push_str(&from);
    }
    words.push_str(&before.unwrap_or_default());
    if !secret.gained.is_empty() {
        let verb = if secret.change == SecretChange::New { "for" } else { "now also for" };
        let _ = write!(words, ", {verb} {}", services(&secret.gained));
    }
    if !secret.lost.is_empty() {
        let _ = write!(words, ", no more for {}", services(&secret.lost));
    }
    words
}

fn service(service: &PlannedService, tense: Tense) -> String {
    let mark = match service.action {
        ServiceAction::Create => '+',
        ServiceAction::Remove => '-',
        ServiceAction::Stale | ServiceAction::Orphan => '!',
        _ => '~',
    };
    format!("{mark} service {}: {}", service.name, service_in_words(service, tense))
}

/// What becomes of a service, in words.
pub(super) fn service_in_words(service: &PlannedService, tense: Tense) -> String {
    let mut words = service.action.in_words(tense).to_owned();
    match service.action {
        ServiceAction::Stale => words.push_str(": it is not started by this, and runs with older secrets"),
        ServiceAction::Orphan => {
            words.push_str(": the project does not have it any more, and it goes on running");
        }
        _ => {}
    }
    if let Some(why) = &service.why {
        let _ = write!(words, " ({why})");
    }
    if service.if_image_changes {
        words.push_str(", or recreate if its image turns out to be another one");
    }
    words
}

/// What becomes of a file, in words.
pub(super) fn file_in_words(file: &PlannedFile, tense: Tense) -> String {
    if file.is_certain {
        return file.change.in_words(tense).to_owned();
    }
    format!("perhaps {}: its owner depends on an image that is not here yet", file.change.in_words(tense))
}

fn volume(volume: &PlannedVolume, tense: Tense) -> String {
    let mark = if volume.change == super::VolumeChange::Create { '+' } else { '-' };
    let about = volume_in_words(volume);
    format!("{mark} volume {about}: {}", volume.change.in_words(tense))
}

/// Which volume it is, in words.
pub(super) fn volume_in_words(volume: &PlannedVolume) -> String {
    let of = volume.service.as_ref().map(|service| format!(" of {service}")).unwrap_or_default();
    match &volume.name {
        Some(name) => format!("{name} ({}{of})", volume.kind),
        None => format!("with {}{of}", volume.kind),
    }
}
