//! Values that break quoting, masking or delivery, and the source that each comes from.

use std::fmt::Write as _;

/// Where a value is put for the program to find it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum From {
    /// The variable of the secret's name.
    Variable,
    /// A file that `NAME_FILE` names: any bytes, any length.
    File,
    /// The JSON of `github-secrets`.
    GithubSecrets,
    /// `.env`, in single quotes.
    Dotenv,
    /// A file of the directory of the `docker-secrets` source.
    DockerSecrets,
}

/// A secret of the test.
pub struct Nasty {
    pub name: String,
    pub value: Vec<u8>,
    pub from: From,
}

impl Nasty {
    /// The name of its file.
    pub fn file(&self) -> String {
        self.name.to_ascii_lowercase()
    }

    /// Whether a program can have it as a variable: no zero byte, and under the kernel's 128 KiB (`MAX_ARG_STRLEN`).
    pub fn fits_a_variable(&self) -> bool {
        !self.value.contains(&0) && self.value.len() < 128 * 1024 - 256
    }
}

const PEM: &str = "-----BEGIN RSA PRIVATE KEY-----\n\
    MIIEowIBAAKCAQEAx1nKpVQ2rT7mEoXwLJ0sZy4BqD8uHf6GcYtR5kNvWiMhUaPj\n\
    Zb3+0dOxgSeTnC9lQFqV7wXyK1mIrHsLu2tEJpoA8kGfDcNhY6vWzR4iMbSxUqTj\n\
    q0aPlVnFoX5eQyL9rKgJtB7hDw==\n\
    -----END RSA PRIVATE KEY-----\n";

const PRETTY: &str = "{\n  \"type\": \"service_account\",\n  \"private_key_id\": \"5f0e1dcanaryjson8b7a69\",\n  \
    \"private_key\": \"-----BEGIN KEY-----\\nQk9PSzIyY2FuYXJ5cGVtaW5qc29u\\n-----END KEY-----\\n\",\n  \
    \"nested\": {\n    \"enabled\": true,\n    \"password\": \"p\\\"a$s\\\\w/ö<rd>&-canary\"\n  }\n}\n";

/// More than thirty values, each from one source; the same in every run.
pub fn values() -> Vec<Nasty> {
    let mut all = Vec::new();
    let mut add = |from: From, values: &[&[u8]]| {
        for value in values {
            let name = format!("NASTY_{:02}", all.len());
            all.push(Nasty { name, value: value.to_vec(), from });
        }
    };
    let long: String = random_text(100_000);
    let many_lines = (0..200).fold(String::new(), |mut text, line| {
        writeln!(text, "row {line} of \"many\" with {}", random_text(20 + line)).unwrap();
        text
    });
    add(
        From::Variable,
        &[
            PEM.as_bytes(),
            PRETTY.as_bytes(),
            b"pa$$word-$HOME-${PATH}-canary",
            b"it's \"quoted\" `canary` $(id) !x",
            b"back\\slash\\n\\\\canary\\",
            b"canary%0Aline%25two%0D%0A::error::x",
            "пароль-🔑-密码-canary".as_bytes(),
            b"  spaces beside the canary \t",
            b"\n\nblank lines around the canary\n\n",
            b"crlf canary one\r\ncrlf canary two\r\n",
            b"old mac canary one\rold mac canary two",
            b"::add-mask::canary-that-is-a-command",
            b"::stop-commands::canary-token-of-a-value",
            b"esc\x1b[31mred-canary\x1b[0m\x07bell",
            b"<script>canary('x')&amp;</script>",
            b"user:p@ss/w?rd#canary&a=b+c",
            b"sesame-canary",
            b"open-sesame-canary-wide",
            b"open-sesame-canary-wide-and-wider",
            b"-----BEGIN canary",
            b"{\"canary-key\": \"canary-value-in-one-line\", \"n\": [1, \"canary-in-a-list\"]}",
            b"=leading=equals==canary==",
            b"claude-secrets-canary-like-our-own-name",
            long.as_bytes(),
            many_lines.as_bytes(),
        ],
    );
    add(
        From::File,
        &[
            b"nul\0byte\0canary\0inside",
            b"\xff\xfebinary \x80 canary\xc3(\xf0\x9f end\xff",
            b"a file's last line end canary\n",
            &random_text(1024 * 1024).into_bytes(),
            &(0..=255).cycle().skip(7).take(1000).collect::<Vec<u8>>(),
        ],
    );
    add(
        From::GithubSecrets,
        &[
            b"github \"quoted\" canary\nwith a second canary line",
            "github ünïcode \u{2028}canary".as_bytes(),
            b"ghp_canary16C7e42F292c6912E7710c838347Ae178",
        ],
    );
    add(
        From::Dotenv,
        &[
            b"dotenv $canary and ${canary_two:-x} # no comment",
            b"dotenv \"double\" \\n canary = value",
            b"dotenv first canary line\n  second canary line\n\nlast canary line",
        ],
    );
    add(
        From::DockerSecrets,
        &[
            b"filed canary of docker\n",
            b"\nfiled canary after a line end",
            b"docker\tsecret\tcanary\twith tabs",
        ],
    );
    assert!(all.len() >= 39);
    all
}

/// Text without pattern, the same in every run: xorshift over the printable characters.
fn random_text(length: usize) -> String {
    let mut state = 0x2545_f491_4f6c_dd1d_u64 ^ (length as u64);
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            char::from(b'!' + u8::try_from(state % 94).unwrap())
        })
        .collect()
}
