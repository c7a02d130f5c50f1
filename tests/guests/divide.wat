;; Divides by zero.
(module
  (memory (export "memory") 1)
  (func (export "trialbox:objective/objective@0.1.0#evaluate") (result i32)
    (i32.div_u (i32.const 1) (i32.const 0))))
