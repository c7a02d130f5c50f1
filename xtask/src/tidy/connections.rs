//! One door to SQLite: every connection is opened in one file, which sets the limits for foreign data.

use super::source::{Source, Violation};

/// The crate that links SQLite.
const STORAGE: &str = "host/trialbox-storage/src/";

/// The file that opens connections.
const DOOR: &str = "host/trialbox-storage/src/sqlite/open.rs";

/// Finds connections that are opened elsewhere.
pub(crate) fn elsewhere(sources: &[Source]) -> Vec<Violation> {
    let mut found = Vec::new();
    let storage = sources.iter().filter(|it| it.path.starts_with(STORAGE) && it.path != DOOR);
    for source in storage.filter_map(Source::without_tests) {
        for (line, code) in source.rust.code.lines().enumerate() {
            if code.contains("Connection::open") {
                found
                    .push(source.violation(line, "connections are opened in sqlite/open.rs alone"));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_found_outside_of_its_file() {
        let text = "fn a() {\n    rusqlite::Connection::open_in_memory();\n}\n\
                    #[cfg(test)]\nmod tests { fn b() { Connection::open(p) } }";
        let found = elsewhere(&[Source::new("host/trialbox-storage/src/doctor/a.rs", text)]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].line, 2);
        assert!(elsewhere(&[Source::new(DOOR, text)]).is_empty());
        assert!(elsewhere(&[Source::new("host/trialbox-storage/tests/a.rs", text)]).is_empty());
    }
}
