//! A small disk in memory.

use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A tmpfs that is unmounted when this value is dropped.
pub(super) struct Disk(PathBuf);

impl Disk {
    /// Mounts one of `bytes` at `folder`, or returns why the system refuses.
    pub(super) fn mount(folder: &Path, bytes: u64) -> Result<Self> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("could not create {}", folder.display()))?;
        mount(&["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"], folder)?;
        Ok(Self(folder.to_owned()))
    }

    pub(super) fn resize(&self, bytes: u64) -> Result<()> {
        mount(&["-o", &format!("remount,size={bytes}")], &self.0)
    }

    pub(super) fn make_read_only(&self) -> Result<()> {
        mount(&["-o", "remount,ro"], &self.0)
    }

    pub(super) fn make_writable(&self) -> Result<()> {
        mount(&["-o", "remount,rw"], &self.0)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // If it stays mounted, removing the folder fails with an error.
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

fn mount(options: &[&str], folder: &Path) -> Result<()> {
    let output = Command::new("mount")
        .args(options)
        .arg(folder)
        .output()
        .context("could not start `mount`")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}
