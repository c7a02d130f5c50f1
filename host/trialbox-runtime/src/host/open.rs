//! The place where objectives are opened: one arm for each way to run them.

use crate::host::config::SandboxConfig;
use crate::host::isolation::Isolation;
use crate::host::sandbox::Sandbox;
use std::sync::Arc;
use trialbox_core::session::door::{Door, Rejection, RejectionCode};
use trialbox_core::study::artifact::{Artifact, ArtifactKind};
use trialbox_core::study::limits::Limit;

/// Opens an objective. It gets ready in the background; [`Door::describe`] waits for it.
///
/// # Errors
/// Fails if the objective's process cannot be started.
pub fn open(artifact: &Arc<Artifact>, config: SandboxConfig) -> Result<Box<dyn Door>, Rejection> {
    match artifact.kind {
        ArtifactKind::Python if config.isolation == Isolation::Thread => Err(Rejection::new(
            RejectionCode::Capability,
            "expected a guest process for an objective in Python, found a thread",
            "leave the choice of the isolation away",
        )),
        ArtifactKind::Python if config.limits.get(Limit::Fuel).is_some() => Err(Rejection::new(
            RejectionCode::Capability,
            "expected a component to count instructions of, found a file of Python",
            "limit the time of a trial in place of its instructions",
        )),
        ArtifactKind::Component | ArtifactKind::Python => {
            Ok(Box::new(Sandbox::start(Arc::clone(artifact), config)?))
        }
    }
}
