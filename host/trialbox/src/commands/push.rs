//! `trialbox push`, `tag` and `tags`: publish an objective, and name what is published.

use crate::args::objective::read_objective;
use crate::args::sharing::{NetworkArgs, SharingArgs};
use crate::error::{CommandError, CommandResult};
use crate::exit_code::ExitCode;
use crate::view::output::Output;
use crate::view::record::{PushedRecord, Rendered, TagRecord, TaggedRecord};
use std::collections::BTreeMap;
use std::path::PathBuf;
use trialbox_core::study::artifact::Artifact;
use trialbox_core::study::limits::Limits;
use trialbox_registry::{Digest, Objective, Source, push, tag, tags};
use trialbox_runtime::{Stamp, check_shared};

const PUSH_EXAMPLES: &str = "\
Examples:
  trialbox push digits.wasm ghcr.io/lab/digits:1.2
  trialbox push objective.tbx oci:layout:1.2                to a directory, which skopeo copies further
  trialbox push ghcr.io/lab/digits:1.2 registry.uni.ca/lab/digits:1.2";

const TAG_EXAMPLES: &str = "\
Examples:
  trialbox tag ghcr.io/lab/digits:1.2 latest";

const TAGS_EXAMPLES: &str = "\
Examples:
  trialbox tags ghcr.io/lab/digits
  trialbox tags oci:layout";

/// Publish an objective in a registry or a layout.
///
/// The image has one layer, as the CNCF's layout for wasm, and annotations of what `trialbox build` wrote into the
/// module. A registry that refuses these media types gets older ones, and the command says so.
#[derive(Debug, clap::Args)]
#[command(after_help = PUSH_EXAMPLES)]
pub(crate) struct PushArgs {
    /// The objective: a file or a source, as `trialbox pull` takes it
    objective: PathBuf,

    /// The destination: HOST/NAME:TAG or oci:DIR:TAG
    destination: String,

    #[command(flatten)]
    sharing: SharingArgs,

    #[command(flatten)]
    network: NetworkArgs,
}

/// Give an image of a registry another tag.
#[derive(Debug, clap::Args)]
#[command(after_help = TAG_EXAMPLES)]
pub(crate) struct TagArgs {
    /// The image: HOST/NAME:TAG or HOST/NAME@sha256:…
    image: String,

    /// The new tag
    tag: String,

    #[command(flatten)]
    network: NetworkArgs,
}

/// List the tags of a repository or a layout.
#[derive(Debug, clap::Args)]
#[command(after_help = TAGS_EXAMPLES)]
pub(crate) struct TagsArgs {
    /// The repository, as HOST/NAME, or the layout, as oci:DIR
    repository: String,

    #[command(flatten)]
    network: NetworkArgs,
}

impl PushArgs {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        let destination = Source::parse(&self.destination)?;
        let artifact = read_objective(&self.objective, &Limits::default(), &self.sharing)?;
        let objective = objective(artifact)?;
        let pushed = push(&objective, &destination, self.network.network())?;
        if pushed.is_fallback {
            output.note(&format!(
                "the registry refused the usual media types; it took `{}` with `{}`",
                pushed.types.layer, pushed.types.config
            ));
        }
        let record = PushedRecord {
            destination: self.destination.clone(),
            sha256: Digest::of(&objective.bytes).hex(),
            manifest: pushed.manifest.to_string(),
            layer_type: pushed.types.layer.to_owned(),
            config_type: pushed.types.config.to_owned(),
            fallback: pushed.is_fallback,
        };
        let text = format!(
            "`{}` was published: sha256 {}, manifest {}",
            self.destination, record.sha256, record.manifest
        );
        output.print(&Rendered::new(text, record));
        Ok(ExitCode::Done)
    }
}

/// Returns what is published of an objective, which is a component or an archive.
fn objective(artifact: Artifact) -> Result<Objective, CommandError> {
    // A file of Python would lack the folder in which it lies.
    let artifact = check_shared(&artifact.path, artifact.bytes)?;
    let stamp = Stamp::read(&artifact.bytes);
    let annotations: BTreeMap<String, String> = [
        ("title", stamp.name),
        ("version", stamp.version),
        ("licenses", stamp.license),
        ("source", stamp.source),
        ("revision", stamp.revision),
    ]
    .into_iter()
    .filter_map(|(name, text)| Some((format!("org.opencontainers.image.{name}"), text?)))
    .collect();
    Ok(Objective {
        is_archive: artifact.archive.is_some(),
        imports: artifact.imports,
        exports: artifact.exports,
        annotations,
        bytes: artifact.bytes,
    })
}

impl TagArgs {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        let manifest = tag(&Source::parse(&self.image)?, &self.tag, self.network.network())?;
        let text = format!("`{}` has the tag `{}` too: manifest {manifest}", self.image, self.tag);
        let record =
            TaggedRecord { image: self.image, tag: self.tag, manifest: manifest.to_string() };
        output.print(&Rendered::new(text, record));
        Ok(ExitCode::Done)
    }
}

impl TagsArgs {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        let found = tags(&self.repository, self.network.network())?;
        if found.is_empty() {
            output.note(&format!("`{}` has no tags", self.repository));
        }
        for tag in found {
            output.print(&Rendered::new(tag.clone(), TagRecord { tag }));
        }
        Ok(ExitCode::Done)
    }
}
