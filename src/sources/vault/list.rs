//! Lists the items below a prefix: folder by folder, like the key/value engine.

use serde_json::Value;
use vaultrs::api::kv1::requests::ListSecretRequest;
use vaultrs::api::kv2::requests::ListSecretsRequest;

use super::mounts::{Engine, Mount};
use super::read::Reader;
use super::refusal::{fault, mount_not_found, no_vault};
use super::transport::{Request, RequestError};
use crate::sources::{SourceError, net};

/// How many items a prefix may match.
const MOST_ITEMS: usize = 1000;
/// How deep folders may be nested.
const MOST_LEVELS: usize = 10;

/// Why there is no list.
pub(super) enum NoList {
    /// The server refuses to list this path.
    Forbidden {
        path: String,
    },
    SourceError(SourceError),
}

impl From<SourceError> for NoList {
    fn from(refused: SourceError) -> Self {
        Self::SourceError(refused)
    }
}

impl Reader<'_> {
    /// The items of a mount that start with `start`, as paths below the mount. `what` is the reference, for messages.
    pub(super) async fn items_below(
        &self,
        what: &str,
        mount: &Mount,
        start: &str,
    ) -> Result<Vec<String>, NoList> {
        let mut items = Vec::new();
        let mut folders = vec![start.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned()];
        for _ in 0..MOST_LEVELS {
            let asked: Vec<_> = folders.iter().map(|folder| self.names(what, mount, folder)).collect();
            let listed = net::each(asked).await;
            let mut next = Vec::new();
            for (folder, names) in folders.iter().zip(listed) {
                for name in names? {
                    let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
                    match path.strip_suffix('/') {
                        // A folder may contain such items, or be the one in a longer prefix.
                        Some(inner) if path.starts_with(start) || start.starts_with(&path) => {
                            next.push(inner.to_owned());
                        }
                        None if path.starts_with(start) => items.push(path),
                        _ => {}
                    }
                }
            }
            if items.len() > MOST_ITEMS {
                return Err(too_many(what, &format!("more than {MOST_ITEMS} items")).into());
            }
            if next.is_empty() {
                return Ok(items);
            }
            folders = next;
        }
        Err(too_many(what, &format!("folders more than {MOST_LEVELS} deep")).into())
    }

    async fn names(&self, what: &str, mount: &Mount, folder: &str) -> Result<Vec<String>, NoList> {
        let (path, folder) = (mount.path.clone(), folder.to_owned());
        let question = match mount.engine {
            Engine::Kv2 => Request::of(&ListSecretsRequest { mount: path, path: folder }),
            Engine::Kv1 => Request::of(&ListSecretRequest { mount: path, path: folder }),
            Engine::Other => {
                return Err(SourceError::failed(
                    format!("{what}: `{path}` is not a key/value engine, so its secrets cannot be listed"),
                    "Declare each secret: `NAME = source:path#field`.",
                )
                .into());
            }
        };
        let trouble = |trouble: RequestError| trouble.refused(what, self.transport);
        let question = question.map_err(trouble)?;
        let said = self.transport.ask(&question, Some(&self.session.token)).await.map_err(trouble)?;
        match said.status {
            _ if !said.is_json() => Err(no_vault(what, &said, self.transport).into()),
            200 => {
                let keys = said.get("/data/keys").and_then(Value::as_array).into_iter().flatten();
                Ok(keys.filter_map(Value::as_str).map(str::to_owned).collect())
            }
            403 => Err(NoList::Forbidden { path: question.path().to_owned() }),
            404 if said.is_nothing_there() => Ok(Vec::new()),
            404 => Err(mount_not_found(what, question.path(), self.transport).into()),
            _ => Err(fault(what, &said, self.transport).await.into()),
        }
    }
}

fn too_many(what: &str, found: &str) -> SourceError {
    SourceError::failed(
        format!("{what}: there are {found} below it"),
        "Use a longer prefix, or declare each secret.",
    )
}
