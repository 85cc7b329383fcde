//! The package for Python: its wheel, and its tests.

use crate::bootstrap::minutes;
use crate::native_tools::Environment;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Where the package lies in the workspace.
const PACKAGE: &str = "crates/python";

/// Pythons that are looked for: the newest first, and then whatever the system calls so.
const PYTHONS: [&str; 6] = ["python3.14", "python3.13", "python3.12", "python3.11", "python3.10", "python3"];

/// Builds the wheel into `target/wheels`.
///
/// # Errors
/// There is no Python that will do; something cannot be installed or built: see above.
pub(crate) fn wheel(workspace: &Path, target: &Path, environment: &Environment) -> Result<()> {
    let Some(python) = found() else {
        bail!("no Python of 3.10 or later with venv was found: install one (Debian: python3-venv)")
    };
    let wheel = built(workspace, target, environment, &tools(target, python, &["maturin>=1.7,<2"])?)?;
    println!("{}", wheel.display());
    Ok(())
}

/// Builds the wheel, installs it beside pytest, and runs the package's tests; those of PyTorch where it is asked for.
///
/// # Errors
/// As [`wheel`]; a test failed.
pub(crate) fn test(workspace: &Path, target: &Path, environment: &Environment, torch: bool) -> Result<()> {
    let started = Instant::now();
    let Some(python) = found() else {
        println!("tests of the package for Python: left out, since no Python of 3.10 or later with venv was found");
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
    pytest.current_dir(workspace.join(PACKAGE)).args(["-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider"]);
    if !torch {
        pytest.args(["-m", "not torch"]);
    }
    let status = pytest.status().context("could not start pytest")?;
    if !status.success() {
        bail!("tests of the package for Python failed: see above");
    }
    println!("the package for Python: {}", minutes(started.elapsed().as_secs_f64()));
    Ok(())
}

/// A Python that will do.
fn found() -> Option<&'static str> {
    let asked = "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))";
    PYTHONS.into_iter().find(|python| {
        let asking = Command::new(python).args(["-c", asked]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        asking.is_ok_and(|status| status.success())
    })
}

/// The Python of an environment below the target folder that has these packages.
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
    let status = install.status().with_context(|| format!("could not start {}", python.display()))?;
    if !status.success() {
        bail!("pip could not install {}: see above", what.join(" "));
    }
    Ok(())
}

/// The wheel, built in the target folder of the workspace, where much of it may lie compiled already.
fn built(workspace: &Path, target: &Path, environment: &Environment, python: &Path) -> Result<PathBuf> {
    let wheels = target.join("wheels");
    // What earlier calls left would be taken for the one of this call.
    match std::fs::remove_dir_all(&wheels) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("could not remove {}", wheels.display()));
        }
        _ => {}
    }
    let mut maturin = Command::new(python);
    maturin.args(["-m", "maturin", "build", "--quiet", "--release", "--locked", "--manifest-path"]);
    maturin.arg(workspace.join(PACKAGE).join("Cargo.toml")).arg("--interpreter").arg(python).arg("--out").arg(&wheels);
    maturin.envs(environment.iter().map(|(name, value)| (*name, value.as_str()))).env("CARGO_TARGET_DIR", target);
    let status = maturin.status().context("could not start maturin")?;
    if !status.success() {
        bail!("maturin could not build the package for Python: see above");
    }
    let files = std::fs::read_dir(&wheels).with_context(|| format!("could not read {}", wheels.display()))?;
    let mut files = files.filter_map(|file| Some(file.ok()?.path()));
    files.find(|path| path.extension().is_some_and(|ending| ending == "whl")).context("maturin made no wheel")
}
