//! What the names that GitHub has say of those that are declared: which the step does not get, which arrive empty, which are
//! written another way, which nobody declares.

use super::names::{Entry, Level, Names, Part};
use crate::count::count;
use crate::diagnostic::Diagnostic;
use crate::diagnostic::Place;
use crate::github::event::Withheld;
use crate::nearest::slip;

/// The most names that are listed in one line.
const MOST: usize = 20;

/// A declared secret that may come from GitHub.
pub struct Wanted<'a> {
    /// The variables that it is taken from.
    pub variables: Vec<&'a str>,
    /// Whether a source had it.
    pub is_found: bool,
    /// Where it is declared.
    pub place: &'a Place,
}

/// How the step gets a variable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Passed {
    /// Not at all.
    No,
    /// Without a value.
    Empty,
    /// With one.
    Filled,
}

/// The environment of the job, as far as it is known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum JobEnvironment {
    /// Nobody says.
    Unknown,
    /// It has none.
    None,
    /// It has this one.
    Named(String),
}

/// Where the comparison is made.
pub struct Here<'a> {
    /// Whether that is a job of a workflow of this repository.
    pub is_job: bool,
    /// Why the run gets no secrets, or others.
    pub withheld: Option<&'a Withheld>,
    /// The job's environment.
    pub environment: &'a JobEnvironment,
    /// How the step gets a variable.
    pub passed: &'a dyn Fn(&str) -> Passed,
}

/// What there is to say.
#[derive(Default)]
pub struct Findings {
    /// What to look at.
    pub warnings: Vec<Diagnostic>,
    /// What to know.
    pub notes: Vec<String>,
}

/// Compares.
pub fn compare(names: &Names, wanted: &[Wanted], here: &Here) -> Findings {
    let mut comparing =
        Comparing { names, here, lines: Vec::new(), job: Vec::new(), found: Findings::default() };
    if !matches!(here.withheld, Some(Withheld::Fork(_))) {
        wanted.iter().filter(|secret| !secret.is_found).for_each(|secret| comparing.one(secret));
    }
    comparing.not_passed();
    comparing.shadowed(wanted);
    comparing.undeclared(wanted);
    comparing.found
}

struct Comparing<'a> {
    names: &'a Names,
    here: &'a Here<'a>,
    /// The names that the step lacks, with the line that gets each.
    lines: Vec<(String, String)>,
    /// The environment that the job lacks.
    job: Vec<String>,
    found: Findings,
}

impl Comparing<'_> {
    /// A secret that no source had.
    fn one(&mut self, secret: &Wanted) {
        for variable in &secret.variables {
            let entry =
                self.available().iter().find(|entry| entry.name.eq_ignore_ascii_case(variable)).cloned();
            match ((self.here.passed)(variable), entry) {
                (Passed::Filled, _) => return,
                (Passed::Empty, entry) => return self.arrives_empty(secret, variable, entry.as_ref()),
                (Passed::No, Some(entry)) => return self.lacks(variable, "secrets", &entry),
                (Passed::No, None) => {}
            }
        }
        for variable in &secret.variables {
            if let Some(entry) = self.names.variable(variable).cloned() {
                return self.lacks(variable, "vars", &entry);
            }
        }
        if let Some(variable) = secret.variables.first() {
            self.not_there(secret, variable);
        }
    }

    /// The secrets that the run can get.
    fn available(&self) -> &[Entry] {
        match self.here.withheld {
            Some(Withheld::Dependabot) => &self.names.dependabot,
            _ => &self.names.secrets,
        }
    }

    /// One that is there and is not passed.
    fn lacks(&mut self, variable: &str, context: &str, entry: &Entry) {
        let line = format!("{variable}: ${{{{ {context}.{} }}}}", entry.name);
        self.lines.push((entry.name.clone(), line));
        if entry.level == Level::Environment && !self.job_has_environment() {
            self.job.extend(self.names.environment.clone());
        }
    }

    fn job_has_environment(&self) -> bool {
        match self.here.environment {
            JobEnvironment::Named(name) => self.names.environment.as_ref() == Some(name),
            JobEnvironment::Unknown => true,
            JobEnvironment::None => false,
        }
    }

    /// All that are there and are not passed, with the lines that pass them.
    fn not_passed(&mut self) {
        if self.lines.is_empty() {
            return;
        }
        let names: Vec<&str> = self.lines.iter().map(|(name, _)| name.as_str()).collect();
        let text = format!(
            "{} has {}, and this step does not get {}",
            self.names.repository,
            listed(&names),
            if names.len() == 1 { "it" } else { "them" }
        );
        let mut help = if self.here.is_job {
            "Add to the step:".to_owned()
        } else {
            "In a workflow the step gets it so:".to_owned()
        };
        help.push_str("\nenv:");
        for (_, line) in &self.lines {
            help.push_str("\n  ");
            help.push_str(line);
        }
        if let Some(environment) = self.job.first() {
            help = format!("{help}\nand to the job:\nenvironment: {environment}");
        }
        if self.lines.iter().any(|(_, line)| line.contains("{{ vars.")) {
            help.push_str(
                "\n(`vars` are no secrets: GitHub does not mask them, and shows them in its settings.)",
            );
        }
        self.found.warnings.push(Diagnostic::with_help(text, help));
    }

    /// One that is passed without a value.
    fn arrives_empty(&mut self, secret: &Wanted, variable: &str, entry: Option<&Entry>) {
        let Some(entry) = entry else {
            let text = format!(
                "{variable} is passed and arrives empty: {} has no secret of this name",
                self.places()
            );
            return self.warn(secret, text, self.similar_or_set(variable));
        };
        let owner = self.names.owner(entry.level);
        let text =
            format!("{variable} is passed and arrives empty, although {owner} has a secret of this name");
        let help = match (&self.names.environment, entry.level) {
            (Some(environment), Level::Environment) => {
                format!(
                    "Give the job the environment: `environment: {environment}`. Without it no secret of it is there."
                )
            }
            _ => format!(
                "Is the step's line `{variable}: ${{{{ secrets.{} }}}}`? In a workflow that others call, the caller passes secrets on: `secrets: inherit`.",
                entry.name
            ),
        };
        self.warn(secret, text, help);
    }

    /// One that is not there at all.
    fn not_there(&mut self, secret: &Wanted, variable: &str) {
        let is_dependabots =
            self.names.dependabot.iter().any(|entry| entry.name.eq_ignore_ascii_case(variable));
        if is_dependabots && self.here.withheld.is_none() {
            let text = format!("{variable} is a Dependabot secret: only runs that Dependabot starts get it");
            return self.warn(secret, text, format!("Set it for Actions, too: {}", self.set(variable)));
        }
        let text = format!("{} has no secret {variable}", self.places());
        self.warn(secret, text, self.similar_or_set(variable));
    }

    /// The name that may be meant, with its line; else how the secret is set.
    fn similar_or_set(&self, variable: &str) -> String {
        let names = self.available().iter().map(|entry| entry.name.as_str());
        match slip(variable, names).filter(|other| !other.eq_ignore_ascii_case(variable)) {
            Some(other) => format!(
                "{other} is there: did you mean that?\nenv:\n  {variable}: ${{{{ secrets.{other} }}}}"
            ),
            None => format!("Set it: {}", self.set(variable)),
        }
    }

    fn set(&self, variable: &str) -> String {
        let repository = &self.names.repository;
        if self.here.withheld == Some(&Withheld::Dependabot) {
            return format!("`gh secret set {variable} --app dependabot --repo {repository}`");
        }
        match &self.names.environment {
            Some(environment) => {
                format!("`gh secret set {variable} --repo {repository} --env {environment}`")
            }
            None => format!("`gh secret set {variable} --repo {repository}`"),
        }
    }

    /// Who was asked, in words.
    fn places(&self) -> String {
        if self.here.withheld == Some(&Withheld::Dependabot) {
            return format!("{} (Dependabot)", self.names.repository);
        }
        let mut places = vec![self.names.owner(Level::Repository)];
        if self.names.environment.is_some() && self.names.has_read(Part::Secrets(Level::Environment)) {
            places.push(self.names.owner(Level::Environment));
        }
        match &places[..] {
            [own, environment] => format!("{own} with {environment}"),
            _ => places.concat(),
        }
    }

    fn warn(&mut self, secret: &Wanted, text: String, help: String) {
        let place = Some(secret.place.clone());
        self.found.warnings.push(Diagnostic { fact: text, help: Some(help), place });
    }

    /// Those of which the environment has another one than the repository or the organisation.
    fn shadowed(&mut self, wanted: &[Wanted]) {
        let names = wanted.iter().flat_map(|secret| &secret.variables);
        let mut shadowed: Vec<(String, Level, Level)> = Vec::new();
        for name in names {
            let mut of_name = self.names.secrets.iter().filter(|entry| entry.name.eq_ignore_ascii_case(name));
            if let (Some(first), Some(second)) = (of_name.next(), of_name.next())
                && !shadowed.iter().any(|(known, ..)| *known == first.name)
            {
                shadowed.push((first.name.clone(), first.level, second.level));
            }
        }
        for (name, first, second) in shadowed {
            let (first, second) = (self.names.owner(first), self.names.owner(second));
            self.found
                .notes
                .push(format!("{name}: {first} has a secret of its own, which hides the one of {second}"));
        }
    }

    /// Those that nothing here declares or takes. The organisation's are for many repositories.
    fn undeclared(&mut self, wanted: &[Wanted]) {
        let is_wanted = |name: &str| {
            wanted.iter().flat_map(|secret| &secret.variables).any(|own| own.eq_ignore_ascii_case(name))
        };
        let all = self.names.secrets.iter().filter(|entry| entry.level != Level::Organisation);
        let mut names: Vec<&str> =
            all.map(|entry| entry.name.as_str()).filter(|name| !is_wanted(name)).collect();
        names.retain(|name| (self.here.passed)(name) == Passed::No);
        names.sort_unstable();
        names.dedup();
        if !names.is_empty() {
            let said = count(names.len(), "secret");
            let repository = &self.names.repository;
            self.found.notes.push(format!(
                "{repository} has {said} that nothing here declares or passes by name: {}",
                listed(&names)
            ));
        }
    }
}

fn listed(names: &[&str]) -> String {
    let shown = names[..names.len().min(MOST)].join(", ");
    match names.len().checked_sub(MOST) {
        Some(more) if more > 0 => format!("{shown} and {more} more"),
        _ => shown,
    }
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
