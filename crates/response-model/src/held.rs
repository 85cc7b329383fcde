//! Variables whose shapes a file must contain, so that the sizes in a header cannot allocate more
//! memory than the tensors in the file.

use std::sync::{Arc, Mutex};

use brainprior_artifact::FileError;
use brainprior_artifact::archive::{Archive, Dtype};
use candle_core::{DType, Device, Result, Shape, Tensor};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarMap};

/// Creates variables only with names and shapes of tensors in an archive.
pub(crate) struct Held<'a> {
    archive: &'a Archive,
    map: VarMap,
    refusal: Refusal,
}

/// The error for the first refused variable.
pub(crate) type Refusal = Arc<Mutex<Option<FileError>>>;

impl<'a> Held<'a> {
    /// For an archive. Variables are stored in `map`; the second value receives the first refusal.
    pub(crate) fn new(archive: &'a Archive, map: &VarMap) -> (Self, Refusal) {
        let refusal = Refusal::default();
        (Self { archive, map: map.clone(), refusal: refusal.clone() }, refusal)
    }
}

impl SimpleBackend for Held<'_> {
    fn get(
        &self,
        shape: Shape,
        name: &str,
        start: Init,
        dtype: DType,
        device: &Device,
    ) -> Result<Tensor> {
        if let Err(error) = self.archive.tensor_of(name, Dtype::F32, shape.dims()) {
            let sentence = error.to_string();
            self.refusal.lock().expect("no holder panics").get_or_insert(error);
            candle_core::bail!("{sentence}");
        }
        self.map.get(shape, name, start, dtype, device)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> Result<Tensor> {
        candle_core::bail!("{name} is asked for without a shape")
    }

    fn contains_tensor(&self, name: &str) -> bool {
        SimpleBackend::contains_tensor(&self.map, name)
    }
}
