//! One door for output: the binary prints records, and prints them in one place.

use super::source::{Source, Violation, find_word};

/// The binary's source.
const BINARY: &str = "host/trialbox/src/";

/// The file that prints.
const DOOR: &str = "host/trialbox/src/view/output.rs";

/// Names with which a program prints.
const PRINTING: [&str; 6] = ["print!", "println!", "eprint!", "eprintln!", "stdout()", "stderr()"];

/// Finds what prints elsewhere.
pub(crate) fn elsewhere(sources: &[Source]) -> Vec<Violation> {
    let binary = |source: &&Source| source.path.starts_with(BINARY) && source.path != DOOR;
    in_code(sources.iter().filter(binary), &PRINTING, "is for view/output.rs alone")
}

/// Finds JSON that is made by hand: what is printed is a record, which has a type.
pub(crate) fn untyped(sources: &[Source]) -> Vec<Violation> {
    let binary = |source: &&Source| source.path.starts_with(BINARY);
    in_code(sources.iter().filter(binary), &["json!"], "has no type: print a record")
}

fn in_code<'a>(
    sources: impl Iterator<Item = &'a Source>,
    names: &[&str],
    reason: &str,
) -> Vec<Violation> {
    let mut found = Vec::new();
    for source in sources.filter_map(Source::without_tests) {
        for (line, code) in source.rust.code.lines().enumerate() {
            for name in names.iter().filter(|name| find_word(code, name).is_some()) {
                found.push(source.violation(line, format!("`{name}` {reason}")));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printing_is_found_outside_of_its_file() {
        for name in PRINTING {
            let text =
                format!("fn a() {{\n    std::io::{name};\n}}\n#[cfg(test)]\nfn b() {{ {name} }}");
            let found = elsewhere(&[Source::new("host/trialbox/src/commands/a.rs", &text)]);
            assert_eq!(found.len(), 1, "{name}: {found:?}");
            assert_eq!(found[0].line, 2);
            assert!(elsewhere(&[Source::new(DOOR, &text)]).is_empty(), "{name}");
        }
    }

    #[test]
    fn json_by_hand_is_found() {
        let text = "fn a() {\n    json!({});\n    serde_json::json!([]);\n}\n#[cfg(test)]\nfn b() { json!(1) }";
        let found = untyped(&[Source::new("host/trialbox/src/commands/a.rs", text)]);
        assert_eq!(found.iter().map(|found| found.line).collect::<Vec<_>>(), [2, 3]);
    }
}
