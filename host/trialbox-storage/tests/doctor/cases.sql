-- Bad rows, each on a fresh copy of `base.sql`. The line above them holds: the code of the finding, with a word for
-- the variant if there are several; whether Optuna `reads` all studies or `fails`; the same of trialbox; whether a
-- repair leaves the rows `repaired` or `left`; the codes of other findings of the same rows. The code `none` stands for
-- rows that look odd and give no finding.

--- number-null fails fails repaired
UPDATE trials SET number = NULL WHERE trial_id = 2;
--- number-null/two fails fails repaired
UPDATE trials SET number = NULL WHERE trial_id IN (3, 4);
--- number-null/taken fails fails left
UPDATE trials SET number = NULL WHERE trial_id = 5;
UPDATE trials SET number = 4 WHERE trial_id = 7;
--- number-not-integer fails fails left
UPDATE trials SET number = 'two' WHERE trial_id = 3;
--- number-not-integer/null-byte fails fails left
UPDATE trials SET number = x'00' WHERE trial_id = 3;
--- number-out-of-range reads fails left number-gap number-order retry-inconsistent
UPDATE trials SET number = -1 WHERE trial_id = 3;
--- number-out-of-range/large reads fails left number-gap
UPDATE trials SET number = 4294967296 WHERE trial_id = 7;
--- number-duplicate reads reads left
UPDATE trials SET number = 1 WHERE trial_id = 3;
--- number-gap reads reads left
UPDATE trials SET number = 9 WHERE trial_id = 7;
--- number-order reads reads left retry-inconsistent
UPDATE trials SET number = 3 - number WHERE trial_id IN (2, 3);
--- state-unknown fails fails left guard-missing
DROP TRIGGER trialbox_guard_state;
UPDATE trials SET state = 'DONE' WHERE trial_id = 1;
--- state-unknown/case fails fails repaired guard-missing
DROP TRIGGER trialbox_guard_state;
UPDATE trials SET state = 'complete' WHERE trial_id = 1;
--- state-unknown/running fails fails repaired
UPDATE trials SET state = 'Running' WHERE trial_id = 4;
--- datetime-type fails fails left
UPDATE trials SET datetime_start = 1764000000 WHERE trial_id = 1;
--- datetime-type/real fails fails left
UPDATE trials SET datetime_complete = 1764000000.5 WHERE trial_id = 1;
--- datetime-unreadable fails fails left
UPDATE trials SET datetime_start = 'noon' WHERE trial_id = 1;
--- datetime-offset reads reads left
UPDATE trials SET datetime_start = '2026-11-24T01:02:00+01:00' WHERE trial_id = 3;
--- datetime-order reads reads left
UPDATE trials SET datetime_complete = '2026-11-24 01:01:59' WHERE trial_id = 3;
--- datetime-missing reads reads left
UPDATE trials SET datetime_complete = NULL WHERE trial_id = 3;
--- datetime-missing/start reads reads left
UPDATE trials SET datetime_start = NULL WHERE trial_id = 3;
--- datetime-local reads reads left
UPDATE version_info SET library_version = '4.9.0';
--- datetime-mixed reads reads left datetime-local
UPDATE version_info SET library_version = '4.9.0';
UPDATE trials SET datetime_start = '2026-11-24 02:01:00', datetime_complete = '2026-11-24 02:06:00' WHERE trial_id = 2;
--- datetime-mixed/heartbeat reads reads left
UPDATE trials SET datetime_start = '2026-11-24 02:00:00', datetime_complete = '2026-11-24 02:05:00' WHERE trial_id = 1;
--- direction-unknown fails fails left
UPDATE study_directions SET direction = 'UPWARDS' WHERE study_direction_id = 1;
--- direction-unknown/case fails fails repaired
UPDATE study_directions SET direction = 'minimize' WHERE study_direction_id = 1;
--- direction-not-set reads fails left
UPDATE study_directions SET direction = 'NOT_SET' WHERE study_direction_id = 1;
--- directions-missing reads reads left
DELETE FROM study_directions WHERE study_id = 1;
--- directions-gap reads reads left
UPDATE study_directions SET objective = 2 WHERE study_direction_id = 3;
--- directions-order reads reads left
DELETE FROM study_directions WHERE study_id = 2;
INSERT INTO study_directions VALUES (7, 'MAXIMIZE', 2, 1), (8, 'MINIMIZE', 2, 0);
--- finite-null fails fails left
UPDATE trial_values SET value = NULL WHERE trial_value_id = 1;
--- finite-null/pruned fails fails repaired
UPDATE trial_values SET value = NULL WHERE trial_value_id = 2;
--- finite-null/fail fails fails repaired fail-with-values
INSERT INTO trial_values VALUES (9, 3, 0, NULL, 'FINITE');
--- finite-null/each fails fails repaired fail-with-values
UPDATE trials SET study_id = 2, number = 1 WHERE trial_id = 3;
UPDATE trials SET number = number - 1 WHERE trial_id IN (4, 5, 7);
DELETE FROM trial_system_attributes WHERE trial_id = 7;
UPDATE trials SET number = 1 - number WHERE trial_id IN (3, 6);
INSERT INTO trial_values VALUES (9, 3, 0, NULL, 'FINITE'), (10, 3, 1, NULL, 'FINITE');
--- finite-null/first fails fails left fail-with-values
INSERT INTO trial_values VALUES (9, 3, 0, NULL, 'FINITE'), (10, 3, 1, 1.0, 'FINITE');
--- infinite-with-value fails fails repaired
UPDATE trial_values SET value = 1e308 WHERE trial_value_id = 3;
--- infinite-with-value/negative fails fails repaired
UPDATE trial_values SET value = -9e999, value_type = 'INF_NEG' WHERE trial_value_id = 1;
--- value-nan fails fails left
UPDATE trial_values SET value = NULL, value_type = 'NAN' WHERE trial_value_id = 1;
--- value-nan/pruned fails fails repaired
UPDATE trial_values SET value = NULL, value_type = 'NAN' WHERE trial_value_id = 2;
--- value-type-unknown fails fails left
UPDATE trial_values SET value_type = 'NUMBER' WHERE trial_value_id = 1;
--- value-type-unknown/case fails fails repaired
UPDATE trial_values SET value_type = 'finite' WHERE trial_value_id = 1;
--- objective-gap fails fails left value-count
DELETE FROM trial_values WHERE trial_value_id = 3;
--- value-text reads fails left
UPDATE trial_values SET value = 'good' WHERE trial_value_id = 1;
--- complete-without-values reads reads left
DELETE FROM trial_values WHERE trial_value_id = 1;
--- value-count reads reads left
DELETE FROM trial_values WHERE trial_value_id = 4;
--- fail-with-values reads reads left
INSERT INTO trial_values VALUES (9, 3, 0, 1.0, 'FINITE');
--- unfinished-with-values reads reads left
INSERT INTO trial_values VALUES (9, 4, 0, 1.0, 'FINITE');
--- intermediate-finite-null fails fails left
UPDATE trial_intermediate_values SET intermediate_value = NULL WHERE trial_intermediate_value_id = 1;
--- intermediate-infinite-with-value fails fails repaired
UPDATE trial_intermediate_values SET intermediate_value = 1.0 WHERE trial_intermediate_value_id = 3;
--- intermediate-nan-with-value fails fails left
UPDATE trial_intermediate_values SET intermediate_value = 1.0 WHERE trial_intermediate_value_id = 2;
--- intermediate-type-unknown fails fails left
UPDATE trial_intermediate_values SET intermediate_value_type = 'NUMBER' WHERE trial_intermediate_value_id = 1;
--- intermediate-type-unknown/case fails fails repaired
UPDATE trial_intermediate_values SET intermediate_value_type = 'nan' WHERE trial_intermediate_value_id = 2;
--- step-negative reads reads left
UPDATE trial_intermediate_values SET step = -1 WHERE trial_intermediate_value_id = 1;
--- wrong-type reads fails left
UPDATE trial_intermediate_values SET step = 'one' WHERE trial_intermediate_value_id = 1;
--- param-odd reads reads left
UPDATE trial_params SET param_value = NULL WHERE param_id = 1;
--- param-text reads fails left
UPDATE trial_params SET param_value = 'wide' WHERE param_id = 1;
--- param-not-a-number fails fails left
UPDATE trial_params SET param_value = NULL WHERE param_id = 3;
--- param-not-a-number/text fails fails left
UPDATE trial_params SET param_value = 'wide' WHERE param_id = 2;
--- param-not-a-number/int fails reads left
UPDATE trial_params SET param_value = NULL WHERE param_id = 2;
--- param-not-a-number/infinite fails reads left
UPDATE trial_params SET param_value = 9e999 WHERE param_id = 2;
--- choice-out-of-range fails fails left
UPDATE trial_params SET param_value = 3.0 WHERE param_id = 3;
--- choice-out-of-range/below fails fails left
UPDATE trial_params SET param_value = -4.0 WHERE param_id = 3;
--- choice-negative reads reads left
UPDATE trial_params SET param_value = -1.0 WHERE param_id = 3;
--- param-out-of-range reads reads left
UPDATE trial_params SET param_value = 5.0 WHERE param_id = 1;
--- param-out-of-range/int reads reads left
UPDATE trial_params SET param_value = 11.0 WHERE param_id = 2;
--- distribution-json fails fails left
UPDATE trial_params SET distribution_json = '{' WHERE param_id = 1;
--- distribution-json/null fails fails left
UPDATE trial_params SET distribution_json = NULL WHERE param_id = 1;
--- distribution-unknown fails fails left
UPDATE trial_params SET distribution_json = '{"name": "NormalDistribution", "attributes": {"mu": 0.0}}' WHERE param_id = 1;
--- distribution-attribute fails fails left
UPDATE trial_params SET distribution_json = '{"name": "FloatDistribution", "attributes": {"low": 0.0, "high": 1.0, "unit": "m"}}' WHERE param_id = 1;
--- distribution-attribute/missing fails fails left
UPDATE trial_params SET distribution_json = '{"name": "FloatDistribution", "attributes": {"low": 0.0}}' WHERE param_id = 1;
--- distribution-attribute/texts-log fails fails left
UPDATE trial_params SET distribution_json = '{"name": "FloatDistribution", "attributes": {"low": "0.1", "high": "1.0", "log": true}}' WHERE param_id = 1;
--- distribution-attribute/text-and-number fails fails left
UPDATE trial_params SET distribution_json = '{"name": "FloatDistribution", "attributes": {"low": "0.1", "high": 1.0}}' WHERE param_id = 1;
--- distribution-attribute/word fails fails left
UPDATE trial_params SET distribution_json = '{"name": "FloatDistribution", "attributes": {"low": "a", "high": "b"}}' WHERE param_id = 1;
--- distribution-attribute/step-text fails fails left
UPDATE trial_params SET distribution_json = '{"name": "IntDistribution", "attributes": {"low": 1, "high": 10, "step": "1"}}' WHERE param_id = 2;
--- distribution-range fails fails left
UPDATE trial_params SET distribution_json = '{"name": "FloatDistribution", "attributes": {"low": 1.0, "high": 0.0}}' WHERE param_id = 1;
--- distribution-inexact/beyond-64-bits reads reads left
UPDATE trial_params SET param_value = 1.8e19, distribution_json = '{"name": "IntDistribution", "attributes": {"low": 0, "high": 18446744073709551615, "log": false, "step": 1}}' WHERE param_id = 2;
--- distribution-inexact/beyond-128-bits reads reads left
UPDATE trial_params SET distribution_json = '{"name": "IntDistribution", "attributes": {"low": -1000000000000000000000000000000000000000000, "high": 1000000000000000000000000000000000000000000, "step": 7}}' WHERE param_id = 2;
--- distribution-inexact reads reads left
UPDATE trial_params SET distribution_json = '{"name": "IntDistribution", "attributes": {"low": 0, "high": 9007199254740993}}' WHERE param_id = 2;
--- distribution-legacy reads reads left
UPDATE trial_params SET distribution_json = '{"name": "UniformDistribution", "attributes": {"low": 0.0, "high": 1.0}}' WHERE param_id = 1;
--- distributions-incompatible reads reads left
UPDATE trial_params SET distribution_json = '{"name": "IntDistribution", "attributes": {"low": 0, "high": 1}}' WHERE param_id = 4;
--- distributions-incompatible/log reads reads left
UPDATE trial_params SET distribution_json = '{"name": "FloatDistribution", "attributes": {"low": 0.1, "high": 1.0, "log": true}}' WHERE param_id = 4;
--- attribute-not-json fails fails left
UPDATE trial_user_attributes SET value_json = 'inf' WHERE trial_user_attribute_id = 1;
--- attribute-not-json/null fails fails left
UPDATE trial_user_attributes SET value_json = NULL WHERE trial_user_attribute_id = 1;
--- attribute-not-json/system fails fails left retry-inconsistent
UPDATE trial_system_attributes SET value_json = '[2' WHERE trial_system_attribute_id = 3;
--- attribute-not-json/study fails fails left
UPDATE study_user_attributes SET value_json = 'blue' WHERE study_user_attribute_id = 1;
--- attribute-nested reads fails left
UPDATE trial_user_attributes SET value_json = '[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]' WHERE trial_user_attribute_id = 1;
--- name-null reads reads left
UPDATE trial_user_attributes SET "key" = NULL WHERE trial_user_attribute_id = 1;
--- name-null/study reads reads left
UPDATE study_user_attributes SET "key" = NULL WHERE study_user_attribute_id = 1;
--- name-null/param reads reads left
UPDATE trial_params SET param_name = NULL WHERE param_id = 1;
--- wrong-type/key reads fails left
UPDATE trial_user_attributes SET "key" = x'6162' WHERE trial_user_attribute_id = 1;
--- wrong-type/value reads fails left
UPDATE trial_user_attributes SET value_json = x'31' WHERE trial_user_attribute_id = 1;
--- objective-negative reads fails left
UPDATE trial_values SET objective = -1 WHERE trial_value_id = 1;
--- none/flag reads reads left
UPDATE trial_params SET distribution_json = '{"name": "FloatDistribution", "attributes": {"low": 0.0, "high": 1.0, "log": 0}}' WHERE param_id = 1;
--- none/flag-null reads reads left
UPDATE trial_params SET distribution_json = '{"name": "FloatDistribution", "attributes": {"low": 0.0, "high": 1.0, "log": null}}' WHERE param_id = 1;
--- none/texts reads reads left
UPDATE trial_params SET distribution_json = '{"name": "FloatDistribution", "attributes": {"low": "0.0", "high": "1.0"}}' WHERE param_id = 1;
--- none/int-texts reads reads left
UPDATE trial_params SET distribution_json = '{"name": "IntDistribution", "attributes": {"low": "1", "high": "9"}}' WHERE param_id = 2;
--- none/int-floats reads reads left
UPDATE trial_params SET distribution_json = '{"name": "IntDistribution", "attributes": {"low": 1.0, "high": 10.5, "step": true}}' WHERE param_id = 2;
--- none/abbreviated reads reads left
UPDATE trial_params SET distribution_json = '{"type": "float", "low": 0.0, "high": 1.0}' WHERE param_id = 1;
--- none/date reads reads left
UPDATE trials SET datetime_start = '2026-11-24' WHERE trial_id = 1;
DELETE FROM trial_heartbeats WHERE trial_id = 1;
--- none/fraction-of-choice reads reads left
UPDATE trial_params SET param_value = 1.5 WHERE param_id = 3;
--- none/index reads reads left
CREATE INDEX ix_mine ON trials (study_id, state);
--- none/other-tables reads reads left
CREATE TABLE notes (note TEXT, twice TEXT AS (note || note));
CREATE INDEX ix_notes ON notes (hex(note));
--- text-not-utf8 fails fails left
UPDATE trial_user_attributes SET value_json = CAST(x'22ff22' AS TEXT) WHERE trial_user_attribute_id = 1;
--- name-too-long reads reads left
UPDATE studies SET study_name = printf('%.*c', 513, 's') WHERE study_id = 2;
--- name-too-long/param reads reads left
UPDATE trial_params SET param_name = printf('%.*c', 513, 'x') WHERE param_id = 1;
--- name-too-long/key reads reads left
UPDATE trial_user_attributes SET "key" = printf('%.*c', 513, 'k') WHERE trial_user_attribute_id = 1;
--- orphan-rows reads reads left
INSERT INTO trial_user_attributes VALUES (9, 99, 'lost', '1');
--- orphan-rows/study reads reads left
INSERT INTO trials VALUES (9, 0, 99, 'DONE', 5, NULL);
--- orphan-rows/null reads reads left
INSERT INTO trial_params VALUES (9, NULL, 'x', 0.5, '{');
--- running-silent reads reads left
UPDATE trial_heartbeats SET heartbeat = '2026-11-24 01:10:00' WHERE trial_id = 4;
--- running-without-heartbeat reads reads left
DELETE FROM trial_heartbeats WHERE trial_id = 4;
--- heartbeat-unreadable reads reads left running-without-heartbeat
UPDATE trial_heartbeats SET heartbeat = 1764000000 WHERE trial_id = 4;
--- owner-unreadable reads reads left
INSERT INTO trial_system_attributes VALUES (9, 4, 'trialbox:owner', '"another"');
--- stuck-running reads reads repaired
INSERT INTO trial_system_attributes VALUES (9, 4, 'trialbox:owner', '{"uuid": "0", "trial": 3, "host": "HOST", "boot_id": "BOOT", "pid": 4194303, "pid_start_ticks": 1, "pid_namespace": "PIDS"}');
--- stuck-running/restarted reads reads left
INSERT INTO trial_system_attributes VALUES (9, 4, 'trialbox:owner', '{"uuid": "0", "trial": 3, "host": "HOST", "boot_id": "before", "pid": 1, "pid_start_ticks": 1}');
DELETE FROM trial_heartbeats WHERE trial_id = 4;
--- fixed-params-unusable reads reads left
UPDATE trial_system_attributes SET value_json = '{"x": 0.5, "c": "z"}' WHERE trial_system_attribute_id = 1;
--- fixed-params-unusable/nan reads reads left
UPDATE trial_system_attributes SET value_json = '{"x": NaN}' WHERE trial_system_attribute_id = 1;
--- fixed-params-unusable/list reads reads left
UPDATE trial_system_attributes SET value_json = '[1]' WHERE trial_system_attribute_id = 1;
--- fixed-param-out-of-range reads reads left
UPDATE trial_system_attributes SET value_json = '{"x": 5.0}' WHERE trial_system_attribute_id = 1;
--- retry-duplicate reads reads left
INSERT INTO trials VALUES (8, 6, 1, 'WAITING', NULL, NULL);
INSERT INTO trial_system_attributes VALUES (8, 8, 'failed_trial', '2'), (9, 8, 'retry_history', '[2]');
--- retry-inconsistent reads reads left
UPDATE trial_system_attributes SET value_json = '[9]' WHERE trial_system_attribute_id = 3;
--- retry-inconsistent/unfailed reads reads left
UPDATE trial_system_attributes SET value_json = '1' WHERE trial_system_attribute_id = 2;
UPDATE trial_system_attributes SET value_json = '[1]' WHERE trial_system_attribute_id = 3;
--- retry-inconsistent/first reads reads left
UPDATE trial_system_attributes SET value_json = '1' WHERE trial_system_attribute_id = 2;
--- retry-inconsistent/list reads reads left
UPDATE trial_system_attributes SET value_json = '2' WHERE trial_system_attribute_id = 3;
--- guard-missing reads reads repaired
DROP TRIGGER trialbox_guard_state;
--- guard-altered reads fails repaired
DROP TRIGGER trialbox_guard_state;
CREATE TRIGGER trialbox_guard_state BEFORE UPDATE OF state ON trials BEGIN SELECT 1; END;
--- trigger-unknown reads fails left
CREATE TRIGGER swallow BEFORE INSERT ON trial_values BEGIN SELECT RAISE(IGNORE); END;
--- trigger-unknown/case reads fails left guard-missing
DROP TRIGGER trialbox_guard_state;
CREATE TRIGGER TRIALBOX_GUARD_STATE BEFORE UPDATE OF state ON trials BEGIN SELECT 1; END;
--- trigger-unknown/other-table reads fails left
CREATE TABLE notes (note TEXT);
CREATE TRIGGER noted AFTER INSERT ON notes BEGIN UPDATE trials SET state = 'FAIL'; END;
--- view-unknown reads fails left
CREATE VIEW best AS SELECT min(value) FROM trial_values;
--- view-unknown/table reads fails left
DROP TABLE trial_heartbeats;
CREATE VIEW trial_heartbeats AS SELECT 1 AS trial_heartbeat_id, 1 AS trial_id, NULL AS heartbeat;
--- table-altered reads fails left
ALTER TABLE trial_params ADD COLUMN twice FLOAT GENERATED ALWAYS AS (param_value * 2);
--- table-altered/virtual reads fails left
DROP TABLE trial_heartbeats;
CREATE VIRTUAL TABLE trial_heartbeats USING rtree(trial_heartbeat_id, trial_id, heartbeat);
--- table-altered/conflict reads fails left
DROP TABLE trial_heartbeats;
CREATE TABLE trial_heartbeats (trial_heartbeat_id INTEGER PRIMARY KEY, trial_id INTEGER UNIQUE ON CONFLICT IGNORE, heartbeat DATETIME);
--- table-altered/index reads fails left
CREATE INDEX ix_computed ON trials (hex(state));
--- revision-older fails fails left
UPDATE alembic_version SET version_num = 'v3.0.0.d';
--- revision-unknown fails fails left
UPDATE alembic_version SET version_num = 'v9.9.9.a';
--- revision-mlflow fails fails left
CREATE TABLE experiments (experiment_id INTEGER PRIMARY KEY);
CREATE TABLE runs (run_uuid TEXT PRIMARY KEY);
UPDATE alembic_version SET version_num = '0584bdc529eb';
--- revision-twice fails fails left
INSERT INTO alembic_version VALUES ('v3.0.0.d');
--- revision-missing reads reads left
DELETE FROM alembic_version;
--- version-info-missing reads reads left
DELETE FROM version_info;
--- table-missing reads fails left running-without-heartbeat
DROP TABLE trial_heartbeats;
--- column-missing fails fails left
ALTER TABLE trial_intermediate_values DROP COLUMN intermediate_value_type;
