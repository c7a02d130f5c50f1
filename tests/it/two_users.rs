//! A colleague and a victim share a project folder: a group's, with setgid and umask 002. Nothing that the colleague
//! leaves lying about makes a file of the victim's be written, read or removed.
//!
//! The tests run as root, who becomes either of them; xtask counts them as skipped for any other user. They have no
//! names, only numbers.

use crate::hostile::places::{PLACES, Place, end_in_time};
use crate::scene::{Ran, guest};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const COLLEAGUE: u32 = 47_001;
const VICTIM: u32 = 47_002;
const GROUP: u32 = 47_000;

/// The content of the victim's private file.
const PRECIOUS: &str = "precious";

/// A project folder, the victim's home and the programs, where both users reach them.
struct Project {
    base: PathBuf,
}

impl Project {
    fn new(test: &str) -> Self {
        let base =
            std::env::temp_dir().join(format!("trialbox-two-users-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&base);
        for (folder, user, mode) in [
            ("", 0, 0o755),
            ("bin", 0, 0o755),
            ("home", VICTIM, 0o755),
            ("project", VICTIM, 0o2775),
        ] {
            let path = base.join(folder);
            fs::create_dir(&path).unwrap();
            chown(&path, Some(user), Some(GROUP)).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        // The folder of the build may be out of their reach.
        let programs = [
            (env!("CARGO_BIN_EXE_trialbox").to_owned(), "trialbox"),
            (guest("quadratic"), "quadratic.wasm"),
        ];
        for (from, to) in programs {
            let to = base.join("bin").join(to);
            fs::hard_link(&from, &to).or_else(|_| fs::copy(&from, &to).map(drop)).unwrap();
            fs::set_permissions(&to, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let project = Project { base };
        project.run_as(VICTIM, &format!("umask 077; printf {PRECIOUS} >../home/private"));
        project
    }

    fn command(&self, user: u32, script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("umask 002\n{script}")]).uid(user).gid(GROUP);
        let home = if user == VICTIM { "home" } else { "nowhere" };
        let path = format!("{}:/usr/bin:/bin", self.base.join("bin").display());
        command.env_clear().env("HOME", self.base.join(home)).env("PATH", path);
        command.current_dir(self.base.join("project")).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a script as a user, to whom not all of it may be allowed.
    fn run_as(&self, user: u32, script: &str) -> Ran {
        end_in_time(self.command(user, script).spawn().unwrap(), script)
    }

    /// Runs trialbox as the victim.
    fn victim(&self, arguments: &str) -> Ran {
        let wasm = self.base.join("bin/quadratic.wasm").display().to_string();
        self.run_as(VICTIM, &format!("exec trialbox {}", arguments.replace("{wasm}", &wasm)))
    }

    /// Returns what is wrong with the victim's files, or nothing.
    fn damage(&self) -> Option<&'static str> {
        let home = self.base.join("home");
        if fs::read_to_string(home.join("private")).ok().as_deref() != Some(PRECIOUS) {
            return Some("the private file was changed or removed");
        }
        home.join(".bashrc").symlink_metadata().is_ok().then_some("a file was created")
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.base);
    }
}

/// A fake sbatch, which accepts everything.
const SLURM: &str = "for name in sbatch scontrol squeue; do printf '#!/bin/sh\\ncat >/dev/null; echo 4711\\n' >$name; \
                     chmod 755 $name; done";

fn prepared(test: &str) -> Project {
    let project = Project::new(test);
    let bin = project.base.join("bin");
    let made = Command::new("sh").args(["-c", SLURM]).current_dir(bin).status().unwrap();
    assert!(made.success());
    for storage in ["study.db", "one.db"] {
        let ran = project.victim(&format!("run {{wasm}} --storage {storage} --study-name s"));
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    let attr = "trialbox:checkpoint_dir=s-0123456789abcdef";
    let ran = project.victim(&format!("study set-attr {attr} --storage study.db --study-name s"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    project
}

/// What the colleague leaves in a place, as a script in the project folder.
fn plants(place: &Place) -> [String; 4] {
    // Where the colleague may not remove a folder of the victim's, its name is still free for the taking.
    let make_way = |path: &str| {
        let parent = Path::new(path).parent().unwrap().display().to_string();
        let parent = if parent.is_empty() { ".".to_owned() } else { parent };
        format!("mkdir -p {parent}; rm -rf {path} 2>/dev/null || mv {path} moved.$$;")
    };
    let way = make_way(place.path);
    let path = place.path;
    [
        format!("{way} ln -s {{base}}/home/private {path}"),
        format!("{way} ln -s {{base}}/home/.bashrc {path}"),
        format!("{way} ln -s {{base}}/home {path}"),
        format!("{way} mkfifo {path}"),
    ]
}

#[test]
fn nothing_that_a_colleague_leaves_lying_about_touches_a_file_of_the_victims() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let mut problems = Vec::new();
    for place in PLACES {
        let project = prepared("places");
        for plant in plants(place) {
            let plant = plant.replace("{base}", &project.base.display().to_string());
            project.run_as(COLLEAGUE, &plant);
            for command in place.commands {
                let ran = project.victim(command);
                let case = format!("{}: {plant}: {command}", place.name);
                if ran.code.is_none_or(|code| code == 101) {
                    problems.push(format!("{case}: it crashed: {ran:?}"));
                }
                if let Some(damage) = project.damage() {
                    problems.push(format!("{case}: {damage}: {ran:?}"));
                }
                if (ran.stdout.clone() + &ran.stderr).contains(PRECIOUS) {
                    problems.push(format!("{case}: the private file was read: {ran:?}"));
                }
            }
        }
    }
    assert!(problems.is_empty(), "{}:\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn two_users_share_a_study_its_spool_and_its_checkpoints_all_the_same() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let project = prepared("share");
    let wasm = project.base.join("bin/quadratic.wasm").display().to_string();
    // A database that has a lock file keeps it, so SQLite's locks come first.
    for lock in ["sqlite", "file"] {
        for user in [VICTIM, COLLEAGUE, VICTIM] {
            let run = format!(
                "exec trialbox run {wasm} --storage one.db --study-name s --lock {lock} --no-cache \
                 --checkpoint-dir kept"
            );
            // SQLite makes a database for its user alone to write, so the group gets it by hand.
            project.run_as(VICTIM, "chmod g+w one.db");
            let ran = project.run_as(user, &run);
            assert_eq!(ran.code, Some(0), "{user}, {lock}: {ran:?}");
        }
    }
}

#[test]
fn a_link_of_a_colleagues_grants_nothing_and_one_of_the_users_own_does() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let project = prepared("grant");
    project.run_as(COLLEAGUE, &format!("ln -s {}/home data", project.base.display()));
    let ran = project.victim("run {wasm} --storage study.db --study-name s --dir data::/data");
    ran.assert_error(2, &["`data` is a link of the user with the id 47001, to `"]);
    project.run_as(VICTIM, "mkdir real; ln -s real own");
    let ran = project.victim("run {wasm} --storage study.db --study-name s --dir own::/data");
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn a_colleague_who_writes_the_database_chooses_no_folder_of_the_victims() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let project = prepared("forged");
    let thesis = "mkdir -p kept/thesis-0123456789abcdef/2/2; echo x >kept/thesis-0123456789abcdef/2/2/weights";
    project.run_as(VICTIM, thesis);
    project.run_as(VICTIM, "chmod g+w one.db");
    // A folder of the colleague's with the right marker, in which a trial's folder is a link to the victim's.
    let forge = format!(
        "inode=$(stat -c %i one.db); mkdir kept/evil-0123456789abcdef; cd kept/evil-0123456789abcdef;
         printf '{{\"study\": 1, \"name\": \"s\", \"database\": \"{0}/project/one.db\", ' >.trialbox-study;
         printf '\"inode\": \"%s\"}}\\n' $inode >>.trialbox-study;
         for n in 1 2 3 4 5 6 7 8 9; do ln -s ../thesis-0123456789abcdef/2 $n; done",
        project.base.display()
    );
    project.run_as(COLLEAGUE, &forge);
    for name in ["thesis-0123456789abcdef", "evil-0123456789abcdef"] {
        let set = format!(
            "exec trialbox study set-attr trialbox:checkpoint_dir={name} --storage one.db --study-name s"
        );
        let ran = project.run_as(COLLEAGUE, &set);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let ran =
            project.victim("run {wasm} --storage one.db --study-name s --checkpoint-dir kept");
        assert_ne!(ran.code, Some(101), "{ran:?}");
        let weights = project.base.join("project/kept/thesis-0123456789abcdef/2/2/weights");
        assert!(weights.exists(), "{name}: {ran:?}");
    }
}
