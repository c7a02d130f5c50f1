//! Addresses of web servers, as far as a client needs to compare them.

use std::fmt;
use std::net::IpAddr;

/// An `http` or `https` address without user, password and fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    text: String,
    /// The length of `https://host:port`.
    origin: usize,
}

impl Url {
    /// Reads an absolute address.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.split('#').next()?;
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
        let authority = rest.split(['/', '?']).next()?;
        let is_fine =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
        let is_visible = text
            .chars()
            .all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '<' | '>' | '\\' | '`'));
        if authority.is_empty() || !authority.chars().all(is_fine) || !is_visible {
            return None;
        }
        let origin = text.len() - rest.len() + authority.len();
        let url = Url { text: text.to_owned(), origin };
        (!url.host().is_empty()).then_some(url)
    }

    /// Resolves the address of a redirection.
    pub(crate) fn join(&self, location: &str) -> Option<Self> {
        if location.contains("://") {
            return Url::parse(location);
        }
        if let Some(rest) = location.strip_prefix("//") {
            let scheme = if self.is_encrypted() { "https" } else { "http" };
            return Url::parse(&format!("{scheme}://{rest}"));
        }
        if location.starts_with('/') {
            return Url::parse(&format!("{}{location}", self.origin()));
        }
        let path = self.text.split('?').next()?;
        let folder = match path[self.origin..].rfind('/') {
            Some(at) => &path[..self.origin + at],
            None => path,
        };
        Url::parse(&format!("{folder}/{location}"))
    }

    /// Returns `https://host:port`.
    pub(crate) fn origin(&self) -> &str {
        &self.text[..self.origin]
    }

    /// Returns the address without what follows `?`, where secrets may stand.
    pub fn without_query(&self) -> String {
        self.text.split('?').next().unwrap_or_default().to_owned()
    }

    /// Returns the host with its port.
    pub(crate) fn authority(&self) -> &str {
        let origin = self.origin();
        origin.split_once("://").map_or(origin, |(_, authority)| authority)
    }

    /// Returns the host.
    pub(crate) fn host(&self) -> &str {
        host_of(self.authority())
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        self.text.starts_with("https://")
    }

    /// Returns whether the address leads to this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        is_loopback(self.authority())
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Returns the host of `host:port`.
pub(crate) fn host_of(authority: &str) -> &str {
    match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    }
}

/// Returns whether `host:port` is this machine.
pub(crate) fn is_loopback(authority: &str) -> bool {
    let host = host_of(authority);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_knows_its_host_and_joins_redirections() {
        let url = Url::parse("https://a.org:8443/x/y?token=1#z").expect("an address");
        assert_eq!((url.origin(), url.host()), ("https://a.org:8443", "a.org"));
        assert_eq!(url.without_query(), "https://a.org:8443/x/y");
        for (location, joined) in [
            ("/z", "https://a.org:8443/z"),
            ("z", "https://a.org:8443/x/z"),
            ("//b.org/z", "https://b.org/z"),
            ("http://c.org", "http://c.org"),
        ] {
            assert_eq!(url.join(location).expect(location).to_string(), joined);
        }
        for bad in
            ["ftp://a", "https://", "https://a b/", "https://u:p@a/", "https://:80/", "a.org"]
        {
            assert!(Url::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn this_machine_is_recognized_by_address_and_name() {
        for text in ["http://127.0.0.1:5000/", "http://localhost/", "http://[::1]:80/"] {
            assert!(Url::parse(text).expect(text).is_loopback(), "{text}");
        }
        for text in ["http://127.0.0.1.evil.org/", "http://localhost.evil.org/", "http://10.0.0.1/"]
        {
            assert!(!Url::parse(text).expect(text).is_loopback(), "{text}");
        }
    }
}
