//! Every label that this program writes on the engine's objects, and those of Docker Compose that it reads.

/// What the names of our labels begin with.
pub const PREFIX: &str = "claude-secrets.";

/// Our volumes and helper containers: the Compose project.
pub const PROJECT: &str = "claude-secrets.project";
/// Our volumes: the Compose service.
pub const SERVICE: &str = "claude-secrets.service";
/// Our volumes and the services' containers: the revision of the secrets.
pub const REVISION: &str = "claude-secrets.revision";
/// Our volumes: a slow digest of what was put into the volume, under the salt of its revision.
pub const SUM: &str = "claude-secrets.sum";
/// The volume that holds the launcher: the version of its interface.
pub const LAUNCHER: &str = "claude-secrets.launcher";
/// The containers that are there while volumes are filled: the volumes' names with a blank between two. As long as one of
/// these containers is there, its volumes are not complete.
pub const FILLS: &str = "claude-secrets.fills";
/// The volume that holds the record of the last deployment: the record as JSON.
pub const RECORD: &str = "claude-secrets.record";
/// The container that is a project's lock: who holds it.
pub const LOCK: &str = "claude-secrets.lock";

/// The services' containers: a sealed digest of the service's definition.
pub const CONFIG: &str = "claude-secrets.config";
/// The services' containers: a slow digest of the files that the definition names.
pub const FILES: &str = "claude-secrets.files";
/// The services' containers: who the image says a user's name is, as `name=uid:gid`.
pub const USER: &str = "claude-secrets.user";
/// The services' containers: the deployment environment.
pub const ENVIRONMENT: &str = "claude-secrets.environment";

/// Volumes with files of a release: the digest of what is in them.
pub const RELEASE: &str = "claude-secrets.release";
/// Volumes with services' data: the Compose project. They are not ours to remove.
pub const DATA_OF: &str = "claude-secrets.data-of";
/// The same volumes: the path in the checkout.
pub const DATA_AT: &str = "claude-secrets.data-at";

/// Compose's own, of what belongs to a project: its name.
pub const COMPOSE_PROJECT: &str = "com.docker.compose.project";
/// Compose's own, of containers: the service.
pub const COMPOSE_SERVICE: &str = "com.docker.compose.service";
/// Compose's own, of containers: `True` for one that `docker compose run` started.
pub const COMPOSE_ONEOFF: &str = "com.docker.compose.oneoff";
/// Compose's own, of containers: the digest of the service's definition.
pub const COMPOSE_CONFIG_HASH: &str = "com.docker.compose.config-hash";
/// Compose's own, of a container that is to replace another one.
pub const COMPOSE_REPLACE: &str = "com.docker.compose.replace";

/// A label with its value, as the engine's filters and `docker` take it.
pub fn with(label: &str, value: &str) -> String {
    format!("{label}={value}")
}
