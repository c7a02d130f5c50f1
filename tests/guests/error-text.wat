;; Fails with a message of 10 KiB, in which a terminal would find orders.
(module
  (memory (export "memory") 1)
  (data (i32.const 32) "\01\00\00\00\01\00\00\00\00\04\00\00\00\28\00\00")
  (data (i32.const 1024) "it is \1b[31mred\1b]0;title\07\0d\0a\c2\9b2J")
  (func (export "trialbox:objective/objective@0.1.0#evaluate") (result i32)
    (memory.fill (i32.const 2048) (i32.const 97) (i32.const 10240))
    (i32.const 32)))
