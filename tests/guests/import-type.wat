;; Imports `report` with another type.
(module
  (import "trialbox:objective/trial@0.1.0" "report" (func $report (param i64)))
  (memory (export "memory") 1)
  ;; One value, 0.
  (data (i32.const 36) "\30\00\00\00\01")
  (func (export "trialbox:objective/objective@0.1.0#evaluate") (result i32)
    (call $report (i64.const 1)) (i32.const 32)))
