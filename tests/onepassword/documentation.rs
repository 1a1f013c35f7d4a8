//! Every command of `op` that docs/sources/onepassword.md shows is one that `op` takes.

use std::process::Command;

use crate::pages;
use crate::peers::onepassword::{Account, Item, SERVICE_ACCOUNT_TOKEN};

#[test]
fn every_command_of_the_page_works_in_its_order() {
    let account = Account::new();
    let op = account.op();
    let mut count = 0;
    for block in pages::commands("docs/sources/onepassword.md") {
        for command in block.lines() {
            count += 1;
            let done = Command::new("/bin/sh")
                .args(["-e", "-c", command])
                .env_clear()
                .env("PATH", op.directory())
                .env("OP_SERVICE_ACCOUNT_TOKEN", SERVICE_ACCOUNT_TOKEN)
                .current_dir(op.directory())
                .output()
                .unwrap();
            assert!(done.status.success(), "{command}: {}", String::from_utf8_lossy(&done.stderr));
            assert!(!done.stdout.is_empty(), "{command} printed nothing");
            if command.starts_with("op vault create") {
                // What the page then says to do in the app.
                account.put_beside("claude-bot", Item::credential("anthropic-api-key", "canary"));
            }
        }
    }
    assert!(count >= 7, "{count} commands");
}
