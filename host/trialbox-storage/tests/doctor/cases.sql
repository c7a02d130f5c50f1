-- Bad rows, each on a fresh copy of `base.sql`. The line above them holds: the code of the finding, with a word for
-- the variant if there are several; whether Optuna `reads` all studies or `fails`; whether a repair leaves the rows
-- `repaired` or `left`; the codes of other findings of the same rows.

--- number-null fails repaired
UPDATE trials SET number = NULL WHERE trial_id = 2;
--- number-null/two fails repaired
UPDATE trials SET number = NULL WHERE trial_id IN (3, 4);
--- number-null/taken fails left
UPDATE trials SET number = NULL WHERE trial_id = 5;
UPDATE trials SET number = 4 WHERE trial_id = 7;
--- number-not-integer fails left
UPDATE trials SET number = 'two' WHERE trial_id = 3;
--- number-duplicate reads left
UPDATE trials SET number = 1 WHERE trial_id = 3;
--- number-gap reads left
UPDATE trials SET number = 9 WHERE trial_id = 7;
--- number-order reads left retry-inconsistent
UPDATE trials SET number = 3 - number WHERE trial_id IN (2, 3);
--- state-unknown fails left guard-missing
DROP TRIGGER trialbox_guard_state;
UPDATE trials SET state = 'DONE' WHERE trial_id = 1;
--- state-unknown/case fails repaired guard-missing
DROP TRIGGER trialbox_guard_state;
UPDATE trials SET state = 'complete' WHERE trial_id = 1;
--- state-unknown/running fails repaired
UPDATE trials SET state = 'Running' WHERE trial_id = 4;
--- datetime-type fails left
UPDATE trials SET datetime_start = 1764000000 WHERE trial_id = 1;
--- datetime-type/real fails left
UPDATE trials SET datetime_complete = 1764000000.5 WHERE trial_id = 1;
--- datetime-unreadable fails left
UPDATE trials SET datetime_start = 'noon' WHERE trial_id = 1;
--- datetime-offset reads left
UPDATE trials SET datetime_start = '2026-11-24T01:02:00+01:00' WHERE trial_id = 3;
--- datetime-order reads left
UPDATE trials SET datetime_complete = '2026-11-24 01:01:59' WHERE trial_id = 3;
--- datetime-missing reads left
UPDATE trials SET datetime_complete = NULL WHERE trial_id = 3;
--- datetime-missing/start reads left
UPDATE trials SET datetime_start = NULL WHERE trial_id = 3;
--- datetime-local reads left
UPDATE version_info SET library_version = '4.9.0';
--- datetime-mixed reads left datetime-local
UPDATE version_info SET library_version = '4.9.0';
UPDATE trials SET datetime_start = '2026-11-24 02:01:00', datetime_complete = '2026-11-24 02:06:00' WHERE trial_id = 2;
--- datetime-mixed/heartbeat reads left
UPDATE trials SET datetime_start = '2026-11-24 02:00:00', datetime_complete = '2026-11-24 02:05:00' WHERE trial_id = 1;
--- direction-unknown fails left
UPDATE study_directions SET direction = 'UPWARDS' WHERE study_direction_id = 1;
--- direction-unknown/case fails repaired
UPDATE study_directions SET direction = 'minimize' WHERE study_direction_id = 1;
--- direction-not-set reads left
UPDATE study_directions SET direction = 'NOT_SET' WHERE study_direction_id = 1;
--- directions-missing reads left
DELETE FROM study_directions WHERE study_id = 1;
--- directions-gap reads left
UPDATE study_directions SET objective = 2 WHERE study_direction_id = 3;
--- directions-order reads left
DELETE FROM study_directions WHERE study_id = 2;
INSERT INTO study_directions VALUES (7, 'MAXIMIZE', 2, 1), (8, 'MINIMIZE', 2, 0);
--- finite-null fails left
UPDATE trial_values SET value = NULL WHERE trial_value_id = 1;
--- finite-null/pruned fails repaired
UPDATE trial_values SET value = NULL WHERE trial_value_id = 2;
--- finite-null/fail fails repaired fail-with-values
INSERT INTO trial_values VALUES (9, 3, 0, NULL, 'FINITE');
--- finite-null/each fails repaired fail-with-values
UPDATE trials SET study_id = 2, number = 1 WHERE trial_id = 3;
UPDATE trials SET number = number - 1 WHERE trial_id IN (4, 5, 7);
DELETE FROM trial_system_attributes WHERE trial_id = 7;
UPDATE trials SET number = 1 - number WHERE trial_id IN (3, 6);
INSERT INTO trial_values VALUES (9, 3, 0, NULL, 'FINITE'), (10, 3, 1, NULL, 'FINITE');
--- finite-null/first fails left fail-with-values
INSERT INTO trial_values VALUES (9, 3, 0, NULL, 'FINITE'), (10, 3, 1, 1.0, 'FINITE');
--- infinite-with-value fails repaired
UPDATE trial_values SET value = 1e308 WHERE trial_value_id = 3;
--- infinite-with-value/negative fails repaired
UPDATE trial_values SET value = -9e999, value_type = 'INF_NEG' WHERE trial_value_id = 1;
--- value-nan fails left
UPDATE trial_values SET value = NULL, value_type = 'NAN' WHERE trial_value_id = 1;
--- value-nan/pruned fails repaired
UPDATE trial_values SET value = NULL, value_type = 'NAN' WHERE trial_value_id = 2;
--- value-type-unknown fails left
UPDATE trial_values SET value_type = 'NUMBER' WHERE trial_value_id = 1;
--- value-type-unknown/case fails repaired
UPDATE trial_values SET value_type = 'finite' WHERE trial_value_id = 1;
--- objective-gap fails left value-count
DELETE FROM trial_values WHERE trial_value_id = 3;
--- value-text reads left
UPDATE trial_values SET value = 'good' WHERE trial_value_id = 1;
--- complete-without-values reads left
DELETE FROM trial_values WHERE trial_value_id = 1;
--- value-count reads left
DELETE FROM trial_values WHERE trial_value_id = 4;
--- fail-with-values reads left
INSERT INTO trial_values VALUES (9, 3, 0, 1.0, 'FINITE');
--- unfinished-with-values reads left
INSERT INTO trial_values VALUES (9, 4, 0, 1.0, 'FINITE');
--- intermediate-finite-null fails left
UPDATE trial_intermediate_values SET intermediate_value = NULL WHERE trial_intermediate_value_id = 1;
--- intermediate-infinite-with-value fails repaired
UPDATE trial_intermediate_values SET intermediate_value = 1.0 WHERE trial_intermediate_value_id = 3;
--- intermediate-nan-with-value fails left
UPDATE trial_intermediate_values SET intermediate_value = 1.0 WHERE trial_intermediate_value_id = 2;
--- intermediate-type-unknown fails left
UPDATE trial_intermediate_values SET intermediate_value_type = 'NUMBER' WHERE trial_intermediate_value_id = 1;
--- intermediate-type-unknown/case fails repaired
UPDATE trial_intermediate_values SET intermediate_value_type = 'nan' WHERE trial_intermediate_value_id = 2;
--- step-negative reads left
UPDATE trial_intermediate_values SET step = -1 WHERE trial_intermediate_value_id = 1;
--- wrong-type reads left
UPDATE trial_intermediate_values SET step = 'one' WHERE trial_intermediate_value_id = 1;
--- param-odd reads left
UPDATE trial_params SET param_value = NULL WHERE param_id = 1;
--- param-odd/text reads left
UPDATE trial_params SET param_value = 'wide' WHERE param_id = 1;
--- param-not-a-number fails left
UPDATE trial_params SET param_value = NULL WHERE param_id = 3;
--- param-not-a-number/text fails left
UPDATE trial_params SET param_value = 'wide' WHERE param_id = 2;
--- param-not-a-number/int fails left
UPDATE trial_params SET param_value = NULL WHERE param_id = 2;
--- param-not-a-number/infinite fails left
UPDATE trial_params SET param_value = 9e999 WHERE param_id = 2;
--- choice-out-of-range fails left
UPDATE trial_params SET param_value = 3.0 WHERE param_id = 3;
--- choice-out-of-range/below fails left
UPDATE trial_params SET param_value = -4.0 WHERE param_id = 3;
--- choice-negative reads left
UPDATE trial_params SET param_value = -1.0 WHERE param_id = 3;
--- param-out-of-range reads left
UPDATE trial_params SET param_value = 5.0 WHERE param_id = 1;
--- param-out-of-range/int reads left
UPDATE trial_params SET param_value = 11.0 WHERE param_id = 2;
--- distribution-json fails left
UPDATE trial_params SET distribution_json = '{' WHERE param_id = 1;
--- distribution-json/null fails left
UPDATE trial_params SET distribution_json = NULL WHERE param_id = 1;
--- distribution-unknown fails left
UPDATE trial_params SET distribution_json = '{"name": "NormalDistribution", "attributes": {"mu": 0.0}}' WHERE param_id = 1;
--- distribution-attribute fails left
UPDATE trial_params SET distribution_json = '{"name": "FloatDistribution", "attributes": {"low": 0.0, "high": 1.0, "unit": "m"}}' WHERE param_id = 1;
--- distribution-attribute/missing fails left
UPDATE trial_params SET distribution_json = '{"name": "FloatDistribution", "attributes": {"low": 0.0}}' WHERE param_id = 1;
--- distribution-range fails left
UPDATE trial_params SET distribution_json = '{"name": "FloatDistribution", "attributes": {"low": 1.0, "high": 0.0}}' WHERE param_id = 1;
--- distribution-inexact reads left
UPDATE trial_params SET distribution_json = '{"name": "IntDistribution", "attributes": {"low": 0, "high": 9007199254740993}}' WHERE param_id = 2;
--- distribution-legacy reads left
UPDATE trial_params SET distribution_json = '{"name": "UniformDistribution", "attributes": {"low": 0.0, "high": 1.0}}' WHERE param_id = 1;
--- distributions-incompatible reads left
UPDATE trial_params SET distribution_json = '{"name": "IntDistribution", "attributes": {"low": 0, "high": 1}}' WHERE param_id = 4;
--- distributions-incompatible/log reads left
UPDATE trial_params SET distribution_json = '{"name": "FloatDistribution", "attributes": {"low": 0.1, "high": 1.0, "log": true}}' WHERE param_id = 4;
--- attribute-not-json fails left
UPDATE trial_user_attributes SET value_json = 'inf' WHERE trial_user_attribute_id = 1;
--- attribute-not-json/null fails left
UPDATE trial_user_attributes SET value_json = NULL WHERE trial_user_attribute_id = 1;
--- attribute-not-json/system fails left retry-inconsistent
UPDATE trial_system_attributes SET value_json = '[2' WHERE trial_system_attribute_id = 3;
--- attribute-not-json/study fails left
UPDATE study_user_attributes SET value_json = 'blue' WHERE study_user_attribute_id = 1;
--- text-not-utf8 fails left
UPDATE trial_user_attributes SET value_json = CAST(x'22ff22' AS TEXT) WHERE trial_user_attribute_id = 1;
--- name-too-long reads left
UPDATE studies SET study_name = printf('%.*c', 513, 's') WHERE study_id = 2;
--- name-too-long/param reads left
UPDATE trial_params SET param_name = printf('%.*c', 513, 'x') WHERE param_id = 1;
--- name-too-long/key reads left
UPDATE trial_user_attributes SET "key" = printf('%.*c', 513, 'k') WHERE trial_user_attribute_id = 1;
--- orphan-rows reads left
INSERT INTO trial_user_attributes VALUES (9, 99, 'lost', '1');
--- orphan-rows/study reads left
INSERT INTO trials VALUES (9, 0, 99, 'DONE', 5, NULL);
--- orphan-rows/null reads left
INSERT INTO trial_params VALUES (9, NULL, 'x', 0.5, '{');
--- running-silent reads left
UPDATE trial_heartbeats SET heartbeat = '2026-11-24 01:10:00' WHERE trial_id = 4;
--- running-without-heartbeat reads left
DELETE FROM trial_heartbeats WHERE trial_id = 4;
--- heartbeat-unreadable reads left running-without-heartbeat
UPDATE trial_heartbeats SET heartbeat = 1764000000 WHERE trial_id = 4;
--- owner-unreadable reads left
INSERT INTO trial_system_attributes VALUES (9, 4, 'trialbox:owner', '"another"');
--- stuck-running reads repaired
INSERT INTO trial_system_attributes VALUES (9, 4, 'trialbox:owner', '{"uuid": "0", "trial": 3, "host": "HOST", "boot_id": "BOOT", "pid": 4194303, "pid_start_ticks": 1, "pid_namespace": "PIDS"}');
--- stuck-running/restarted reads left
INSERT INTO trial_system_attributes VALUES (9, 4, 'trialbox:owner', '{"uuid": "0", "trial": 3, "host": "HOST", "boot_id": "before", "pid": 1, "pid_start_ticks": 1}');
DELETE FROM trial_heartbeats WHERE trial_id = 4;
--- fixed-params-unusable reads left
UPDATE trial_system_attributes SET value_json = '{"x": 0.5, "c": "z"}' WHERE trial_system_attribute_id = 1;
--- fixed-params-unusable/nan reads left
UPDATE trial_system_attributes SET value_json = '{"x": NaN}' WHERE trial_system_attribute_id = 1;
--- fixed-params-unusable/list reads left
UPDATE trial_system_attributes SET value_json = '[1]' WHERE trial_system_attribute_id = 1;
--- fixed-param-out-of-range reads left
UPDATE trial_system_attributes SET value_json = '{"x": 5.0}' WHERE trial_system_attribute_id = 1;
--- retry-duplicate reads left
INSERT INTO trials VALUES (8, 6, 1, 'WAITING', NULL, NULL);
INSERT INTO trial_system_attributes VALUES (8, 8, 'failed_trial', '2'), (9, 8, 'retry_history', '[2]');
--- retry-inconsistent reads left
UPDATE trial_system_attributes SET value_json = '[9]' WHERE trial_system_attribute_id = 3;
--- retry-inconsistent/unfailed reads left
UPDATE trial_system_attributes SET value_json = '1' WHERE trial_system_attribute_id = 2;
UPDATE trial_system_attributes SET value_json = '[1]' WHERE trial_system_attribute_id = 3;
--- retry-inconsistent/first reads left
UPDATE trial_system_attributes SET value_json = '1' WHERE trial_system_attribute_id = 2;
--- retry-inconsistent/list reads left
UPDATE trial_system_attributes SET value_json = '2' WHERE trial_system_attribute_id = 3;
--- guard-missing reads repaired
DROP TRIGGER trialbox_guard_state;
--- revision-older fails left
UPDATE alembic_version SET version_num = 'v3.0.0.d';
--- revision-unknown fails left
UPDATE alembic_version SET version_num = 'v9.9.9.a';
--- revision-twice fails left
INSERT INTO alembic_version VALUES ('v3.0.0.d');
--- revision-missing reads left
DELETE FROM alembic_version;
--- version-info-missing reads left
DELETE FROM version_info;
--- table-missing reads left running-without-heartbeat
DROP TABLE trial_heartbeats;
--- column-missing fails left
ALTER TABLE trial_intermediate_values DROP COLUMN intermediate_value_type;
