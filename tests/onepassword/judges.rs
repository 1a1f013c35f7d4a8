//! The stand-ins before their judges: what 1Password's own clients make of their answers.

use std::path::Path;
use std::process::Command;

use super::account;
use super::peers::onepassword::SERVICE_ACCOUNT_TOKEN;
use super::peers::program;

/// A judge's words, with ids replaced: they are other ones each time.
fn judged(command: &mut Command) -> String {
    let done = command.output().unwrap();
    let (said, faults) = (String::from_utf8(done.stdout).unwrap(), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{command:?}: {said}{faults}");
    let mut words = String::new();
    let mut rest = said.as_str();
    while let Some(at) = rest.find("id0000") {
        words += &rest[..at];
        words += "<id>";
        rest = &rest[at + 26..];
    }
    words + rest
}

fn judge(name: &str) -> String {
    format!("{}/tests/support/peers/onepassword/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_stand_in_for_op_is_one_to_1passwords_own_wrapper() {
    let account = account();
    let op = account.op();
    let path = std::env::var_os("PATH").unwrap();
    let folders = [op.directory().to_owned()].into_iter().chain(std::env::split_paths(&path));
    let said = judged(
        Command::new("node")
            .arg(judge("judge_op.js"))
            .env("PATH", std::env::join_paths(folders).unwrap())
            .env("NODE_PATH", program("CLAUDE_SECRETS_OP_JS"))
            .env("OP_SERVICE_ACCOUNT_TOKEN", SERVICE_ACCOUNT_TOKEN),
    );
    let expected = r#"validateCli: ok
read: "p@ss w0rd\"$x"
read of a section: "line 1\nline 2"
read of a one-time password: "123456"
inject: "a=app\nb=line 1\nline 2"
item get: ["<id>","Prod",["op://Prod/postgres/username","op://Prod/postgres/password","op://Prod/postgres/admin/token","op://Prod/postgres/one-time password"]]
item list: ["postgres","twice","twice"]
vault list: ["Prod"]
whoami: "SERVICE_ACCOUNT"
read op://Nope/x/y: CLIError 1: could not read secret 'op://Nope/x/y': "Nope" isn't a vault in this account. Specify the vault with its ID or name.
read op://Prod/nope/y: CLIError 1: could not read secret 'op://Prod/nope/y': could not get item Prod/nope: "nope" isn't an item in the "Prod" vault. Specify the item with its UUID, name, or domain.
read op://Prod/postgres/nope: CLIError 1: could not read secret 'op://Prod/postgres/nope': item 'Prod/postgres' does not have a field 'nope'
read op://Prod/twice/password: CLIError 1: could not read secret 'op://Prod/twice/password': More than one item matches "twice". Try again and specify the item by its ID: 
read op://Prod/x: CLIError 1: invalid secret reference 'op://Prod/x': too few '/': secret references should have at least vault, item and field specified
read op://Prod/a(b)/c: CLIError 1: invalid secret reference 'op://Prod/a(b)/c': invalid character in secret reference: '('
inject of a missing item: CLIError 1: could not resolve item UUID for item nope: could not find item nope in vault <id>
inject of other braces: CLIError 1: parsing error at 1:1: only secret references or quoted strings can be enclosed in unescaped {{ }}s
signed out: CLIError 1: could not read secret 'op://Prod/postgres/password': You are not currently signed in. Please run `op signin --help` for instructions
malformed token: CLIError 1: could not read secret 'op://Prod/postgres/password': error initializing client: Validation: (failed to session.DecodeSACredentials), Server: (failed to DecodeSACredentials), illegal base64 data at input byte 12
deleted account: CLIError 1: error initializing client: Authentication: (failed to auth.LookupAuth), Network: (failed to request.DoUnencrypted), Server: (403) (Forbidden (Service Account Deleted)), The Service Account used in this integration has been deleted.
"#;
    assert_eq!(said, expected);
}

#[test]
fn the_stand_in_for_connect_is_one_to_1passwords_own_client() {
    let account = account();
    let others = account.vault_of_others("Theirs");
    let connect = account.connect();
    let python = program("CLAUDE_SECRETS_CONNECT_SDK");
    let said = judged(
        Command::new(Path::new(&python)).arg(judge("judge_connect.py")).arg(connect.url()).arg(others),
    );
    let expected = r#"vaults: ['Prod']
vault by id: Prod
items: ['postgres', 'twice', 'twice']
item by id: [('username', 'app'), ('password', 'p@ss w0rd"$x'), ('token', 'line 1\nline 2'), ('one-time password', 'otpauth://totp/x?secret=canary')]
item by title: postgres
files: [('ca.pem', 11)]
file: b'-----BEGIN\n'
two items of a title: FailedToRetrieveItemException: Found 2 items in vault <id> with title twice
no such item: FailedToRetrieveItemException: Found 0 items in vault <id> with title nope
no such vault: FailedToRetrieveItemException: Unable to retrieve items. Received 404 for /v1/vaults/00000000000000000000000000/items with message: vault 00000000000000000000000000 not found
vault of others: FailedToRetrieveItemException: Unable to retrieve items. Received 403 for /v1/vaults/<id>/items with message: vault <id> is not in scope
load_dict: {'token': 'line 1\nline 2'}
bad token: FailedToRetrieveVaultException: Unable to retrieve vaults. Received 401 for /v1/vaults with message Invalid token signature
"#;
    assert_eq!(said, expected);
}
