//! Why the server refuses a path. Its 403 can mean that the token is not valid (any more), that it has no permission there,
//! or that there is no such mount.

use super::login::Session;
use super::mounts;
use super::refusal::rule;
use super::transport::Transport;
use crate::count::count;
use crate::sources::SourceError;

/// A path that was refused.
pub(super) struct Forbidden {
    /// The reference, for messages.
    pub(super) what: String,
    /// The path below the API's address.
    pub(super) path: String,
    /// What the policy must allow.
    pub(super) capability: &'static str,
    /// The mount, if the server reported it to this token before.
    pub(super) mount: Option<String>,
}

/// The state of the token.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    Good,
    /// It was valid, but is not any more.
    Ended,
    Untold,
}

/// Finds out why, with one more request that does not count as a use, after all other requests.
pub(super) async fn explain(all: &[Forbidden], transport: &Transport, session: &Session) -> Vec<SourceError> {
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
    fn refused(&self, token: Token, session: &Session) -> SourceError {
        let Self { what, path, capability, mount } = self;
        let grant = rule(path, capability);
        let from = &session.from;
        match (token, mount) {
            (Token::Good, Some(_)) => SourceError::denied(
                format!("{what}: the token of {from} is not allowed to {capability} it"),
                format!("Allow it in a policy of the token or its role:\n{grant}"),
            ),
            (Token::Good, None) => SourceError::denied(
                format!(
                    "{what}: nothing is mounted there, or the token of {from} has no permission below it (the server's answer is the same)"
                ),
                format!("Correct the mount in the reference, or allow it in a policy:\n{grant}"),
            ),
            (Token::Ended, _) => SourceError::denied(format!("{what}: {}", ended(session)), help(session)),
            (Token::Untold, _) => SourceError::denied(
                format!(
                    "{what}: the token of {from} is not valid, or has no permission there (the server's answer is the same)"
                ),
                format!(
                    "Check it with `vault token lookup`. If it is valid, allow the path in a policy:\n{grant}"
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
                "the token of {from} allows only {} or expires too early, and this run needs more",
                count(usize::try_from(uses).unwrap_or(usize::MAX), "request")
            )
        }
        None => format!(
            "the token of {from} became invalid during the run: it expired, was revoked, or allowed only a few requests"
        ),
    }
}

fn help(session: &Session) -> &'static str {
    if session.is_own {
        "Increase `token_num_uses` (0: no limit) or `token_ttl` of the role: each item needs one request."
    } else {
        "Use a token that allows one request per item, or log in with a role (`auth`)."
    }
}
