//! A last pass over the report's free text before it is written.
//!
//! The report is built without values. But facts and details may quote what a program printed, and the summary
//! escapes its text, after which neither our redactor nor the runner's masks would find a value in it any more. So
//! whoever holds the redactor passes it over the plain text first.

use super::model::Report;

impl Report {
    /// Replaces every free text by what `redact` makes of it: the error, warnings, notes, details, reasons,
    /// descriptions, references and versions. Names, tokens and paths stay, since outputs and programs rely on them.
    pub fn redact(&mut self, redact: impl Fn(&str) -> String) {
        for text in self.free_texts() {
            let redacted = redact(text);
            if redacted != *text {
                *text = redacted;
            }
        }
    }

    fn free_texts(&mut self) -> Vec<&mut String> {
        let mut texts = Vec::new();
        for error in self.error.iter_mut().chain(&mut self.other_errors) {
            texts.push(&mut error.fact);
            for problem in &mut error.problems {
                texts.push(&mut problem.fact);
                texts.extend(&mut problem.help);
            }
            texts.extend(&mut error.help);
        }
        texts.extend(self.delivery.as_mut().map(|delivery| &mut delivery.reason));
        for secret in &mut self.secrets {
            texts.extend(
                [&mut secret.description, &mut secret.reference, &mut secret.version].into_iter().flatten(),
            );
        }
        for service in &mut self.services {
            texts.extend([&mut service.detail, &mut service.user].into_iter().flatten());
        }
        for warning in &mut self.warnings {
            texts.push(&mut warning.fact);
            texts.extend(&mut warning.help);
        }
        texts.extend(&mut self.notes);
        texts.extend(self.drift.iter_mut().map(|row| &mut row.detail));
        texts.extend(self.plan.iter_mut().flat_map(super::plan::Plan::free_texts));
        texts
    }
}

#[cfg(test)]
mod tests {
    use crate::diagnostic::Diagnostic;
    use crate::error::{Code, Error};
    use crate::report::plan::{
        Origin, Plan, PlannedSecret, PlannedService, SecretChange, ServiceAction, TakenVariable,
    };
    use crate::report::{DeliveryRow, DriftKind, DriftRow, Report, SecretRow, ServiceRow, json};
    use crate::secret::SecretName;

    #[test]
    fn a_value_that_got_into_any_free_text_is_taken_out_of_it() {
        let quoted = || "it printed hunter2-hunter2".to_owned();
        let name = SecretName::parse("KEY").map_err(|e| e.to_string()).unwrap();
        let mut report = Report::new("deploy");
        report.fail(
            &Error::new(Code::DeployFailed, quoted())
                .problems(vec![Diagnostic::new(quoted()).help(quoted())])
                .help(quoted()),
        );
        let other = Error::new(Code::Leak, quoted()).help(quoted());
        report.other_errors.push((&other).into());
        report.delivery = Some(DeliveryRow { kind: "file".into(), reason: quoted() });
        report.secrets.push(SecretRow {
            description: Some(quoted()),
            reference: Some(quoted()),
            version: Some(quoted()),
            ..SecretRow::new(&name)
        });
        report.services.push(ServiceRow {
            detail: Some(quoted()),
            user: Some(quoted()),
            ..ServiceRow::new("bot")
        });
        report.warn(Diagnostic::new(quoted()).help(quoted()));
        report.note(quoted());
        report.drift.push(DriftRow { kind: DriftKind::Added, service: None, detail: quoted() });
        let origin =
            || Some(Origin { source: "vault".into(), reference: Some(quoted()), version: Some(quoted()) });
        report.plan = Some(Plan {
            secrets: vec![PlannedSecret {
                name: "KEY".into(),
                change: SecretChange::Moved,
                origin: origin(),
                before: origin(),
                changed_for: vec![],
                gained: vec![],
                lost: vec![],
            }],
            services: vec![PlannedService {
                name: "bot".into(),
                action: ServiceAction::Start,
                why: Some(quoted()),
                if_image_changes: false,
            }],
            variables: vec![TakenVariable { service: "bot".into(), name: "KEY".into(), why: quoted() }],
            ..Plan::default()
        });

        report.redact(|text| text.replace("hunter2-hunter2", "***"));

        let json = json::to_string(&report).unwrap();
        assert!(!json.contains("hunter2"), "{json}");
        assert_eq!(json.matches("it printed ***").count(), 22);
    }
}
