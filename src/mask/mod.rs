//! Masks: from here on no value can be printed.
//!
//! [`Plan`] works out under which strings each secret value can turn up: as it is, line by line, and in the
//! encodings that logs, shells, URLs and configuration files put it into. [`Redactor`] finds those strings in
//! text and puts `***` in their place; [`Stream`] and [`RedactingWriter`] do that to output that arrives in
//! chunks. Nothing here prints anything by itself, and no type here has a `Debug` that shows a value.

mod base64;
mod buffer;
mod dialects;
mod escape;
mod filter;
mod forms;
mod plan;
mod redactor;
mod stream;
mod structural;

#[cfg(test)]
mod nasty;

pub use plan::Plan;
pub use redactor::Redactor;
pub use stream::Stream;
pub use structural::Unmaskable;

/// What stands in the place of a value: the same three stars that GitHub's runner prints.
pub const MASK: &str = "***";
