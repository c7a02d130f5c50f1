;; Lets ten tables grow by turns, each to less than a table may have.
(module
  (memory (export "memory") 1)
  (table $0 1 funcref) (table $1 1 funcref) (table $2 1 funcref) (table $3 1 funcref) (table $4 1 funcref)
  (table $5 1 funcref) (table $6 1 funcref) (table $7 1 funcref) (table $8 1 funcref) (table $9 1 funcref)
  (func (export "trialbox:objective/objective@0.1.0#evaluate") (result i32)
    (loop $more
      (drop (table.grow $0 (ref.null func) (i32.const 1024)))
      (drop (table.grow $1 (ref.null func) (i32.const 1024)))
      (drop (table.grow $2 (ref.null func) (i32.const 1024)))
      (drop (table.grow $3 (ref.null func) (i32.const 1024)))
      (drop (table.grow $4 (ref.null func) (i32.const 1024)))
      (drop (table.grow $5 (ref.null func) (i32.const 1024)))
      (drop (table.grow $6 (ref.null func) (i32.const 1024)))
      (drop (table.grow $7 (ref.null func) (i32.const 1024)))
      (drop (table.grow $8 (ref.null func) (i32.const 1024)))
      (drop (table.grow $9 (ref.null func) (i32.const 1024)))
      (br $more))
    unreachable))
