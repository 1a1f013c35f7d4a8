//! Masks: after this stage, no value can be printed.
//!
//! [`Plan`] determines the strings in which each secret value can occur: as it is, line by line, and in the
//! encodings that logs, shells, URLs and configuration files put it into. [`Redactor`] finds those strings in
//! text and replaces them with `***`; [`Stream`] and [`RedactingWriter`] do that to output that arrives in
//! chunks.
//!
//! # What is a secret
//!
//! - *The whole value*, and each field that a reference selects, which is a value of its own here.
//! - *A leaf inside JSON*, at any depth, in a string in JSON, in any line, a number too: secret under a key that says
//!   `password`, `token` and the like, not under one that says `user`, `host`, `port` and the like; under any other
//!   key it is secret unless it is plainly not: a short word, a host name, a path, a date, a small number.
//! - *The password* in a URL, before an `@`, in a `.netrc`, in a list of `key=value`, in lines of `key: value`.
//! - *A line* of a value of several: as secret as its content.
//!
//! Only secret parts count for [`Redactor::names_in`], which is used to check the merged model and to find leaks. The rest
//! is only hidden in the log, and everyday words not even there: a project with `DB_USER: appuser` can be deployed even if
//! a value contains the same. The rule itself is in `leaf`, the parts are in `parts`.
//!
//! Nothing here prints anything by itself, and no type here has a `Debug` that shows a value.

mod base32;
mod base64;
mod buffer;
mod builder;
mod credentials;
mod dialects;
mod escape;
mod filter;
mod forms;
mod json;
mod leaf;
mod parts;
mod plan;
mod redactor;
mod spelled;
mod stream;
mod structural;

#[cfg(test)]
mod adversarial_values;
#[cfg(test)]
mod shapes;

pub use plan::Plan;
pub use redactor::Redactor;
pub use stream::Stream;
pub use structural::Unmaskable;

/// The replacement for a value: the same three asterisks that GitHub's runner prints.
pub const MASK: &str = "***";
