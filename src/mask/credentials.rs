//! Credentials in text that is not JSON: in a URL, before an `@`, in a list of `key=value`, in a `.netrc`, in
//! lines of `key: value`.

use super::buffer::Buffer;
use super::leaf::{Says, says};

/// A value shorter than this (bytes), under a key that says nothing, is not taken out of a line.
const SHORTEST_UNNAMED: usize = 8;

/// Calls `part` with everything in `text` that programs extract and use by itself, and what the text says about it.
pub(super) fn each(text: &[u8], part: &mut dyn FnMut(Says, &[u8])) {
    in_urls(text, part);
    in_netrc(text, part);
    for line in text.split(|byte| matches!(byte, b'\n' | b'\r')) {
        before_host(line.trim_ascii(), part);
        in_line(line.trim_ascii(), part);
    }
}

/// Calls `part` with the password of `user:password`, as HTTP's basic authentication joins them.
pub(super) fn basic(text: &[u8], part: &mut dyn FnMut(Says, &[u8])) {
    if let Some((user, password)) = cut(text, b':') {
        login(user, password, part);
    }
}

/// What a line of text is about, if it is `key=value`, `key: value` or such: the key and the bare value.
pub(super) fn key_and_value(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut line = line.trim_ascii();
    for prefix in [&b"- "[..], b"export ", b"set ", b"ENV "] {
        line = line.strip_prefix(prefix).unwrap_or(line).trim_ascii_start();
    }
    let line = line.strip_suffix(b",").unwrap_or(line);
    let end = line.iter().position(|byte| matches!(byte, b'=' | b':'))?;
    let (key, value) = (line[..end].trim_ascii(), &line[end + 1..]);
    // `a:b` is a word, a path, a time; YAML wants the blank.
    let is_pair = line[end] == b'=' || value.first().is_none_or(u8::is_ascii_whitespace);
    let key = key.strip_prefix(b"\"").and_then(|key| key.strip_suffix(b"\"")).unwrap_or(key);
    let is_key = !key.is_empty()
        && key.len() <= 80
        && key.iter().all(|byte| byte.is_ascii_alphanumeric() || b" _-.".contains(byte));
    (is_pair && is_key).then(|| (key, bare(value)))
}

/// The password of `scheme://user:password@host`, also percent-decoded, and secret parameters.
fn in_urls(text: &[u8], part: &mut dyn FnMut(Says, &[u8])) {
    let mut rest = text;
    while let Some(at) = rest.windows(3).position(|window| window == b"://") {
        rest = &rest[at + 3..];
        let end = rest.iter().position(|byte| byte.is_ascii_whitespace() || b"\"'<>`".contains(byte));
        let url = &rest[..end.unwrap_or(rest.len())];
        let authority = url.iter().position(|byte| b"/?#".contains(byte)).unwrap_or(url.len());
        // A slash in a password should have been escaped; many are not.
        let strict = url[..authority].iter().rposition(|byte| *byte == b'@');
        // But `host:8080/path` has a port.
        let has_password =
            cut(&url[..authority], b':').is_some_and(|(_, port)| !port.iter().all(u8::is_ascii_digit));
        let lax = || url.iter().rposition(|byte| *byte == b'@').filter(|_| has_password);
        if let Some(at) = strict.or_else(lax) {
            match cut(&url[..at], b':') {
                Some((user, password)) => login(user, password, part),
                // `https://TOKEN@host`.
                None => decoded(Says::Nothing, &url[..at], part),
            }
        }
        for pair in url[authority..].split(|byte| b"?&;#".contains(byte)) {
            if let Some((key, value)) = cut(pair, b'=') {
                decoded(says(key), value, part);
            }
        }
    }
}

/// The password of `user:password@host`, as database drivers and `curl` write it, without a scheme.
fn before_host(line: &[u8], part: &mut dyn FnMut(Says, &[u8])) {
    let Some(at) = line.iter().rposition(|byte| *byte == b'@') else { return };
    let Some((user, password)) = cut(&line[..at], b':') else { return };
    // In a URL this is the scheme.
    if !password.starts_with(b"//")
        && user.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_.-+%".contains(byte))
    {
        login(user, password, part);
    }
}

/// `machine HOST login USER password PASSWORD`, on one line or many.
fn in_netrc(text: &[u8], part: &mut dyn FnMut(Says, &[u8])) {
    let mut words = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    if !words.clone().any(|word| word == b"machine" || word == b"login" || word == b"default") {
        return;
    }
    while let Some(word) = words.next() {
        let said = match word {
            b"password" | b"passwd" => Says::Secret,
            b"login" | b"account" => Says::Public,
            _ => continue,
        };
        if let Some(value) = words.next() {
            part(said, bare(value));
        }
    }
}

/// `KEY=value`, `key: value`, `Key=value;Key=value`, `key=value key='va lue'`.
fn in_line(line: &[u8], part: &mut dyn FnMut(Says, &[u8])) {
    if line.starts_with(b"#") {
        return;
    }
    if let Some((key, value)) = key_and_value(line) {
        let said = says(key);
        // A random value may have a `=` in it, too, and what is behind that would be found by chance.
        if said != Says::Nothing || value.len() >= SHORTEST_UNNAMED {
            part(said, value);
        }
        // A header: `Authorization: Bearer …`.
        if let Some((scheme, token)) = cut(value, b' ') {
            let is_scheme =
                [&b"Bearer"[..], b"Basic", b"Token"].iter().any(|name| name.eq_ignore_ascii_case(scheme));
            if is_scheme {
                part(Says::Secret, token.trim_ascii());
            }
        }
    }
    let pairs = |separators: &[u8], part: &mut dyn FnMut(Says, &[u8])| {
        let mut rest = line;
        while !rest.is_empty() {
            let (pair, behind) = piece(rest, separators);
            rest = behind;
            // The whole line is already a pair, and text without a key may be any part of a random text.
            if let Some((key, value)) = cut(pair, b'=').filter(|_| pair.len() < line.len()) {
                let said = says(key.trim_ascii());
                if matches!(said, Says::Secret | Says::Maybe) {
                    part(said, bare(value));
                }
            }
        }
    };
    if line.contains(&b';') {
        pairs(b";", part);
    }
    if line.iter().any(u8::is_ascii_whitespace) {
        pairs(b" \t", part);
    }
    if line.contains(&b',') {
        pairs(b",", part);
    }
}

/// Splits the first piece off at a separator outside of quotes and of ODBC's braces.
fn piece<'t>(text: &'t [u8], separators: &[u8]) -> (&'t [u8], &'t [u8]) {
    let mut quote = None;
    for (at, &byte) in text.iter().enumerate() {
        match (quote, byte) {
            (Some(end), _) if byte == end => quote = None,
            // A quote counts where a value begins.
            (None, b'"' | b'\'' | b'{') if at > 0 && text[at - 1] == b'=' => {
                quote = Some(if byte == b'{' { b'}' } else { byte });
            }
            (None, _) if separators.contains(&byte) => return (&text[..at], &text[at + 1..]),
            _ => {}
        }
    }
    if quote.is_some() {
        // Not a quote after all.
        let end = text.iter().position(|byte| separators.contains(byte)).unwrap_or(text.len());
        return (&text[..end], text.get(end + 1..).unwrap_or_default());
    }
    (text, &[])
}

/// A password is secret, unless it is also its user's name: then its origin cannot be determined.
fn login(user: &[u8], password: &[u8], part: &mut dyn FnMut(Says, &[u8])) {
    if password != user {
        decoded(Says::Secret, password, part);
    }
}

/// A part of a URL as it is, and decoded.
fn decoded(said: Says, text: &[u8], part: &mut dyn FnMut(Says, &[u8])) {
    part(said, text);
    if !text.contains(&b'%') {
        return;
    }
    let mut out = Buffer::new();
    let mut rest = text;
    while let [first, behind @ ..] = rest {
        let digits = if *first == b'%' {
            behind.get(..2).and_then(|digits| std::str::from_utf8(digits).ok())
        } else {
            None
        };
        if let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            out.push(byte);
            rest = &behind[2..];
        } else {
            out.push(*first);
            rest = behind;
        }
    }
    part(said, out.as_slice());
}

/// A value without the quotes or braces around it.
fn bare(value: &[u8]) -> &[u8] {
    let value = value.trim_ascii();
    match value {
        [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] | [b'{', inner @ .., b'}'] => inner,
        _ => value,
    }
}

fn cut(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let position = text.iter().position(|byte| *byte == at)?;
    Some((&text[..position], &text[position + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str, wanted: Says) -> Vec<String> {
        let mut all = Vec::new();
        each(text.as_bytes(), &mut |said, part| {
            if said == wanted {
                all.push(String::from_utf8_lossy(part).into_owned());
            }
        });
        all.sort();
        all.dedup();
        all
    }

    #[test]
    fn the_password_of_a_connection_is_found_wherever_it_is_written() {
        for (text, password) in [
            ("postgres://app:s3same!@db:5432/app?sslmode=require", &["s3same!"][..]),
            ("postgres://app:p%40ss%2Fw@db/app", &["p%40ss%2Fw", "p@ss/w"]),
            ("redis://:s3same@cache", &["s3same"]),
            ("mongodb+srv://app:s3same@a.example,b.example/app?authSource=admin", &["s3same"]),
            ("amqp://app:with@sign@mq", &["with@sign"]),
            ("postgres://app:sla/sh@db/app", &["sla/sh"]),
            ("jdbc:postgresql://db/app?user=app&password=s3same&ssl=true", &["s3same"]),
            ("jdbc:sqlserver://db;user=app;password=s3same;encrypt=true", &["s3same"]),
            ("app:s3same@tcp(db:3306)/app", &["s3same"]),
            ("url = https://app:s3same@host/x and https://b:other1@host", &["other1", "s3same"]),
            ("postgres://same:same@db", &[]),
            ("https://example.com/a@b", &[]),
            ("https://example.com:8443/a@b", &[]),
            ("time 12:30 at home", &[]),
            ("Driver={ODBC Driver 18};Server=db;Uid=app;Pwd={s3;same};Encrypt=yes", &["s3;same"]),
            ("Server=db;User Id=app;Password='s3 same';Pooling=true;", &["s3 same"]),
            (
                "DefaultEndpointsProtocol=https;AccountName=x;AccountKey=c2VzYW1lCg==;EndpointSuffix=y",
                &["c2VzYW1lCg=="],
            ),
            ("host=db user=app password='s3 same' dbname=app", &["s3 same"]),
            ("cache:6380,password=s3same=,ssl=True", &["s3same="]),
            ("cache:6380,password=s3same", &["s3same"]),
            ("machine db login app password s3same", &["s3same"]),
            (
                "machine db\n  login app\n  password s3same\nmachine b\n  login c\n  password t4\n",
                &["s3same", "t4"],
            ),
            ("# A=B\nexport DB_PASSWORD=\"s3same\"\nDB_USER=app\n", &["s3same"]),
            (
                "users:\n- name: bot\n  user:\n    token: s3same\n    client-key-data: QUJD\n",
                &["QUJD", "s3same"],
            ),
            ("Authorization: Bearer s3same", &["s3same"]),
        ] {
            assert_eq!(parts(text, Says::Secret), password, "{text}");
        }
    }

    #[test]
    fn what_stands_beside_a_password_is_told_apart() {
        assert_eq!(parts("postgres://app:s3same@db", Says::Public), [""; 0]);
        assert_eq!(parts("DB_USER=app\nDB_PASSWORD=s3same\n", Says::Public), ["app"]);
        assert_eq!(parts("https://ghp_token@host", Says::Nothing), ["ghp_token"]);
    }
}
