//! Files of responses in HDF5; `data-specs/responses.toml`.

use super::hdf5_output;
use super::static_hdf5::matrix;
use crate::{Error, Fitting, Measurement, ResponseKind, Responses, Result};
use brainprior_artifact::hdf5::Input;
use brainprior_images::ImageId;
use ndarray::ArrayView1;
use std::path::Path;

const FORMAT: &str = "brainprior-responses";
const VERSION: i64 = 1;
const KINDS: [(&str, ResponseKind); 5] = [
    ("measured single trial", ResponseKind::Measured(Measurement::SingleTrial)),
    ("measured repeat mean", ResponseKind::Measured(Measurement::RepeatMean)),
    ("predicted in-sample", ResponseKind::Predicted(Fitting::InSample)),
    ("predicted cross-fitted", ResponseKind::Predicted(Fitting::CrossFitted)),
    ("expected", ResponseKind::Expected),
];

fn name_of(kind: ResponseKind) -> &'static str {
    KINDS.iter().find(|(_, known)| *known == kind).expect("every kind has a name").0
}

impl Responses {
    /// Writes an HDF5 file atomically: if the write fails, an existing file is kept.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        hdf5_output::write(path, |output| {
            output.text_attribute("format", FORMAT)?;
            output.integer_attribute("version", VERSION)?;
            output.text_attribute("scan", self.scan())?;
            output.text_attribute("kind", name_of(self.kind()))?;
            let ids: Vec<u64> = self.ids().iter().map(|id| id.to_u64()).collect();
            output.array("image_id", &ArrayView1::from(&ids))?;
            output.matrix("values", self.values())
        })
    }

    /// Reads a file written by [`Responses::write`].
    ///
    /// # Errors
    /// Returns an error if the file is of another kind or version, truncated or damaged, or if
    /// [`Responses::new`] fails.
    pub fn read(path: &Path) -> Result<Self> {
        let input = Input::open(path)?;
        let advice = "give a file of responses written by this version";
        let format = (input.text_attribute("format")?, input.integer_attribute("version")?);
        if format != (FORMAT.to_owned(), VERSION) {
            let found = format!("{} version {}", format.0, format.1);
            let expected = format!("{FORMAT} version {VERSION}");
            return Err(input
                .mismatch("attributes format and version", expected, found, advice)
                .into());
        }
        let name = input.text_attribute("kind")?;
        let Some((_, kind)) = KINDS.iter().find(|(known, _)| *known == name) else {
            let expected = KINDS.map(|(known, _)| known).join(", or ");
            return Err(input.mismatch("attribute kind", expected, name, advice).into());
        };
        let ids = input
            .numbers("image_id", &[None])?
            .naturals()?
            .into_iter()
            .map(ImageId::from_u64)
            .collect();
        let scan = input.text_attribute("scan")?;
        Responses::new(&scan, *kind, ids, matrix(&input, "values", None)?)
            .map_err(|error: Error| error.inside(path))
    }
}
