//! Requests: bounded in size and time, over encrypted connections, and with credentials for one host only.

use crate::error::{ErrorKind, ShareError};
use crate::url::Url;
use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;
use ureq::http::{HeaderMap, Response};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};

/// The most redirections of one request: object stores behind registries take one or two.
const MAX_REDIRECTS: usize = 5;

/// The longest time for connecting.
const CONNECT: Duration = Duration::from_secs(15);

/// A client of web servers.
pub(crate) struct Client {
    agent: Agent,
    allow_http: bool,
    timeout: Duration,
}

/// A way to send content.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Method {
    Post,
    Put,
}

/// An answer, of which the content is not read yet.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The address that answered, after redirections.
    pub(crate) url: Url,
    response: Response<Body>,
}

impl Client {
    /// Returns a client whose requests take `timeout` at most. With `allow_http` connections to other machines may be
    /// unencrypted too.
    pub(crate) fn new(timeout: Duration, allow_http: bool) -> Self {
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(certificates())))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT.min(timeout)))
            .timeout_per_call(Some(timeout))
            .user_agent(concat!("trialbox/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build()
            .new_agent();
        Client { agent, allow_http, timeout }
    }

    /// Asks for an address and follows redirections. `authorization` goes to the host of `url` alone, and never over
    /// an unencrypted connection to which an encrypted one was redirected.
    pub(crate) fn get(
        &self,
        url: &Url,
        accept: &str,
        authorization: Option<&str>,
    ) -> Result<Answer, ShareError> {
        let mut at = url.clone();
        for _ in 0..=MAX_REDIRECTS {
            self.check_scheme(&at)?;
            let mut request = self.agent.get(at.to_string()).header("Accept", accept);
            if let Some(authorization) = authorization.filter(|_| at.origin() == url.origin()) {
                request = request.header("Authorization", authorization);
            }
            let response = request.call().map_err(|error| self.failed(&at, &error))?;
            let status = response.status().as_u16();
            if !matches!(status, 301 | 302 | 303 | 307 | 308) {
                return Ok(Answer { status, url: at, response });
            }
            let location = header(response.headers(), "location");
            let next = location.as_deref().and_then(|location| at.join(location));
            let Some(next) = next else {
                return Err(ShareError::content(
                    &shown(&at),
                    "expected an address to go to, found none that can be read",
                ));
            };
            if at.is_encrypted() && !next.is_encrypted() {
                return Err(ShareError::content(
                    &shown(&at),
                    "expected another encrypted address, found a redirection to `http://`",
                ));
            }
            at = next;
        }
        Err(ShareError::content(
            &shown(url),
            &format!("expected at most {MAX_REDIRECTS} redirections, found more"),
        ))
    }

    /// Returns whether an address answers with content, perhaps of another host.
    pub(crate) fn has(&self, url: &Url, authorization: Option<&str>) -> Result<Answer, ShareError> {
        self.check_scheme(url)?;
        let mut request = self.agent.head(url.to_string());
        if let Some(authorization) = authorization {
            request = request.header("Authorization", authorization);
        }
        let response = request.call().map_err(|error| self.failed(url, &error))?;
        Ok(Answer { status: response.status().as_u16(), url: url.clone(), response })
    }

    /// Sends content to an address. Redirections are not followed.
    pub(crate) fn send(
        &self,
        method: Method,
        url: &Url,
        (content_type, body): (&str, &[u8]),
        authorization: Option<&str>,
    ) -> Result<Answer, ShareError> {
        self.check_scheme(url)?;
        let request = match method {
            Method::Post => self.agent.post(url.to_string()),
            Method::Put => self.agent.put(url.to_string()),
        };
        let mut request = request.header("Content-Type", content_type);
        if let Some(authorization) = authorization {
            request = request.header("Authorization", authorization);
        }
        let response = request.send(body).map_err(|error| self.failed(url, &error))?;
        Ok(Answer { status: response.status().as_u16(), url: url.clone(), response })
    }

    fn check_scheme(&self, url: &Url) -> Result<(), ShareError> {
        if url.is_encrypted() || url.is_loopback() || self.allow_http {
            return Ok(());
        }
        Err(ShareError::new(
            ErrorKind::Access,
            format!("{}: expected `https://`, found `http://` to another machine", shown(url)),
            "use the encrypted address; an explicit flag of the command allows the other",
        ))
    }

    fn failed(&self, url: &Url, error: &ureq::Error) -> ShareError {
        let (shown, seconds) = (shown(url), self.timeout.as_secs_f64());
        let (problem, help) = match error {
            ureq::Error::Timeout(_) => (
                format!("there was no complete answer within {seconds} s"),
                "try again, or allow more time",
            ),
            ureq::Error::HostNotFound => (
                "the host is not known here".to_owned(),
                "compare the spelling; without a network, pull where there is one and share the store",
            ),
            ureq::Error::Tls(_) | ureq::Error::Rustls(_) => (
                format!("no trusted connection: {error}"),
                "SSL_CERT_FILE names the file of certificates that are trusted",
            ),
            _ => (
                error.to_string(),
                "try again; without a network, pull where there is one and share the store",
            ),
        };
        ShareError::new(ErrorKind::Network, format!("cannot reach {shown}: {problem}"), help)
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        header(self.response.headers(), name)
    }

    /// Reads the content.
    ///
    /// # Errors
    /// Fails for more than `limit` bytes, and if the connection breaks.
    pub(crate) fn read(mut self, limit: u64) -> Result<Vec<u8>, ShareError> {
        let too_large = |shown: &str| {
            ShareError::content(shown, &format!("expected at most {limit} bytes, found more"))
        };
        let shown = shown(&self.url);
        if self.response.body().content_length().is_some_and(|length| length > limit) {
            return Err(too_large(&shown));
        }
        let mut bytes = Vec::new();
        let mut reader = self.response.body_mut().as_reader().take(limit.saturating_add(1));
        reader.read_to_end(&mut bytes).map_err(|error| {
            ShareError::new(
                ErrorKind::Network,
                format!("{shown}: the answer broke off: {error}"),
                "try again, or allow more time",
            )
        })?;
        if bytes.len() as u64 > limit {
            return Err(too_large(&shown));
        }
        Ok(bytes)
    }

    /// Returns the error for an answer that is not the content.
    pub(crate) fn refused(&self, what: &str) -> ShareError {
        let (status, host) = (self.status, self.url.authority());
        match status {
            401 | 403 => ShareError::new(
                ErrorKind::Access,
                format!("`{host}` refuses {what} to this user (status {status})"),
                "log in with `docker login` or `podman login`, or set the token's variable; see docs/sharing.md",
            ),
            404 | 410 => ShareError::new(
                ErrorKind::NotFound,
                format!("`{host}` does not have {what} (status {status})"),
                "compare the spelling; some servers answer so to users without access",
            ),
            429 => {
                let wait = self.header("retry-after").filter(|wait| wait.parse::<u32>().is_ok());
                let wait = wait.map(|wait| format!(": try again in {wait} s")).unwrap_or_default();
                ShareError::new(
                    ErrorKind::Network,
                    format!("`{host}` was asked too often (status 429){wait}"),
                    "pull once and share the store among jobs; registries allow more to users who log in",
                )
            }
            500.. => ShareError::new(
                ErrorKind::Network,
                format!("`{host}` failed (status {status}) when it was asked for {what}"),
                "try again later",
            ),
            _ => ShareError::new(
                ErrorKind::Network,
                format!("`{host}`: expected {what}, found the status {status}"),
                "look at the address in a browser",
            ),
        }
    }
}

/// Returns an address for messages, without what follows `?`.
fn shown(url: &Url) -> String {
    format!("`{}`", url.without_query())
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

/// Returns the certificates that this machine trusts. One that cannot be read is left out.
fn certificates() -> Vec<Certificate<'static>> {
    let found = rustls_native_certs::load_native_certs().certs;
    found.iter().map(|found| Certificate::from_der(found).to_owned()).collect()
}
