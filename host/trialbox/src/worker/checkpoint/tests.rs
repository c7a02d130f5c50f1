use super::*;
use std::fs;
use std::os::unix::fs::MetadataExt as _;

/// The directories of a study in a test's own folder, which is fresh.
fn checkpoints(test: &str) -> Checkpoints {
    let folder = format!("trialbox-checkpoint-{test}-{}", std::process::id());
    let dir = std::env::temp_dir().join(folder);
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir(&dir).expect("a place for temporary files");
    Checkpoints { folder: Folder::open(&dir).expect("it is there") }
}

fn begin(checkpoints: &Checkpoints, origin: u32, number: u32) -> Attempt {
    let (origin, number) = (TrialNumber(origin), TrialNumber(number));
    checkpoints.begin(origin, number, &mut || Ok(())).expect("a directory")
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("a directory");
    let name = |entry: io::Result<fs::DirEntry>| {
        entry.expect("an entry").file_name().to_string_lossy().into_owned()
    };
    let mut names: Vec<String> = entries.map(name).collect();
    names.sort();
    names
}

#[test]
fn a_retry_has_a_copy_of_what_the_last_attempt_left_and_of_no_other() -> io::Result<()> {
    let checkpoints = checkpoints("retry");
    let first = begin(&checkpoints, 3, 3);
    assert_eq!(first.resumed_from, None);
    fs::write(first.dir.join("weights"), b"of the first")?;
    let others = begin(&checkpoints, 4, 4);
    assert_eq!(names(&others.dir), <[&str; 0]>::default());

    let second = begin(&checkpoints, 3, 9);
    assert_eq!(second.resumed_from, Some(TrialNumber(3)));
    assert_eq!(fs::read(second.dir.join("weights"))?, b"of the first");
    fs::write(second.dir.join("weights"), b"of the second")?;
    // One that was begun and did not live to have its copy.
    fs::create_dir(second.dir.with_file_name("12.unfinished"))?;
    fs::write(second.dir.with_file_name("12.unfinished").join("weights"), b"of")?;
    let third = begin(&checkpoints, 3, 20);
    assert_eq!(third.resumed_from, Some(TrialNumber(9)));
    assert_eq!(fs::read(third.dir.join("weights"))?, b"of the second");
    assert_eq!(names(&checkpoints.folder.path().join("3")), ["20"]);

    checkpoints.remove(TrialNumber(3), &mut || Ok(()));
    assert_eq!(names(checkpoints.folder.path()), ["4"]);
    checkpoints.remove(TrialNumber(3), &mut || Ok(()));
    fs::remove_dir_all(checkpoints.folder.path())
}

#[test]
fn a_retry_of_attempts_that_left_nothing_does_not_resume() -> io::Result<()> {
    let checkpoints = checkpoints("nothing");
    assert_eq!(begin(&checkpoints, 0, 2).resumed_from, None);
    assert_eq!(begin(&checkpoints, 0, 5).resumed_from, None);
    fs::remove_dir_all(checkpoints.folder.path())
}

#[test]
fn an_attempt_has_changed_when_a_file_has_that_was_not_there_or_was_another() -> io::Result<()> {
    let checkpoints = checkpoints("changed");
    let has_changed = |attempt: &Attempt| attempt.has_changed(&mut || Ok(()));
    let first = begin(&checkpoints, 0, 0);
    assert!(!has_changed(&first)?);
    fs::create_dir(first.dir.join("empty"))?;
    assert!(!has_changed(&first)?, "no file");
    await_later(&checkpoints, &first);
    fs::write(first.dir.join("empty/weights"), b"one")?;
    assert!(has_changed(&first)?);

    let second = begin(&checkpoints, 0, 1);
    assert!(!has_changed(&second)?, "it is a copy");
    await_later(&checkpoints, &second);
    fs::read(second.dir.join("empty/weights"))?;
    assert!(!has_changed(&second)?, "it was only read");
    fs::write(second.dir.join("empty/weights"), b"two")?;
    // As a guest may do that unpacks something.
    let file = fs::File::options().write(true).open(second.dir.join("empty/weights"))?;
    file.set_modified(std::time::SystemTime::UNIX_EPOCH)?;
    assert!(has_changed(&second)?);
    fs::remove_dir_all(checkpoints.folder.path())
}

/// Until the clock of the file system, which is coarse, has gone on.
fn await_later(checkpoints: &Checkpoints, attempt: &Attempt) {
    let probe = checkpoints.folder.path().join("probe");
    loop {
        fs::write(&probe, b"").expect("a file");
        let found = probe.metadata().expect("the same");
        if (found.ctime(), found.ctime_nsec()) > attempt.begun {
            return;
        }
    }
}

#[test]
fn what_cannot_be_copied_stays_for_the_attempt_after_that() -> io::Result<()> {
    let checkpoints = checkpoints("stays");
    fs::write(begin(&checkpoints, 0, 0).dir.join("weights"), b"one")?;
    let mut refuse = || Err(io::ErrorKind::Interrupted.into());
    let refused = checkpoints.begin(TrialNumber(0), TrialNumber(1), &mut refuse);
    assert_eq!(refused.map(drop).map_err(|error| error.kind()), Err(io::ErrorKind::Interrupted));
    let next = begin(&checkpoints, 0, 2);
    assert_eq!(next.resumed_from, Some(TrialNumber(0)));
    assert_eq!(names(&checkpoints.folder.path().join("0")), ["2"]);
    fs::remove_dir_all(checkpoints.folder.path())
}

#[test]
fn what_is_not_removed_in_time_is_no_checkpoint_of_the_trial_that_is_begun_there() -> io::Result<()>
{
    let checkpoints = checkpoints("in-time");
    let stale = checkpoints.folder.path().join("5/5");
    fs::create_dir_all(&stale)?;
    fs::write(stale.join("weights"), b"another's")?;
    let mut refuse = || Err(io::ErrorKind::Interrupted.into());
    let first = checkpoints.begin(TrialNumber(5), TrialNumber(5), &mut refuse)?;
    assert_eq!(names(&first.dir), <[&str; 0]>::default());
    let discarded = names(checkpoints.folder.path()).pop().expect("the rest");
    assert_eq!(
        fs::read(checkpoints.folder.path().join(discarded).join("5/weights"))?,
        b"another's"
    );
    assert_eq!(begin(&checkpoints, 5, 9).resumed_from, None);
    // And of one that has ended the rest stays.
    checkpoints.remove(TrialNumber(5), &mut refuse);
    assert_eq!(names(&checkpoints.folder.path().join("5")), ["9"]);
    fs::remove_dir_all(checkpoints.folder.path())
}

#[test]
fn a_study_has_a_name_of_its_own_and_no_path() {
    let name = new_name("../digits: 2 \u{1b}[31m é");
    assert!(name.starts_with("___digits__2___31m__-"), "{name}");
    assert!(has_shape(&name), "{name}");
    assert!(has_shape(&new_name(&"long".repeat(1000))));
    assert!(has_shape(&new_name("")));
    assert_ne!(new_name("digits"), new_name("digits"));
    for bad in [
        "",
        ".",
        "..",
        "thesis-data",
        "a/b-0123456789abcdef",
        "a b-0123456789abcdef",
        ".a-0123456789abcdef",
        "a-0123456789abcde",
        "a-0123456789abcdef0",
        "a-0123456789ABCDEF",
        "a-0123456789abcdeg",
        "0123456789abcdef",
    ] {
        assert!(!has_shape(bad), "{bad}");
    }
}
