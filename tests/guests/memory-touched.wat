;; Takes memory for ever, and writes to each page.
(module
  (memory (export "memory") 1)
  (func (export "trialbox:objective/objective@0.1.0#evaluate") (result i32) (local $at i32)
    (loop $more
      (local.set $at (i32.shl (memory.grow (i32.const 1)) (i32.const 16)))
      (memory.fill (local.get $at) (i32.const 1) (i32.const 65536))
      (br $more))
    unreachable))
