//! The folder of a test program, and its server.

// Not every test program needs a server.
#[allow(dead_code, reason = "each test program uses a part of it")]
pub(crate) mod postgres;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Returns a folder below the target directory that no other running test program has, so that two runs of the tests
/// do not disturb each other. The folder stays after the run, and a later run takes it over.
pub(crate) fn own_folder() -> &'static Path {
    static OWN: OnceLock<(PathBuf, File)> = OnceLock::new();
    let (folder, _) = OWN.get_or_init(|| {
        let free = (0..).find_map(|n| {
            let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("run-{n}"));
            std::fs::create_dir_all(&folder).expect("the target directory can be written");
            let lock = File::create(folder.join("lock")).expect("a lock file can be made");
            // The lock ends with the process, however that ends.
            lock.try_lock().is_ok().then_some((folder, lock))
        });
        free.expect("there are more numbers than runs")
    });
    folder
}
