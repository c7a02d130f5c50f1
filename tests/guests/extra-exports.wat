;; Exports more than is asked for.
(module
  (memory (export "memory") 1)
  ;; One value, 0.
  (data (i32.const 36) "\30\00\00\00\01")
  (func (export "tests:guests/extra#more") (result i32) (i32.const 1))
  (func (export "trialbox:objective/objective@0.1.0#evaluate") (result i32)
    (i32.const 32)))
