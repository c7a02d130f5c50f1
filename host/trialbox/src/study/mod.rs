//! Studies as the commands use them: remembered settings, owners, recovery of lost trials, provenance.

pub(crate) mod budget;
pub(crate) mod explicit;
pub(crate) mod known_params;
pub(crate) mod owner;
pub(crate) mod probe;
pub(crate) mod program_changes;
pub(crate) mod provenance;
pub(crate) mod recovery;
pub(crate) mod resolve;
pub(crate) mod sample;
pub(crate) mod scratch;
pub(crate) mod settings;
