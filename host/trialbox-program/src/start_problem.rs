//! The reasons why a program cannot be started: those that its user can mend, and those of the machine.

use crate::command::find_program;
use rustix::fs::{Access, access};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use trialbox_core::session::door::{Rejection, RejectionCode};
use trialbox_files::open_named;

/// The bytes of a file in which Linux looks for the interpreter (BINPRM_BUF_SIZE of linux/binfmts.h).
const FIRST_LINE_BYTES: u64 = 256;

/// The list of formats that other programs run (binfmt_misc of the kernel's documentation).
const TRANSLATORS: &str = "/proc/sys/fs/binfmt_misc";

/// This binary, which runs here.
const OWN_FILE: &str = "/proc/self/exe";

/// The program that finds an interpreter by its name.
const ENV: &str = "env";

/// The errors by which a machine that is short of something refuses to start a program.
const OF_MACHINE: [Errno; 8] = [
    Errno::AGAIN,
    Errno::MFILE,
    Errno::NFILE,
    Errno::NOMEM,
    Errno::NOSPC,
    Errno::IO,
    Errno::INTR,
    Errno::TXTBSY,
];

/// Checks that a program can be started, as far as its file shows it. `path` is the variable PATH.
///
/// # Errors
/// Fails with a sentence that names the file, its interpreter if that is the cause, and a way to mend it.
pub(crate) fn check(program: &OsStr, path: Option<&OsStr>) -> Result<(), Rejection> {
    let Some(file) = find_program(program, path) else { return Err(not_executable(program)) };
    if let Some(line) = first_line(&file) {
        return check_interpreter(&file, &line, path);
    }
    let of_this_machine = Elf::read(Path::new(OWN_FILE)).map(|own| own.machine);
    match Elf::read(&file) {
        // execvp(3) of glibc gives a program that the kernel does not know to a shell, which finds a syntax error.
        Some(elf) if Some(elf.machine) != of_this_machine && !has_translators() => {
            Err(of_another_machine(&file, &elf))
        }
        _ => Ok(()),
    }
}

/// Returns whether the kernel knows programs that run others, such as QEMU for those of another machine.
fn has_translators() -> bool {
    let entries = std::fs::read_dir(TRANSLATORS).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name()).any(|name| name != "register" && name != "status")
}

fn of_another_machine(file: &Path, elf: &Elf) -> Rejection {
    let found = format!(
        "`{}`, which was built for another machine ({})",
        file.display(),
        elf.machine_name()
    );
    rejection(&found, &format!("build it for this one ({})", std::env::consts::ARCH))
}

/// Returns the rejection of a program whose start failed with this error, before or in the system's call.
pub(crate) fn of_error(error: &io::Error, program: &OsStr, path: Option<&OsStr>) -> Rejection {
    let errno = Errno::from_io_error(error);
    if errno.is_none_or(|errno| OF_MACHINE.contains(&errno)) {
        return Rejection::new(
            RejectionCode::System,
            format!("the machine cannot start the program `{}` now: {error}", program.display()),
            "start the command again later or on another machine; `ulimit -a` shows the limits of this one",
        );
    }
    if let Err(rejection) = check(program, path) {
        return rejection;
    }
    let file = find_program(program, path).unwrap_or_else(|| PathBuf::from(program));
    let shown = file.display();
    if errno == Some(Errno::TOOBIG) {
        return rejection(
            &format!("`{shown}`, whose arguments and environment are longer than the system takes"),
            "pass less by the command line; the parameters are in TRIALBOX_PARAMS too",
        );
    }
    match Elf::read(&file) {
        Some(Elf { loader: Some(loader), .. }) if errno == Some(Errno::NOENT) => rejection(
            &format!("`{shown}`, whose loader `{}` does not exist", loader.display()),
            "build it on this system, or run it in its container",
        ),
        Some(elf) if errno == Some(Errno::NOEXEC) => of_another_machine(&file, &elf),
        _ if errno == Some(Errno::NOEXEC) => rejection(
            &format!("`{shown}`, which is neither a program of this system nor a script"),
            "name its interpreter first, such as: -- python train.py",
        ),
        _ => rejection(&format!("`{shown}`: {error}"), "start the command by hand to see more"),
    }
}

fn rejection(found: &str, help: &str) -> Rejection {
    let message = format!("expected a program that can be executed, found {found}");
    Rejection::new(RejectionCode::Read, message, help)
}

/// Returns the rejection of a program that [`find_program`] does not find.
fn not_executable(program: &OsStr) -> Rejection {
    let shown = program.display();
    if !program.as_bytes().contains(&b'/') {
        let help =
            "check its spelling, load its module or environment, or give a path such as ./train.sh";
        return rejection(&format!("`{shown}`, which no folder of PATH has"), help);
    }
    let file = Path::new(program);
    let Ok(metadata) = file.metadata() else {
        let help = "check the path, which counts from the current directory";
        return rejection(&format!("`{shown}`, which does not exist or cannot be reached"), help);
    };
    if metadata.is_dir() {
        return rejection(&format!("`{shown}`, which is a folder"), "give the file in it");
    }
    if metadata.permissions().mode() & 0o111 == 0 {
        let help = format!("make it a program: chmod +x {shown}");
        return rejection(&format!("`{shown}`, which may not be executed"), &help);
    }
    let found = format!("`{shown}`, which this user or its file system (noexec) may not execute");
    rejection(&found, "name its interpreter first, such as: -- bash train.sh, or copy it elsewhere")
}

/// Returns the words after `#!` of a script, with a carriage return at its end if it has one.
fn first_line(file: &Path) -> Option<Vec<u8>> {
    let mut start = Vec::new();
    open_named(file).ok()?.take(FIRST_LINE_BYTES).read_to_end(&mut start).ok()?;
    let line = start.strip_prefix(b"#!")?;
    let end = line.iter().position(|byte| *byte == b'\n').unwrap_or(line.len());
    Some(line[..end].to_vec())
}

/// Checks the interpreter that a script's first line names.
fn check_interpreter(file: &Path, line: &[u8], path: Option<&OsStr>) -> Result<(), Rejection> {
    let shown = file.display();
    let mut words = line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
    let Some(interpreter) = words.next() else { return Ok(()) };
    if line.ends_with(b"\r") {
        let name = String::from_utf8_lossy(interpreter);
        let name = name.trim_end();
        let found = format!(
            "`{shown}`, whose line ends are those of Windows, so that `{name}` is not found"
        );
        return Err(rejection(&found, &format!("remove them: sed -i 's/\\r$//' {shown}")));
    }
    let interpreter = Path::new(OsStr::from_bytes(interpreter));
    let help = format!(
        "mend its first line, such as #!/usr/bin/env bash, or name the interpreter first: -- bash {shown}"
    );
    if access(interpreter, Access::EXEC_OK).is_err() {
        let found = format!(
            "`{shown}`, whose interpreter `{}` does not exist or may not be executed",
            interpreter.display()
        );
        return Err(rejection(&found, &help));
    }
    // `env` takes options too, such as -S; then the name is not looked for.
    let name = words.next().map(OsStr::from_bytes);
    let is_env = interpreter.file_name() == Some(OsStr::new(ENV));
    if let Some(name) = name.filter(|name| is_env && !is_option_of_env(name))
        && find_program(name, path).is_none()
    {
        let name = name.display();
        let found = format!("`{shown}`, whose interpreter `{name}` no folder of PATH has");
        return Err(rejection(&found, &help));
    }
    Ok(())
}

fn is_option_of_env(word: &OsStr) -> bool {
    word.as_bytes().starts_with(b"-") || word.as_bytes().contains(&b'=')
}

/// The parts of the header of a program in the format ELF that decide whether it starts (elf(5)).
struct Elf {
    machine: u16,
    /// The program that loads its libraries, if it needs one.
    loader: Option<PathBuf>,
}

/// The type of the entry with the path of the loader (PT_INTERP of elf(5)).
const LOADER_ENTRY: u32 = 3;

impl Elf {
    /// Reads a file of 64 bits in the order of bytes that x86 and ARM have.
    fn read(path: &Path) -> Option<Elf> {
        let mut file = open_named(path).ok()?;
        let mut header = [0; 64];
        file.read_exact(&mut header).ok()?;
        if header[..6] != *b"\x7fELF\x02\x01" {
            return None;
        }
        let machine = u16::from_le_bytes(bytes(&header, 18)?);
        let table = u64::from_le_bytes(bytes(&header, 32)?);
        let (size, n) =
            (u16::from_le_bytes(bytes(&header, 54)?), u16::from_le_bytes(bytes(&header, 56)?));
        for index in 0..u64::from(n) {
            let entry = read_at::<56>(&mut file, table.checked_add(index * u64::from(size))?)?;
            if u32::from_le_bytes(bytes(&entry, 0)?) == LOADER_ENTRY {
                let text = read_text(&mut file, u64::from_le_bytes(bytes(&entry, 8)?))?;
                return Some(Elf { machine, loader: Some(text.into()) });
            }
        }
        Some(Elf { machine, loader: None })
    }

    fn machine_name(&self) -> String {
        // The numbers of elf.h.
        match self.machine {
            3 => "x86".to_owned(),
            21 => "powerpc64".to_owned(),
            62 => "x86_64".to_owned(),
            183 => "aarch64".to_owned(),
            243 => "riscv64".to_owned(),
            other => format!("ELF machine {other}"),
        }
    }
}

fn bytes<const N: usize>(from: &[u8], at: usize) -> Option<[u8; N]> {
    from.get(at..at + N)?.try_into().ok()
}

fn read_at<const N: usize>(file: &mut File, at: u64) -> Option<[u8; N]> {
    let mut buffer = [0; N];
    file.seek(SeekFrom::Start(at)).ok()?;
    file.read_exact(&mut buffer).ok()?;
    Some(buffer)
}

/// Reads a path that ends with a zero.
fn read_text(file: &mut File, at: u64) -> Option<OsString> {
    let mut text = Vec::new();
    file.seek(SeekFrom::Start(at)).ok()?;
    file.take(4096).read_to_end(&mut text).ok()?;
    let end = text.iter().position(|byte| *byte == 0)?;
    Some(OsStr::from_bytes(&text[..end]).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// Returns the message and the help for an executable file with this text.
    fn judged(name: &str, text: &[u8], errno: Option<Errno>) -> String {
        let folder = std::env::temp_dir().join(format!("trialbox-start-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let file = folder.join(name);
        fs::write(&file, text).expect("a file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("our file");
        let path = Some(OsStr::new("/usr/bin:/bin"));
        let rejection = match errno {
            None => check(file.as_os_str(), path).err(),
            Some(errno) => Some(of_error(&errno.into(), file.as_os_str(), path)),
        };
        fs::remove_file(&file).expect("our file");
        let Some(rejection) = rejection else { return "fine".to_owned() };
        let shown = format!("{}: {}", rejection.message, rejection.help.unwrap_or_default());
        shown.replace(&format!("{}/", folder.display()), "")
    }

    #[test]
    fn a_script_is_judged_by_its_first_line() {
        for (name, text, want) in [
            ("plain", "echo 1\n", "fine"),
            ("shell", "#!/bin/sh\necho 1\n", "fine"),
            ("spaces", "#! /usr/bin/env  sh\n", "fine"),
            ("options", "#!/usr/bin/env -S no-such-program -u\n", "fine"),
            (
                "windows",
                "#!/bin/sh\r\necho 1\r\n",
                "whose line ends are those of Windows, so that `/bin/sh`",
            ),
            ("env-windows", "#!/usr/bin/env sh\r\n", "remove them: sed -i 's/\\r$//' env-windows"),
            (
                "absent",
                "#!/opt/none/python\n",
                "`absent`, whose interpreter `/opt/none/python` does not exist",
            ),
            (
                "name",
                "#!/usr/bin/env pyton3\n",
                "`name`, whose interpreter `pyton3` no folder of PATH has",
            ),
        ] {
            let found = judged(name, text.as_bytes(), None);
            assert!(found.contains(want), "{name}: {found}");
        }
    }

    #[test]
    fn an_error_of_the_start_is_the_machine_s_or_the_program_s() {
        for errno in OF_MACHINE {
            let rejection = of_error(&errno.into(), OsStr::new("sh"), None);
            assert_eq!(rejection.code, RejectionCode::System, "{errno}");
        }
        let mut foreign = fs::read("/proc/self/exe").expect("this program");
        let loader = judged("foreign", &foreign, Some(Errno::NOENT));
        assert!(loader.contains("`foreign`, whose loader `/lib"), "{loader}");
        foreign[18..20].copy_from_slice(&183u16.to_le_bytes());
        let machine = judged("foreign", &foreign, Some(Errno::NOEXEC));
        assert!(
            machine.contains("`foreign`, which was built for another machine (aarch64)"),
            "{machine}"
        );
        let data = judged("data", &[0, 1, 2, 3], Some(Errno::NOEXEC));
        assert!(data.contains("`data`, which is neither a program of this system nor a script"));
        let long = judged("long", b"#!/bin/sh\n", Some(Errno::TOOBIG));
        assert!(long.contains("longer than the system takes"), "{long}");
    }
}
