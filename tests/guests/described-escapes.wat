;; Describes itself with a name and a summary in which a terminal would find orders.
(module
  (memory (export "memory") 1)
  ;; One value, 0.
  (data (i32.const 36) "\30\00\00\00\01")
  ;; The description: name, version and summary are the text; of metrics, data and extra there are none.
  (data (i32.const 64) "\00\01\00\00\18\00\00\00\00\01\00\00\18\00\00\00\00\01\00\00\18\00\00\00")
  (data (i32.const 256) "\1b[31mred\1b]0;title\07\c2\9b2J\0d\0a..")
  (func (export "trialbox:objective/describe@0.1.0#describe") (result i32) (i32.const 64))
  (func (export "trialbox:objective/objective@0.1.0#evaluate") (result i32) (i32.const 32)))
