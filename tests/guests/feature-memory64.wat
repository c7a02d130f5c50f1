;; Has a memory with 64-bit addresses.
(module
  (memory (export "memory") 1)
  (memory i64 1)
  ;; One value, 0.
  (data (i32.const 36) "\30\00\00\00\01")
  (func (export "trialbox:objective/objective@0.1.0#evaluate") (result i32)
    (i32.const 32)))
