//! Reads many references through `op` in few processes: one, if there are no errors. 1Password limits the number of
//! requests, and each process takes a second.
//!
//! `op inject` fails as a whole at the first reference that is wrong. Missing items are then looked up in the lists of
//! the vaults, one process for each vault and all references at once; the rest is read again.

use std::collections::BTreeMap;

use serde::Deserialize;
use zeroize::Zeroizing;

use super::cli::{Ended, Op};
use super::reference::{Query, SecretReference, is_supported};
use super::refusal::{Kind, Message, is_called, no_such_field, no_such_vault, several_items};
use super::template::Template;
use crate::arguments::Arguments;
use crate::diagnostic::Diagnostic;
use crate::secret::SecretValue;
use crate::sources::{Found, Reply, SourceError};

/// How often the references are read, each time without those that were found to be wrong. Each time, all the others count
/// as requests again.
const ROUNDS: usize = 6;
/// The replacement for bytes that are not UTF-8 in the output of `op inject`.
const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

/// Answers every reference, in the same order.
pub(super) async fn read(op: &Op, wanted: &[SecretReference]) -> Vec<Reply> {
    let mut reading = Reading { op, wanted, replies: BTreeMap::new(), vaults: BTreeMap::new() };
    if let Err(refused) = reading.all().await {
        for (index, reference) in wanted.iter().enumerate() {
            reading.replies.entry(index).or_insert_with(|| refused.clone().about(&reference.text).reply());
        }
    }
    reading.replies.into_values().collect()
}

/// The titles and ids of a vault's items, without archived ones; `None`: there is no such vault, or it is not shared.
///
/// # Errors
/// Why they are unknown.
pub(super) async fn titles(op: &Op, vault: &str) -> Result<Option<Vec<(String, String)>>, SourceError> {
    let items = list(op, vault, &[]).await?;
    Ok(items.map(|items| items.into_iter().map(|item| (item.title, item.id)).collect()))
}

/// An item in the output of `op item list`.
#[derive(Deserialize)]
struct Listed {
    id: String,
    title: String,
    #[serde(default)]
    urls: Vec<Website>,
    /// `ARCHIVED`, for one that is.
    state: Option<String>,
}

#[derive(Deserialize)]
struct Website {
    #[serde(default)]
    href: String,
}

struct Reading<'a> {
    op: &'a Op,
    wanted: &'a [SecretReference],
    /// The replies so far, by the index of the reference.
    replies: BTreeMap<usize, Reply>,
    /// The vaults that were listed, by the name in references; `None`: there is no such vault, or it is not shared.
    vaults: BTreeMap<String, Option<Vec<Listed>>>,
}

impl Reading<'_> {
    async fn all(&mut self) -> Result<(), SourceError> {
        for (index, reference) in self.wanted.iter().enumerate() {
            if let Some(c) = reference.unsupported() {
                self.replies.insert(index, unsupported(reference, c));
            }
        }
        // `inject` omits bytes that are not text; references to a file's content get their own process.
        let content = Query::Attribute("content".to_owned());
        let alone = self.open().into_iter().filter(|index| self.wanted[*index].query == content);
        let mut alone: Vec<usize> = alone.collect();
        self.together(&mut alone).await?;
        for index in alone {
            self.one(index).await?;
        }
        Ok(())
    }

    /// The references without a reply.
    fn open(&self) -> Vec<usize> {
        (0..self.wanted.len()).filter(|index| !self.replies.contains_key(index)).collect()
    }

    /// Reads all open references at once, except those in `alone`, until all have a reply. Those that are not text are added to
    /// `alone`.
    async fn together(&mut self, alone: &mut Vec<usize>) -> Result<(), SourceError> {
        for _ in 0..ROUNDS {
            let open: Vec<usize> = self.open().into_iter().filter(|index| !alone.contains(index)).collect();
            if open.is_empty() {
                return Ok(());
            }
            let references: Vec<_> = open.iter().map(|index| &self.wanted[*index]).collect();
            let template = Template::new(&references).ok_or_else(no_randomness)?;
            let message = match self.op.run(Arguments::new(&["inject"]), Some(&template.text)).await? {
                Ended::Well(output) => {
                    for (index, value) in
                        open.into_iter().zip(template.values(&output).ok_or_else(no_template)?)
                    {
                        if value.expose().windows(REPLACEMENT.len()).any(|bytes| bytes == REPLACEMENT) {
                            alone.push(index);
                        } else {
                            self.found(index, value);
                        }
                    }
                    return Ok(());
                }
                Ended::Badly(message) => message,
            };
            let before = self.replies.len();
            self.take_out(&message, &open).await?;
            if self.replies.len() == before {
                return Err(self.op.refused(&message).await);
            }
        }
        Err(SourceError::failed(
            format!("it was not read, because {ROUNDS} other references are wrong"),
            "Correct those first: each one makes it necessary to read all again.",
        ))
    }

    /// Reads one reference by itself, byte for byte.
    async fn one(&mut self, index: usize) -> Result<(), SourceError> {
        let reference = &self.wanted[index];
        let mut read = Arguments::new(&["read", "--no-newline"]);
        read.names([&reference.text]);
        match self.op.run(read, None).await? {
            Ended::Well(value) => self.found(index, value.into()),
            Ended::Badly(message) => {
                self.take_out(&message, &[index]).await?;
                if !self.replies.contains_key(&index) {
                    return Err(self.op.refused(&message).await);
                }
            }
        }
        Ok(())
    }

    /// Replies to the open references that are wrong according to a message.
    async fn take_out(&mut self, message: &Message, open: &[usize]) -> Result<(), SourceError> {
        let about_items = matches!(message.kind, Kind::Vault | Kind::Item | Kind::Ambiguous);
        if about_items {
            self.look_into_vaults(open).await?;
            let before = self.replies.len();
            for index in open {
                if let Some(reply) = self.by_list(&self.wanted[*index]) {
                    self.replies.insert(*index, reply);
                }
            }
            if self.replies.len() > before {
                return Ok(());
            }
        }
        let about = |index: &&usize| message.is_about(&self.wanted[**index]);
        let mut named: Vec<usize> = open.iter().filter(about).copied().collect();
        if named.is_empty() {
            // Names where the reference has ids, say: the field may tell which one it is all the same.
            let by_field = |index: &&usize| message.names_field_of(&self.wanted[**index]);
            named = open.iter().filter(by_field).copied().collect();
            if named.len() > 1 {
                named.clear();
            }
        }
        for index in named {
            let reference = &self.wanted[index];
            let reply = match message.kind {
                Kind::Field => no_such_field(reference, None),
                _ => message.refused(None).about(&reference.text).reply(),
            };
            self.replies.insert(index, reply);
        }
        Ok(())
    }

    /// Lists the vaults of these references that were not listed yet.
    async fn look_into_vaults(&mut self, open: &[usize]) -> Result<(), SourceError> {
        for index in open {
            let vault = &self.wanted[*index].vault;
            let key = vault.to_lowercase();
            if !self.vaults.contains_key(&key) {
                // What is archived is in no list by itself, and can be read all the same.
                let listed = list(self.op, vault, &["--include-archive"]).await?;
                self.vaults.insert(key, listed);
            }
        }
        Ok(())
    }

    /// The reply for a reference according to its vault's list; `None` if `op` may have it.
    fn by_list(&self, reference: &SecretReference) -> Option<Reply> {
        let Some(items) = self.vaults.get(&reference.vault.to_lowercase())? else {
            return Some(no_such_vault(reference));
        };
        let called = |item: &&Listed| is_called(&reference.item, &item.id, &item.title);
        let all: Vec<&Listed> = items.iter().filter(called).collect();
        let active: Vec<&Listed> = all.iter().filter(|item| item.state.is_none()).copied().collect();
        if all.is_empty() {
            // `op` also finds logins by the domain of their website.
            let domain = reference.item.to_lowercase();
            let is_site =
                |item: &Listed| item.urls.iter().any(|url| url.href.to_lowercase().contains(&domain));
            return (!items.iter().any(is_site)).then(|| Reply::Absent(reference.text.clone()));
        }
        if all.len() == 1 || active.len() == 1 {
            return None;
        }
        let ids: Vec<String> = all.iter().map(|item| item.id.clone()).collect();
        Some(several_items(reference, &ids))
    }

    fn found(&mut self, index: usize, value: SecretValue) {
        let found = Found {
            value,
            place: self.wanted[index].text.clone(),
            // `op inject` reports neither.
            version: None,
            changed: None,
            expires: None,
        };
        self.replies.insert(index, Reply::Found(found));
    }
}

async fn list(op: &Op, vault: &str, more: &[&'static str]) -> Result<Option<Vec<Listed>>, SourceError> {
    let mut arguments = Arguments::new(&["item", "list", "--format=json"]);
    arguments.option("--vault", vault);
    arguments.words(more);
    match op.run(arguments, None).await? {
        Ended::Well(output) => parse(&output).map(Some),
        Ended::Badly(message) if message.kind == Kind::Vault => Ok(None),
        Ended::Badly(message) => Err(op.refused(&message).await),
    }
}

fn parse(output: &Zeroizing<Vec<u8>>) -> Result<Vec<Listed>, SourceError> {
    // An empty vault is an empty list. Nothing at all may be anything, and an item is never absent for that.
    serde_json::from_slice(output).map_err(|_| {
        SourceError::failed(
            "`op item list` printed no list of items",
            "`op update` installs the newest version.",
        )
    })
}

/// The reply for a name that `op` does not accept.
fn unsupported(reference: &SecretReference, c: char) -> Reply {
    let mut help = "Use the ID instead of the name: `op item list --vault VAULT` and `op item get ITEM --format json` show IDs.".to_owned();
    if c == '#' {
        help += " To select a field of a JSON value, write `onepassword:op://…#field`.";
    }
    debug_assert!(!is_supported(c), "only such characters are refused");
    Reply::Failed(Diagnostic::with_help(
        format!("{}: `op` does not accept `{c}` in a reference", reference.text),
        help,
    ))
}

fn no_template() -> SourceError {
    SourceError::failed(
        "the output of `op inject` does not match its template",
        "`op update` installs the newest version.",
    )
}

fn no_randomness() -> SourceError {
    SourceError::failed("the system provides no random bytes", "Run this again.")
}
