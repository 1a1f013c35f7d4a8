//! 1Password as a source, both ways: what it finds, what it calls absent, denied or failed, and how few calls it makes.
//! The stand-ins for `op` and for a Connect server are judged by 1Password's own clients (`judges`).
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "onepassword/bad_input.rs"]
mod bad_input;
#[path = "onepassword/both_ways.rs"]
mod both_ways;
#[path = "onepassword/by_connect.rs"]
mod by_connect;
#[path = "onepassword/by_op.rs"]
mod by_op;
#[path = "onepassword/documentation.rs"]
mod documentation;
#[path = "onepassword/judges.rs"]
mod judges;
#[path = "support/opening.rs"]
mod opening;
#[path = "support/pages.rs"]
mod pages;
#[path = "support/peers/mod.rs"]
mod peers;
#[path = "onepassword/run.rs"]
mod run;

use peers::onepassword::{Account, Item};

/// An account with the vault `Prod`, which has an item of every sort, and a vault of others.
fn account() -> Account {
    let account = Account::new();
    account.vault("Prod");
    account.vault_of_others("Locked");
    let postgres = Item::new("postgres")
        .field("username", "app")
        .field("password", "p@ss w0rd\"$x")
        .field_in("admin", "token", "line 1\nline 2")
        .one_time_password("one-time password", "otpauth://totp/x?secret=canary", "123456")
        .file("ca.pem", b"-----BEGIN\n");
    account.put("Prod", postgres);
    account.put("Prod", Item::credential("twice", "one"));
    account.put("Prod", Item::credential("twice", "two"));
    account
}
