;; Declares all the memory that there can be.
(module
  (memory (export "memory") 65536)
  ;; One value, 0.
  (data (i32.const 36) "\30\00\00\00\01")
  (func (export "trialbox:objective/objective@0.1.0#evaluate") (result i32)
    (i32.const 32)))
