//! The confinement of a program, on request: the kernel refuses it other files, the network and signals to others.
//!
//! A program cannot be confined from outside, and the supervisor must not be confined itself, or the program could
//! signal it. So the starter (`starter.rs`) confines itself before it becomes the program.

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, LandlockStatus, PathBeneath, Ruleset,
    RulesetAttr as _, RulesetCreatedAttr as _, RulesetError, Scope, make_bitflags,
};
use rustix::fs::{Mode, OFlags};
use rustix::thread::CapabilitySet;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The rights of a program that is not confined, for people.
const NOT_SANDBOXED: &str = "not sandboxed: the program has all rights of the user";

/// The newest version of Landlock whose rights are known here. An older kernel refuses what it knows.
const LANDLOCK_ABI: ABI = ABI::V7;

/// The version of Landlock from which no file outside can be changed: before it, files can be cut short.
const LEAST_ABI: u32 = 3;

/// The version of Landlock that keeps signals and abstract sockets inside.
const SCOPES_ABI: u32 = 6;

/// Reading, and running programs.
const READING: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir | Execute});

/// Everything in a folder but devices.
const WRITING: BitFlags<AccessFs> = make_bitflags!(AccessFs::{
    ReadFile | ReadDir | Execute | WriteFile | Truncate | MakeReg | MakeDir | MakeSym | MakeFifo | MakeSock
    | RemoveFile | RemoveDir | Refer
});

/// The use of a device.
const DEVICE: BitFlags<AccessFs> =
    make_bitflags!(AccessFs::{ReadFile | ReadDir | WriteFile | Truncate | IoctlDev});

/// The rights that make sense for something that is not a folder.
const OF_FILES: BitFlags<AccessFs> =
    make_bitflags!(AccessFs::{ReadFile | Execute | WriteFile | Truncate | IoctlDev});

/// The rights of a confined program.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// The files and folders that it may read and execute.
    pub read: Vec<PathBuf>,
    /// The folders in which it may change everything.
    pub write: Vec<PathBuf>,
    /// The devices that it may use.
    pub devices: Vec<PathBuf>,
    /// True if it may use the network.
    pub network: bool,
}

/// A confinement, and what this machine's kernel enforces of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confined {
    /// The rights that the program keeps.
    pub rights: Confinement,
    /// The parts that hold.
    pub enforced: Enforced,
}

/// Describes the rights of a program, for people.
pub(crate) fn rights_text(confined: Option<&Confined>) -> String {
    confined.map_or_else(|| NOT_SANDBOXED.to_owned(), Confined::text)
}

impl Confined {
    fn text(&self) -> String {
        let network = if self.rights.network { "the network, " } else { "" };
        let mut text = format!(
            "not sandboxed, but confined by the kernel: the program reads its interpreter, its libraries, its own \
             folder and what is granted, and changes what is granted for writing; it has {network}memory shared by \
             the user's programs and local sockets"
        );
        let missing = self.enforced.missing();
        if !missing.is_empty() {
            text.push_str(&format!("; not confined here: {}", missing.join(", ")));
        }
        text
    }
}

/// The parts of a confinement that a kernel enforces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enforced {
    /// The version of Landlock; 0 for none.
    pub landlock_abi: u32,
    /// True if system calls are filtered.
    pub seccomp: bool,
}

impl Enforced {
    /// Returns what this kernel enforces, by confining a thread that ends immediately.
    pub fn by_this_kernel() -> Self {
        let confined = std::thread::spawn(|| Confinement::default().apply());
        match confined.join() {
            Ok(Ok(enforced)) => enforced,
            _ => Enforced { landlock_abi: 0, seccomp: false },
        }
    }

    /// Returns whether files outside, and the network, are out of reach.
    pub fn is_whole(self) -> bool {
        self.landlock_abi >= LEAST_ABI && self.seccomp
    }

    /// Lists what is not enforced, for people.
    pub fn missing(self) -> Vec<&'static str> {
        let mut missing = Vec::new();
        match self.landlock_abi {
            0 => missing.push("files (the kernel has no Landlock)"),
            1 | 2 => missing.push("cutting files short (Linux 6.2)"),
            _ => {}
        }
        if self.landlock_abi < SCOPES_ABI {
            missing.push("signals to processes of the user (Linux 6.12)");
        }
        if !self.seccomp {
            missing.push("the network (the kernel has no seccomp)");
        }
        missing
    }
}

impl Confinement {
    /// Confines this thread, and all that it starts, for good.
    ///
    /// # Errors
    /// Fails if the kernel does not do what its version promises.
    pub(crate) fn apply(&self) -> Result<Enforced, String> {
        rustix::thread::set_no_new_privs(true).map_err(|error| error.to_string())?;
        give_up_capabilities().map_err(|error| error.to_string())?;
        let landlock_abi = self.restrict_files().map_err(|error| error.to_string())?;
        let filter = filter(self.network).and_then(BpfProgram::try_from);
        let filter = filter.map_err(|error| error.to_string())?;
        let seccomp = seccompiler::apply_filter(&filter).is_ok();
        Ok(Enforced { landlock_abi, seccomp })
    }

    /// Leaves nothing but the listed places, and returns the version of Landlock, or 0 without it.
    fn restrict_files(&self) -> Result<u32, RulesetError> {
        if is_omitted("landlock") {
            return Ok(0);
        }
        let places = [(&self.read, READING), (&self.write, WRITING), (&self.devices, DEVICE)];
        let places = places
            .into_iter()
            .flat_map(|(paths, access)| paths.iter().map(move |path| (path.as_path(), access)));
        // A place that is missing gets no rule; the program finds that out.
        let rules =
            places.filter_map(|(path, access)| Some(Ok::<_, RulesetError>(rule(path, access)?)));
        let mut ruleset = Ruleset::default().handle_access(AccessFs::from_all(LANDLOCK_ABI))?;
        if !self.network {
            ruleset = ruleset.handle_access(AccessNet::from_all(LANDLOCK_ABI))?;
        }
        let ruleset = ruleset.scope(Scope::from_all(LANDLOCK_ABI))?.create()?;
        let status = ruleset.add_rules(rules)?.restrict_self()?;
        Ok(match status.landlock {
            LandlockStatus::Available { effective_abi, .. } => effective_abi as u32,
            LandlockStatus::NotEnabled | LandlockStatus::NotImplemented => 0,
        })
    }
}

/// Leaves root only its rights on files. With CAP_PERFMON it would read the memory of any process, Landlock or not.
/// A process without new privileges does not regain them when it becomes another program (capabilities(7)).
fn give_up_capabilities() -> rustix::io::Result<()> {
    let kept = CapabilitySet::CHOWN
        | CapabilitySet::DAC_OVERRIDE
        | CapabilitySet::FOWNER
        | CapabilitySet::FSETID;
    let mut rights = rustix::thread::capabilities(None)?;
    for set in [&mut rights.effective, &mut rights.permitted, &mut rights.inheritable] {
        *set &= kept;
    }
    rustix::thread::set_capabilities(None, rights)
}

fn rule(path: &Path, access: BitFlags<AccessFs>) -> Option<PathBeneath<std::os::fd::OwnedFd>> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    // `DIRECTORY` makes an automounter mount a folder.
    let folder = rustix::fs::open(path, flags | OFlags::DIRECTORY, Mode::empty());
    match folder {
        Ok(folder) => Some(PathBeneath::new(folder, access)),
        Err(_) => {
            let file = rustix::fs::open(path, flags, Mode::empty()).ok()?;
            Some(PathBeneath::new(file, access & OF_FILES))
        }
    }
}

/// Returns whether the environment asks for a part to be left out, as on an older kernel; never in a release.
#[cfg(feature = "failpoints")]
fn is_omitted(part: &str) -> bool {
    std::env::var("TRIALBOX_WITHOUT").is_ok_and(|names| names.split(',').any(|name| name == part))
}

#[cfg(not(feature = "failpoints"))]
const fn is_omitted(_part: &str) -> bool {
    false
}

/// The number that system calls of the x32 interface have in addition, which share the architecture of x86-64.
#[cfg(target_arch = "x86_64")]
const INTERFACES: &[i64] = &[0, 0x4000_0000];
#[cfg(not(target_arch = "x86_64"))]
const INTERFACES: &[i64] = &[0];

/// Returns the filter of system calls: without the network no socket but local ones, which processes use among
/// themselves. An `io_uring` makes sockets too, without the filter's seeing it; a keyring may hold tickets of the user.
fn filter(network: bool) -> Result<SeccompFilter, BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for interface in INTERFACES {
        for call in
            [libc::SYS_io_uring_setup, libc::SYS_add_key, libc::SYS_keyctl, libc::SYS_request_key]
        {
            rules.insert(interface | call, vec![]);
        }
        if !network {
            let family = SeccompCondition::new(
                0,
                SeccompCmpArgLen::Dword,
                SeccompCmpOp::Ne,
                libc::AF_UNIX as u64,
            )?;
            rules.insert(interface | libc::SYS_socket, vec![SeccompRule::new(vec![family])?]);
        }
    }
    let refuse = SeccompAction::Errno(libc::EACCES as u32);
    SeccompFilter::new(rules, SeccompAction::Allow, refuse, std::env::consts::ARCH.try_into()?)
}
