//! Files are touched through `trialbox-files` alone, which follows no link, waits for no FIFO and writes aside.

use super::source::{Source, Violation, is_word};

/// The sources that the rule is about.
const SOURCES: &str = "host/";

/// The crate that may call the system.
const FILES: &str = "host/trialbox-files/";

/// Calls that change the file system, or open a file that may be a FIFO or a device.
const CALLS: [&str; 30] = [
    "DirBuilder::new",
    "File::create",
    "File::create_new",
    "File::open",
    "File::options",
    "NamedTempFile",
    "OpenOptions",
    "fs::copy",
    "fs::create_dir",
    "fs::create_dir_all",
    "fs::hard_link",
    "fs::open",
    "fs::read",
    "fs::read_to_string",
    "fs::remove_dir_all",
    "fs::rename",
    "fs::set_permissions",
    "fs::write",
    "linkat",
    "mkdirat",
    "mknodat",
    "openat",
    "openat2",
    "renameat",
    "renameat_with",
    "symlink",
    "symlinkat",
    "tempdir",
    "tempfile",
    "unlinkat",
];

/// Files of the kernel's, which nothing can be planted under.
const KERNELS: [&str; 3] = ["\"/proc/", "\"/sys/", "\"/dev/null\""];

/// A file or folder that makes some of the calls itself.
struct Exception {
    file: &'static str,
    calls: &'static [&'static str],
    /// The justification.
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers, and a test that there is one"))]
    reason: &'static str,
}

const EXCEPTIONS: &[Exception] = &[
    Exception {
        file: "host/trialbox-runtime/src/guest/lockdown/empty_root.rs",
        calls: &["fs::create_dir", "fs::create_dir_all", "fs::write"],
        reason: "the guest process makes directories in a file system in memory that no other process sees, \
                 and writes to files of the kernel's",
    },
    Exception {
        file: "host/trialbox-runtime/src/guest/lockdown.rs",
        calls: &["fs::open"],
        reason: "the guest process opens its grants for Landlock, and nothing else is left to it",
    },
    Exception {
        file: "host/trialbox-program/src/confinement.rs",
        calls: &["fs::open"],
        reason: "the starter opens the places of a program for Landlock, as the guest process opens its grants",
    },
    Exception {
        file: "host/trialbox-program/src/client.rs",
        calls: &["OpenOptions"],
        reason: "the pipes of a trial are descriptors of its supervisor or of this process, which /proc names",
    },
    Exception {
        file: "host/trialbox-program/src/memory_events.rs",
        calls: &["fs::read_to_string"],
        reason: "the kernel's files of a cgroup are below a folder that tests replace",
    },
    Exception {
        file: "host/trialbox-program/src/process_tree.rs",
        calls: &["fs::read_to_string"],
        reason: "the children of a process are listed in a file of /proc",
    },
    Exception {
        file: "host/trialbox-storage/src/schema.rs",
        calls: &["fs::hard_link", "renameat_with"],
        reason: "SQLite writes the new database, which then takes a name that must be free",
    },
];

/// Finds calls outside of the crate.
pub(crate) fn elsewhere(sources: &[Source]) -> Vec<Violation> {
    let mut found = Vec::new();
    for source in sources.iter().filter_map(Source::without_tests) {
        if !source.path.starts_with(SOURCES) || source.path.starts_with(FILES) {
            continue;
        }
        let allowed = EXCEPTIONS.iter().find(|exception| source.path.starts_with(exception.file));
        let allowed = allowed.map_or(&[][..], |exception| exception.calls);
        for (line, (code, text)) in source.rust.code.lines().zip(source.text.lines()).enumerate() {
            if KERNELS.iter().any(|file| text.contains(file))
                || code.trim_start().starts_with("use ")
            {
                continue;
            }
            for call in CALLS.iter().filter(|call| calls(code, call) && !allowed.contains(*call)) {
                let message = format!("expected a function of `trialbox-files`, found `{call}`");
                found.push(source.violation(line, message));
            }
        }
    }
    found
}

/// Returns whether a line makes a call: the whole name, followed by its arguments or a further path.
fn calls(code: &str, call: &str) -> bool {
    code.match_indices(call).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + call.len()..]);
        !before.ends_with(is_word) && (after.starts_with('(') || after.starts_with("::"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        let sources = [Source::new(path, text)];
        elsewhere(&sources).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_call_past_the_crate_is_found() {
        let path = "host/trialbox/src/a.rs";
        let text =
            "fn f() {\n    std::fs::write(path, text);\n    let file = File::create(path);\n}\n";
        let want = [
            "host/trialbox/src/a.rs:2: expected a function of `trialbox-files`, found `fs::write`",
            "host/trialbox/src/a.rs:3: expected a function of `trialbox-files`, found `File::create`",
        ];
        assert_eq!(found(path, text), want);
        for call in CALLS {
            let line = format!("fn f() {{ let x = {call}(path); }}\n");
            assert!(!found(path, &line).is_empty(), "{call}");
        }
        assert_eq!(found(path, "fn f() { OpenOptions::new().open(path); }\n").len(), 1);
    }

    #[test]
    fn the_crate_itself_tests_and_the_kernels_files_are_not_found() {
        let write = "fn f() { std::fs::write(path, text); }\n";
        assert_eq!(found("host/trialbox-files/src/a.rs", write), [""; 0]);
        assert_eq!(found("xtask/src/a.rs", write), [""; 0]);
        assert_eq!(found("host/trialbox/tests/a.rs", write), [""; 0]);
        let more = [
            "#[cfg(test)]\nmod tests {\n    fn f() { std::fs::write(path, text); }\n}\n",
            "fn f() { std::fs::read(\"/proc/self/status\"); }\n",
            "// fs::write(path, text)\nfn f() { output.fs::writer(path); folder.write(path); }\n",
        ];
        for text in more {
            assert_eq!(found("host/trialbox/src/a.rs", text), [""; 0], "{text}");
        }
    }

    #[test]
    fn every_exception_has_a_reason_and_a_place() {
        for exception in EXCEPTIONS {
            assert!(!exception.reason.is_empty() && !exception.calls.is_empty());
            assert!(crate::shell::root().join(exception.file).exists(), "{}", exception.file);
        }
    }
}
