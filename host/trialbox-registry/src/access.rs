//! The answer to a registry that wants to know its user: a password, or a token of the server that it names.

use crate::credentials::Credentials;
use crate::error::{ErrorKind, ShareError};
use crate::http::{Answer, Client};
use crate::source::Repository;
use crate::url::{Url, host_of};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

/// The largest answer of a server of tokens, in bytes.
const MAX_ANSWER: u64 = 1 << 20;

/// The longest token.
const MAX_TOKEN: usize = 64 << 10;

/// An answer of a server of tokens.
#[derive(Deserialize)]
struct Tokens {
    token: Option<String>,
    access_token: Option<String>,
}

/// Returns the header `Authorization` that a registry's answer 401 asks for; `None` if there is nothing to offer.
pub(crate) fn answer(
    client: &Client,
    refusal: &Answer,
    repository: &Repository,
    actions: &str,
    credentials: Option<&Credentials>,
) -> Result<Option<String>, ShareError> {
    let challenge = refusal.header("www-authenticate").unwrap_or_default();
    let (scheme, rest) = challenge.split_once(' ').unwrap_or((&challenge, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Ok(credentials.map(Credentials::header));
    }
    if let Some(Credentials::Token(_)) = credentials {
        return Ok(credentials.map(Credentials::header));
    }
    let registry = &repository.host;
    let realm = parameter(rest, "realm").and_then(|realm| Url::parse(&realm));
    let Some(realm) = realm else {
        return Err(ShareError::content(
            &format!("`{registry}`"),
            "expected the address of a server of tokens, found none",
        ));
    };
    if refusal.url.is_encrypted() && !realm.is_encrypted() {
        return Err(ShareError::content(
            &format!("`{registry}`"),
            "expected an encrypted server of tokens, found `http://`",
        ));
    }
    // A password goes to the registry's own servers, even where the registry asks for it elsewhere.
    let secret = credentials.filter(|_| is_related(realm.authority(), refusal.url.authority()));
    let mut query = vec![("scope", format!("repository:{}:{actions}", repository.name))];
    query.extend(parameter(rest, "service").map(|service| ("service", service)));
    let query: Vec<String> =
        query.iter().map(|(key, value)| format!("{key}={}", encode(value))).collect();
    let mark = if realm.to_string().contains('?') { '&' } else { '?' };
    let Some(url) = Url::parse(&format!("{realm}{mark}{}", query.join("&"))) else {
        return Ok(None);
    };
    let found = client.get(&url, "application/json", secret.map(Credentials::header).as_deref())?;
    if found.status != 200 {
        return Err(found.refused(&format!("a token for `{repository}`")));
    }
    let tokens: Option<Tokens> = serde_json::from_slice(&found.read(MAX_ANSWER)?).ok();
    let token = tokens.and_then(|tokens| tokens.token.or(tokens.access_token));
    let is_fine =
        |token: &String| token.len() <= MAX_TOKEN && token.chars().all(|c| c.is_ascii_graphic());
    match token.filter(is_fine) {
        Some(token) => Ok(Some(format!("Bearer {token}"))),
        None => Err(ShareError::new(
            ErrorKind::Access,
            format!("`{}`: expected a token for `{repository}`, found none", realm.authority()),
            "log in with `docker login` or `podman login`",
        )),
    }
}

/// Returns whether two hosts are the same, or have the same domain: `auth.docker.io` and `registry-1.docker.io`.
fn is_related(a: &str, b: &str) -> bool {
    if a == b {
        return true;
    }
    let (a, b) = (host_of(a), host_of(b));
    let domain = |host: &str| {
        let labels: Vec<&str> = host.rsplit('.').take(2).collect();
        let is_name = host.contains(|c: char| c.is_ascii_alphabetic())
            && labels.len() == 2
            && !host.contains(':');
        is_name.then(|| labels.join("."))
    };
    domain(a).is_some_and(|domain_of_a| domain(b) == Some(domain_of_a))
}

/// Returns a parameter of a header such as `realm="…",service="…"`.
fn parameter(text: &str, name: &str) -> Option<String> {
    let mut rest = text;
    loop {
        let (key, after) = rest.split_once('=')?;
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(',').unwrap_or((after, "")),
        };
        if key.trim_matches([',', ' ']).eq_ignore_ascii_case(name) {
            return Some(value.to_owned());
        }
        rest = next;
    }
}

/// The bytes that have a meaning in a query.
const ENCODED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b':').remove(b'/');

/// Writes a text as a part of a query.
fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameters_of_a_challenge_are_read() {
        let text = r#"realm="https://auth.docker.io/token",service="a, b",scope=x"#;
        assert_eq!(parameter(text, "realm").as_deref(), Some("https://auth.docker.io/token"));
        assert_eq!(parameter(text, "service").as_deref(), Some("a, b"));
        assert_eq!(parameter(text, "scope").as_deref(), Some("x"));
        assert_eq!(parameter(text, "error"), None);
        assert_eq!(parameter("realm=\"", "realm"), None);
        assert_eq!(encode("a b&c/d"), "a%20b%26c/d");
    }

    #[test]
    fn a_password_stays_in_the_domain_of_its_registry() {
        for (a, b) in [
            ("auth.docker.io", "registry-1.docker.io"),
            ("gitlab.uni.ca", "registry.gitlab.uni.ca"),
            ("127.0.0.1:5000", "127.0.0.1:5000"),
        ] {
            assert!(is_related(a, b), "{a} {b}");
        }
        for (a, b) in [
            ("evil.org", "docker.io"),
            ("127.0.0.1:1", "127.0.0.1:2"),
            ("[::1]:1", "[::1]:2"),
            ("io", "io:5"),
        ] {
            assert!(!is_related(a, b), "{a} {b}");
        }
    }
}
