//! Credentials for registries, from where other tools keep them: a variable, Podman's and Docker's files and helpers.

use crate::error::{ErrorKind, ShareError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use trialbox_files::read_named;

/// The largest file of credentials that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// A secret for one registry. It has no text of its own, so that no message can hold it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Credentials {
    /// A name and a password.
    Basic { user: String, password: String },
    /// A token that the registry takes as it is.
    Token(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

impl Credentials {
    /// Returns the value of a header `Authorization`.
    pub(crate) fn header(&self) -> String {
        match self {
            Credentials::Basic { user, password } => {
                format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
            }
            Credentials::Token(token) => format!("Bearer {token}"),
        }
    }

    /// Finds the credentials for a registry; `None` if there are none.
    ///
    /// # Errors
    /// Fails for a file or a helper that should have them and cannot be used.
    pub(crate) fn find(registry: &str) -> Result<Option<Self>, ShareError> {
        if let Some(token) = env::var(variable(registry)).ok().filter(|token| !token.is_empty()) {
            return Ok(Some(Credentials::Token(token)));
        }
        for file in files() {
            if let Some(found) = Self::in_file(&file, registry)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn in_file(path: &Path, registry: &str) -> Result<Option<Self>, ShareError> {
        let unreadable = |problem: &str| {
            ShareError::new(
                ErrorKind::Access,
                format!("the credentials in `{}` cannot be read: {problem}", path.display()),
                "log in again with `docker login` or `podman login`",
            )
        };
        let bytes = match read_named(path, MAX_FILE) {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(unreadable(&error.to_string())),
        };
        // The parser's message would quote what it found.
        let file: File =
            serde_json::from_slice(&bytes).map_err(|_| unreadable("expected JSON with `auths`"))?;
        let names = names_of(registry);
        let of = |name: &String| file.helpers.get(name);
        if let Some(helper) = names.iter().find_map(of) {
            return ask_helper(helper, &names[0]);
        }
        let entry = names.iter().find_map(|name| file.auths.get(name));
        let encoded = entry.and_then(|entry| entry.auth.as_deref());
        if let Some(encoded) = encoded.filter(|encoded| !encoded.is_empty()) {
            let decoded = STANDARD.decode(encoded.trim()).ok();
            let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
            let pair = decoded.as_deref().and_then(|text| text.split_once(':'));
            let (user, password) =
                pair.ok_or_else(|| unreadable("expected a name and a password"))?;
            let password = password.trim_end_matches('\0').to_owned();
            return Ok(Some(Credentials::Basic { user: user.to_owned(), password }));
        }
        match &file.store {
            Some(helper) if !helper.is_empty() => ask_helper(helper, &names[0]),
            _ => Ok(None),
        }
    }
}

/// A file of credentials, as far as it is read.
#[derive(Default, Deserialize)]
struct File {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    #[serde(default, rename = "credHelpers")]
    helpers: BTreeMap<String, String>,
    #[serde(default, rename = "credsStore")]
    store: Option<String>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    auth: Option<String>,
}

/// An answer of a helper.
#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "Username")]
    user: String,
    #[serde(rename = "Secret")]
    secret: String,
}

/// Returns the variable with a token for a registry: `TRIALBOX_TOKEN_GHCR_IO`.
pub(crate) fn variable(registry: &str) -> String {
    let word = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("TRIALBOX_TOKEN_{}", registry.chars().map(word).collect::<String>())
}

/// Returns the names under which files keep the credentials of a registry.
fn names_of(registry: &str) -> Vec<String> {
    let mut names = vec![registry.to_owned(), format!("https://{registry}")];
    if registry == "docker.io" {
        names.insert(0, "https://index.docker.io/v1/".to_owned());
    }
    names
}

/// Returns the files of credentials, in the order in which they are asked.
fn files() -> Vec<PathBuf> {
    let variable =
        |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = variable("HOME");
    let below_home = |path: &str| home.as_ref().map(|home| home.join(path));
    let config = variable("XDG_CONFIG_HOME").or_else(|| below_home(".config"));
    let docker = variable("DOCKER_CONFIG").or_else(|| below_home(".docker"));
    [
        variable("REGISTRY_AUTH_FILE"),
        variable("XDG_RUNTIME_DIR").map(|folder| folder.join("containers/auth.json")),
        config.map(|folder| folder.join("containers/auth.json")),
        docker.map(|folder| folder.join("config.json")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Asks `docker-credential-NAME`; a helper that knows nothing fails, as Docker's do.
fn ask_helper(helper: &str, registry: &str) -> Result<Option<Credentials>, ShareError> {
    let failed = |problem: &str| {
        ShareError::new(
            ErrorKind::Access,
            format!("the helper `docker-credential-{helper}` for `{registry}` {problem}"),
            "log in again, or set the token's variable; see docs/sharing.md",
        )
    };
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !helper.chars().all(is_word) {
        return Err(failed("is not a name of a program"));
    }
    let mut child = Command::new(format!("docker-credential-{helper}"))
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| failed(&format!("cannot be started: {error}")))?;
    if let Some(mut input) = child.stdin.take() {
        // A helper that does not read its input says so by its answer.
        let _ = input.write_all(registry.as_bytes());
    }
    let output = child.wait_with_output().map_err(|error| failed(&error.to_string()))?;
    if !output.status.success() {
        return Ok(None);
    }
    let answer: Answer = serde_json::from_slice(&output.stdout)
        .map_err(|_| failed("gave an answer that is not a name and a secret"))?;
    Ok(Some(match answer.user.as_str() {
        "<token>" => Credentials::Token(answer.secret),
        _ => Credentials::Basic { user: answer.user, password: answer.secret },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_those_of_their_registry_and_appear_in_no_text() {
        let path = env::temp_dir().join(format!("trialbox-auth-{}.json", std::process::id()));
        let text = r#"{"auths": {"a.org:5000": {"auth": "bWU6czNjcmV0"}, "https://b.org": {"auth": "bm8="},
            "c.org": {}}}"#;
        std::fs::write(&path, text).expect("a file");
        let find = |registry: &str| Credentials::in_file(&path, registry);
        let found = find("a.org:5000").expect("a name and a password").expect("they are there");
        assert_eq!(found.header(), "Basic bWU6czNjcmV0");
        assert!(!format!("{found:?}").contains("s3cret"));
        assert_eq!(find("a.org").expect("another registry"), None);
        assert_eq!(find("c.org").expect("an empty entry"), None);
        let error = find("b.org").expect_err("no password");
        assert!(error.message.contains("expected a name and a password"), "{error}");
        std::fs::write(&path, "{\"auths\": \"s3cret\"}").expect("a file");
        let error = find("a.org").expect_err("not the form");
        assert!(!error.message.contains("s3cret"), "{error}");
        std::fs::remove_file(&path).expect("our own file");
        assert_eq!(find("a.org").expect("no file"), None);
        assert_eq!(variable("ghcr.io:443"), "TRIALBOX_TOKEN_GHCR_IO_443");
    }
}
