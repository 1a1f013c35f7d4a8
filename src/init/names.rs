//! Which variables are secrets: by the words of their names, and by the shape of a value where one is there.

use crate::lint;

/// Words that make a name a secret's, wherever they are in it.
const WORDS: &[&str] = &[
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "PASS",
    "PWD",
    "PW",
    "SECRET",
    "SECRETS",
    "TOKEN",
    "APIKEY",
    "CREDENTIAL",
    "CREDENTIALS",
    "DSN",
    "PRIVATE",
    "SALT",
    "PEPPER",
    "JWT",
    "PAT",
    "REQUIREPASS",
];

/// Words that do so as the last one of several, or as the whole name.
const LAST_WORDS: &[&str] = &["KEY", "KEYS", "AUTH", "CERT"];

/// Endings after which a name is that of a setting, whatever it has before: `TOKEN_TTL`, `SECRET_NAME`.
const SETTINGS: &[&str] = &[
    "PUBLIC_KEY",
    "TTL",
    "NAME",
    "LENGTH",
    "LIMIT",
    "COUNT",
    "SIZE",
    "PATH",
    "DIR",
    "FILE",
    "HOST",
    "PORT",
    "ENABLED",
    "ENABLE",
    "DISABLED",
    "TIMEOUT",
    "EXPIRY",
    "EXPIRES",
    "EXPIRATION",
    "DURATION",
    "LIFETIME",
    "TYPE",
    "ALGORITHM",
    "ALG",
    "ISSUER",
    "AUDIENCE",
    "REGION",
    "VERSION",
    "MODE",
    "ROUNDS",
    "MIN",
    "MAX",
    "POLICY",
    "HEADER",
    "FIELD",
];

/// Beginnings of the same: `MAX_TOKEN`.
const SETTINGS_BEFORE: &[&str] =
    &["MAX", "MIN", "PUBLIC", "NEXT_PUBLIC", "VITE", "ENABLE", "DISABLE", "USE", "ALLOW"];

/// What an address of belongs to a login: `DATABASE_URL`.
const SERVERS: &[&str] = &[
    "DATABASE",
    "DB",
    "POSTGRES",
    "POSTGRESQL",
    "PG",
    "MYSQL",
    "MARIADB",
    "MONGO",
    "MONGODB",
    "REDIS",
    "AMQP",
    "RABBITMQ",
    "BROKER",
    "CELERY",
    "SMTP",
    "LDAP",
    "CLICKHOUSE",
    "WEBHOOK",
];

/// Whether a variable looks like a secret. `value` is what `.env` has for it.
pub(super) fn is_secret(name: &str, value: Option<&[u8]>) -> bool {
    value.is_some_and(is_secret_value) || is_secret_name(name)
}

fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let words: Vec<&str> = name.split('_').filter(|word| !word.is_empty()).collect();
    let Some(last) = words.last() else { return false };
    let ends = |ending: &str| name == ending || name.ends_with(&format!("_{ending}"));
    let begins = |beginning: &str| name.starts_with(&format!("{beginning}_"));
    if name.ends_with("ACCESS_KEY_ID") {
        return true;
    }
    if SETTINGS.iter().any(|ending| ends(ending)) || SETTINGS_BEFORE.iter().any(|beginning| begins(beginning))
    {
        return false;
    }
    let is_address = ["URL", "URI", "STRING"].contains(last);
    if is_address {
        return words.iter().any(|word| SERVERS.contains(word)) || name.ends_with("CONNECTION_STRING");
    }
    let glued =
        |word: &str| ["PASSWORD", "SECRET", "TOKEN", "APIKEY"].iter().any(|ending| word.ends_with(ending));
    words.iter().any(|word| WORDS.contains(word) || glued(word)) || LAST_WORDS.contains(last)
}

/// Whether a value is a secret by its shape: a well-known beginning, a private key, or an address with a password in it.
fn is_secret_value(value: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(value) else { return false };
    let login =
        text.split_once("://").and_then(|(_, rest)| rest.split(['/', '?', '#']).next()?.split_once('@'));
    let has_password =
        login.is_some_and(|(login, _)| login.split_once(':').is_some_and(|(_, pw)| !pw.is_empty()));
    has_password || text.starts_with("-----BEGIN ") || lint::begins_as_a_secret(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_told_from_names_of_settings() {
        for name in [
            "API_KEY",
            "KEY",
            "POSTGRES_PASSWORD",
            "DB_PASS",
            "GITHUB_TOKEN",
            "SENTRY_DSN",
            "DATABASE_URL",
            "REDIS_URI",
            "JWT_SECRET",
            "SECRET_KEY_BASE",
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "APPKEY_TOKEN",
            "SLACK_WEBHOOK_URL",
            "OPENAI_APIKEY",
            "DBPASSWORD",
            "TLS_PRIVATE",
            "AZURE_STORAGE_CONNECTION_STRING",
        ] {
            assert!(is_secret(name, None), "{name}");
        }
        for name in [
            "IMAGE_TAG",
            "LOG_LEVEL",
            "TOKEN_TTL",
            "MAX_TOKENS",
            "MAX_TOKEN_LENGTH",
            "SSH_PUBLIC_KEY",
            "SECRET_NAME",
            "BASE_URL",
            "OAUTH_TOKEN_URL",
            "PASSWORD_MIN_LENGTH",
            "NEXT_PUBLIC_KEY",
            "KEYBOARD",
            "MONKEY",
            "TZ",
            "AUTHOR",
            "DB_HOST",
            "POSTGRES_USER",
        ] {
            assert!(!is_secret(name, None), "{name}");
        }
    }

    #[test]
    fn a_value_tells_what_a_name_does_not() {
        for value in
            ["postgres://u:pw@db/x", "sk-ant-abc", "-----BEGIN OPENSSH PRIVATE KEY-----", "ghp_0123456789"]
        {
            assert!(is_secret("PLAIN", Some(value.as_bytes())), "{value}");
        }
        for value in ["postgres://u@db/x", "https://example.com/a@b", "12", "", "true", "info"] {
            assert!(!is_secret("PLAIN", Some(value.as_bytes())), "{value}");
        }
    }
}
