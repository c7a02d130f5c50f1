//! `trialbox store`: lists, verifies and removes the objectives in the store.

use crate::args::quantity::parse_duration;
use crate::args::sharing::{StoreArgs, project_lock};
use crate::error::{CommandError, CommandResult};
use crate::exit_code::ExitCode;
use crate::view::output::Output;
use crate::view::record::{CollectedRecord, Rendered, StoredRecord};
use std::path::PathBuf;
use std::time::Duration;
use trialbox_core::study::limits::{Limit, Limits};
use trialbox_core::value::text::byte_size;
use trialbox_registry::{Entry, Lock, Store};
use trialbox_runtime::Stamp;

const LIST_EXAMPLES: &str = "\
Examples:
  trialbox store list
  trialbox store list --store /project/store --format json";

const GC_EXAMPLES: &str = "\
Examples:
  trialbox store gc --older-than 90d --dry-run
  trialbox store gc --older-than 90d --keep ../other-project";

/// List, verify and remove the objectives in the store.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum StoreCommand {
    /// List the objectives, and compute their digests
    #[command(after_help = LIST_EXAMPLES)]
    List(ListArgs),
    /// Remove old objectives that no project here has in its lock
    #[command(after_help = GC_EXAMPLES)]
    Gc(GcArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct GcArgs {
    #[command(flatten)]
    store: StoreArgs,

    /// Age from which an objective is removed, such as 90d
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    older_than: Duration,

    /// Keep what the lock in this folder names, as well as that of the current folder
    #[arg(long, value_name = "DIR")]
    keep: Vec<PathBuf>,

    /// Show what would be removed
    #[arg(long)]
    dry_run: bool,
}

impl StoreCommand {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        match self {
            StoreCommand::List(args) => args.run(output),
            StoreCommand::Gc(args) => args.run(output),
        }
    }
}

impl ListArgs {
    /// Prints the objectives. The exit code says whether all are intact.
    fn run(self, output: &Output) -> CommandResult {
        let store = self.store.store()?;
        let entries = store.entries()?;
        if entries.is_empty() {
            output.note(&format!(
                "the store in `{}` is empty; trialbox pull SOURCE adds an objective",
                store.root().display()
            ));
        }
        let mut exit = ExitCode::Done;
        for entry in entries {
            let record = stored(&store, &entry);
            if record.problem.is_some() {
                exit = ExitCode::Rejected;
            }
            output.print(&Rendered::new(text(&record), record));
        }
        Ok(exit)
    }
}

/// Reads an entry, and what it says about itself.
fn stored(store: &Store, entry: &Entry) -> StoredRecord {
    let limit = Limits::default().get(Limit::ModuleSize).unwrap_or(u64::MAX);
    let mut record = StoredRecord {
        sha256: entry.digest.hex(),
        file: store.path(entry.digest).display().to_string(),
        size_bytes: None,
        built_from: None,
        problem: None,
    };
    match store.read(entry.digest, limit) {
        Ok(Some(bytes)) => {
            record.size_bytes = Some(bytes.len());
            let stamp = Stamp::read(&bytes);
            let version = stamp.version.map(|version| format!(" {version}")).unwrap_or_default();
            record.built_from = stamp.name.map(|name| format!("{name}{version}"));
        }
        Ok(None) => record.problem = Some("it was removed meanwhile".to_owned()),
        Err(error) => record.problem = Some(error.message),
    }
    record
}

fn text(record: &StoredRecord) -> String {
    let sha256 = &record.sha256;
    if let Some(problem) = &record.problem {
        return format!("sha256:{sha256}  damaged: {problem}");
    }
    let size = byte_size(record.size_bytes.unwrap_or_default() as u64);
    let built_from = record.built_from.as_deref().unwrap_or("without a name");
    format!("sha256:{sha256}  {size:>9}  {built_from}")
}

impl GcArgs {
    fn run(self, output: &Output) -> CommandResult {
        let store = self.store.store()?;
        let mut locked = project_lock().digests()?;
        for folder in &self.keep {
            locked.extend(Lock::new(folder).digests()?);
        }
        let is_old = |entry: &Entry| {
            let age = entry.modified.and_then(|time| time.elapsed().ok());
            age.is_some_and(|age| age > self.older_than)
        };
        let (old, kept): (Vec<Entry>, Vec<Entry>) = store
            .entries()?
            .into_iter()
            .partition(|entry| is_old(entry) && !locked.contains(&entry.digest));
        if !self.dry_run {
            old.iter()
                .try_for_each(|entry| store.remove(entry.digest))
                .map_err(CommandError::from)?;
        }
        let remainders = if self.dry_run { 0 } else { store.remove_remainders()? };
        let verb = if self.dry_run { "would be removed" } else { "removed" };
        let mut lines: Vec<String> =
            old.iter().map(|entry| format!("{}  {verb}", entry.digest)).collect();
        lines.push(format!("{} of {} {verb}", old.len(), old.len() + kept.len()));
        let record = CollectedRecord {
            removed: old.iter().map(|entry| entry.digest.hex()).collect(),
            remainders,
            kept: kept.len(),
            dry_run: self.dry_run,
        };
        output.print(&Rendered::new(lines.join("\n"), record));
        Ok(ExitCode::Done)
    }
}
