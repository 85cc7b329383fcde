//! A short version of `cargo xtask torture` with one seed.

use std::process::Command;

#[test]
fn a_run_that_is_killed_changed_and_refused_locks_ends_with_the_bytes_of_an_undisturbed_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command
        .args(["--threads", "2", "torture", "--minutes", "0", "--seed", "1", "--folder"])
        .arg(folder.path());
    for fault in ["kill", "several", "changed-file", "no-locks", "broken-locks"] {
        command.args(["--fault", fault]);
    }
    let output = command.output().unwrap();
    let (table, said) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{table}{said}");
    let good = table.matches("end: the bytes of the undisturbed run, nothing left over").count();
    // Without a C compiler, locks are not refused, and the table says so.
    assert_eq!(good + table.matches("not tried: there is no C compiler").count(), 5, "{table}");
    assert!(!table.contains("\n0 processes were killed"), "{table}");
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        0,
        "nothing is left in the folder"
    );
}
