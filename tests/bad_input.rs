//! Bad input, one row each: one clear error that names what, where and the fix; its own code and status; nothing
//! half-written; what ran before runs on; and no value in anything that is said.

#![allow(clippy::unwrap_used, clippy::panic)] // clippy.toml allows it in test functions, and the rest here serves these
#![allow(unreachable_pub, dead_code)] // the support files serve several test programs

#[path = "support/forms.rs"]
mod forms;
#[path = "support/peers/mod.rs"]
mod peers;
#[path = "support/scene.rs"]
mod scene;
mod support;

#[path = "bad_input/case.rs"]
mod case;
#[path = "bad_input/engine.rs"]
mod engine;
#[path = "bad_input/in_a_container.rs"]
mod in_a_container;
#[path = "bad_input/odd_files.rs"]
mod odd_files;
#[path = "bad_input/places.rs"]
mod places;
#[path = "bad_input/report_file.rs"]
mod report_file;
#[path = "bad_input/values.rs"]
mod values;
#[path = "bad_input/without_end.rs"]
mod without_end;
#[path = "bad_input/words.rs"]
mod words;
