;; Uses a structure that is collected.
(module
  (memory (export "memory") 1)
  (type $point (struct (field i32)))
  ;; One value, 0.
  (data (i32.const 36) "\30\00\00\00\01")
  (func (export "trialbox:objective/objective@0.1.0#evaluate") (result i32)
    (drop (struct.new $point (i32.const 1))) (i32.const 32)))
