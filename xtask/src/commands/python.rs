//! The Python package: its wheel and its tests.

use crate::bootstrap::minutes;
use crate::native_tools::Environment;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// The package's folder in the workspace.
const PACKAGE: &str = "crates/python";

/// Names of Python interpreters to try: the newest first, then the system's default.
const PYTHONS: [&str; 6] =
    ["python3.14", "python3.13", "python3.12", "python3.11", "python3.10", "python3"];

/// Builds the wheel into `target/wheels`.
///
/// # Errors
/// Returns an error if there is no suitable Python, or if something cannot be installed or built;
/// the output is printed above.
pub(crate) fn wheel(workspace: &Path, target: &Path, environment: &Environment) -> Result<()> {
    let Some(python) = found() else {
        bail!("no Python 3.10 or later with venv was found: install one (Debian: python3-venv)")
    };
    let wheel =
        built(workspace, target, environment, &tools(target, python, &["maturin>=1.7,<2"])?)?;
    println!("{}", wheel.display());
    Ok(())
}

/// Builds the wheel, installs it with pytest, and runs the package's tests, optionally those with
/// PyTorch.
///
/// # Errors
/// Returns the errors of [`wheel`], and an error if a test fails.
pub(crate) fn test(
    workspace: &Path,
    target: &Path,
    environment: &Environment,
    torch: bool,
) -> Result<()> {
    let started = Instant::now();
    let Some(python) = found() else {
        println!(
            "tests of the Python package: skipped, since no Python 3.10 or later with venv was found"
        );
        return Ok(());
    };
    let mut packages = vec!["maturin>=1.7,<2", "numpy", "pytest"];
    if torch {
        packages.extend(["torch", "safetensors"]);
    }
    let python = tools(target, python, &packages)?;
    let wheel = built(workspace, target, environment, &python)?;
    let wheel = wheel.display().to_string();
    pip(&python, &["--force-reinstall", "--no-deps", &wheel])?;
    let mut pytest = Command::new(&python);
    pytest.current_dir(workspace.join(PACKAGE)).args([
        "-m",
        "pytest",
        "-q",
        "-rs",
        "-p",
        "no:cacheprovider",
    ]);
    if !torch {
        pytest.args(["-m", "not torch"]);
    }
    let status = pytest.status().context("could not start pytest")?;
    if !status.success() {
        bail!("tests of the Python package failed: see above");
    }
    println!("the Python package: {}", minutes(started.elapsed().as_secs_f64()));
    Ok(())
}

/// A suitable Python.
fn found() -> Option<&'static str> {
    let asked = "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))";
    PYTHONS.into_iter().find(|python| {
        let asking = Command::new(python)
            .args(["-c", asked])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        asking.is_ok_and(|status| status.success())
    })
}

/// The Python of an environment in the target folder with these packages.
fn tools(target: &Path, python: &str, packages: &[&str]) -> Result<PathBuf> {
    let folder = target.join("tools/python");
    let own = folder.join("bin/python");
    if !own.exists() {
        let status = Command::new(python).args(["-m", "venv"]).arg(&folder).status();
        if !status.with_context(|| format!("could not start {python}"))?.success() {
            bail!("`{python} -m venv {}` failed: see above", folder.display());
        }
    }
    pip(&own, packages)?;
    Ok(own)
}

fn pip(python: &Path, what: &[&str]) -> Result<()> {
    let mut install = Command::new(python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(what);
    let status =
        install.status().with_context(|| format!("could not start {}", python.display()))?;
    if !status.success() {
        bail!("pip could not install {}: see above", what.join(" "));
    }
    Ok(())
}

/// The wheel, built in the workspace's target folder, where much of it may be compiled already.
fn built(
    workspace: &Path,
    target: &Path,
    environment: &Environment,
    python: &Path,
) -> Result<PathBuf> {
    let wheels = target.join("wheels");
    // Wheels of earlier calls would be mistaken for this one.
    match std::fs::remove_dir_all(&wheels) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("could not remove {}", wheels.display()));
        }
        _ => {}
    }
    let mut maturin = Command::new(python);
    maturin.args(["-m", "maturin", "build", "--quiet", "--release", "--locked", "--manifest-path"]);
    maturin
        .arg(workspace.join(PACKAGE).join("Cargo.toml"))
        .arg("--interpreter")
        .arg(python)
        .arg("--out")
        .arg(&wheels);
    maturin
        .envs(environment.iter().map(|(name, value)| (*name, value.as_str())))
        .env("CARGO_TARGET_DIR", target);
    let status = maturin.status().context("could not start maturin")?;
    if !status.success() {
        bail!("maturin could not build the Python package: see above");
    }
    let files = std::fs::read_dir(&wheels)
        .with_context(|| format!("could not read {}", wheels.display()))?;
    let mut files = files.filter_map(|file| Some(file.ok()?.path()));
    files
        .find(|path| path.extension().is_some_and(|ending| ending == "whl"))
        .context("maturin built no wheel")
}
