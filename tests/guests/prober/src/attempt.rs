//! Attempts to escape, and their outcomes.
//!
//! An attempt is a line of steps, such as `symlink ../outside rw/made; read rw/made/secret`: a verb with its paths.
//! A relative path starts at the scene, a directory that the test chooses. The tests of the kernel's part compile this
//! file natively, without WASI.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

/// A bound above every limit of these tests, so that attempts without a limit end too.
const MOST: usize = 20_000;

/// Makes an attempt and returns the outcome of its last step: `got …` or `refused: …`.
pub(crate) fn make(scene: &Path, attempt: &str) -> String {
    let results = attempt.split("; ").map(|step| take(scene, step));
    match results.last() {
        Some(Ok(got)) => format!("got {got}"),
        Some(Err(error)) => format!("refused: {:?}", error.kind()),
        None => "refused: nothing to do".to_owned(),
    }
}

fn take(scene: &Path, step: &str) -> io::Result<String> {
    let words: Vec<&str> = step.split(' ').collect();
    let at = |path: &str| scene.join(path);
    let done = |()| "it done".to_owned();
    match words[..] {
        ["read", path] => fs::read_to_string(at(path)),
        ["list", path] => list(&at(path)),
        ["stat", path] => fs::metadata(at(path)).map(|found| format!("{} bytes", found.len())),
        ["write", path] => fs::write(at(path), "taken").map(done),
        ["append", path] => OpenOptions::new()
            .append(true)
            .open(at(path))
            .and_then(|mut file| file.write_all(b"taken"))
            .map(done),
        ["truncate", path] => {
            OpenOptions::new().write(true).truncate(true).open(at(path)).map(|_| done(()))
        }
        ["mkdir", path] => fs::create_dir(at(path)).map(done),
        ["remove", path] => fs::remove_file(at(path)).map(done),
        ["rmdir", path] => fs::remove_dir(at(path)).map(done),
        ["rename", from, to] => fs::rename(at(from), at(to)).map(done),
        ["link", from, to] => fs::hard_link(at(from), at(to)).map(done),
        ["symlink", target, path] => symlink(target, &at(path)).map(done),
        ["environment"] => Ok(environment()),
        ["open-many", path] => Ok(open_many(&at(path))),
        ["fill", path] => Ok(fill(&at(path))),
        _ => Err(io::Error::other(format!("expected a step, found `{step}`"))),
    }
}

fn list(path: &Path) -> io::Result<String> {
    let names =
        fs::read_dir(path)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    names.collect::<io::Result<Vec<_>>>().map(|names| names.join(" "))
}

/// Creates a symbolic link with the only function that Rust has on every system.
#[expect(deprecated, reason = "what follows it is different for each system")]
fn symlink(target: &str, path: &Path) -> io::Result<()> {
    fs::soft_link(target, path)
}

/// Returns the environment without `ATTEMPT`, and the arguments.
fn environment() -> String {
    let variables = std::env::vars().filter(|(name, _)| name != "ATTEMPT");
    let variables = variables.map(|(name, value)| format!("{name}={value}"));
    variables.chain(std::env::args()).collect::<Vec<_>>().join(" ")
}

/// Returns how often a file can be open at a time.
fn open_many(path: &Path) -> String {
    let opened: Vec<File> = (0..MOST).map_while(|_| File::open(path).ok()).collect();
    opened.len().to_string()
}

/// Writes to a file until it is refused, and returns the size.
fn fill(path: &Path) -> String {
    let Ok(mut file) = File::create(path) else { return "0 KiB".to_owned() };
    let written = (0..MOST).map_while(|_| file.write_all(&[b'x'; 1024]).ok()).count();
    format!("{written} KiB")
}
