//! Explains signals that end the child process that reads files.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// A message for a process ended by a signal that indicates a fault of the program: the HDF5
/// library reads damaged files in this process and does not withstand all of them.
pub(crate) fn told_of(status: ExitStatus) -> Option<String> {
    const FAULTS: [(i32, &str); 4] =
        [(4, "SIGILL"), (6, "SIGABRT"), (7, "SIGBUS"), (11, "SIGSEGV")];
    let (number, name) = FAULTS.into_iter().find(|(number, _)| status.signal() == Some(*number))?;
    Some(format!(
        "Signal {number} ({name}) ended the process that reads files. A damaged HDF5 file can crash the HDF5 library: check the \
         files one by one with `cargo xtask validate FILE`, and replace the one for which this happens again."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_process_that_ended_by_a_fault_is_told_of() {
        let ended = |signal: &str| {
            Command::new("sh").args(["-c", &format!("kill -{signal} $$")]).status().unwrap()
        };
        let sentence = told_of(ended("SEGV")).unwrap();
        assert!(
            sentence.contains("Signal 11 (SIGSEGV)")
                && sentence.contains("cargo xtask validate FILE"),
            "{sentence}"
        );
        assert!(told_of(ended("ABRT")).unwrap().contains("SIGABRT"));
        assert_eq!(told_of(ended("TERM")), None);
        assert_eq!(told_of(Command::new("false").status().unwrap()), None);
    }
}
