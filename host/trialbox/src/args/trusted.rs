//! The places that the host trusts, which no grant may open to a guest.
//!
//! A guest that can write to the folder of the database can put a link or a folder in the place of a file that the host
//! is about to write; one that can write to the cache chooses the code that the next process loads; one that can write
//! to `~/.bashrc` runs at the next login. So a writable grant that holds such a place, or lies in one, is refused
//! before a trial starts. Identities decide, so another name for the same folder makes no difference; the names that
//! bind mounts give come from the kernel's list of mounts.

use crate::error::CommandError;
use std::path::{Path, PathBuf};
use trialbox_files::{Identity, Mounts, Way};
use trialbox_runtime::Grant;
use trialbox_storage::Location;
use trialbox_storage::spool::Spool;

/// Folders of a home with keys and passwords, which an objective may not even read.
const KEYS: [&str; 15] = [
    ".ssh",
    ".gnupg",
    ".aws",
    ".azure",
    ".kube",
    ".docker",
    ".password-store",
    ".netrc",
    ".pgpass",
    ".git-credentials",
    ".pypirc",
    ".config/gcloud",
    ".config/gh",
    ".config/rclone",
    ".config/trialbox",
];

/// The part of a place that a guest may not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// The names in the folder of a file; its other subfolders may be granted.
    Entries,
    /// The folder with all that is below it.
    Tree,
    /// As a tree, and not even for reading.
    Secrets,
}

/// A place that the host trusts.
#[derive(Debug)]
struct Place {
    name: String,
    path: PathBuf,
    extent: Extent,
}

/// The places that the host trusts.
#[derive(Debug, Default)]
pub(crate) struct TrustedPlaces(Vec<Place>);

impl TrustedPlaces {
    /// Adds a database with the files that SQLite and trialbox make beside it, and the spool of its results.
    pub(crate) fn with_database(mut self, location: &Location, spool: Option<&Spool>) -> Self {
        if let Some(path) = location.file() {
            self.add(format!("the database `{}`", path.display()), path, Extent::Entries);
        }
        for folder in spool.into_iter().flat_map(Spool::folders) {
            self.add(format!("the spool `{}`", folder.display()), folder, Extent::Tree);
        }
        self
    }

    /// Adds the directory of checkpoints.
    pub(crate) fn with_checkpoints(mut self, root: Option<&Path>) -> Self {
        if let Some(root) = root {
            self.add(format!("the checkpoints in `{}`", root.display()), root, Extent::Tree);
        }
        self
    }

    /// Adds a file or a folder in which the host or the scheduler uses names.
    pub(crate) fn with_entry(mut self, role: &str, path: &Path) -> Self {
        self.add(format!("{role} `{}`", path.display()), path, Extent::Entries);
        self
    }

    /// Adds directories of compiled code.
    pub(crate) fn with_caches(mut self, caches: impl Iterator<Item = PathBuf>) -> Self {
        for cache in caches {
            self.add(format!("compiled code in `{}`", cache.display()), &cache, Extent::Tree);
        }
        self
    }

    /// Adds a directory that a guest may not even read.
    pub(crate) fn with_secret(mut self, role: &str, path: Option<&Path>) -> Self {
        if let Some(path) = path.filter(|path| path.exists()) {
            self.add(format!("{role} in `{}`", path.display()), path, Extent::Secrets);
        }
        self
    }

    /// Adds the keys in a user's home.
    fn with_keys(mut self, home: &Path) -> Self {
        for key in KEYS {
            let path = home.join(key);
            if path.exists() {
                self.add(format!("your keys in `{}`", path.display()), &path, Extent::Secrets);
            }
        }
        self
    }

    /// Adds a user's home: what lies directly in it, and all that is hidden there.
    fn with_home(mut self, home: &Path) -> Self {
        self.add(format!("your home directory `{}`", home.display()), home, Extent::Entries);
        // A home that cannot be listed still counts as a whole.
        for entry in std::fs::read_dir(home).into_iter().flatten().flatten() {
            let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            if is_hidden || entry.file_name() == "bin" {
                let path = entry.path();
                let extent = if path.is_dir() { Extent::Tree } else { Extent::Entries };
                self.add(format!("your `{}`", path.display()), &path, extent);
            }
        }
        self
    }

    fn add(&mut self, name: String, path: &Path, extent: Extent) {
        self.0.push(Place { name, path: path.to_owned(), extent });
    }

    /// Checks that no grant opens a trusted place, the user's home among them.
    ///
    /// # Errors
    /// Fails with the first grant that does.
    pub(crate) fn check(self, grants: &[Grant]) -> Result<(), CommandError> {
        let mut places = self;
        if let Some(home) = std::env::home_dir().filter(|home| home.is_absolute()) {
            if !grants.is_empty() {
                places = places.with_keys(&home);
            }
            if grants.iter().any(|grant| grant.writable) {
                places = places.with_home(&home);
            }
        }
        let mounts = if grants.is_empty() { Mounts::default() } else { Mounts::of_this_process() };
        grants.iter().try_for_each(|grant| places.check_grant(grant, &mounts))
    }

    fn check_grant(&self, grant: &Grant, mounts: &Mounts) -> Result<(), CommandError> {
        let mut found = None;
        let granted = Opened::of(&grant.host, mounts)?;
        // What is mounted in the directory is granted too. A mount that this process cannot reach is not.
        let mounted = mounts.below(&grant.host).into_iter();
        let mounted: Vec<(&Path, Opened)> =
            mounted.filter_map(|path| Some((path, Opened::of(path, mounts).ok()?))).collect();
        for place in &self.0 {
            if !grant.writable && place.extent != Extent::Secrets {
                continue;
            }
            // A place that this process cannot reach is out of the guest's reach too.
            let Ok(ways) = ways_to(&place.path, mounts) else { continue };
            let relation = granted.relation(place, &ways);
            if relation == Some("is") {
                // It says more than that a larger place is held.
                return Err(refusal(grant, place, "is", None));
            }
            let of_mounts = mounted
                .iter()
                .filter_map(|(mount, opened)| Some((opened.relation(place, &ways)?, Some(*mount))));
            // A mount inside is what the user does not see.
            let opening = of_mounts.chain(relation.map(|relation| (relation, None))).next();
            if let (None, Some((relation, mount))) = (&found, opening) {
                found = Some(refusal(grant, place, relation, mount));
            }
        }
        found.map_or(Ok(()), Err)
    }
}

/// A directory that a grant opens, or a file that is mounted in one.
struct Opened {
    identity: Identity,
    /// The ways to it by all of its paths.
    ways: Vec<Way>,
}

impl Opened {
    fn of(path: &Path, mounts: &Mounts) -> std::io::Result<Self> {
        Ok(Opened { identity: Identity::of(path)?, ways: ways_to(path, mounts)? })
    }

    /// Returns how it opens a place, to which these ways lead.
    fn relation(&self, place: &Place, ways: &[Way]) -> Option<&'static str> {
        let own = Identity::of(&place.path).ok();
        if own == Some(self.identity) {
            return Some("is");
        }
        if ways.iter().any(|way| way.leads_through(self.identity)) {
            return Some("holds");
        }
        let own = own?;
        let lies_in = self.ways.iter().any(|way| way.leads_through(own));
        (place.extent != Extent::Entries && lies_in).then_some("lies in")
    }
}

/// Returns the ways to a file or folder: that of its path, and those of its other names by bind mounts.
fn ways_to(path: &Path, mounts: &Mounts) -> std::io::Result<Vec<Way>> {
    let way = Way::of(path)?;
    let names = mounts.names_of(way.end());
    let others = names.iter().skip(1).filter_map(|name| Way::of(name).ok()).collect::<Vec<_>>();
    Ok(std::iter::once(way).chain(others).collect())
}

fn refusal(grant: &Grant, place: &Place, relation: &str, mount: Option<&Path>) -> CommandError {
    let (shown, guest) = (grant.host.display(), &grant.guest);
    let (access, mode) = if grant.writable { (" for writing", ":rw") } else { ("", "") };
    let help = match (relation, place.extent) {
        (_, Extent::Secrets) => {
            "copy the files that the objective needs to a directory of their own, and grant that"
                .to_owned()
        }
        _ if mount.is_some() => {
            format!("grant a directory without that mount: --dir ./work::{guest}{mode}")
        }
        ("lies in", _) => {
            format!("grant a directory outside it: --dir ./work::{guest}{mode}")
        }
        _ => format!("grant a subdirectory of its own: --dir {shown}/work::{guest}{mode}"),
    };
    let subject = match mount {
        Some(mount) => format!("its mount `{}`", mount.display()),
        None => "it".to_owned(),
    };
    let problem = format!(
        "cannot grant `{shown}` as `{guest}`{access}: {subject} {relation} {}, which no objective may {}",
        place.name,
        if place.extent == Extent::Secrets { "read" } else { "change" }
    );
    CommandError::usage(problem, help)
}

#[cfg(test)]
mod tests;
