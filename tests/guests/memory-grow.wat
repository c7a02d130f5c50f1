;; Takes memory for ever.
(module
  (memory (export "memory") 1)
  (func (export "trialbox:objective/objective@0.1.0#evaluate") (result i32)
    (loop $more (drop (memory.grow (i32.const 64))) (br $more)) unreachable))
