//! Tells the program which commit it was built from, where git knows.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Sources may lie unpacked within another repository.
    if git(&["ls-files", "build.rs"]).is_none() {
        return;
    }
    // Where the checkout says which commit it is at, and where each new one is noted: in a worktree neither lies beside the sources.
    for file in ["HEAD", "logs/HEAD"] {
        // A file that is not there would have this run at every build.
        if let Some(path) = git(&["rev-parse", "--git-path", file]).filter(|path| Path::new(path).exists()) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    if let Some(commit) = git(&["rev-parse", "HEAD"]) {
        println!("cargo::rustc-env=BRAINPRIOR_COMMIT={commit}");
    }
}

/// The line that git answers; nothing where there is no git or no repository.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let line = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !line.is_empty()).then_some(line)
}
