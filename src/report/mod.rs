//! The Report stage: what a run did, told as log, annotations, job summary, outputs and JSON, without a value.

mod drift;
mod errors;
pub mod json;
pub mod log;
mod markdown;
mod model;
pub mod notes;
pub mod outputs;
mod picture;
pub mod plan;
mod redact;
pub mod sarif;
pub mod summary;
mod text;
mod tokens;
mod waits;

pub use drift::{DriftKind, DriftRow};
pub use errors::ErrorRow;
pub use model::{
    DeliveryRow, Outcome, Report, SecretRow, SecretState, ServiceRow, ServiceState, Shadowed, SourceRow,
    StageTime, VERSION, VariableForm, VariableRow,
};
pub use waits::{WaitRow, WaitedFor, Waits};
