//! A root directory that holds nothing but the grants, for this process alone.
//!
//! The process gets mounts of its own: an empty file system in memory, with the granted directories at their paths. The
//! rest of the machine's files cannot be named any more, whatever call names them, which holds without Landlock too.
//! A user who may not mount gets that right for the process by a user namespace, where the kernel allows one, and the
//! process gives it up before the objective's bytes arrive.

use crate::guest::lockdown::omitted::is_omitted;
use crate::wire::protocol::Grant;
use rustix::io::{Errno, Result};
use rustix::process::{Signal, getegid, geteuid, pivot_root, set_parent_process_death_signal};
use rustix::thread::{
    CapabilitySet, CapabilitySets, UnshareFlags, capabilities, set_capabilities, unshare_unsafe,
};
use std::ffi::{CStr, CString};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use trialbox_files::Identity;

/// The directory over which the new root is mounted while it is filled. No grant lies there, so none is hidden.
const BASE: &str = "/proc";

/// The place of the old root for a moment, relative to [`BASE`].
const OLD_ROOT: &str = ".old";

/// The rights of root that matter for files alone. A process of root's keeps them, or it would lose access to grants of
/// other users; it has no way to them in a user namespace.
const RIGHTS_TO_FILES: CapabilitySet = CapabilitySet::DAC_OVERRIDE
    .union(CapabilitySet::DAC_READ_SEARCH)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID);

/// A directory of the new root.
pub(crate) struct Visible<'a> {
    /// The absolute path, which stays the same.
    pub(crate) path: &'a Path,
    /// True if the process may change files there.
    pub(crate) writable: bool,
    /// The grant whose directory must be the one at the path.
    pub(crate) grant: Option<&'a Grant>,
}

/// Replaces the root directory of this process, which must have one thread. Returns whether it holds nothing else now;
/// if not, all paths stay as they were.
pub(crate) fn enter(visible: &[Visible]) -> bool {
    if is_omitted("root") || !visible.iter().all(|directory| can_be_moved(directory.path)) {
        return false;
    }
    let entered = new_mounts().and_then(|()| {
        let filled = mount_base().and_then(|()| fill(visible).and_then(|()| change_root()));
        if filled.is_err() {
            // Undone before the root has changed; without the mount this is refused.
            let _ = unmount(BASE);
        }
        filled
    });
    give_up_capabilities();
    // A change of credentials may have cleared it.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    entered.is_ok()
}

/// Returns whether a directory can have the same path below the new root.
fn can_be_moved(path: &Path) -> bool {
    let is_plain = |part| matches!(part, Component::RootDir | Component::Normal(_));
    path.is_absolute()
        && path.components().all(is_plain)
        && path != Path::new("/")
        && !path.starts_with(BASE)
}

/// Gives this process a copy of the mounts that it may change without an effect on others.
fn new_mounts() -> Result<()> {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    if unshare(UnshareFlags::NEWNS).is_err() {
        unshare(UnshareFlags::NEWNS | UnshareFlags::NEWUSER)?;
        // The same ids inside as outside: files are owned by whom they were.
        for (file, text) in [
            ("/proc/self/setgroups", "deny".to_owned()),
            ("/proc/self/gid_map", format!("{gid} {gid} 1")),
            ("/proc/self/uid_map", format!("{uid} {uid} 1")),
        ] {
            fs::write(file, text).map_err(|_| Errno::PERM)?;
        }
    }
    // What is mounted here must not appear elsewhere; what an automounter mounts elsewhere must appear here.
    mount(None, c"/", None, libc::MS_REC | libc::MS_SLAVE, None)
}

#[expect(unsafe_code, reason = "only unsharing descriptors would be unsafe")]
fn unshare(flags: UnshareFlags) -> Result<()> {
    // SAFETY: the flags are about mounts and users, and leave descriptors shared.
    unsafe { unshare_unsafe(flags) }
}

fn mount_base() -> Result<()> {
    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    mount(Some(c"tmpfs"), &c_path(Path::new(BASE))?, Some(c"tmpfs"), flags, Some(c"mode=0755"))
}

/// Mounts the directories at their paths below [`BASE`].
fn fill(visible: &[Visible]) -> Result<()> {
    let mut visible: Vec<&Visible> = visible.iter().collect();
    // A directory inside another one comes after it, or the outer mount would hide it.
    visible.sort_by_key(|directory| directory.path.components().count());
    for directory in visible {
        // A grant that has gone is an error of the code that opens it.
        let Ok(source) = fs::canonicalize(directory.path) else { continue };
        if source.starts_with(BASE) {
            return Err(Errno::INVAL);
        }
        let target = below_base(directory.path);
        fs::create_dir_all(&target).map_err(|_| Errno::IO)?;
        let (source, target) = (c_path(&source)?, c_path(&target)?);
        mount(Some(&source), &target, None, libc::MS_BIND | libc::MS_REC, None)?;
        // What is mounted stays, whatever takes its path later.
        check_mounted(directory)?;
        set_attributes(&target, directory.writable);
    }
    fs::create_dir(below_base(Path::new(OLD_ROOT))).map_err(|_| Errno::IO)
}

/// Checks that the directory that was mounted is the one that was granted.
fn check_mounted(directory: &Visible) -> Result<()> {
    let Some(grant) = directory.grant else { return Ok(()) };
    let mounted = Identity::of(&below_base(directory.path)).map_err(|_| Errno::IO)?;
    grant.require(mounted).map_err(|_| Errno::STALE)
}

fn below_base(path: &Path) -> PathBuf {
    Path::new(BASE).join(path.strip_prefix("/").unwrap_or(path))
}

/// Makes [`BASE`] the root and drops the old one.
fn change_root() -> Result<()> {
    pivot_root(BASE, below_base(Path::new(OLD_ROOT)).as_path())?;
    let _ = rustix::process::chdir("/");
    let old = Path::new("/").join(OLD_ROOT);
    unmount(&old)?;
    let _ = fs::remove_dir(&old);
    let flags = libc::MS_REMOUNT
        | libc::MS_BIND
        | libc::MS_RDONLY
        | libc::MS_NOSUID
        | libc::MS_NODEV
        | libc::MS_NOEXEC;
    // A directory that could be made in memory would harm no file of the user's.
    let _ = mount(None, c"/", None, flags, None);
    Ok(())
}

/// Gives up the right to mount, and all others that an ordinary process lacks.
fn give_up_capabilities() {
    let Ok(found) = capabilities(None) else { return };
    let kept = RIGHTS_TO_FILES & found.effective;
    let sets =
        CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    let _ = set_capabilities(None, sets);
}

/// `struct mount_attr` of mount_setattr(2).
#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// Forbids programs, devices and, unless it is writable, changes below a mount. Before Linux 5.12 the other precautions
/// do that alone.
#[expect(
    unsafe_code,
    reason = "rustix has this call only with features that trialbox does not need"
)]
fn set_attributes(target: &CStr, writable: bool) {
    let harmless = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOEXEC;
    let set = if writable { harmless } else { harmless | libc::MOUNT_ATTR_RDONLY };
    let attributes = MountAttributes { set, clear: 0, propagation: 0, user_namespace: 0 };
    // SAFETY: the path ends with a zero, and the kernel only reads `attributes`, whose size it is told.
    unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            target.as_ptr(),
            libc::AT_RECURSIVE,
            &raw const attributes,
            size_of::<MountAttributes>(),
        );
    }
}

#[expect(
    unsafe_code,
    reason = "rustix has this call only with features that trialbox does not need"
)]
fn mount(
    source: Option<&CStr>,
    target: &CStr,
    kind: Option<&CStr>,
    flags: libc::c_ulong,
    data: Option<&CStr>,
) -> Result<()> {
    let pointer = |text: Option<&CStr>| text.map_or(std::ptr::null(), CStr::as_ptr);
    // SAFETY: each pointer is null or to a text that ends with a zero, which the kernel only reads.
    let result = unsafe {
        libc::mount(pointer(source), target.as_ptr(), pointer(kind), flags, pointer(data).cast())
    };
    if result == 0 { Ok(()) } else { Err(last_error()) }
}

#[expect(
    unsafe_code,
    reason = "rustix has this call only with features that trialbox does not need"
)]
fn unmount(path: impl AsRef<Path>) -> Result<()> {
    let path = c_path(path.as_ref())?;
    // SAFETY: the path ends with a zero, and the kernel only reads it.
    let result = unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) };
    if result == 0 { Ok(()) } else { Err(last_error()) }
}

fn last_error() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

fn c_path(path: &Path) -> Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::INVAL)
}
