//! Shared objectives: the store, the project's lock, and references in the place of files.

use crate::args::directories::users_store_dir;
use crate::args::quantity::parse_duration;
use crate::error::CommandError;
use crate::exit_code::ExitCode;
use std::path::{Path, PathBuf};
use std::time::Duration;
use trialbox_core::study::artifact::Artifact;
use trialbox_core::study::limits::{Limit, Limits};
use trialbox_registry::{
    Digest, ErrorKind, Lock, Locked, Network, Place, Pulled, ShareError, Source, Store, pull,
};
use trialbox_runtime::check_shared;

/// The time that a request of a command may take that runs an objective.
const TIMEOUT: Duration = Duration::from_secs(300);

/// The store, and whether the network may be used.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct SharingArgs {
    #[command(flatten)]
    store: StoreArgs,

    /// Take a shared objective from the store alone
    ///
    /// For compute nodes: the network is never used. [default: an objective that is not in the store is pulled]
    #[arg(long)]
    offline: bool,
}

/// The directory of shared objectives.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct StoreArgs {
    /// Directory of shared objectives
    ///
    /// A group may share one: digests are checked at every use. [default: ~/.local/share/trialbox/store]
    /// [env: TRIALBOX_STORE]
    #[arg(long, value_name = "DIR", env = "TRIALBOX_STORE", hide_env = true)]
    store: Option<PathBuf>,
}

/// The way in which a command uses the network.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct NetworkArgs {
    /// Time that one request may take
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = parse_duration)]
    timeout: Duration,

    /// Allow unencrypted connections to other machines
    #[arg(long)]
    allow_http: bool,
}

impl NetworkArgs {
    pub(crate) fn network(&self) -> Network {
        Network::Allowed { timeout: self.timeout, allow_http: self.allow_http }
    }
}

impl StoreArgs {
    /// Returns the store.
    ///
    /// # Errors
    /// Fails without a home.
    pub(crate) fn store(&self) -> Result<Store, CommandError> {
        match self.store.clone().or_else(users_store_dir) {
            Some(root) => Ok(Store::new(root)),
            None => Err(CommandError::usage(
                "expected a directory of shared objectives, found neither HOME nor --store",
                "set HOME to your home directory",
            )),
        }
    }
}

impl SharingArgs {
    /// Returns the reference that an argument is, if it is not a file.
    pub(crate) fn reference(path: &Path) -> Option<&str> {
        let text = path.to_str().filter(|text| Source::is_reference(text))?;
        (!path.exists()).then_some(text)
    }

    /// Reads a shared objective: with the digest that the project's lock has from the store, else from its source.
    ///
    /// # Errors
    /// Fails if neither has it, or it is not an objective.
    pub(crate) fn read(&self, reference: &str, limits: &Limits) -> Result<Artifact, CommandError> {
        let lock = project_lock();
        let mut source = Source::parse(reference)?;
        let mut manifest = None;
        if source.digest.is_none()
            && let Some(locked) = lock.get(&source.to_string())?
        {
            source.digest = locked.digest();
            manifest = locked.manifest.as_deref().and_then(Digest::from_oci);
        }
        let network = match self.offline {
            true => Network::Never,
            false => Network::Allowed { timeout: TIMEOUT, allow_http: false },
        };
        let store = self.store.store()?;
        let shared = obtain(&source, manifest, &store, network, limits)?;
        if !shared.pulled.from_store {
            tracing::info!(
                source = reference,
                sha256 = shared.artifact.sha256,
                "pulled the objective"
            );
            let noted = lock.set(reference, &shared.locked());
            if let Err(problem) = noted {
                tracing::warn!(%problem, "the objective was pulled, but its digest was not noted");
            }
        }
        Ok(shared.artifact)
    }
}

/// A shared objective that is in the store.
pub(crate) struct Shared {
    pub(crate) artifact: Artifact,
    pub(crate) pulled: Pulled,
}

impl Shared {
    /// Returns the line of a lock.
    pub(crate) fn locked(&self) -> Locked {
        Locked {
            sha256: self.pulled.digest.hex(),
            manifest: self.pulled.manifest.map(|digest| digest.to_string()),
        }
    }
}

/// Brings an objective into the store, unless it is there. What is not an objective gets no name in the store.
///
/// # Errors
/// Fails if the source does not have it, or has something else.
pub(crate) fn obtain(
    source: &Source,
    manifest: Option<Digest>,
    store: &Store,
    network: Network,
    limits: &Limits,
) -> Result<Shared, CommandError> {
    let name = PathBuf::from(source.name());
    let limit = limits.get(Limit::ModuleSize).unwrap_or(u64::MAX);
    let accept = |bytes: &[u8]| -> Result<(), CommandError> {
        check_shared(&name, bytes.to_vec())?;
        Ok(())
    };
    let mut pulled = pull(source, manifest, store, network, limit, accept)?;
    let artifact = check_shared(&name, std::mem::take(&mut pulled.bytes))?;
    let artifact = Artifact { stored: Some(store.path(pulled.digest)), ..artifact };
    Ok(Shared { artifact, pulled })
}

/// Returns the lock of the project in the current folder.
pub(crate) fn project_lock() -> Lock {
    Lock::new(".")
}

/// Returns a reference with the digest that was found, so that it means the same without a lock.
pub(crate) fn pinned(reference: &str, artifact: &Artifact) -> Option<String> {
    let source = Source::parse(reference).ok()?;
    let digest = Digest::from_hex(&artifact.sha256);
    // In the store nothing but the digest counts.
    let place = match source.place {
        Place::Store(_) => Place::Own,
        place => place,
    };
    Some(Source { place, digest }.to_string())
}

impl From<ShareError> for CommandError {
    fn from(error: ShareError) -> Self {
        let (exit, code) = match error.kind {
            ErrorKind::Name => (ExitCode::Usage, None),
            ErrorKind::NotFound => (ExitCode::Usage, Some("E-NOT-FOUND")),
            ErrorKind::Offline => (ExitCode::Usage, Some("E-OFFLINE")),
            ErrorKind::Access => (ExitCode::Usage, Some("E-ACCESS")),
            ErrorKind::Network => (ExitCode::System, Some("E-NETWORK")),
            ErrorKind::Digest => (ExitCode::Rejected, Some("E-DIGEST")),
            ErrorKind::Content => (ExitCode::Rejected, Some("E-SOURCE")),
            ErrorKind::Files => (ExitCode::System, None),
        };
        let help = Some(error.help.clone());
        CommandError { exit, code, error: error.into(), help }
    }
}
