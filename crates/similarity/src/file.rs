//! Matrices on disk, after `data-specs/similarity.toml`.

use crate::matrix::pairs;
use crate::{Error, Result, SimilarityMatrix};
use brainprior_images::ImageId;
use hdf5::types::VarLenUnicode;
use std::path::Path;

const FORMAT: &str = "brainprior-similarity";
const VERSION: u32 = 1;
/// By how many bytes a file in the making grows.
const INCREMENT: usize = 1 << 24;
const IMAGE_IDS: &str = "image_ids";
const SIMILARITY: &str = "similarity";
const SCANS: &str = "scans";
const PROVENANCE: &str = "provenance";
const DONOR_IDS: &str = "donor_ids";

impl SimilarityMatrix {
    /// Writes the matrix as HDF5: under a temporary name in the same folder, synced, then renamed, so that a failed write
    /// leaves what was there.
    ///
    /// # Errors
    /// Whatever the file system or the HDF5 library refuses.
    pub fn write(&self, path: &Path) -> Result<()> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let failed = |doing| move |source| Error::File { path: path.to_owned(), doing, source };
        let temporary = tempfile::Builder::new()
            .prefix(".similarity-")
            .suffix(".partial")
            .tempfile_in(folder)
            .map_err(failed("create a temporary file beside it"))?;
        self.write_datasets(temporary.path()).map_err(|(dataset, source)| Error::Hdf5 {
            path: path.to_owned(),
            doing: "write",
            dataset,
            source,
        })?;
        // HDF5 opened the file by name, so the handle at hand sees the same bytes.
        temporary.as_file().sync_all().map_err(failed("sync"))?;
        temporary.persist(path).map_err(|error| error.error).map_err(failed("rename the temporary file"))?;
        std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("sync the folder of"))
    }

    fn write_datasets(&self, path: &Path) -> std::result::Result<(), (&'static str, hdf5::Error)> {
        let at = |dataset| move |source| (dataset, source);
        // Made in memory and written out as a whole: HDF5 (1.14) crashes where a dataset finds no room on the disk. Without
        // the time of writing, so that equal matrices give equal bytes.
        let file = hdf5::File::with_options()
            .with_fapl(|access| access.core_options(INCREMENT, true))
            .with_fcpl(|creation| creation.obj_track_times(false))
            .create(path)
            .map_err(at("/"))?;
        let text = |text: &str| text.replace('\0', " ").parse::<VarLenUnicode>().expect("no NUL is left");
        file.new_attr::<VarLenUnicode>().create("format").and_then(|a| a.write_scalar(&text(FORMAT))).map_err(at("format"))?;
        file.new_attr::<u32>().create("version").and_then(|a| a.write_scalar(&VERSION)).map_err(at("version"))?;
        let numbers = |ids: &[ImageId]| -> Vec<u64> { ids.iter().map(|id| id.to_u64()).collect() };
        file.new_dataset_builder().with_data(&numbers(self.ids())).create(IMAGE_IDS).map_err(at(IMAGE_IDS))?;
        file.new_dataset_builder().with_data(self.packed()).create(SIMILARITY).map_err(at(SIMILARITY))?;
        file.new_dataset_builder().with_data(self.scans()).create(SCANS).map_err(at(SCANS))?;
        let steps: Vec<VarLenUnicode> = self.provenance().iter().map(|step| text(step)).collect();
        file.new_dataset_builder().with_data(&steps).create(PROVENANCE).map_err(at(PROVENANCE))?;
        if let Some(donors) = self.donors() {
            file.new_dataset_builder().with_data(&numbers(donors)).create(DONOR_IDS).map_err(at(DONOR_IDS))?;
        }
        file.flush().and_then(|()| file.close()).map_err(at("/"))
    }

    /// Reads what [`SimilarityMatrix::write`] wrote.
    ///
    /// # Errors
    /// Not HDF5, truncated, another format or version, a missing dataset or one of another shape, a value outside
    /// [-1, 1].
    pub fn read(path: &Path) -> Result<Self> {
        std::fs::File::open(path).map_err(|source| Error::File { path: path.to_owned(), doing: "open", source })?;
        let failed = |doing, dataset| move |source| Error::Hdf5 { path: path.to_owned(), doing, dataset, source };
        let layout = |dataset, expected: String, found: String| Error::Layout { path: path.to_owned(), dataset, expected, found };
        let file = hdf5::File::open(path).map_err(failed("open as HDF5", "/"))?;

        let format = file.attr("format").and_then(|a| a.read_scalar::<VarLenUnicode>()).map_err(failed("read", "format"))?;
        if format.as_str() != FORMAT {
            return Err(layout("format", FORMAT.into(), format.as_str().into()));
        }
        let version = file.attr("version").and_then(|a| a.read_scalar::<u32>()).map_err(failed("read", "version"))?;
        if version != VERSION {
            return Err(layout("version", VERSION.to_string(), version.to_string()));
        }

        let identities = |dataset| -> Result<Vec<ImageId>> {
            let numbers = file.dataset(dataset).and_then(|d| d.read_1d::<u64>()).map_err(failed("read", dataset))?;
            Ok(numbers.into_iter().map(ImageId::from_u64).collect())
        };
        let ids = identities(IMAGE_IDS)?;
        let packed = file.dataset(SIMILARITY).and_then(|d| d.read_1d::<f32>()).map_err(failed("read", SIMILARITY))?;
        if packed.len() != pairs(ids.len()) {
            let expected = format!("{} pairs of the {} image_ids", pairs(ids.len()), ids.len());
            return Err(layout(SIMILARITY, expected, packed.len().to_string()));
        }
        let provenance = file
            .dataset(PROVENANCE)
            .and_then(|d| d.read_1d::<VarLenUnicode>())
            .map_err(failed("read", PROVENANCE))?
            .iter()
            .map(|step| step.as_str().to_owned())
            .collect();
        let scans = file.dataset(SCANS).and_then(|d| d.read_1d::<u32>()).map_err(failed("read", SCANS))?.to_vec();
        if scans.len() != ids.len() {
            return Err(layout(SCANS, format!("{} images", ids.len()), scans.len().to_string()));
        }
        let donors = file.link_exists(DONOR_IDS).then(|| identities(DONOR_IDS)).transpose()?;
        if let Some(donors) = donors.as_ref().filter(|donors| donors.len() != ids.len()) {
            return Err(layout(DONOR_IDS, format!("{} images", ids.len()), donors.len().to_string()));
        }
        let matrix = Self::new(ids, packed.to_vec(), provenance).map_err(|error| match error {
            Error::Similarity { .. } => layout(SIMILARITY, "values in [-1, 1]".into(), error.to_string()),
            error => layout(IMAGE_IDS, "at least two distinct images".into(), error.to_string()),
        })?;
        Ok(matrix.with_donors(donors).with_scans(scans))
    }
}
