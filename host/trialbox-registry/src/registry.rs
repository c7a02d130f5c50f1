//! Images of a registry, by the protocol of the OCI's distribution.

use crate::access;
use crate::credentials::Credentials;
use crate::digest::Digest;
use crate::error::{ErrorKind, ShareError};
use crate::http::{Answer, Client, Method};
use crate::image::{MANIFEST, Objective, Pushed};
use crate::manifest::{ACCEPT, Blob, MAX_MANIFEST, Manifest, check};
use crate::source::{Image, Repository};
use crate::url::{Url, is_loopback};
use serde::Deserialize;

/// A repository, and what it takes to read it.
pub(crate) struct Registry<'a> {
    client: &'a Client,
    repository: &'a Repository,
    base: String,
    /// The rights that a token must have.
    actions: &'static str,
    credentials: Option<Credentials>,
    /// The header that the registry has accepted.
    authorization: Option<String>,
}

impl<'a> Registry<'a> {
    /// Returns a repository that is read.
    pub(crate) fn new(client: &'a Client, repository: &'a Repository) -> Result<Self, ShareError> {
        Self::with_actions(client, repository, "pull")
    }

    /// Returns a repository that is written to.
    pub(crate) fn to_write(
        client: &'a Client,
        repository: &'a Repository,
    ) -> Result<Self, ShareError> {
        Self::with_actions(client, repository, "pull,push")
    }

    fn with_actions(
        client: &'a Client,
        repository: &'a Repository,
        actions: &'static str,
    ) -> Result<Self, ShareError> {
        // Docker Hub is named after its users' address, and answers at another.
        let host = match repository.host.as_str() {
            "docker.io" | "index.docker.io" => "registry-1.docker.io",
            host => host,
        };
        let scheme = if is_loopback(host) { "http" } else { "https" };
        let base = format!("{scheme}://{host}/v2/{}", repository.name);
        let credentials = Credentials::find(&repository.host)?;
        Ok(Registry { client, repository, base, actions, credentials, authorization: None })
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
        let bytes = self.manifest_bytes(what, image)?;
        Ok((Manifest::read(what, &bytes)?, Digest::of(&bytes)))
    }

    fn manifest_bytes(&mut self, what: &str, image: &Image) -> Result<Vec<u8>, ShareError> {
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
            _ => Ok(bytes),
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

    /// Publishes an objective under a tag, with the first media types that the registry takes.
    pub(crate) fn write(&mut self, tag: &str, objective: &Objective) -> Result<Pushed, ShareError> {
        let what = format!("`{}:{tag}`", self.repository);
        self.upload(&what, &objective.bytes)?;
        let mut refusal = None;
        for (number, types) in objective.media_types().iter().enumerate() {
            let image = objective.image(*types);
            self.upload(&what, &image.config)?;
            let answer = self.put_manifest(tag, &image.manifest)?;
            match answer.status {
                200..=202 => {
                    let manifest = Digest::of(&image.manifest);
                    return Ok(Pushed { manifest, types: *types, is_fallback: number > 0 });
                }
                // Registries that know few media types answer so.
                400 | 406 | 415 | 422 => refusal = Some(answer),
                _ => return Err(answer.refused(&what)),
            }
        }
        let status = refusal.map_or(0, |answer| answer.status);
        Err(ShareError::content(
            &what,
            &format!("the registry refuses all media types for objectives (status {status})"),
        ))
    }

    /// Gives an image another tag, and returns the digest of its manifest.
    pub(crate) fn tag(&mut self, image: &Image, tag: &str) -> Result<Digest, ShareError> {
        let what = format!("`{}{image}`", self.repository);
        let bytes = self.manifest_bytes(&what, image)?;
        let answer = self.put_manifest(tag, &bytes)?;
        match answer.status {
            200..=202 => Ok(Digest::of(&bytes)),
            _ => Err(answer.refused(&format!("the tag `{tag}` of {what}"))),
        }
    }

    /// Returns the tags of the repository.
    pub(crate) fn tags(&mut self) -> Result<Vec<String>, ShareError> {
        let what = format!("the tags of `{}`", self.repository);
        let bytes = self.get("tags/list?n=1000", "application/json", &what)?.read(MAX_MANIFEST)?;
        let list: Option<Tags> = serde_json::from_slice(&bytes).ok();
        match list {
            Some(list) => Ok(list.tags.unwrap_or_default()),
            None => Err(ShareError::content(&what, "expected a list of tags, found other text")),
        }
    }

    /// Sends a blob, unless the registry has it.
    fn upload(&mut self, what: &str, bytes: &[u8]) -> Result<(), ShareError> {
        let digest = Digest::of(bytes);
        let blob = self.url(&format!("blobs/{digest}"), what)?;
        let found = self.ask(|client, authorization| client.has(&blob, authorization))?;
        if matches!(found.status, 200 | 307) {
            return Ok(());
        }
        let uploads = self.url("blobs/uploads/", what)?;
        let nothing = ("application/octet-stream", &[][..]);
        let begun = self.ask(|client, authorization| {
            client.send(Method::Post, &uploads, nothing, authorization)
        })?;
        let location = begun.header("location").filter(|_| begun.status == 202);
        let Some(location) = location else { return Err(begun.refused(what)) };
        let mark = if location.contains('?') { '&' } else { '?' };
        let target = uploads.join(&format!("{location}{mark}digest={digest}"));
        let Some(target) = target.filter(|target| target.is_encrypted() || !uploads.is_encrypted())
        else {
            return Err(ShareError::content(
                what,
                "expected an address for the upload, found none",
            ));
        };
        // Another host gets the blob and no credentials.
        let is_own = target.origin() == uploads.origin();
        let authorization = self.authorization.clone().filter(|_| is_own);
        let content = ("application/octet-stream", bytes);
        let done = self.client.send(Method::Put, &target, content, authorization.as_deref())?;
        match done.status {
            201 | 202 | 204 => Ok(()),
            _ => Err(done.refused(what)),
        }
    }

    fn put_manifest(&mut self, tag: &str, bytes: &[u8]) -> Result<Answer, ShareError> {
        let url = self.url(&format!("manifests/{tag}"), tag)?;
        self.ask(|client, authorization| {
            client.send(Method::Put, &url, (MANIFEST, bytes), authorization)
        })
    }

    /// Asks for a part of the repository.
    fn get(&mut self, path: &str, accept: &str, what: &str) -> Result<Answer, ShareError> {
        let url = self.url(path, what)?;
        let answer = self.ask(|client, authorization| client.get(&url, accept, authorization))?;
        match answer.status {
            200 => Ok(answer),
            _ => Err(answer.refused(what)),
        }
    }

    /// Sends a request, and again with credentials if the registry wants to know its user.
    fn ask(
        &mut self,
        send: impl Fn(&Client, Option<&str>) -> Result<Answer, ShareError>,
    ) -> Result<Answer, ShareError> {
        let answer = send(self.client, self.authorization.as_deref())?;
        if answer.status != 401 {
            return Ok(answer);
        }
        let (repository, credentials) = (self.repository, self.credentials.as_ref());
        let offered = access::answer(self.client, &answer, repository, self.actions, credentials)?;
        let Some(authorization) = offered else { return Ok(answer) };
        let answer = send(self.client, Some(&authorization))?;
        self.authorization = Some(authorization);
        Ok(answer)
    }

    fn url(&self, path: &str, what: &str) -> Result<Url, ShareError> {
        Url::parse(&format!("{}/{path}", self.base)).ok_or_else(|| {
            let problem = format!("expected the host of a registry: {what}");
            ShareError::new(ErrorKind::Name, problem, "compare the spelling")
        })
    }
}

/// A list of tags.
#[derive(Deserialize)]
struct Tags {
    tags: Option<Vec<String>>,
}
