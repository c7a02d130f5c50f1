//! The ways out that a guest tries in `tests/it/escapes.rs`, tried natively with Landlock alone: where WASI should let
//! one through, the kernel does not.

#[path = "../../../../../../tests/guests/prober/src/attempt.rs"]
mod attempt;

use super::*;

const FILES: &str = include_str!("../../../../../../tests/guests/prober/files.txt");

#[test]
fn the_kernel_alone_refuses_each_path_that_leads_out_of_the_grants() {
    if let Some(scene) = std::env::var_os(SCENE) {
        return try_escapes(Path::new(&scene));
    }
    let test = "escapes::the_kernel_alone_refuses_each_path_that_leads_out_of_the_grants";
    let Some((abi, found)) = found_by_confined(test, &[]) else { return };
    let wrong = FILES.lines().zip(found.lines()).filter(|(wanted, came)| {
        // Without version 3 what can be named can be cut short.
        let is_older = abi < 3 && wanted.contains("truncate");
        !is_older && came != wanted
    });
    assert_eq!(wrong.collect::<Vec<_>>(), []);
    assert_eq!(found.lines().count(), FILES.lines().count());
}

fn try_escapes(scene: &Path) {
    let abi = leave_only(&grants(scene), None);
    let mut attempts = Attempts::default();
    for line in FILES.lines() {
        let (_, attempt) = line.split_once(": ").expect("what is wanted comes first");
        let came = attempt::make(scene, attempt);
        // By the kernel's own word, and not because there was nothing.
        let came = match came.as_str() {
            "refused: PermissionDenied" | "refused: CrossesDevices" => "refused",
            came if came.starts_with("got ") => "got",
            came => came,
        };
        writeln!(attempts.0, "{came}: {attempt}").expect("a string can be written");
    }
    leave_found(scene, abi, &attempts);
}
