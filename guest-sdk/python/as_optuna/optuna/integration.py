"""Not offered."""

raise ImportError(
    "`optuna.integration` is not offered by trialbox's stand-in for Optuna; run the script without --as-optuna, or "
    "report values with `trial.report`"
)
