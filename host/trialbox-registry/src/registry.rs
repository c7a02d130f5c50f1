//! Images of a registry, by the protocol of the OCI's distribution.

use crate::access;
use crate::credentials::Credentials;
use crate::digest::Digest;
use crate::error::{ErrorKind, ShareError};
use crate::http::{Answer, Client};
use crate::manifest::{ACCEPT, Blob, MAX_MANIFEST, Manifest, check};
use crate::source::{Image, Repository};
use crate::url::{Url, is_loopback};

/// A repository, and what it takes to read it.
pub(crate) struct Registry<'a> {
    client: &'a Client,
    repository: &'a Repository,
    base: String,
    credentials: Option<Credentials>,
    /// The header that the registry has accepted.
    authorization: Option<String>,
}

impl<'a> Registry<'a> {
    pub(crate) fn new(client: &'a Client, repository: &'a Repository) -> Result<Self, ShareError> {
        // Docker Hub is named after its users' address, and answers at another.
        let host = match repository.host.as_str() {
            "docker.io" | "index.docker.io" => "registry-1.docker.io",
            host => host,
        };
        let scheme = if is_loopback(host) { "http" } else { "https" };
        let base = format!("{scheme}://{host}/v2/{}", repository.name);
        let credentials = Credentials::find(&repository.host)?;
        Ok(Registry { client, repository, base, credentials, authorization: None })
    }

    /// Reads an objective of at most `limit` bytes. Returns the digest of its manifest too.
    pub(crate) fn read(
        &mut self,
        image: &Image,
        limit: u64,
    ) -> Result<(Vec<u8>, Digest), ShareError> {
        let what = format!("`{}{image}`", self.repository);
        let (mut manifest, mut digest) = self.manifest(&what, image)?;
        if let Some(inner) = manifest.chosen(&what)? {
            (manifest, digest) = self.manifest(&what, &Image::Manifest(inner.digest))?;
        }
        let layer = manifest.objective(&what)?;
        Ok((self.blob(&what, layer, limit)?, digest))
    }

    fn manifest(&mut self, what: &str, image: &Image) -> Result<(Manifest, Digest), ShareError> {
        let reference = match image {
            Image::Tag(tag) => tag.clone(),
            Image::Manifest(digest) => digest.to_string(),
        };
        let bytes =
            self.get(&format!("manifests/{reference}"), ACCEPT, what)?.read(MAX_MANIFEST)?;
        let found = Digest::of(&bytes);
        match image {
            Image::Manifest(digest) if *digest != found => {
                Err(ShareError::digest(what, &digest.to_string(), &found.to_string()))
            }
            _ => Ok((Manifest::read(what, &bytes)?, found)),
        }
    }

    fn blob(&mut self, what: &str, blob: Blob, limit: u64) -> Result<Vec<u8>, ShareError> {
        if blob.size > limit {
            let problem =
                format!("expected an objective of at most {limit} bytes, found {}", blob.size);
            return Err(ShareError::content(what, &problem));
        }
        let answer = self.get(&format!("blobs/{}", blob.digest), "*/*", what)?;
        check(what, blob, answer.read(blob.size)?)
    }

    /// Asks for a part of the repository, and says who asks if the registry wants to know.
    fn get(&mut self, path: &str, accept: &str, what: &str) -> Result<Answer, ShareError> {
        let Some(url) = Url::parse(&format!("{}/{path}", self.base)) else {
            return Err(ShareError::new(
                ErrorKind::Name,
                format!("expected the host of a registry: {what}"),
                "compare the spelling",
            ));
        };
        let mut answer = self.client.get(&url, accept, self.authorization.as_deref())?;
        if answer.status == 401 {
            let offered =
                access::answer(self.client, &answer, self.repository, self.credentials.as_ref())?;
            if let Some(authorization) = offered {
                answer = self.client.get(&url, accept, Some(&authorization))?;
                self.authorization = Some(authorization);
            }
        }
        match answer.status {
            200 => Ok(answer),
            _ => Err(answer.refused(what)),
        }
    }
}
