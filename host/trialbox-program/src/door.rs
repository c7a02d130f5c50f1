//! A door to an objective that is a program.

use crate::call::{call, note};
use crate::config::ProgramConfig;
use crate::start_problem::check;
use crate::value_source::ValueSource;
use trialbox_core::session::door::{CheckpointDir, Door, Loaded, Rejection, RejectionCode};
use trialbox_core::session::objective::{Evaluation, Objective};
use trialbox_core::session::protocol::TrialFacts;
use trialbox_core::session::{CallAborted, DrawnPoint, TrialSession};
use trialbox_core::study::limits::Limits;

/// A program, which is started once for each trial.
#[derive(Debug)]
struct Program {
    config: ProgramConfig,
    checkpoint: Option<CheckpointDir>,
}

/// Opens an objective that is a program. Nothing is started before the first trial.
pub fn open(config: ProgramConfig) -> Box<dyn Door> {
    Box::new(Program { config, checkpoint: None })
}

impl Door for Program {
    fn describe(&mut self) -> Result<Loaded, Rejection> {
        self.prepare()?;
        Ok(Loaded::default())
    }

    fn confinement(&self, _loaded: &Loaded) -> String {
        self.config.rights_text()
    }

    fn set_terms(&mut self, limits: Limits, deterministic: bool) -> Result<(), Rejection> {
        if deterministic {
            return Err(Rejection::new(
                RejectionCode::Capability,
                "expected an objective that gives the same bits on every machine, found a program",
                "choose a study that is not deterministic; only WebAssembly can promise that",
            ));
        }
        self.config.limits = limits;
        Ok(())
    }

    fn set_checkpoint(&mut self, checkpoint: Option<CheckpointDir>) {
        self.checkpoint = checkpoint;
    }

    fn prepare(&mut self) -> Result<(), Rejection> {
        check(self.config.command.program(), self.config.path().as_deref())
    }

    fn restart(&mut self) {}
}

impl Objective for Program {
    fn evaluate(&mut self, session: &mut TrialSession) -> Evaluation {
        let params = match session.suggest_space(self.config.command.space()) {
            Ok(DrawnPoint::Allowed(params)) => params,
            Ok(DrawnPoint::Excluded(reason)) => {
                note(session, &format!("the program was not started: {reason}"));
                return Evaluation::Pruned;
            }
            Err(CallAborted::Fail(failure)) => return Evaluation::Fail(failure),
            Err(CallAborted::Halt) => return Evaluation::Halted,
        };
        let facts = TrialFacts {
            number: session.number().0,
            seed: session.seed(),
            directions: session.directions().to_vec(),
            params,
            checkpoint: self.checkpoint.as_ref().map(|dir| dir.host.clone()),
            is_resumed: self.checkpoint.as_ref().is_some_and(|dir| dir.resumed),
            process: None,
        };
        let mut variables = vec![
            ("TRIALBOX_TRIAL".to_owned(), facts.number.to_string()),
            ("TRIALBOX_SEED".to_owned(), facts.seed.to_string()),
        ];
        let mut config = self.config.clone();
        if let (Some(dir), Some(confined)) = (&facts.checkpoint, &mut config.confined) {
            confined.rights.write.push(dir.clone());
        }
        if let Some(dir) = &facts.checkpoint {
            variables.push(("TRIALBOX_CHECKPOINT".to_owned(), dir.display().to_string()));
        }
        if let ValueSource::File(path) = self.config.value_source.of_trial(facts.number) {
            let path = std::path::absolute(&path).unwrap_or(path);
            variables.push(("TRIALBOX_VALUE_FILE".to_owned(), path.display().to_string()));
        }
        call(&config, facts, &variables, session)
    }
}
