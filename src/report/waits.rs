//! What a run waited for after `docker compose up`, and how long.

use schemars::JsonSchema;
use serde::Serialize;

use super::text::{duration, list};
use super::tokens::tokens;
use crate::visible::visible;

/// So many services are named in a line.
const MOST_NAMES: usize = 5;

tokens! {
    /// What a service was waited for.
    WaitedFor {
        #[default]
        Health = "health": "That its health check passes.",
        StaysUp = "stays-up": "That it stays up, since it has no health check.",
        End = "end": "That it ends with status 0.",
    }
}

/// What a run waited for until all services were well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Waits {
    /// How long a service without a health check had to stay up, in milliseconds (`stable-for`).
    pub stable_for: u64,
    /// From the end of `docker compose up` until all services were well or one had failed, in milliseconds. The proof
    /// searches meanwhile.
    pub milliseconds: u64,
    /// The services that were not well at once and are now.
    pub services: Vec<WaitRow>,
}

/// What one service was waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct WaitRow {
    /// The service.
    pub service: String,
    /// What it was waited for.
    pub waited_for: WaitedFor,
    /// How long, in milliseconds.
    pub milliseconds: u64,
}

impl Waits {
    /// In one line; `None` where nothing was waited for.
    pub(super) fn line(&self) -> Option<String> {
        let each = WaitedFor::ALL.iter().filter_map(|what| self.told(*what));
        let each: Vec<String> = each.collect();
        (!each.is_empty()).then(|| format!("waited {}: {}", duration(self.milliseconds), each.join("; ")))
    }

    /// The services that were waited for like this, and the longest time that it took.
    fn told(&self, what: WaitedFor) -> Option<String> {
        let rows = self.services.iter().filter(|row| row.waited_for == what);
        let longest = rows.clone().map(|row| row.milliseconds).max()?;
        let names: Vec<String> = rows.map(|row| visible(&row.service)).collect();
        let (names, longest) = (list(&names, MOST_NAMES), duration(longest));
        Some(match what {
            WaitedFor::Health => format!("{names} to be healthy ({longest})"),
            WaitedFor::StaysUp => {
                format!("{names} to stay up ({longest}, stable-for {})", duration(self.stable_for))
            }
            WaitedFor::End => format!("{names} to end ({longest})"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_told_by_what_they_were_waited_for() {
        let row = |service: &str, waited_for, milliseconds| WaitRow {
            service: service.to_owned(),
            waited_for,
            milliseconds,
        };
        let services = vec![
            row("api", WaitedFor::Health, 1200),
            row("db", WaitedFor::StaysUp, 2000),
            row("once", WaitedFor::End, 10),
            row("web", WaitedFor::StaysUp, 2800),
        ];
        let waits = Waits { stable_for: 3000, milliseconds: 2900, services };
        assert_eq!(
            waits.line().unwrap(),
            "waited 2.9 s: api to be healthy (1.2 s); db, web to stay up (2.8 s, stable-for 3.0 s); once to end (10 ms)"
        );
        assert_eq!(Waits { stable_for: 3000, milliseconds: 7, services: Vec::new() }.line(), None);
    }
}
