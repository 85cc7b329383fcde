//! Recordings in the formats of other labs, to scan files in the static HDF5 layout.

use anyhow::{Result, ensure};
use brainprior_recording::import::{Imported, arrays, experanto, nwb, suite2p};
use brainprior_recording::write_static_hdf5;
use std::fmt::Write;
use std::path::Path;

pub use brainprior_recording::import::{
    ImageAxis, ImageSettings, NwbSettings, OnsetUnit, Settings, Suite2pSettings, TierCounts, Traces, Window,
};

/// What a recording lies in, and what is said of it beside.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Arrays and pictures that a layout in TOML describes.
    Arrays,
    /// The folder of a session of experanto.
    Experanto,
    /// A file of Neurodata Without Borders.
    Nwb(NwbSettings),
    /// The folder of suite2p.
    Suite2p(Suite2pSettings),
}

/// Reads `source` and writes the scan; returns what was taken, dropped and assumed, for people.
///
/// # Errors
/// What the importer refuses; a scan file that cannot be written, or one that is there already: it may be what is read.
pub fn import(kind: &Kind, source: &Path, out: &Path) -> Result<String> {
    ensure!(
        !out.exists(),
        "{} is there already, and an import writes over nothing: remove it, or name another file",
        out.display()
    );
    let Imported { scan, account } = match kind {
        Kind::Arrays => arrays(source)?,
        Kind::Experanto => experanto(source)?,
        Kind::Nwb(settings) => nwb(source, settings)?,
        Kind::Suite2p(settings) => suite2p(source, settings)?,
    };
    write_static_hdf5(out, &scan)?;
    let mut text = account.to_string();
    let (trials, neurons) = scan.responses().dim();
    let (images, height, width) = (scan.stimuli().len(), scan.stimuli().height(), scan.stimuli().width());
    writeln!(text, "wrote    {}: {trials} trials of {neurons} neurons, {images} images of {height} x {width}", out.display())?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let layout = folder.path().join("layout.toml");
        std::fs::write(&layout, "responses = 1").unwrap();
        for kind in [Kind::Arrays, Kind::Experanto, Kind::Nwb(NwbSettings::default())] {
            let error = import(&kind, &layout, &layout).unwrap_err().to_string();
            assert!(error.contains("layout.toml is there already"), "{error}");
        }
        assert_eq!(std::fs::read_to_string(&layout).unwrap(), "responses = 1");
    }
}
