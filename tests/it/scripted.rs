//! Objectives that make a fixed list of calls, generated as WebAssembly text.

use crate::scene::Scene;
use std::fmt::Write as _;

/// A call of the contract's `trial` with fixed arguments.
pub(crate) enum Call<'a> {
    Float {
        name: &'a str,
        low: f64,
        high: f64,
        log: bool,
        step: Option<f64>,
    },
    Int {
        name: &'a str,
        low: i64,
        high: i64,
        log: bool,
        step: i64,
    },
    Categorical {
        name: &'a str,
        choices: &'a [Choice<'a>],
    },
    Report(f64, u32),
    /// This number of reports: the step as its own value, from 0.
    Reports(u32),
    /// Ends the trial as pruned if the pruner tells it to.
    ObeyPruner,
    /// Stores the remaining seconds, as the value of a float parameter.
    Remaining,
    Attr {
        key: &'a str,
        json: &'a str,
    },
    Constraint {
        name: &'a str,
        value: f64,
    },
}

/// A choice of a categorical parameter.
pub(crate) enum Choice<'a> {
    None,
    Bool(bool),
    Int(i64),
    Real(f64),
    Text(&'a str),
}

/// The end of `evaluate`.
pub(crate) enum Ending<'a> {
    Values(&'a [f64]),
    /// Returns the first values that `Call::Float` and `Call::Remaining` stored, in this number.
    Floats(u32),
    Pruned,
    /// Never returns. It sets an attribute again and again, so that a worker has something to write.
    Never,
}

/// Returns a float parameter with a linear range.
pub(crate) fn float(name: &str, low: f64, high: f64) -> Call<'_> {
    Call::Float { name, low, high, log: false, step: None }
}

/// Returns the component that makes these calls.
pub(crate) fn component(calls: &[Call], ending: &Ending) -> Vec<u8> {
    let mut script = Script::default();
    for call in calls {
        script.call(call);
    }
    script.end(ending);
    wat::parse_str(script.text()).unwrap()
}

/// Writes an objective that suggests `x`, reports 0.25 and 0.75, and never returns.
pub(crate) fn endless(scene: &Scene) -> &'static str {
    let calls = [float("x", 0.0, 1.0), Call::Report(0.25, 0), Call::Report(0.75, 1)];
    std::fs::write(scene.path("endless.wasm"), component(&calls, &Ending::Never)).unwrap();
    "endless.wasm"
}

/// The address of the result of `evaluate`.
const RESULT: u32 = 32;
/// The result with the case `err`. The case `pruned` of `failure` is 0, as all memory is at the start.
const PRUNED: &str = "(i32.store8 (i32.const 32) (i32.const 1)) (i32.const 32)";
/// The address of the stored values of float parameters.
const FLOATS: u32 = 64;
/// The address of texts and lists of choices.
const DATA: u32 = 1024;

/// The name of each function, with its signature in the contract and in core WebAssembly.
const IMPORTS: [(&str, &str, &str); 8] = [
    (
        "suggest-float",
        r#"(param "name" string) (param "low" f64) (param "high" f64) (param "log" bool)
            (param "step" (option f64)) (result f64)"#,
        "(param i32 i32 f64 f64 i32 i32 f64) (result f64)",
    ),
    (
        "suggest-int",
        r#"(param "name" string) (param "low" s64) (param "high" s64) (param "log" bool)
            (param "step" s64) (result s64)"#,
        "(param i32 i32 i64 i64 i32 i64) (result i64)",
    ),
    (
        "suggest-categorical",
        r#"(param "name" string) (param "choices" (list $choice)) (result u32)"#,
        "(param i32 i32 i32 i32) (result i32)",
    ),
    ("report", r#"(param "value" f64) (param "step" u32)"#, "(param f64 i32)"),
    ("should-prune", "(result bool)", "(result i32)"),
    ("remaining-seconds", "(result f64)", "(result f64)"),
    ("set-user-attr", r#"(param "key" string) (param "value" string)"#, "(param i32 i32 i32 i32)"),
    ("set-constraint", r#"(param "name" string) (param "value" f64)"#, "(param i32 i32 f64)"),
];

#[derive(Default)]
struct Script {
    code: String,
    data: Vec<u8>,
    n_floats: u32,
}

impl Script {
    fn call(&mut self, call: &Call) {
        let code = match call {
            Call::Float { name, low, high, log, step } => {
                let name = self.string(name);
                let (low, high, log) = (real(*low), real(*high), u8::from(*log));
                let has_step = u8::from(step.is_some());
                let step = real(step.unwrap_or_default());
                self.keep(&format!(
                    "(call $suggest-float {name} {low} {high} (i32.const {log}) (i32.const {has_step}) {step})"
                ))
            }
            Call::Int { name, low, high, log, step } => format!(
                "(drop (call $suggest-int {} (i64.const {low}) (i64.const {high}) (i32.const {}) (i64.const {step})))",
                self.string(name),
                u8::from(*log)
            ),
            Call::Categorical { name, choices } => {
                let (name, choices) = (self.string(name), self.choices(choices));
                format!("(drop (call $suggest-categorical {name} {choices}))")
            }
            Call::Report(value, step) => {
                format!("(call $report {} (i32.const {step}))", real(*value))
            }
            Call::Reports(count) => format!(
                "(local.set $n (i32.const 0))
                 (loop $next
                   (call $report (f64.convert_i32_u (local.get $n)) (local.get $n))
                   (br_if $next (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const {count}))))"
            ),
            Call::ObeyPruner => format!("(if (call $should-prune) (then {PRUNED} return))"),
            Call::Remaining => self.keep("(call $remaining-seconds)"),
            Call::Attr { key, json } => {
                format!("(call $set-user-attr {} {})", self.string(key), self.string(json))
            }
            Call::Constraint { name, value } => {
                format!("(call $set-constraint {} {})", self.string(name), real(*value))
            }
        };
        self.code.push_str(&code);
        self.code.push('\n');
    }

    /// Stores a float for [`Ending::Floats`].
    fn keep(&mut self, value: &str) -> String {
        let at = FLOATS + 8 * self.n_floats;
        self.n_floats += 1;
        format!("(f64.store (i32.const {at}) {value})")
    }

    fn end(&mut self, ending: &Ending) {
        let values = |count: u32, at: u32| {
            format!(
                "(i32.store (i32.const {}) (i32.const {at})) (i32.store (i32.const {}) (i32.const {count}))
                (i32.const {RESULT})",
                RESULT + 4,
                RESULT + 8
            )
        };
        let code = match ending {
            Ending::Values(list) => {
                let bytes = list.iter().flat_map(|value| value.to_bits().to_le_bytes()).collect();
                values(list.len() as u32, self.bytes(bytes))
            }
            Ending::Floats(count) => values(*count, FLOATS),
            Ending::Pruned => PRUNED.to_owned(),
            Ending::Never => {
                let attr = format!(
                    "(call $set-user-attr {} {})",
                    self.string("alive"),
                    self.string("true")
                );
                format!(
                    "(loop $forever
                       (local.set $n (i32.const 20000000))
                       (loop $spin (br_if $spin (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
                       {attr}
                       (br $forever))
                     unreachable"
                )
            }
        };
        self.code.push_str(&code);
    }

    /// Places bytes in memory, aligned for lists of choices or floats, and returns their address.
    fn bytes(&mut self, bytes: Vec<u8>) -> u32 {
        self.data.resize(self.data.len().next_multiple_of(8), 0);
        let at = DATA + self.data.len() as u32;
        self.data.extend(bytes);
        at
    }

    /// Returns the address and the length of a text as two constants.
    fn string(&mut self, text: &str) -> String {
        let at = self.bytes(text.as_bytes().to_vec());
        format!("(i32.const {at}) (i32.const {})", text.len())
    }

    /// Returns the address and the length of a list of choices. Each has its case in the first byte, and its value from
    /// the eighth on.
    fn choices(&mut self, choices: &[Choice]) -> String {
        let mut list = Vec::new();
        for choice in choices {
            let (case, value) = match choice {
                Choice::None => (0u64, 0),
                Choice::Bool(value) => (1, u64::from(*value)),
                Choice::Int(value) => (2, *value as u64),
                Choice::Real(value) => (3, value.to_bits()),
                Choice::Text(text) => {
                    let at = self.bytes(text.as_bytes().to_vec());
                    (4, u64::from(at) | (text.len() as u64) << 32)
                }
            };
            list.extend(case.to_le_bytes().into_iter().chain(value.to_le_bytes()));
        }
        format!("(i32.const {}) (i32.const {})", self.bytes(list), choices.len())
    }

    fn text(&self) -> String {
        let (mut declared, mut lowered, mut imported, mut given) =
            (String::new(), String::new(), String::new(), String::new());
        for (name, contract, core) in IMPORTS {
            let _ = writeln!(declared, r#"(export "{name}" (func {contract}))"#);
            let _ = writeln!(
                lowered,
                r#"(core func ${name} (canon lower (func $trial "{name}") (memory $bytes)))"#
            );
            let _ = writeln!(imported, r#"(import "trial" "{name}" (func ${name} {core}))"#);
            let _ = writeln!(given, r#"(export "{name}" (func ${name}))"#);
        }
        let data: String = self.data.iter().map(|byte| format!("\\{byte:02x}")).collect();
        let pages = (DATA as usize + self.data.len()).div_ceil(1 << 16);
        objective_text(&format!(
            r#"(import "trialbox:objective/trial@0.1.0" (instance $trial
    (type $choice-type (variant (case "none") (case "boolean" bool) (case "integer" s64)
      (case "real" f64) (case "text" string)))
    (export "choice" (type $choice (eq $choice-type)))
    {declared}))
  (core module $memory (memory (export "memory") {pages}) (data (i32.const {DATA}) "{data}"))
  (core instance $memory (instantiate $memory))
  (alias core export $memory "memory" (core memory $bytes))
  {lowered}
  (core module $m
    (import "trial" "memory" (memory 1))
    (export "memory" (memory 0))
    {imported}
    (func (export "evaluate") (result i32) (local $n i32)
      {code}))
  (core instance $i (instantiate $m (with "trial" (instance (export "memory" (memory $bytes)) {given}))))"#,
            code = self.code
        ))
    }
}

/// Returns a float constant, which may be NaN or infinite.
fn real(value: f64) -> String {
    format!("(f64.reinterpret_i64 (i64.const {}))", value.to_bits() as i64)
}

/// Returns the component of [`objective_text`].
pub(crate) fn objective_of(inside: &str) -> Vec<u8> {
    wat::parse_str(objective_text(inside)).unwrap()
}

/// Returns the text of an objective with these definitions, which include a core instance `$i` with `memory` and
/// `evaluate`.
pub(crate) fn objective_text(inside: &str) -> String {
    format!(
        r#"(component
  {inside}
  (type $failure (variant (case "pruned") (case "error" string)))
  (func $evaluate (result (result (list f64) (error $failure)))
    (canon lift (core func $i "evaluate") (memory (core memory $i "memory"))))
  (component $shim
    (type $failure-type (variant (case "pruned") (case "error" string)))
    (import "import-type-failure" (type $failure (eq $failure-type)))
    (import "import-func-evaluate" (func $evaluate (result (result (list f64) (error $failure)))))
    (export $exported "failure" (type $failure-type))
    (export "evaluate" (func $evaluate) (func (result (result (list f64) (error $exported))))))
  (instance $objective (instantiate $shim
    (with "import-type-failure" (type $failure))
    (with "import-func-evaluate" (func $evaluate))))
  (export "trialbox:objective/objective@0.1.0" (instance $objective)))"#
    )
}
