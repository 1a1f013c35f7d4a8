//! Masks: from here on no value can be printed.
//!
//! [`Plan`] works out under which strings each secret value can turn up: as it is, line by line, and in the
//! encodings that logs, shells, URLs and configuration files put it into. [`Redactor`] finds those strings in
//! text and puts `***` in their place; [`Stream`] and [`RedactingWriter`] do that to output that arrives in
//! chunks.
//!
//! # What is a secret
//!
//! - *The whole value*, and each field that a reference takes: that is a value of its own here.
//! - *A leaf inside JSON*, at any depth, in a string in JSON, in any line, a number too: secret under a key that says
//!   `password`, `token` and the like, not under one that says `user`, `host`, `port` and the like; under any other
//!   key it is secret unless it is plainly not: a short word, a host name, a path, a date, a small number.
//! - *The password* in a URL, before an `@`, in a `.netrc`, in a list of `key=value`, in lines of `key: value`.
//! - *A line* of a value of several: as secret as what it holds.
//!
//! Secret parts alone count for [`Redactor::names_in`], by which the merged model is checked and a leak is proved. The
//! rest is hidden in the log at most, and everyday words not even there: a project that says `DB_USER: appuser` can be
//! deployed though a value says the same. The rule itself is in `leaf`, what parts there are in `parts`.
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
mod nasty;
#[cfg(test)]
mod shapes;

pub use plan::Plan;
pub use redactor::Redactor;
pub use stream::Stream;
pub use structural::Unmaskable;

/// What stands in the place of a value: the same three stars that GitHub's runner prints.
pub const MASK: &str = "***";
