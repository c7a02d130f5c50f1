//! The two pipes between trialbox and a program, and the environment variables that name them.

/// The environment variables that name one of the two pipes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PipeVariables {
    /// The number of the descriptor that the program inherits.
    pub(crate) number: &'static str,
    /// A path at which the supervisor's own end can be opened, whatever the program did with the descriptor.
    pub(crate) path: &'static str,
    /// The pipe's identity, by which a client knows it: see [`identity_of`].
    pub(crate) identity: &'static str,
}

/// The variables of the pipe that takes requests.
pub(crate) const REQUESTS: PipeVariables = PipeVariables {
    number: "TRIALBOX_REQUESTS",
    path: "TRIALBOX_REQUESTS_PATH",
    identity: "TRIALBOX_REQUESTS_ID",
};

/// The variables of the pipe that gives answers.
pub(crate) const ANSWERS: PipeVariables = PipeVariables {
    number: "TRIALBOX_ANSWERS",
    path: "TRIALBOX_ANSWERS_PATH",
    identity: "TRIALBOX_ANSWERS_ID",
};

/// Formats the identity of an open file as its variable has it: device and inode, such as `14:52311`.
pub(crate) fn identity_of(device: u64, inode: u64) -> String {
    format!("{device}:{inode}")
}
