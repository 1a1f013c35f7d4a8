//! Why the server refuses a path. Its 403 means all of: the token is not valid (any more), it has no right there, there is
//! no such mount.

use super::login::Session;
use super::mounts;
use super::refusal::rule;
use super::transport::Transport;
use crate::sources::Refused;

/// A path that was refused.
pub(super) struct Forbidden {
    /// The reference, for people.
    pub(super) what: String,
    /// The path below the API's address.
    pub(super) path: String,
    /// What the policy must allow.
    pub(super) capability: &'static str,
    /// The mount, where the server told it to this token before.
    pub(super) mount: Option<String>,
}

/// What is known of the token.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    Good,
    /// It was good, and is not any more.
    Ended,
    Untold,
}

/// Finds out why, with one more question that uses up nothing, when everything else has been asked.
pub(super) async fn explain(all: &[Forbidden], transport: &Transport, session: &Session) -> Vec<Refused> {
    if all.is_empty() {
        return Vec::new();
    }
    let token = match all.iter().find_map(|forbidden| forbidden.mount.as_deref()) {
        Some(mount) => match mounts::is_open(mount, transport, session).await {
            Some(true) => Token::Good,
            Some(false) => Token::Ended,
            None => Token::Untold,
        },
        None if session.is_own && session.uses.is_none() => Token::Good,
        // Every token has a cubbyhole, unless it lacks the `default` policy.
        None => match mounts::is_open("cubbyhole", transport, session).await {
            Some(true) => Token::Good,
            _ => Token::Untold,
        },
    };
    all.iter().map(|forbidden| forbidden.refused(token, session)).collect()
}

impl Forbidden {
    fn refused(&self, token: Token, session: &Session) -> Refused {
        let Self { what, path, capability, mount } = self;
        let grant = rule(path, capability);
        let from = &session.from;
        match (token, mount) {
            (Token::Good, Some(_)) => Refused::denied(
                format!("{what}: the token of {from} may not {capability} it"),
                format!("Grant it by a policy of the token or its role:\n{grant}"),
            ),
            (Token::Good, None) => Refused::denied(
                format!(
                    "{what}: nothing is mounted there, or the token of {from} has no right below it (the server answers both alike)"
                ),
                format!("Correct the mount in the reference, or grant it by a policy:\n{grant}"),
            ),
            (Token::Ended, _) => Refused::denied(format!("{what}: {}", ended(session)), remedy(session)),
            (Token::Untold, _) => Refused::denied(
                format!(
                    "{what}: the token of {from} is not valid, or has no right there (the server answers both alike)"
                ),
                format!(
                    "Look at it with `vault token lookup`. When it is valid, grant it by a policy:\n{grant}"
                ),
            ),
        }
    }
}

fn ended(session: &Session) -> String {
    let from = &session.from;
    match session.uses {
        Some(uses) => {
            format!(
                "the token of {from} was good for {uses} requests, or for too short a time, and this run needs more"
            )
        }
        None => format!(
            "the token of {from} ended in the middle of the run: it has expired, was revoked, or was good for a few requests only"
        ),
    }
}

fn remedy(session: &Session) -> &'static str {
    if session.is_own {
        "Raise `token_num_uses` (0: no limit) or `token_ttl` of the role: one request for each item."
    } else {
        "Give a token that is good for one request for each item, or let the run log in by a role (`auth`)."
    }
}
