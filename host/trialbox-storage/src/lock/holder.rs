//! The holders of lock files on other machines, as a batch system knows them.

use std::sync::Arc;
use trialbox_core::Json;

/// The state of a process that holds a lock, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HolderState {
    /// The process has ended; the text is the evidence.
    Gone(String),
    /// The process is stopped and will continue, as in a suspended job.
    Stopped,
    /// The process may run: its job does.
    MayRun,
    /// Nothing is known.
    Unknown,
}

/// A question about the holder of a lock: the argument is the object that the holder wrote.
type Ask = dyn Fn(&Json) -> HolderState + Send + Sync;

/// The knowledge of a batch system about the holders of locks. The default knows nothing.
#[derive(Clone, Default)]
pub struct HolderProbe {
    members: Vec<(&'static str, Json)>,
    ask: Option<Arc<Ask>>,
}

impl HolderProbe {
    /// Creates a probe: the members by which this process's job is known, which its locks carry, and the question.
    pub fn new(
        members: Vec<(&'static str, Json)>,
        ask: impl Fn(&Json) -> HolderState + Send + Sync + 'static,
    ) -> Self {
        HolderProbe { members, ask: Some(Arc::new(ask)) }
    }

    /// Returns the members that a lock of this process carries.
    pub(crate) fn members(&self) -> Vec<(&'static str, Json)> {
        self.members.clone()
    }

    /// Returns the state of the process that wrote a lock.
    pub(crate) fn ask(&self, lock: &Json) -> HolderState {
        match &self.ask {
            Some(ask) => ask(lock),
            None => HolderState::Unknown,
        }
    }
}

impl std::fmt::Debug for HolderProbe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ask = self.ask.as_ref().map(|_| "…");
        f.debug_struct("HolderProbe").field("members", &self.members).field("ask", &ask).finish()
    }
}
