//! The class of a part of a value: secret by itself, or something next to a secret.
//!
//! The rule: a value under a key such as `password` or `token` is secret. A value under a key such as `user`, `host` or
//! `port` is not. Under any other key, or without one, it is secret unless it is clearly not: a short word, a host name,
//! an address, a path, a date, a small number. Both mistakes are costly: if a plain word counts as a secret, no project
//! with `DB_USER: appuser` can be deployed; if a secret counts as a plain word, its leak is not reported.

use super::structural::why_not;

/// How a part of a value is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// Not at all: an everyday word, which would hide half of the log.
    Plain,
    /// It is hidden in the log, but may occur elsewhere.
    LogOnly,
    /// It is hidden, must not be in a Compose file, and is a leak wherever it occurs.
    Secret,
}

/// What a key says about its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    /// A secret.
    Secret,
    /// A secret, unless it is an everyday word: a `key` may be the name of a key.
    Maybe,
    /// Not a secret.
    Public,
    /// Nothing.
    Nothing,
}

/// Parts of words: whatever else is in the key, its value is secret.
const SECRET: &[&str] = &[
    "password",
    "passwd",
    "passwort",
    "passphrase",
    "passcode",
    "secret",
    "token",
    "credential",
    "apikey",
    "privatekey",
    "accesskey",
    "accountkey",
    "authkey",
    "signingkey",
    "encryptionkey",
    "masterkey",
    "sharedkey",
    "clientkey",
    "sessionkey",
    "licensekey",
    "webhook",
    "mnemonic",
    "connectionstring",
];

/// Whole words, of which the last in the key counts.
const SECRET_WORDS: &[&str] =
    &["pass", "pwd", "pw", "pin", "otp", "totp", "psk", "jwt", "bearer", "creds", "sas"];

/// Whole words for a secret, or for something about it.
const MAYBE_WORDS: &[&str] = &[
    "key",
    "auth",
    "authorization",
    "seed",
    "salt",
    "pepper",
    "sig",
    "signature",
    "session",
    "cookie",
    "dsn",
    "code",
    "hash",
    "nonce",
    "connection",
    "conn",
    "hmac",
    "private",
    "crypt",
    "encrypted",
];

/// Last words of keys whose values are not secret.
const PUBLIC_WORDS: &[&str] = &[
    "user",
    "username",
    "login",
    "email",
    "mail",
    "host",
    "hostname",
    "server",
    "port",
    "engine",
    "db",
    "dbname",
    "database",
    "catalog",
    "name",
    "region",
    "location",
    "zone",
    "url",
    "uri",
    "endpoint",
    "address",
    "addr",
    "ip",
    "type",
    "kind",
    "id",
    "ids",
    "arn",
    "version",
    "apiversion",
    "date",
    "time",
    "timestamp",
    "at",
    "on",
    "expiry",
    "expires",
    "expiration",
    "exp",
    "iat",
    "nbf",
    "ttl",
    "timeout",
    "driver",
    "provider",
    "protocol",
    "scheme",
    "issuer",
    "iss",
    "audience",
    "aud",
    "subject",
    "sub",
    "domain",
    "realm",
    "project",
    "account",
    "tenant",
    "scope",
    "scopes",
    "cluster",
    "namespace",
    "role",
    "roles",
    "policy",
    "path",
    "file",
    "dir",
    "directory",
    "mode",
    "sslmode",
    "algorithm",
    "alg",
    "kid",
    "kty",
    "size",
    "length",
    "count",
    "limit",
    "min",
    "max",
    "retries",
    "interval",
    "enabled",
    "status",
    "state",
    "description",
    "comment",
    "label",
    "title",
    "language",
    "locale",
    "format",
    "encoding",
    "charset",
    "schema",
    "table",
    "bucket",
    "queue",
    "topic",
    "service",
    "instance",
    "identifier",
    "owner",
    "group",
    "org",
    "organization",
    "environment",
    "env",
    "stage",
    "level",
    "created",
    "updated",
    "modified",
    "seconds",
    "days",
    "hours",
    "minutes",
    "context",
    "current",
    "cert",
    "certificate",
    "ca",
    "authority",
    "fingerprint",
    "thumbprint",
    "uid",
    "gid",
    "image",
    "tag",
    "year",
    "suffix",
    "origin",
    "origins",
    "redirect",
    "public",
    "pub",
    "publickey",
    "hint",
    "length",
];

/// Last words that say how a value is written, not what it is.
const NEUTRAL: &[&str] = &[
    "value",
    "values",
    "data",
    "string",
    "text",
    "raw",
    "plain",
    "plaintext",
    "content",
    "contents",
    "base",
    "b",
    "default",
];

/// Whether a key only says that a value follows, so that an outer key says what it is.
pub(super) fn is_neutral(key: &[u8]) -> bool {
    words(key).iter().all(|word| NEUTRAL.contains(&word.as_str()))
}

/// The meaning of `key`, however it is written: `DB_PASSWORD`, `dbPassword`, `db-password`.
pub(super) fn says(key: &[u8]) -> Says {
    let mut words = words(key);
    while words.len() > 1 && words.last().is_some_and(|last| NEUTRAL.contains(&last.as_str())) {
        words.pop();
    }
    let [before @ .., last] = words.as_slice() else { return Says::Nothing };
    let before_last = before.last().map_or("", String::as_str);
    // Vault's `secret_id` and a session's are what they are called; `client_id`, `private_key_id` are names.
    if last == "id" && matches!(before_last, "secret" | "session") {
        return Says::Secret;
    }
    if last == "key"
        && matches!(before_last, "public" | "pub" | "host" | "partition" | "primary" | "foreign" | "sort")
    {
        return Says::Public;
    }
    let last_singular = last.strip_suffix('s').unwrap_or(last);
    let joined = words.concat();
    let is = |list: &[&str]| list.contains(&last.as_str()) || list.contains(&last_singular);
    // The last word decides: `token_uri` and `password_file` are not secrets.
    if PUBLIC_WORDS.contains(&last.as_str()) && !joined.contains("webhook") {
        return Says::Public;
    }
    if is(SECRET_WORDS) || SECRET.iter().any(|secret| joined.contains(secret)) {
        return Says::Secret;
    }
    if is(MAYBE_WORDS) || words.iter().any(|word| MAYBE_WORDS.contains(&word.as_str())) {
        return Says::Maybe;
    }
    Says::Nothing
}

/// The class of `text` under a key that says `said`.
pub(super) fn class(said: Says, text: &[u8]) -> Class {
    let text = text.trim_ascii();
    if why_not(text).is_some() {
        return Class::Plain;
    }
    let look = look(text);
    match (said, look) {
        // An address with something random in it is a secret under any key: a webhook's address is its password.
        (Says::Secret, _)
        | (_, Look::Telling)
        | (Says::Maybe, Look::Numbered | Look::Unknown)
        | (Says::Nothing, Look::Unknown) => Class::Secret,
        (Says::Public, Look::Unknown) | (Says::Nothing | Says::Public, Look::Numbered) => Class::LogOnly,
        (_, Look::Plain) => Class::Plain,
    }
}

/// What a text looks like.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    /// A word, an address, a path, a date, a small number.
    Plain,
    /// A word followed by one or two digits: `worker1`, or a password.
    Numbered,
    /// An address with something random in it.
    Telling,
    /// Anything else.
    Unknown,
}

/// A text of words with more characters than this is not plain.
const LONGEST_WORD: usize = 16;

fn look(text: &[u8]) -> Look {
    let Ok(text) = std::str::from_utf8(text) else { return Look::Unknown };
    if let Some((_, rest)) = text.split_once("://") {
        return if is_telling(rest) {
            Look::Telling
        } else if text.contains(char::is_whitespace) {
            Look::Unknown
        } else {
            Look::Plain
        };
    }
    if is_plain_number(text)
        || is_date(text)
        || is_address(text)
        || is_path(text)
        || text.starts_with("arn:aws")
    {
        return Look::Plain;
    }
    if text.chars().count() > LONGEST_WORD
        || text.contains(|c: char| !(c.is_alphanumeric() || " -_./:".contains(c)))
    {
        return Look::Unknown;
    }
    let letters = text.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = text.len() - letters.len();
    if !are_words(letters) {
        return Look::Unknown;
    }
    match digits {
        0 => Look::Plain,
        // `db-01`, `postgres:16`: a number apart.
        1..=4 if letters.ends_with(['-', '_', '.', '/', ' ', ':']) => Look::Plain,
        1..=2 => Look::Numbered,
        _ => Look::Unknown,
    }
}

/// Words of letters, or numbers, with something between them, written as words are: `app user`, `us-east-1`, `Bot`.
fn are_words(text: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric()).all(|word| {
        let mut letters = word.chars();
        let first = letters.next();
        let upper = word.chars().all(|c| !c.is_lowercase());
        first.is_none_or(char::is_alphabetic)
            && letters.all(|c| c.is_alphabetic() && (upper || !c.is_uppercase()))
            || (word.len() <= 4 && word.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

/// A number that counts or measures something: short, or round. A longer one may be a code.
fn is_plain_number(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    digits > 0
        && text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.".contains(&byte))
        && (digits < 8 || text.ends_with("000"))
}

/// `2026-01-01`, `2026-01-01T00:00:00Z`.
fn is_date(text: &str) -> bool {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let rest = shape.strip_prefix("0000-00-00");
    rest.is_some_and(|rest| rest.len() <= 25 && rest.chars().all(|c| "0TtZz:.+- ".contains(c)))
}

/// A host name or IP address, with a port perhaps, or a mail address.
fn is_address(text: &str) -> bool {
    let (local, host) = text.split_once('@').unwrap_or(("x", text));
    let (host, port) = host.rsplit_once(':').unwrap_or((host, ""));
    let local_is_plain =
        local.chars().all(|c| c.is_ascii_alphanumeric() || "._+-".contains(c)) && !local.is_empty();
    if !local_is_plain || port.len() > 5 || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse::<std::net::IpAddr>().is_ok();
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    let top = host.rsplit('.').next().unwrap_or_default();
    host.parse::<std::net::IpAddr>().is_ok()
        || host.contains('.')
            && host.split('.').all(is_label)
            && (2..=24).contains(&top.len())
            && top.bytes().all(|byte| byte.is_ascii_lowercase())
}

/// A path, without anything random in it.
fn is_path(text: &str) -> bool {
    (text.starts_with(['/', '~']) || text.starts_with("./") || text.starts_with("../"))
        && text.chars().all(|c| c.is_alphanumeric() || "/._-~".contains(c))
        && !text.split('/').any(is_random)
}

/// Whether what follows `scheme://` has a password or something random in it.
fn is_telling(rest: &str) -> bool {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, behind) = rest.split_at(end);
    if let Some((user, _)) = authority.rsplit_once('@') {
        let password = user.split_once(':').map_or("", |(_, password)| password);
        if !password.is_empty() || is_random(user) {
            return true;
        }
    }
    behind.split(['/', '?', '#', '&', '=', ';', ':']).any(|part| is_random(part) && !is_uuid(part))
        // A password with a slash in it, which should have been escaped.
        || behind.contains('@') && authority.contains(':')
}

/// Whether a text looks random: letters and digits, or upper and lower case, in no order.
fn is_random(text: &str) -> bool {
    let kind = |c: char| match c {
        'a'..='z' => 0_u8,
        'A'..='Z' => 1,
        _ => 2,
    };
    let mut length = 0;
    let mut changes = 0;
    let mut before = None;
    for c in text.chars().filter(char::is_ascii_alphanumeric) {
        length += 1;
        // A capital at the beginning of a word does not count.
        changes += usize::from(
            before.is_some_and(|before| kind(before) != kind(c) && (before, kind(c)) != ('A', 0)),
        );
        before = Some(c);
    }
    length >= 16 && changes * 5 >= length
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// The words of a key, in lower case, without digits.
fn words(key: &[u8]) -> Vec<String> {
    let key = String::from_utf8_lossy(&key[..key.len().min(200)]);
    let mut words = vec![String::new()];
    let letters: Vec<char> = key.chars().collect();
    for (at, &letter) in letters.iter().enumerate() {
        if !letter.is_alphabetic() {
            words.push(String::new());
            continue;
        }
        let before_is_lower = at > 0 && letters[at - 1].is_lowercase();
        let before_is_upper = at > 0 && letters[at - 1].is_uppercase();
        let next_is_lower = letters.get(at + 1).is_some_and(|next| next.is_lowercase());
        // `clientId`, and `AWSSecret`.
        if letter.is_uppercase() && (before_is_lower || before_is_upper && next_is_lower) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.extend(letter.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}
