;; Logs UTF-16 text from an odd address.
(module
  (import "trialbox:objective/trial@0.1.0" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 1)
  ;; One value, 0.
  (data (i32.const 36) "\30\00\00\00\01")
  (func (export "trialbox:objective/objective@0.1.0#evaluate") (result i32)
    (call $log (i32.const 1) (i32.const 65) (i32.const 2)) (i32.const 32)))
