//! The Report stage: what a run did, told as log, annotations, job summary, outputs and JSON, without a value.

mod model;

pub use model::{
    DeliveryRow, ErrorRow, Message, Outcome, ProblemRow, Report, SecretRow, SecretState, ServiceRow,
    ServiceState, Shadowed, StageTime, VERSION,
};
