;; Calls a function of the contract that a later 0.1 may have.
(module
  (import "trialbox:objective/trial@0.1.9" "forecast" (func $forecast (result f64)))
  (memory (export "memory") 1)
  ;; One value, 0.
  (data (i32.const 36) "\30\00\00\00\01")
  (func (export "trialbox:objective/objective@0.1.9#evaluate") (result i32) (drop (call $forecast)) (i32.const 32)))
