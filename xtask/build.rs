//! Tells the program the commit from which it is built, if git knows it.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // The sources may be unpacked inside another repository.
    if git(&["ls-files", "build.rs"]).is_none() {
        return;
    }
    // Rebuild when the commit changes: these files record it. In a worktree they are not next to
    // the sources.
    for file in ["HEAD", "logs/HEAD"] {
        // A missing file would make cargo run this at every build.
        if let Some(path) =
            git(&["rev-parse", "--git-path", file]).filter(|path| Path::new(path).exists())
        {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    if let Some(commit) = git(&["rev-parse", "HEAD"]) {
        println!("cargo::rustc-env=BRAINPRIOR_COMMIT={commit}");
    }
}

/// One line of output from git; `None` without git or a repository.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let line = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !line.is_empty()).then_some(line)
}
