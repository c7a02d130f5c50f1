//! A small web server on this machine, and a registry made of one.

use super::sha256;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// A request that was received.
#[derive(Debug, Clone, Default)]
pub(super) struct Request {
    pub(super) method: String,
    /// The path with its query.
    pub(super) path: String,
    pub(super) authorization: Option<String>,
    pub(super) content_type: Option<String>,
    pub(super) body: Vec<u8>,
}

/// The answer to a request.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// The length that is announced, if it is not that of the body.
    length: Option<usize>,
    /// True if the connection stays open without an answer.
    hangs: bool,
}

/// The content of a registry, by path.
type Contents = Arc<Mutex<Paths>>;
type Paths = BTreeMap<String, Vec<u8>>;

/// The path whose content is a media type that the registry refuses.
const REFUSED: &str = "/refused";

/// A server that ends when it is dropped.
pub(super) struct Server {
    host: String,
    requests: Arc<Mutex<Vec<Request>>>,
    contents: Contents,
    is_over: Arc<AtomicBool>,
}

impl Reply {
    pub(super) fn status(status: u16) -> Self {
        Reply { status, headers: vec![], body: vec![], length: None, hangs: false }
    }

    pub(super) fn ok(body: &[u8]) -> Self {
        Reply { body: body.to_vec(), ..Reply::status(200) }
    }

    pub(super) fn hang() -> Self {
        Reply { hangs: true, ..Reply::status(200) }
    }

    /// Announces another length than that of the body.
    pub(super) fn announcing(self, length: usize) -> Self {
        Reply { length: Some(length), ..self }
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

impl Server {
    /// Starts a server.
    pub(super) fn new(
        answer: impl Fn(&Request, &Contents) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let server = Server {
            host,
            requests: Arc::default(),
            contents: Arc::default(),
            is_over: Arc::default(),
        };
        let (requests, contents) = (Arc::clone(&server.requests), Arc::clone(&server.contents));
        let (is_over, answer) = (Arc::clone(&server.is_over), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                let (requests, contents) = (Arc::clone(&requests), Arc::clone(&contents));
                let answer = Arc::clone(&answer);
                std::thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let Some(request) = read(&stream) else { return };
                    requests.lock().unwrap().push(request.clone());
                    write(&mut stream, answer(&request, &contents), &request);
                });
            }
        });
        server
    }

    /// Starts a registry with one image. With `blobs_at` it wants a token of its own server, and its blobs are on
    /// another one.
    pub(super) fn registry(name: &str, tag: &str, blob: &[u8], blobs_at: Option<&str>) -> Self {
        let blobs_at = blobs_at.map(str::to_owned);
        let own = Arc::new(Mutex::new(String::new()));
        let host = Arc::clone(&own);
        let server = Server::new(move |request, contents| {
            let host = host.lock().unwrap().clone();
            let authorization = request.authorization.as_deref();
            if request.path.starts_with("/token?") {
                // The user `me` with the password `s3cret`.
                return match authorization {
                    Some("Basic bWU6czNjcmV0") => Reply::ok(b"{\"token\": \"t0ken\"}"),
                    _ => Reply::status(401),
                };
            }
            if let Some(blobs_at) = &blobs_at {
                if authorization != Some("Bearer t0ken") {
                    let challenge = format!("Bearer realm=\"http://{host}/token\",service=\"it\"");
                    return Reply::status(401).with("WWW-Authenticate", &challenge);
                }
                if request.path.contains("/blobs/") {
                    return Reply::status(307).with("Location", &format!("{blobs_at}/blob"));
                }
            }
            let mut contents = contents.lock().unwrap();
            if request.method != "GET" && request.method != "HEAD" {
                return publish(request, &mut contents);
            }
            match contents.get(&request.path) {
                Some(found) => Reply::ok(found),
                None => Reply::status(404),
            }
        });
        *own.lock().unwrap() = server.host();
        server.set_tag(name, tag, blob);
        server.put("/file.wasm", blob);
        server
    }

    /// Gives a tag another image.
    pub(super) fn set_tag(&self, name: &str, tag: &str, blob: &[u8]) {
        let digest = format!("sha256:{}", sha256(blob));
        let layer = json!({"mediaType": "application/wasm", "digest": digest, "size": blob.len()});
        let manifest = json!({"schemaVersion": 2, "layers": [layer]}).to_string();
        self.put(&format!("/v2/{name}/blobs/{digest}"), blob);
        self.put(&format!("/v2/{name}/manifests/{tag}"), manifest.as_bytes());
        let digest = sha256(manifest.as_bytes());
        self.put(&format!("/v2/{name}/manifests/sha256:{digest}"), manifest.as_bytes());
    }

    /// Returns the digest of a tag's manifest.
    pub(super) fn manifest(&self, name: &str, tag: &str) -> String {
        sha256(&self.contents.lock().unwrap()[&format!("/v2/{name}/manifests/{tag}")])
    }

    pub(super) fn replace_blob(&self, digest: &str, bytes: &[u8]) {
        let mut contents = self.contents.lock().unwrap();
        let blobs = contents.iter_mut().filter(|(path, _)| path.contains(digest));
        blobs.for_each(|(_, blob)| *blob = bytes.to_vec());
    }

    /// Replaces the manifest of a tag, or of a digest in hexadecimal.
    pub(super) fn replace_manifest(&self, name: &str, reference: &str, bytes: &[u8]) {
        let algorithm = if reference.len() == 64 { "sha256:" } else { "" };
        self.put(&format!("/v2/{name}/manifests/{algorithm}{reference}"), bytes);
    }

    /// Makes the registry refuse manifests with a media type.
    pub(super) fn refuse(&self, media_type: &str) {
        self.put(REFUSED, media_type.as_bytes());
    }

    pub(super) fn put(&self, path: &str, bytes: &[u8]) {
        self.contents.lock().unwrap().insert(path.to_owned(), bytes.to_vec());
    }

    pub(super) fn host(&self) -> String {
        self.host.clone()
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.host)
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    pub(super) fn n_requests(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // The listener waits for one more.
        let _ = TcpStream::connect(&self.host);
    }
}

/// Takes a part of an image.
fn publish(request: &Request, contents: &mut Paths) -> Reply {
    let path = request.path.split('?').next().unwrap();
    if let Some(repository) = path.strip_suffix("/blobs/uploads/") {
        return Reply::status(202).with("Location", &format!("{repository}/upload?state=1"));
    }
    if let Some(repository) = path.strip_suffix("/upload") {
        let (_, digest) = request.path.split_once("digest=").unwrap();
        assert_eq!(digest, format!("sha256:{}", sha256(&request.body)));
        contents.insert(format!("{repository}/blobs/{digest}"), request.body.clone());
        return Reply::status(201);
    }
    let text = String::from_utf8(request.body.clone()).unwrap();
    let refused =
        contents.get(REFUSED).map(|refused| String::from_utf8_lossy(refused).into_owned());
    if refused.is_some_and(|refused| text.contains(&refused)) {
        return Reply::status(400);
    }
    let (repository, _) = path.split_once("/manifests/").unwrap();
    let digest = sha256(&request.body);
    contents.insert(path.to_owned(), request.body.clone());
    contents.insert(format!("{repository}/manifests/sha256:{digest}"), request.body.clone());
    Reply::status(201)
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut request = Request::default();
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split(' ');
    request.method = words.next()?.to_owned();
    request.path = words.next()?.to_owned();
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => request.authorization = Some(value.to_owned()),
            "content-type" => request.content_type = Some(value.to_owned()),
            "content-length" => length = value.parse().ok()?,
            _ => {}
        }
    }
    request.body = vec![0; length];
    reader.read_exact(&mut request.body).ok()?;
    Some(request)
}

fn write(stream: &mut TcpStream, reply: Reply, request: &Request) {
    if reply.hangs {
        // The client hangs up.
        let _ = stream.read(&mut [0]);
        return;
    }
    let length = reply.length.unwrap_or(reply.body.len());
    let mut head = format!(
        "HTTP/1.1 {} It\r\nContent-Length: {length}\r\nConnection: close\r\n",
        reply.status
    );
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    // A client that has had enough closes its end.
    let _ = stream.write_all(head.as_bytes());
    if request.method != "HEAD" {
        let _ = stream.write_all(&reply.body);
    }
}
