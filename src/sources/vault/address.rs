//! The server's address: its format, and the addresses of its API.

use reqwest::Url;

use crate::count::count;
use crate::error::{Code, Error, Result};
use crate::sources::net;

/// Where the API begins, below the server's address.
const API: &str = "v1";

/// The address of a server.
#[derive(Clone)]
pub(super) struct Address {
    base: Url,
}

impl Address {
    /// Takes the text of `addr`: `https://host[:port]`, with a path if the server is behind a proxy.
    ///
    /// # Errors
    /// `usage`, with the setting and the format of an address; of the text itself only its length.
    pub(super) fn parse(text: &str, said_by: &str) -> Result<Self> {
        let wrong = |what: &str| {
            Error::new(
                Code::Usage,
                format!("{said_by} {what} ({})", count(text.chars().count(), "character")),
            )
            .help("Write the server's address with its scheme: `https://vault.example.com:8200`.")
        };
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(wrong("contains a space or a control character"));
        }
        let parsed = Url::parse(text);
        let mut base = match parsed {
            Ok(url) if matches!(url.scheme(), "http" | "https") && text.contains("://") => url,
            _ => return Err(wrong("is not an address that starts with `https://` or `http://`")),
        };
        if !base.username().is_empty() || base.password().is_some() {
            return Err(wrong("contains a user or a password, which Vault does not accept there"));
        }
        if base.query().is_some() || base.fragment().is_some() {
            return Err(wrong("contains a `?` or `#`, so it is not a server address"));
        }
        // The API's own prefix may be included; an empty last part is a trailing slash.
        let mut kept: Vec<String> =
            base.path().split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        if kept.first().is_some_and(|part| part == "ui") {
            return Err(wrong("is an address of the web interface"));
        }
        kept.pop_if(|part| part == API);
        base.set_path(&kept.join("/"));
        Ok(Self { base })
    }

    /// The address of a path of the API.
    pub(super) fn api(&self, path: &str, query: Option<&str>) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push(API).extend(path.split('/'));
        }
        url.set_query(query);
        url
    }

    /// The server, for messages: scheme, host and port.
    pub(super) fn server(&self) -> String {
        server(&self.base)
    }

    /// The host and its port, for people.
    pub(super) fn host(&self) -> String {
        crate::sources::host_of(&self.base)
    }

    /// Whether another address is of the same server: scheme, host and port.
    pub(super) fn is_server_of(&self, other: &Url) -> bool {
        self.base.origin() == other.origin()
    }

    /// Whether two texts that a user wrote name the same server.
    pub(super) fn is_also(&self, text: &str) -> bool {
        Url::parse(text).is_ok_and(|other| self.is_server_of(&other))
    }

    /// Whether it is plain `http://`.
    pub(super) fn is_plain(&self) -> bool {
        self.base.scheme() == "http"
    }

    /// Whether requests leave this machine.
    pub(super) fn is_elsewhere(&self) -> bool {
        !net::is_this_machine(&self.base)
    }
}

/// The server of an address, for messages.
pub(super) fn server(url: &Url) -> String {
    url.origin().ascii_serialization()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(text: &str) -> String {
        match Address::parse(text, "`VAULT_ADDR`") {
            Ok(address) => address.api("secret/data/a b", Some("version=2")).to_string(),
            Err(error) => {
                assert!(!error.to_string().contains("canary"), "{error}");
                error.fact
            }
        }
    }

    #[test]
    fn an_address_has_a_scheme_and_a_host_and_perhaps_a_path() {
        for (text, expected) in [
            ("https://v:8200", "https://v:8200/v1/secret/data/a%20b?version=2"),
            ("https://v/", "https://v/v1/secret/data/a%20b?version=2"),
            ("http://[::1]:8200/v1/", "http://[::1]:8200/v1/secret/data/a%20b?version=2"),
            ("https://v/kept/here", "https://v/kept/here/v1/secret/data/a%20b?version=2"),
        ] {
            assert_eq!(api(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_told_without_its_text() {
        let scheme = "`VAULT_ADDR` is not an address that starts with `https://` or `http://`";
        for (text, expected) in [
            ("canary.example:8200", scheme),
            ("canary", scheme),
            ("", scheme),
            ("https:canary", scheme),
            ("unix:///run/canary.sock", scheme),
            ("https://", scheme),
            ("https://canary.example:99999", scheme),
            ("https://canary example", "`VAULT_ADDR` contains a space or a control character"),
            ("https://canary\n.example", "`VAULT_ADDR` contains a space or a control character"),
            (
                "https://u:canary@v",
                "`VAULT_ADDR` contains a user or a password, which Vault does not accept there",
            ),
            ("https://v?token=canary", "`VAULT_ADDR` contains a `?` or `#`, so it is not a server address"),
            ("https://v/ui/vault/secrets", "`VAULT_ADDR` is an address of the web interface"),
        ] {
            assert_eq!(
                api(text),
                format!("{expected} ({})", count(text.chars().count(), "character")),
                "{text}"
            );
        }
    }

    #[test]
    fn only_another_machine_is_elsewhere() {
        let elsewhere = |text: &str| Address::parse(text, "").unwrap().is_elsewhere();
        for near in ["http://127.0.0.1:8200", "http://[::1]", "http://localhost:1"] {
            assert!(!elsewhere(near), "{near}");
        }
        assert!(elsewhere("http://vault:8200") && elsewhere("http://10.0.0.1"));
    }
}
