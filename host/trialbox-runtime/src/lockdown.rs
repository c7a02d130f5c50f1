//! What the guest process gives up before anything of the guest's is looked at. A kernel that refuses loses us
//! a precaution, not the sandbox.

use rustix::process::{
    Pid, Resource, Rlimit, Signal, getppid, getrlimit, set_parent_process_death_signal, setrlimit,
};

/// How many descriptors the guest process may have, its own and those of the files that the guest opens.
const MAX_DESCRIPTORS: u64 = 512;

/// Closes all descriptors but the standard three. Whoever started the host process may have left one of a
/// secret open. To be called before anything else in the process.
#[expect(unsafe_code, reason = "a descriptor that was inherited has no owner to drop")]
pub(crate) fn close_inherited_descriptors() {
    let (first, last, flags) = (3 as libc::c_uint, libc::c_uint::MAX, 0 as libc::c_uint);
    // The C library's own function is younger than the C libraries of many clusters.
    // SAFETY: no memory is touched, and nobody in this process has opened a descriptor yet.
    if unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) } == 0 {
        return;
    }
    // Linux before 5.9. What cannot be listed stays open, as it would without this precaution.
    let names = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let open: Vec<i32> =
        names.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for descriptor in open.into_iter().filter(|descriptor| *descriptor > 2) {
        // SAFETY: as above. The listing's own descriptor is closed by now, and closing it again is refused.
        unsafe { libc::close(descriptor) };
    }
}

/// Gives up what no guest process needs.
pub(crate) fn give_up_rights() {
    let _ = rustix::thread::set_no_new_privs(true);
    lower_limit(Resource::Core, 0);
    lower_limit(Resource::Nofile, MAX_DESCRIPTORS);
    lower_limit(Resource::Memlock, 0);
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    // The parent may have died before the kernel was told to watch it. It says itself who it is, because in
    // a container it may well be process 1, to which orphans go.
    let parent = std::env::args().nth(2).and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw);
    if parent.is_some() && getppid() != parent {
        std::process::exit(1);
    }
}

fn lower_limit(resource: Resource, most: u64) {
    let lower = |found: Option<u64>| Some(found.map_or(most, |found| found.min(most)));
    let found = getrlimit(resource);
    let _ = setrlimit(
        resource,
        Rlimit { current: lower(found.current), maximum: lower(found.maximum) },
    );
}
