"""The place of Optuna's storage in databases."""
