//! Converts recordings in other labs' formats to scan files in the static HDF5 layout.

use anyhow::{Result, ensure};
use brainprior_recording::import::{Imported, arrays, experanto, nwb, suite2p};
use brainprior_recording::write_static_hdf5;
use std::fmt::Write;
use std::path::Path;

pub use brainprior_recording::import::{
    ImageAxis, ImageSettings, NwbSettings, OnsetUnit, Settings, Suite2pSettings, TierCounts,
    Traces, Window,
};

/// The format of a recording, with the settings that its files do not contain.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Arrays and pictures described by a TOML layout.
    Arrays,
    /// An experanto session folder.
    Experanto,
    /// A Neurodata Without Borders file.
    Nwb(NwbSettings),
    /// A suite2p folder.
    Suite2p(Suite2pSettings),
}

/// Reads `source` and writes the scan. Returns a summary of what was taken, dropped and assumed.
///
/// # Errors
/// Returns an error if the importer rejects the source, or if the scan file cannot be written or
/// already exists (it might be the source).
pub fn import(kind: &Kind, source: &Path, out: &Path) -> Result<String> {
    ensure!(
        !out.exists(),
        "{} already exists, and an import does not overwrite files: remove it or name another file",
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
    let (images, height, width) =
        (scan.stimuli().len(), scan.stimuli().height(), scan.stimuli().width());
    writeln!(
        text,
        "wrote    {}: {trials} trials of {neurons} neurons, {images} images of {height} x {width}",
        out.display()
    )?;
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
            assert!(error.contains("layout.toml already exists"), "{error}");
        }
        assert_eq!(std::fs::read_to_string(&layout).unwrap(), "responses = 1");
    }
}
