use super::*;
use std::fs;
use std::os::unix::fs::symlink;

/// A project folder with a database, and a home, in a test's own folder.
struct Ground(PathBuf);

impl Ground {
    fn new(test: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("trialbox-trusted-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        for name in [
            "project/data",
            "project/s.db.spool",
            "home/.ssh",
            "home/.config/fish",
            "home/bin",
            "home/work",
            "state/trialbox",
        ] {
            fs::create_dir_all(folder.join(name)).expect("a place for temporary files");
        }
        fs::write(folder.join("project/s.db"), "").expect("our own folder");
        fs::write(folder.join("home/.bashrc"), "").expect("our own folder");
        Ground(folder.canonicalize().expect("it is there"))
    }

    fn places(&self) -> TrustedPlaces {
        let database = self.0.join("project/s.db");
        let spool = Spool::of(&database, [self.0.join("state/spool")]);
        TrustedPlaces::default()
            .with_database(&Location::File(database), Some(&spool))
            .with_checkpoints(Some(&self.0.join("kept")))
            .with_caches([self.0.join("cache/trialbox")].into_iter())
            .with_secret("the key of compiled code", Some(&self.0.join("state/trialbox")))
            .with_keys(&self.0.join("home"))
            .with_home(&self.0.join("home"))
    }

    /// Returns the relation and the place of a refusal, or nothing for a grant that is allowed.
    fn judge(&self, host: &str, writable: bool) -> String {
        let host = self.0.join(host);
        let grant = Grant::of(host, "/g".to_owned(), writable).expect("a directory");
        match self.places().check_grant(&grant, &Mounts::of_this_process()) {
            Ok(()) => String::new(),
            Err(error) => {
                let text = error.error.to_string().replace(&self.0.display().to_string(), "");
                text.split(": it ")
                    .nth(1)
                    .expect("the relation")
                    .split(", which")
                    .next()
                    .expect("the place")
                    .to_owned()
            }
        }
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_writable_grant_opens_no_place_that_the_host_trusts() {
    let ground = Ground::new("places");
    for folder in ["kept/s-1", "cache/trialbox", "state/spool/x"] {
        fs::create_dir_all(ground.0.join(folder)).expect("our own folder");
    }
    for (host, want) in [
        ("project/data", ""),
        ("home/work", ""),
        ("project", "holds the database `/project/s.db`"),
        ("", "holds the database `/project/s.db`"),
        ("project/s.db.spool", "is the spool `/project/s.db.spool`"),
        ("state/spool/x", "lies in the spool `/state/spool`"),
        ("kept", "is the checkpoints in `/kept`"),
        ("kept/s-1", "lies in the checkpoints in `/kept`"),
        ("cache", "holds compiled code in `/cache/trialbox`"),
        ("cache/trialbox", "is compiled code in `/cache/trialbox`"),
        ("home", "is your home directory `/home`"),
        ("home/.config/fish", "lies in your `/home/.config`"),
        ("home/bin", "is your `/home/bin`"),
    ] {
        assert_eq!(ground.judge(host, true), want, "{host}");
    }
}

#[test]
fn a_read_only_grant_opens_no_keys() {
    let ground = Ground::new("keys");
    for (host, want) in [
        ("project", ""),
        ("home/.config/fish", ""),
        ("home/.ssh", "is your keys in `/home/.ssh`"),
        ("home", "holds your keys in `/home/.ssh`"),
        ("state/trialbox", "is the key of compiled code in `/state/trialbox`"),
        ("state", "holds the key of compiled code in `/state/trialbox`"),
    ] {
        assert_eq!(ground.judge(host, false), want, "{host}");
    }
}

#[test]
fn links_on_the_way_to_a_place_count_as_the_place_does() {
    let ground = Ground::new("links");
    let at = |name: &str| ground.0.join(name);
    fs::create_dir_all(at("dotfiles")).expect("our own folder");
    fs::create_dir_all(at("fast/cache")).expect("our own folder");
    fs::create_dir(at("cache")).expect("our own folder");
    symlink(at("fast/cache"), at("cache/trialbox")).expect("our own folder");
    fs::rename(at("home/.bashrc"), at("dotfiles/bashrc")).expect("our own folder");
    symlink("../dotfiles/bashrc", at("home/.bashrc")).expect("our own folder");
    let want = "holds your `/home/.bashrc`";
    assert_eq!(ground.judge("dotfiles", true), want);
    assert_eq!(ground.judge("cache", true), "holds compiled code in `/cache/trialbox`");
    assert_eq!(ground.judge("fast", true), "holds compiled code in `/cache/trialbox`");
    assert_eq!(ground.judge("fast/cache", true), "is compiled code in `/cache/trialbox`");
}
