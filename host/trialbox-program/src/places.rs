//! The places that a confined program needs: its interpreter and libraries, its own folder, and some devices.

use crate::command::CommandLine;
use crate::confinement::Confinement;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Folders of the system with programs and libraries, and what tells about the machine.
const OF_SYSTEM: [&str; 14] = [
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/usr",
    "/opt",
    "/cvmfs",
    "/nix/store",
    "/gnu/store",
    "/proc",
    "/sys",
    "/var/cache/fontconfig",
];

/// Files of `/etc` that libraries read. Others, such as `/etc/shadow`, are out of reach.
const OF_ETC: [&str; 17] = [
    "OpenCL",
    "R",
    "alternatives",
    "ca-certificates",
    "crypto-policies",
    "fonts",
    "julia",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "mime.types",
    "nsswitch.conf",
    "os-release",
    "pki",
    "ssl",
    "timezone",
];

/// Files of `/etc` that name other machines.
const OF_NETWORK: [&str; 6] = [
    "/etc/gai.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/resolv.conf",
    "/etc/services",
    "/run/systemd/resolve",
];

/// Devices that every program uses, and those of GPUs.
const DEVICES: [&str; 7] =
    ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/dri", "/dev/kfd"];

/// The shared memory of POSIX, without which joblib runs serially.
const SHARED_MEMORY: &str = "/dev/shm";

/// Variables with one folder of an environment of Python's, and with lists of folders.
const ENVIRONMENTS: [&str; 2] = ["VIRTUAL_ENV", "CONDA_PREFIX"];
const LISTS: [&str; 5] = ["PATH", "LD_LIBRARY_PATH", "PYTHONPATH", "R_LIBS", "JULIA_LOAD_PATH"];

/// Folders of programs, beside which their libraries are.
const OF_PROGRAMS: [&str; 4] = ["bin", "sbin", "shims", "condabin"];

/// Folders beside those of programs, where the folder around them holds other things too.
const OF_LIBRARIES: [&str; 4] = ["bin", "lib", "lib64", "include"];

/// The parts of this machine that decide where a program's places are.
struct Machine<'a> {
    home: Option<PathBuf>,
    variable: &'a dyn Fn(&str) -> Option<OsString>,
}

impl Confinement {
    /// Returns the rights that a command needs on this machine: to read its interpreter, its libraries and the folders
    /// of its own files, and to use the usual devices.
    pub fn of(command: &CommandLine, network: bool) -> Self {
        let home = std::env::home_dir().and_then(|home| home.canonicalize().ok());
        let machine = Machine { home, variable: &|name| std::env::var_os(name) };
        let mut read: Vec<PathBuf> = OF_SYSTEM.iter().map(PathBuf::from).collect();
        read.extend(OF_ETC.iter().map(|name| Path::new("/etc").join(name)));
        if network {
            read.extend(OF_NETWORK.iter().map(PathBuf::from));
        }
        read.extend(machine.libraries());
        read.extend(command.executable().into_iter().flat_map(|path| machine.around(&path)));
        read.extend(command.files().iter().flat_map(|file| machine.own_folder(file)));
        let mut devices: Vec<PathBuf> = DEVICES.iter().map(PathBuf::from).collect();
        devices.extend(devices_of_nvidia());
        let write = vec![PathBuf::from(SHARED_MEMORY)];
        let existing = |mut paths: Vec<PathBuf>| {
            paths.retain(|path| path.exists());
            paths.sort();
            paths.dedup();
            paths
        };
        Confinement {
            read: existing(read),
            write: existing(write),
            devices: existing(devices),
            network,
        }
    }
}

impl Machine<'_> {
    /// Returns the folders of programs and libraries that the environment names.
    fn libraries(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for name in LISTS {
            let list = (self.variable)(name).unwrap_or_default();
            for folder in std::env::split_paths(&list).filter(|folder| folder.is_absolute()) {
                if !self.is_in_home(&folder) && is_of_programs(&folder) {
                    found.extend(self.beside(&folder));
                }
                found.push(folder);
            }
        }
        found.extend(
            ENVIRONMENTS.iter().filter_map(|name| (self.variable)(name)).map(PathBuf::from),
        );
        // Packages that a user installed with `pip install --user`.
        found.extend(self.home.iter().map(|home| home.join(".local/lib")));
        found.retain(|folder| !self.holds_home(folder));
        found
    }

    /// Returns the places of an executable and its libraries, and those of the files that it links to.
    fn around(&self, executable: &Path) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut path = std::path::absolute(executable).unwrap_or_else(|_| executable.to_owned());
        // More links are an error when the program is started.
        for _ in 0..40 {
            found.push(path.clone());
            if let Some(folder) = path.parent()
                && is_of_programs(folder)
            {
                found.push(folder.to_owned());
                found.extend(self.beside(folder));
            }
            let Ok(target) = std::fs::read_link(&path) else { break };
            path = path.parent().unwrap_or(Path::new("/")).join(target);
        }
        if let Ok(path) = path.canonicalize() {
            found.extend(
                path.parent()
                    .filter(|folder| is_of_programs(folder))
                    .into_iter()
                    .flat_map(|f| self.beside(f)),
            );
            found.push(path);
        }
        found.retain(|place| !self.holds_home(place));
        found
    }

    /// Returns the folder around a folder of programs, or only the folders of libraries in it where it is a home.
    fn beside(&self, programs: &Path) -> Vec<PathBuf> {
        let Some(prefix) = programs.parent() else { return vec![] };
        let is_users = self.home.as_ref().is_some_and(|home| *prefix == home.join(".local"));
        if self.holds_home(prefix) || is_users {
            return OF_LIBRARIES.iter().map(|name| prefix.join(name)).collect();
        }
        vec![prefix.to_owned()]
    }

    /// Returns the folder of a command's file; the file alone where the folder is a home, or holds one.
    fn own_folder(&self, file: &Path) -> Vec<PathBuf> {
        let Ok(file) = file.canonicalize() else { return vec![] };
        match file.parent() {
            Some(folder) if !self.holds_home(folder) => vec![folder.to_owned()],
            _ => vec![file],
        }
    }

    fn holds_home(&self, folder: &Path) -> bool {
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        folder == Path::new("/") || self.home.as_ref().is_some_and(|home| home.starts_with(&folder))
    }

    fn is_in_home(&self, folder: &Path) -> bool {
        self.home.as_ref().is_some_and(|home| folder.starts_with(home))
    }
}

fn is_of_programs(folder: &Path) -> bool {
    folder.file_name().is_some_and(|name| OF_PROGRAMS.iter().any(|known| *known == name))
}

/// Returns NVIDIA's devices.
fn devices_of_nvidia() -> Vec<PathBuf> {
    let devices = std::fs::read_dir("/dev").into_iter().flatten().flatten();
    let named =
        devices.filter(|device| device.file_name().as_encoded_bytes().starts_with(b"nvidia"));
    named.map(|device| device.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(variable: &dyn Fn(&str) -> Option<OsString>) -> Machine<'_> {
        Machine { home: Some(PathBuf::from("/home/anna")), variable }
    }

    #[test]
    fn a_home_is_never_granted() {
        let nothing = |_: &str| None;
        let machine = machine(&nothing);
        for folder in ["/", "/home", "/home/anna"] {
            assert!(machine.holds_home(Path::new(folder)), "{folder}");
        }
        assert!(!machine.holds_home(Path::new("/home/anna/project")));
        let beside = machine.beside(Path::new("/home/anna/bin"));
        assert_eq!(beside[..2], [PathBuf::from("/home/anna/bin"), PathBuf::from("/home/anna/lib")]);
        assert_eq!(
            machine.beside(Path::new("/home/anna/env/bin")),
            [PathBuf::from("/home/anna/env")]
        );
        assert!(
            !machine
                .beside(Path::new("/home/anna/.local/bin"))
                .contains(&PathBuf::from("/home/anna/.local"))
        );
    }

    #[test]
    fn the_environment_names_libraries() {
        let variable = |name: &str| match name {
            "PATH" => Some(OsString::from("/apps/python/bin:/home/anna/bin:/home/anna:.")),
            "VIRTUAL_ENV" => Some(OsString::from("/home/anna/env")),
            _ => None,
        };
        let found = machine(&variable).libraries();
        for place in [
            "/apps/python",
            "/apps/python/bin",
            "/home/anna/bin",
            "/home/anna/env",
            "/home/anna/.local/lib",
        ] {
            assert!(found.contains(&PathBuf::from(place)), "{place} is missing in {found:?}");
        }
        assert!(
            !found.iter().any(|place| place == Path::new("/home/anna") || place == Path::new(".")),
            "{found:?}"
        );
    }
}
