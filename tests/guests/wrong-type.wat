;; Returns a number where a list of them is wanted.
(module
  (memory (export "memory") 1)
  (func (export "trialbox:objective/objective@0.1.0#evaluate") (result f64) (f64.const 0)))
