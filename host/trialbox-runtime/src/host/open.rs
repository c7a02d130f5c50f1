//! The place where objectives are opened: one arm for each way to run them.

use crate::host::config::SandboxConfig;
use crate::host::sandbox::Sandbox;
use std::sync::Arc;
use trialbox_core::session::door::{Door, Rejection};
use trialbox_core::study::artifact::{Artifact, ArtifactKind};

/// Opens an objective. It gets ready in the background; [`Door::describe`] waits for it.
///
/// # Errors
/// Fails if the objective's process cannot be started.
pub fn open(artifact: &Arc<Artifact>, config: SandboxConfig) -> Result<Box<dyn Door>, Rejection> {
    match artifact.kind {
        ArtifactKind::Component => Ok(Box::new(Sandbox::start(Arc::clone(artifact), config)?)),
    }
}
