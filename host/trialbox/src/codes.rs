//! One page for each code: of failures, of files that cannot run, and of the process. `trialbox explain` prints them,
//! and docs/codes.md holds them.

/// The page of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Page {
    /// The code: `E-MEM`, or the number of an exit code.
    pub(crate) code: &'static str,
    /// The meaning, in a sentence.
    pub(crate) meaning: &'static str,
    /// The usual causes.
    pub(crate) causes: &'static str,
    /// The next step for the user.
    pub(crate) remedy: &'static str,
}

/// Declares the pages as rows: code, meaning, causes, remedy.
macro_rules! pages {
    ($($code:literal: $meaning:literal, $causes:literal, $remedy:literal;)*) => {
        &[$(Page { code: $code, meaning: $meaning, causes: $causes, remedy: $remedy },)*]
    };
}

/// The reasons for which a trial fails.
pub(crate) const OF_TRIALS: &[Page] = pages![
    "E-GUEST": "The objective returned an error.",
        "The message is the objective's own. A file that is not granted is a frequent one.",
        "Grant missing data with `--dir HOST::GUEST`. Repeat the call alone with `trialbox eval` and `--verbose`.";
    "E-PANIC": "The objective panicked or aborted.",
        "An index out of bounds, an `unwrap` of nothing, an assertion. The message has the place in the source.",
        "Set the trial's parameters in a native test (`Trial::fixed`), mend the code, then \
         `trialbox trial retry --code E-PANIC`.";
    "E-TRAP": "The objective did what WebAssembly does not allow.",
        "A division by zero, an access out of bounds, an `unreachable`; in Rust usually an abort without a message.",
        "Read the backtrace. A build with `panic = \"abort\"` and without names of functions says less.";
    "E-EXIT": "The objective ended its process instead of returning.",
        "A call of `exit`, or a library that calls it.",
        "Return an error in its place.";
    "E-TIME": "The trial reached its time limit.",
        "The limit is `--trial-timeout`, which the study remembers, or the time of the job.",
        "Raise it with `--trial-timeout TIME --override`, or report steps so that the pruner stops slow trials.";
    "E-FUEL": "The trial executed more instructions than `--fuel` allows.",
        "A loop without an end, or a limit that is too low.",
        "Raise it with `--fuel N --override`.";
    "E-MEM": "The trial asked for more memory than it may have.",
        "The limit is `--max-memory`, which the study remembers; tables and open directories count too.",
        "Raise it with `--max-memory SIZE --override`, and in a job `--mem` with it.";
    "E-STACK": "The objective's stack is exhausted.",
        "A recursion without an end, or large arrays on the stack.",
        "Move large arrays to the heap, or turn the recursion into a loop.";
    "E-TABLE": "The objective asked for a larger table than it may have.",
        "A module that adds functions at run time.",
        "Raise it with `--limit table-elements=N --override`.";
    "E-LIMIT": "The trial reached another limit of the sandbox.",
        "The message names the limit, its value and the flag.",
        "Raise it with `--limit NAME=VALUE --override`; `trialbox run --help` lists the limits.";
    "E-BUDGET": "The trial would leave more in the study than a trial may.",
        "Reports in every step of a long loop, large user attributes, thousands of parameters.",
        "Report every tenth step, or raise the limit that the message names.";
    "E-SUGGEST": "The objective suggested a parameter that is impossible, or another one than before.",
        "A lower bound above the upper one, a logarithm of 0, other choices than the study has.",
        "Mend the range. A study keeps the choices and the kind of a parameter: start another with `--study-name`.";
    "E-FIXED-PARAM": "A fixed or enqueued value does not fit the parameter.",
        "A misspelt choice or name, a value outside of the range.",
        "Correct `--fix` or the values of `trialbox trial enqueue`; `--lenient` treats them as Optuna does.";
    "E-CALL": "The objective called a function with invalid arguments.",
        "An empty name, a name that is too long.",
        "Mend the call that the message names.";
    "E-VALUE": "The values of the trial are not a result.",
        "NaN, another number of values than the study has directions, for a program a text that is not a number.",
        "Let a diverged training return an error. A program's value is the last line that it prints, or `--value`.";
    "E-DATA": "Data between the objective and trialbox is malformed.",
        "A module of another toolchain with a broken binding.",
        "Build the objective with the SDK.";
    "E-DATA-SIZE": "Data between the objective and trialbox is too large.",
        "A message or an attribute of megabytes.",
        "Write large results to a directory that was granted with `:rw`.";
    "E-DIED": "The process of the objective died.",
        "The kernel ended it for lack of memory, or a user ended it. Of a file: the compiler died.",
        "In a job raise `--mem`. `dmesg` or `sacct` names the cause.";
    "E-HOST": "The sampler, the pruner or an evaluator panicked, which is a bug of trialbox.",
        "A history that trialbox has not seen before.",
        "Please report it, with the command and a copy of the database. The other trials continue.";
    "E-INTERRUPTED": "The trial was interrupted by the scheduler, the end of the job's time or the user.",
        "A signal, a preemption, `scancel`, Ctrl-C.",
        "The trial is requeued when retries are left; the same command continues the study. Long trials save \
         checkpoints (`--checkpoint-dir`).";
    "E-LOST": "The worker of the trial died without recording a result.",
        "A node that failed, a process that was killed, a job at the end of its memory.",
        "`trialbox reap` requeues such trials, and so does the next `trialbox run`.";
    "E-CANCELLED": "The trial was cancelled while it waited.",
        "`trialbox trial cancel`.",
        "`trialbox trial retry` queues it again.";
];

/// The reasons for which a file or a database cannot be used.
pub(crate) const OF_FILES: &[Page] = pages![
    "E-READ": "The file cannot be read.",
        "A path that does not exist, or no right to read it.",
        "Give the path of a wasm component or of a file of Python.";
    "E-INVALID": "The file is not valid WebAssembly.",
        "A script, a file that was cut off, an archive of another tool.",
        "A program is run with `trialbox run -- COMMAND`. Copy a damaged file again and compare its SHA-256.";
    "E-NOT-COMPONENT": "The file is WebAssembly, but not a component.",
        "A build for another target than wasm32-wasip2.",
        "Build it with `trialbox build`.";
    "E-ABI": "The component is not an objective of a contract that this trialbox knows.",
        "Another program, or an objective for a newer trialbox.",
        "`trialbox inspect` shows the contract; build it again with an SDK of this version.";
    "E-CAPABILITY": "The component imports something that objectives never get.",
        "The network, processes, an interface of another host.",
        "Leave the library out that needs it. `trialbox run -- COMMAND` runs programs without the sandbox.";
    "E-FEATURE": "The component uses a proposal to WebAssembly that is not offered.",
        "Threads, exceptions or another feature that was switched on in the compiler.",
        "Build it without the feature that the message names.";
    "E-MODULE-SIZE": "The file is larger than a module may be.",
        "Data inside of the module.",
        "Keep data out of it and grant its directory with `--dir`, or raise `--limit module-size=SIZE`.";
    "E-COMPILE-LIMIT": "Compiling the component takes too much time or memory.",
        "Functions of hundreds of thousands of instructions; a node with little memory.",
        "Raise `--limit compile-time=TIME`, and in a job `--mem`.";
    "E-RUNTIME": "The runtime for objectives in Python is not there, or has changed.",
        "`trialbox runtime add python` was not run for this user, this kind of CPU or this version.",
        "Run it; `trialbox runtime verify` names the file that changed.";
    "E-NOT-FOUND": "The source does not have the objective.",
        "A misspelt name or tag, a file that was removed, a server that answers so to users without access. \
         The exit code is 2.",
        "Compare the name with its author's; `trialbox store list` lists what is in the store.";
    "E-OFFLINE": "The objective is not in the store, and `--offline` forbids the network.",
        "It was not pulled, or into another store; `trialbox.lock` lies in another folder. The exit code is 2.",
        "`trialbox pull SOURCE` where there is a network, with the same `--store`.";
    "E-ACCESS": "The source refuses this user, or the connection is not encrypted.",
        "Missing or wrong credentials; `http://` to another machine. The exit code is 2.",
        "`docker login` or `podman login`, or a token in the variable of the registry ([sharing.md](sharing.md)).";
    "E-NETWORK": "The source cannot be reached, is too slow, or fails.",
        "A node without a network, a server that is down, too many requests. The exit code is 71.",
        "Try again later, or pull where there is a network and share the store.";
    "E-DIGEST": "The bytes differ from the digest that they must have.",
        "A damaged or replaced file; a digest of another version.",
        "Nothing was kept. Compare the digest with the one that the author publishes.";
    "E-SOURCE": "What the source holds is not what it should be.",
        "A manifest of something else, several layers, a file that is too large, a link in a store or a layout.",
        "Ask its author to publish it again, or take it from another source.";
    "E-SYSTEM": "The machine cannot start a program now; the trial was requeued.",
        "No process, descriptor or memory is left, for this user or on the machine.",
        "Start the command again later, or on another machine; `ulimit -a` shows the limits of this one.";
    "E-STORAGE": "The database could not be read or written.",
        "A full disk or quota, a lock that another process holds, a file that is not a database of Optuna's.",
        "`trialbox doctor` examines the database. A result that could not be written waits in a file, which \
         `trialbox study sync` records.";
];

/// The exit codes of the process.
pub(crate) const OF_PROCESSES: &[Page] = pages![
    "0": "The work is done, and its result was delivered.",
        "Every trial finished COMPLETE or PRUNED, or none had to start.",
        "Nothing is left to do.";
    "1": "A trial failed, or the build or a test of a project.",
        "The lines above name the failure and its code.",
        "`trialbox study trials --state fail` lists failed trials; `trialbox run --catch` makes this 0.";
    "2": "A usage error.",
        "A bad flag, or a file or study that does not exist.",
        "The help line of the error has the command to try.";
    "3": "The database could not be read or written.",
        "As E-STORAGE; of `trialbox doctor`, an error was found.",
        "`trialbox doctor` examines the database.";
    "4": "The file is not an objective that can run here.",
        "The code of the error says which of its properties is wrong.",
        "`trialbox explain CODE` has its page.";
    "6": "Another worker finished or took the trial while it ran.",
        "This worker was silent for longer than `--grace`, so the trial counted as lost.",
        "The other result holds. Raise `--grace` if workers stand still for minutes.";
    "70": "A bug of trialbox, outside of a trial.",
        "A panic of a sampler or an evaluator.",
        "Please report it, with the command and a copy of the database.";
    "71": "The system refused a resource, the network did not answer, or the guest process was ended before its trial.",
        "No process, file handle or memory is left.",
        "Repeat the command; in a job raise `--mem`.";
    "74": "The result could not be written to standard output.",
        "A full disk behind a redirection, a closed descriptor.",
        "Trials that finished are recorded. Free the disk and ask again.";
    "75": "The scheduler or the end of the job's time interrupted a trial, which is recorded.",
        "SIGTERM, SIGUSR1, SIGUSR2, SIGHUP, SIGXCPU, or a deadline.",
        "Submit or start the same command again.";
    "130": "The user interrupted a trial, which is recorded.",
        "Ctrl-C.",
        "The same command continues the study.";
    "141": "The reader of standard output closed it.",
        "`| head`, or a pager that was left.",
        "`trialbox run` continues and records its trials.";
];

/// Returns all pages.
pub(crate) fn all() -> impl Iterator<Item = &'static Page> {
    OF_TRIALS.iter().chain(OF_FILES).chain(OF_PROCESSES)
}

/// Returns the page of a code, in any case of letters and with or without `E-`.
pub(crate) fn page(code: &str) -> Option<&'static Page> {
    let code = code.to_ascii_uppercase();
    all().find(|page| page.code == code || page.code.strip_prefix("E-") == Some(&code))
}

impl Page {
    /// Returns the page for a terminal.
    pub(crate) fn text(&self) -> String {
        let Page { code, meaning, causes, remedy } = self;
        format!("{code}: {meaning}\n  causes: {causes}\n  help: {remedy}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit_code::EXIT_CODES_HELP;
    use std::collections::BTreeSet;
    use std::path::Path;

    const DOCS: &str = "docs/codes.md";

    fn root() -> &'static Path {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
    }

    /// Collects texts such as `"E-MEM"` from the sources below a folder.
    fn collect(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                collect(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("a source");
                let texts = text.split('"').filter(|text| {
                    let rest = text.strip_prefix("E-").unwrap_or_default();
                    !rest.is_empty() && rest.chars().all(|c| c.is_ascii_uppercase() || c == '-')
                });
                found.extend(texts.map(str::to_owned));
            }
        }
    }

    #[test]
    fn every_code_in_the_sources_has_a_page_and_the_reverse() {
        let mut found = BTreeSet::new();
        collect(&root().join("host"), &mut found);
        let pages = OF_TRIALS.iter().chain(OF_FILES).map(|page| page.code.to_owned()).collect();
        assert_eq!(found, pages);
    }

    #[test]
    fn every_exit_code_has_a_page_and_the_reverse() {
        let lines = EXIT_CODES_HELP.lines().skip(1);
        let codes: Vec<&str> = lines.filter_map(|line| line.split_whitespace().next()).collect();
        let pages: Vec<&str> = OF_PROCESSES.iter().map(|page| page.code).collect();
        assert_eq!(codes, pages);
    }

    #[test]
    fn a_code_is_found_in_any_case_and_without_its_prefix() {
        for code in ["E-MEM", "e-mem", "mem", "MEM"] {
            assert_eq!(page(code).map(|page| page.code), Some("E-MEM"), "{code}");
        }
        assert_eq!(page("75").map(|page| page.code), Some("75"));
        assert_eq!(page("E-"), None);
    }

    fn docs() -> String {
        let mut text = "# Codes\n\nThis page is written by a test from the table behind `trialbox explain CODE`.\n"
            .to_owned();
        for (title, pages) in [
            ("Failures of trials", OF_TRIALS),
            ("Files and databases", OF_FILES),
            ("Exit codes", OF_PROCESSES),
        ] {
            text.push_str(&format!("\n## {title}\n"));
            for Page { code, meaning, causes, remedy } in pages {
                text.push_str(&format!(
                    "\n### {code}\n\n{meaning}\n\n- Causes: {causes}\n- Help: {remedy}\n"
                ));
            }
        }
        text
    }

    #[test]
    fn the_page_on_codes_is_that_of_the_table() {
        let path = root().join(DOCS);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, docs()).expect("the page");
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(found == docs(), "{DOCS} is out of date: run this test with UPDATE_DOCS=1");
    }
}
