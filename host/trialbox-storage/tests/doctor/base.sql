-- A database without findings: a study `s` with a trial in each state, and a study `t` of two objectives.
INSERT INTO studies VALUES (1, 's'), (2, 't');
INSERT INTO study_directions VALUES (1, 'MINIMIZE', 1, 0), (2, 'MINIMIZE', 2, 0), (3, 'MAXIMIZE', 2, 1);
INSERT INTO study_user_attributes VALUES (1, 1, 'team', '"blue"');
INSERT INTO trials VALUES
    (1, 0, 1, 'COMPLETE', '2026-11-24 01:00:00.000000', '2026-11-24 01:05:00.000000'),
    (2, 1, 1, 'PRUNED', '2026-11-24 01:01:00.000000', '2026-11-24 01:06:00.000000'),
    (3, 2, 1, 'FAIL', '2026-11-24 01:02:00.000000', '2026-11-24 01:07:00.000000'),
    (4, 3, 1, 'RUNNING', '2026-11-24 01:03:00.000000', NULL),
    (5, 4, 1, 'WAITING', NULL, NULL),
    (6, 0, 2, 'COMPLETE', '2026-11-24 01:04:00.000000', '2026-11-24 01:08:00.000000'),
    (7, 5, 1, 'WAITING', NULL, NULL);
INSERT INTO trial_values VALUES (1, 1, 0, 0.5, 'FINITE'), (2, 2, 0, 2.5, 'FINITE'), (3, 6, 0, NULL, 'INF_POS'), (4, 6, 1, 7.0, 'FINITE');
INSERT INTO trial_intermediate_values VALUES (1, 2, 0, 2.5, 'FINITE'), (2, 1, 3, NULL, 'NAN'), (3, 1, 4, NULL, 'INF_NEG');
INSERT INTO trial_params VALUES
    (1, 1, 'x', 0.25, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}'),
    (2, 1, 'n', 3.0, '{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 1, "high": 10}}'),
    (3, 1, 'c', 1.0, '{"name": "CategoricalDistribution", "attributes": {"choices": ["a", NaN, 1]}}'),
    (4, 2, 'x', 0.75, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 2.0, "log": false}}');
INSERT INTO trial_user_attributes VALUES (1, 1, 'score', 'Infinity');
INSERT INTO trial_system_attributes VALUES
    (1, 5, 'fixed_params', '{"x": 0.5, "c": "a"}'),
    (2, 7, 'failed_trial', '2'),
    (3, 7, 'retry_history', '[2]');
INSERT INTO trial_heartbeats VALUES (1, 4, '2026-11-24 01:59:30'), (2, 1, '2026-11-24 01:04:30.000000');
CREATE TRIGGER trialbox_guard_state BEFORE UPDATE OF state ON trials
WHEN (NEW.state = 'RUNNING' AND OLD.state <> 'WAITING') OR OLD.state IN ('COMPLETE', 'PRUNED', 'FAIL')
BEGIN SELECT RAISE(ABORT, 'trialbox: state transition refused'); END;
