//! `trialbox pull`: brings a shared objective into the store, and notes its digest in the project's lock.

use crate::args::sharing::{NetworkArgs, StoreArgs, obtain, project_lock};
use crate::error::CommandResult;
use crate::exit_code::ExitCode;
use crate::view::output::Output;
use crate::view::record::{PulledRecord, Rendered};
use trialbox_core::study::limits::Limits;
use trialbox_core::value::text::byte_size;
use trialbox_registry::{LOCK, Source};

const EXAMPLES: &str = "\
Examples:
  trialbox pull ghcr.io/lab/digits:1.2                      from a registry
  trialbox pull 'https://zenodo.org/records/1/files/digits.wasm#sha256=…'
  trialbox pull oci:layout:1.2                              from a directory, as skopeo and oras write it
  trialbox pull store:/project/store#sha256=…               from another store
  trialbox pull digits.wasm                                 a file
  trialbox run ghcr.io/lab/digits:1.2 --offline             on a node without a network";

/// Bring a shared objective into the store.
///
/// The digest is noted in `trialbox.lock` of the current folder: `run`, `eval`, `inspect`, `submit` and `test` take the
/// same source in the place of a file, and find what was pulled. The objective is checked, but not run.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PullArgs {
    /// The source: HOST/NAME:TAG, https://…#sha256=…, oci:DIR:TAG, store:DIR#sha256=… or a file
    source: String,

    #[command(flatten)]
    store: StoreArgs,

    #[command(flatten)]
    network: NetworkArgs,
}

impl PullArgs {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        let source = Source::parse(&self.source)?;
        let store = self.store.store()?;
        let shared = obtain(&source, None, &store, self.network.network(), &Limits::default())?;
        project_lock().set(&self.source, &shared.locked())?;
        let artifact = &shared.artifact;
        let record = PulledRecord {
            source: self.source.clone(),
            sha256: artifact.sha256.clone(),
            size_bytes: artifact.bytes.len(),
            file: artifact.file().display().to_string(),
            manifest: shared.pulled.manifest.map(|digest| digest.to_string()),
            from_store: shared.pulled.from_store,
        };
        let size = byte_size(artifact.bytes.len() as u64);
        let done = if record.from_store { "is in the store" } else { "was pulled" };
        let text = format!(
            "`{}` {done}: sha256 {}, {size}; its digest is in `{LOCK}`",
            self.source, artifact.sha256
        );
        output.print(&Rendered::new(text, record));
        Ok(ExitCode::Done)
    }
}
