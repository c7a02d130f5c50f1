//! The bounds on what one trial may leave in the study.

use crate::session::aborted::CallAborted;
use crate::study::failure::{Failure, FailureCode};
use crate::study::limits::{Limit, LimitHit, Limits};

/// The limits of a trial, and the data that it has used of them.
#[derive(Debug)]
pub(super) struct DataBudget {
    limits: Limits,
    /// The bytes counted against [`Limit::TrialData`].
    bytes: u64,
}

impl DataBudget {
    pub(super) fn new(limits: Limits) -> Self {
        DataBudget { limits, bytes: 0 }
    }

    /// Fails the trial if `used` is more than a limit allows. `what` is the beginning of the sentence.
    pub(super) fn check(
        &self,
        limit: Limit,
        code: FailureCode,
        used: usize,
        what: &str,
    ) -> Result<(), CallAborted> {
        match exceeded(&self.limits, limit, used as u64) {
            Some(hit) => Err(CallAborted::Fail(Failure::of_limit(code, what, hit))),
            None => Ok(()),
        }
    }

    /// Fails the trial if a name is too long for the columns that hold it.
    pub(super) fn check_name(
        &self,
        code: FailureCode,
        what: &str,
        name: &str,
    ) -> Result<(), CallAborted> {
        self.check(Limit::NameLength, code, name.chars().count(), what)
    }

    /// Returns the bytes that are counted so far.
    pub(super) fn n_bytes(&self) -> u64 {
        self.bytes
    }

    /// Forgets the data that was counted since there were `bytes`.
    pub(super) fn rewind(&mut self, bytes: u64) {
        self.bytes = bytes;
    }

    /// Counts data that the trial leaves in the study.
    pub(super) fn add(&mut self, bytes: u64) -> Result<(), CallAborted> {
        self.replace(0, bytes)
    }

    /// Counts data that replaces data counted before.
    pub(super) fn replace(&mut self, before: u64, bytes: u64) -> Result<(), CallAborted> {
        self.bytes = self.bytes.saturating_sub(before) + bytes;
        let Some(hit) = exceeded(&self.limits, Limit::TrialData, self.bytes) else { return Ok(()) };
        let what = "the parameters and attributes of the trial take";
        let failure = Failure::of_limit(FailureCode::Budget, what, hit);
        Err(CallAborted::Fail(failure.with_help(
            "keep large results in a file, in a directory that is granted to the objective",
        )))
    }
}

fn exceeded(limits: &Limits, limit: Limit, used: u64) -> Option<LimitHit> {
    let allowed = limits.get(limit)?;
    if used > allowed { Some(LimitHit { limit, allowed, used: Some(used) }) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(limit: Limit, allowed: Option<u64>) -> DataBudget {
        let mut limits = Limits::default();
        limits.set(limit, allowed);
        DataBudget::new(limits)
    }

    #[track_caller]
    fn hit(result: Result<(), CallAborted>) -> LimitHit {
        match result {
            Err(CallAborted::Fail(Failure { limit: Some(hit), .. })) => hit,
            other => panic!("expected a limit that is exceeded, found {other:?}"),
        }
    }

    #[test]
    fn a_limit_is_exceeded_by_one_more_than_it_allows() {
        let budget = budget(Limit::Params, Some(3));
        let check = |used| budget.check(Limit::Params, FailureCode::Budget, used, "parameters:");
        assert_eq!(check(3), Ok(()));
        let want = LimitHit { limit: Limit::Params, allowed: 3, used: Some(4) };
        assert_eq!(hit(check(4)), want);
        let Err(CallAborted::Fail(failure)) = check(4) else { unreachable!("checked above") };
        assert_eq!(failure.code, FailureCode::Budget);
        assert!(failure.message.starts_with("parameters: 4, and "), "{}", failure.message);
    }

    #[test]
    fn a_limit_that_is_lifted_allows_anything() {
        let budget = budget(Limit::Params, None);
        assert_eq!(budget.check(Limit::Params, FailureCode::Budget, usize::MAX, "x"), Ok(()));
    }

    #[test]
    fn a_name_is_measured_in_characters() {
        let budget = budget(Limit::NameLength, Some(2));
        assert_eq!(budget.check_name(FailureCode::Call, "a key has", "éü"), Ok(()));
        let want = LimitHit { limit: Limit::NameLength, allowed: 2, used: Some(3) };
        assert_eq!(hit(budget.check_name(FailureCode::Call, "a key has", "éüa")), want);
    }

    #[test]
    fn data_that_replaces_other_data_counts_instead_of_it() {
        let mut budget = budget(Limit::TrialData, Some(100));
        assert_eq!(budget.add(60), Ok(()));
        assert_eq!(budget.replace(60, 70), Ok(()));
        assert_eq!(budget.add(30), Ok(()), "exactly the limit");
        let want = LimitHit { limit: Limit::TrialData, allowed: 100, used: Some(101) };
        assert_eq!(hit(budget.add(1)), want);
        assert_eq!(budget.replace(1, 0), Ok(()), "what is taken back makes room again");
    }

    #[test]
    fn too_much_data_comes_with_advice() {
        let Err(CallAborted::Fail(failure)) = budget(Limit::TrialData, Some(1)).add(2) else {
            panic!("two bytes are more than one")
        };
        assert!(failure.help.is_some_and(|help| help.starts_with("keep large results in a file")));
    }
}
