;; Has the interface `objective`, but no `evaluate` in it.
(module
  (memory (export "memory") 1)
  (func (export "trialbox:objective/objective@0.1.0#estimate") (result f64) (f64.const 0)))
