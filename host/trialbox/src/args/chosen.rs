//! The objective that a command line chooses: the file of a component, or a program after `--`.

use crate::args::objective::{ObjectiveArgs, ObjectivePlan, read_objective};
use crate::args::program::ProgramArgs;
use crate::args::trusted::TrustedPlaces;
use crate::error::CommandError;
use std::path::Path;
use std::sync::Arc;
use trialbox_runtime::Cancellation;

/// The flags from which an objective is chosen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chosen<'a> {
    /// The component's file.
    pub(crate) component: Option<&'a Path>,
    /// The program and its flags.
    pub(crate) program: &'a ProgramArgs,
    /// The flags of the sandbox, some of which hold for programs too.
    pub(crate) sandbox: &'a ObjectiveArgs,
}

impl Chosen<'_> {
    /// Reads the component, or resolves the command of the program. `trusted` are the places beside the study that the
    /// host trusts.
    ///
    /// # Errors
    /// Fails without an objective and with two, for a file that is not a component, and for flags that do not fit.
    pub(crate) fn plan(
        &self,
        stops: &Cancellation,
        trusted: TrustedPlaces,
    ) -> Result<ObjectivePlan, CommandError> {
        match (self.program.command_line(self.component)?, self.component) {
            (Some(_), Some(path)) => Err(CommandError::usage(
                format!(
                    "expected a component or a program, found both: `{}` and a command",
                    path.display()
                ),
                "leave one of them out; arguments of a program go after it",
            )),
            (Some(command), None) => {
                let config = self.sandbox.plan_program(command, self.program, stops, trusted)?;
                Ok(ObjectivePlan::Program(Box::new(config)))
            }
            (None, Some(path)) => {
                let file =
                    Arc::new(read_objective(path, &self.sandbox.limits(), &self.sandbox.sharing)?);
                Ok(ObjectivePlan::Component(Box::new(self.sandbox.plan(&file, stops, trusted)?)))
            }
            (None, None) => Err(CommandError::usage(
                "expected an objective, found none",
                "give a wasm component, or a program after `--`; in a project, `trialbox build` makes one",
            )),
        }
    }
}
