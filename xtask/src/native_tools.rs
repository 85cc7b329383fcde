//! Build tools outside cargo: a C compiler, and cmake for the bundled HDF5.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How each system installs cmake: the package manager, then the calls that install without
/// prompting.
const PACKAGE_MANAGERS: [(&str, &[&[&str]]); 5] = [
    (
        "apt-get",
        &[
            &["update", "-qq"],
            &["install", "-y", "-qq", "--no-install-recommends", "cmake", "make"],
        ],
    ),
    ("dnf", &[&["install", "-y", "-q", "cmake", "make"]]),
    ("apk", &[&["add", "--quiet", "cmake", "make"]]),
    ("pacman", &[&["-Sy", "--noconfirm", "--quiet", "cmake", "make"]]),
    ("zypper", &[&["--non-interactive", "--quiet", "install", "cmake", "make"]]),
];

/// Environment variables with which cargo finds the tools.
pub(crate) type Environment = Vec<(&'static str, String)>;

/// Finds a C compiler and cmake; installs cmake if possible without prompting.
///
/// # Errors
/// Names the missing tool and the exact command that installs it.
pub(crate) fn ensure(target: &Path) -> Result<Environment> {
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    if !starts(&compiler) && !starts("gcc") && !starts("clang") {
        bail!(
            "no C compiler found (looked for $CC, cc, gcc, clang); the bundled HDF5 needs one.\n\
             Install one, then run the same command again:\n    {}",
            suggestion("gcc", "build-essential")
        );
    }
    if find_cmake().is_some() && starts("make") {
        return Ok(Vec::new());
    }
    let tools = target.join("tools");
    let cmake = tools.join("cmake/data/bin/cmake");
    if version_of(&cmake.to_string_lossy()).is_none() {
        // If the system's own cmake is too old, only pip has a newer one.
        if is_root() && !starts("cmake") {
            install_by_package_manager()?;
            if find_cmake().is_some() {
                return Ok(Vec::new());
            }
        }
        install_by_pip(&tools)?;
    }
    if version_of(&cmake.to_string_lossy()).is_none_or(|version| version < OLDEST_CMAKE) {
        bail!(
            "cmake {}.{} or newer is missing; the bundled HDF5 needs it, and it could not be installed without your help.\n\
             Install it, then run the same command again:\n    python3 -m pip install cmake\n    {}",
            OLDEST_CMAKE.0,
            OLDEST_CMAKE.1,
            suggestion("cmake", "cmake")
        );
    }
    let mut environment = vec![("CMAKE", cmake.to_string_lossy().into_owned())];
    if !starts("make") {
        environment.push(("CMAKE_GENERATOR", "Ninja".into()));
        let path = std::env::var("PATH").unwrap_or_default();
        environment.push(("PATH", format!("{}:{path}", tools.join("bin").display())));
    }
    Ok(environment)
}

/// Minimum version for the bundled HDF5.
const OLDEST_CMAKE: (u32, u32) = (3, 26);

/// The cmake that the build would call, if it is new enough.
fn find_cmake() -> Option<String> {
    let program = std::env::var("CMAKE").unwrap_or_else(|_| "cmake".into());
    (version_of(&program)? >= OLDEST_CMAKE).then_some(program)
}

/// Reads `cmake version 3.25.1` as (3, 25).
fn version_of(cmake: &str) -> Option<(u32, u32)> {
    let output = Command::new(cmake).arg("--version").stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut parts = text.split_whitespace().nth(2)?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn install_by_package_manager() -> Result<()> {
    let Some((manager, calls)) = PACKAGE_MANAGERS.iter().find(|(manager, _)| starts(manager))
    else {
        return Ok(());
    };
    eprintln!("cmake is missing: installing it with {manager}");
    for call in *calls {
        let status = Command::new(manager)
            .args(*call)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdout(Stdio::null())
            .stdin(Stdio::null())
            .status()
            .with_context(|| format!("could not start {manager}"))?;
        if !status.success() {
            eprintln!("`{manager} {}` ended with {status}; trying pip next", call.join(" "));
            return Ok(());
        }
    }
    Ok(())
}

fn install_by_pip(tools: &Path) -> Result<()> {
    if !starts("python3") {
        return Ok(());
    }
    eprintln!(
        "no cmake of {}.{} or newer: installing one with pip into {}",
        OLDEST_CMAKE.0,
        OLDEST_CMAKE.1,
        tools.display()
    );
    let fresh = tools.with_extension("tmp");
    let _ = std::fs::remove_dir_all(&fresh);
    let status = Command::new("python3")
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"])
        .arg(&fresh)
        .args(["cmake", "ninja"])
        .stdin(Stdio::null())
        .status()
        .context("could not start python3")?;
    if status.success() {
        let _ = std::fs::remove_dir_all(tools);
        std::fs::rename(&fresh, tools).with_context(|| {
            format!("could not rename {} to {}", fresh.display(), tools.display())
        })?;
    }
    Ok(())
}

/// The command that a user without root rights has to type.
fn suggestion(program: &str, debian_package: &str) -> String {
    let manager =
        PACKAGE_MANAGERS.iter().map(|(manager, _)| *manager).find(|manager| starts(manager));
    match manager {
        Some("apt-get") => format!("sudo apt-get install -y {debian_package}"),
        Some("apk") => format!("sudo apk add {program}"),
        Some("pacman") => format!("sudo pacman -S {program}"),
        Some(manager) => format!("sudo {manager} install -y {program}"),
        None if cfg!(target_os = "macos") => {
            format!("brew install {program}   (the C compiler: xcode-select --install)")
        }
        None => format!("(your system's package manager) install {program}"),
    }
}

fn starts(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok()
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// Cargo's target folder: this program is in `<target>/debug`.
pub(crate) fn target_folder() -> Result<PathBuf> {
    let program =
        std::env::current_exe().context("could not find the running program's own path")?;
    let folder = program
        .parent()
        .and_then(Path::parent)
        .context("the running program is not in a cargo target folder")?;
    Ok(folder.to_path_buf())
}

/// The folder with the workspace's `Cargo.toml`.
pub(crate) fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in the workspace")
        .to_path_buf()
}
