;; Lets a table grow for ever, whatever comes of it.
(module
  (memory (export "memory") 1)
  (table $table 1 funcref)
  (func (export "trialbox:objective/objective@0.1.0#evaluate") (result i32)
    (loop $more (drop (table.grow $table (ref.null func) (i32.const 1024))) (br $more)) unreachable))
