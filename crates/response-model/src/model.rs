//! A fitted model: one core, and a head for each scan.

use brainprior_artifact::archive::Archive;
use brainprior_images::StimulusSet;
use brainprior_kernels::FeatureMap;
use brainprior_recording::Scan;
use candle_core::{DType, Device, Module, Tensor};
use candle_nn::{VarBuilder, VarMap};
use ndarray::{Array2, Array4};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::config::Config;
use crate::core::{Core, Pyramid};
use crate::error::{Error, Result};
use crate::head::{Head, ScanDescription};
use crate::held::Held;
use crate::normalization::{ColumnNormalization, ImageNormalization, ScanNormalization};
use crate::variables::{self, Variables};

/// A predictive model of the neurons of one or more scans.
///
/// Rates are those of Li et al. 2019, section 2 (their rho-hat): rho = gain(behaviour) (ELU(readout(core(image), position +
/// shift(pupil))) + 1), or with the gain within ELU (see [`GainPlacement`](crate::GainPlacement)), in units of each neuron's training standard deviation, multiplied by it on return.
#[derive(Debug)]
pub struct ResponseModel {
    pub(crate) config: Config,
    pub(crate) image: ImageNormalization,
    pub(crate) core: Core,
    pub(crate) scans: Vec<ScanModel>,
    pub(crate) variables: Variables,
    device: Device,
}

/// The part of a model that belongs to one scan.
#[derive(Debug)]
pub(crate) struct ScanModel {
    pub(crate) name: String,
    pub(crate) normalization: ScanNormalization,
    pub(crate) head: Head,
    pub(crate) v_a: Vec<Option<f32>>,
}

impl ResponseModel {
    /// An untrained model.
    pub(crate) fn new(
        config: Config,
        image: ImageNormalization,
        scans: Vec<ScanDescription>,
        seed: u64,
        device: &Device,
    ) -> Result<Self> {
        let map = VarMap::new();
        let vars = VarBuilder::from_varmap(&map, DType::F32, device);
        Self::of_variables(config, image, scans, seed, (&map, &vars))
    }

    /// The same with the tensors of an archive in mind: a variable is made where there is one of its name and shape.
    pub(crate) fn held_by(
        archive: &Archive,
        config: Config,
        image: ImageNormalization,
        scans: Vec<ScanDescription>,
        device: &Device,
    ) -> Result<Self> {
        let map = VarMap::new();
        let (held, refusal) = Held::new(archive, &map);
        let vars = VarBuilder::from_backend(Box::new(held), DType::F32, device.clone());
        let model = Self::of_variables(config, image, scans, 0, (&map, &vars));
        match refusal.lock().expect("no holder panics").take() {
            Some(refusal) => Err(refusal.into()),
            None => model,
        }
    }

    fn of_variables(
        config: Config,
        image: ImageNormalization,
        scans: Vec<ScanDescription>,
        seed: u64,
        (map, vars): (&VarMap, &VarBuilder),
    ) -> Result<Self> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let core = Core::new(&config.core, &vars.pp("core"), &mut rng)?;
        let mut models = Vec::with_capacity(scans.len());
        let features = [core.channels(), core.extent(image.height), core.extent(image.width)];
        if features[1] == 0 || features[2] == 0 {
            let found = format!("{:?} on images of {} x {} (height x width)", config.core.kernels, image.height, image.width);
            let expected = "a first side within the image, or core.pad_input = true";
            return Err(Error::Configuration { key: "core.kernels", found, expected });
        }
        for (s, scan) in scans.into_iter().enumerate() {
            // A stream of its own, so that a scan's start does not depend on the others' sizes.
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(1 + s as u64);
            let head = Head::new(&config, features, &scan, &vars.pp(format!("scan{s}")), &mut rng)?;
            let ScanDescription { name, normalization, .. } = scan;
            let v_a = vec![None; normalization.varies.len()];
            models.push(ScanModel { name, normalization, head, v_a });
        }
        Ok(Self { config, image, core, scans: models, variables: variables::all(map), device: vars.device().clone() })
    }

    /// Scans of the model.
    pub fn scan_count(&self) -> usize {
        self.scans.len()
    }

    /// Where it is, and computes.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// What it was built and trained with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Name of a scan.
    ///
    /// # Errors
    /// [`Error::NoSuchScan`].
    pub fn scan_name(&self, scan: usize) -> Result<&str> {
        Ok(&self.part(scan)?.name)
    }

    /// Validation correlation v_a of each neuron (Li et al. 2019, section 2): between the predicted and the observed
    /// responses of the validation tier's trials, whose images trained in none of the model's scans (see
    /// [`TrainingTrials`](crate::TrainingTrials)). They did decide when the fit stopped. `None` for a neuron that never varies, in
    /// training or in validation.
    ///
    /// # Errors
    /// [`Error::NoSuchScan`].
    pub fn v_a(&self, scan: usize) -> Result<&[Option<f32>]> {
        Ok(&self.part(scan)?.v_a)
    }

    /// Standard deviation of each neuron's responses over the training tier (1% of the neurons' mean where it is below
    /// that), by which predictions and responses are divided to bring all neurons to one scale.
    ///
    /// # Errors
    /// [`Error::NoSuchScan`].
    pub fn response_std(&self, scan: usize) -> Result<&[f32]> {
        Ok(&self.part(scan)?.normalization.response_std)
    }

    /// Centre (x, y) of each neuron's receptive field: -1 and 1 are the outer edges of the first and the last pixel
    /// (align_corners = false), x to the right, y downwards.
    ///
    /// # Errors
    /// [`Error::NoSuchScan`].
    pub fn positions(&self, scan: usize) -> Result<Vec<[f32; 2]>> {
        Ok(self.part(scan)?.head.readout.positions()?)
    }

    /// Shift of all receptive fields, in half image widths and heights (x, y), for pupil centres `[trials, 2]` in the
    /// scan's units; `None` where the scan was fitted without a shifter.
    ///
    /// # Errors
    /// [`Error::NoSuchScan`].
    pub fn shifts(&self, scan: usize, pupil_center: &Array2<f32>) -> Result<Option<Vec<[f32; 2]>>> {
        let part = self.part(scan)?;
        let (Some(shifter), Some(by)) = (&part.head.shifter, &part.normalization.pupil) else { return Ok(None) };
        let rows = rows(pupil_center, by, self.device())?;
        let shifts: Vec<Vec<f32>> = shifter.forward(&rows)?.to_vec2()?;
        Ok(Some(shifts.iter().map(|row| [row[0], row[1]]).collect()))
    }

    /// Gain of each neuron, `[trials, neurons]`, for behaviour `[trials, columns]` in the scan's units; exactly 1 at the mean
    /// behaviour of training. `None` where the scan was fitted without a modulator.
    ///
    /// # Errors
    /// [`Error::NoSuchScan`].
    pub fn gains(&self, scan: usize, behavior: &Array2<f32>) -> Result<Option<Array2<f32>>> {
        let part = self.part(scan)?;
        let (Some(modulator), Some(by)) = (&part.head.modulator, &part.normalization.behavior) else { return Ok(None) };
        Ok(Some(array(&modulator.forward(&rows(behavior, by, self.device())?)?.exp()?)?))
    }

    /// Kernels of the core's first layer, `[channels, planes, side, side]`: those for the image, then those for the image divided
    /// by its local contrast, where the core sees it (see [`CoreConfig::contrast_window`](crate::CoreConfig::contrast_window)).
    ///
    /// # Errors
    /// None, as long as there is memory.
    #[expect(clippy::missing_panics_doc, reason = "a tensor has as many values as its shape says")]
    pub fn filters(&self) -> Result<Array4<f32>> {
        let filters = self.core.filters()?;
        let shape = filters.dims4()?;
        Ok(Array4::from_shape_vec(shape, filters.flatten_all()?.to_vec1()?).expect("as many values as the shape says"))
    }

    /// Features at all scales of normalised images, with the running statistics.
    pub(crate) fn pyramid(&self, images: &Tensor) -> Result<Pyramid> {
        Ok(self.scales(FeatureMap::new(&self.core.eval(images)?.values()?)?)?)
    }

    /// All scales of the core's output.
    pub(crate) fn scales(&self, features: FeatureMap) -> candle_core::Result<Pyramid> {
        let size = [self.image.height, self.image.width];
        Pyramid::new(features, self.config.readout.scales(), &self.config.core, size)
    }

    pub(crate) fn part(&self, index: usize) -> Result<&ScanModel> {
        self.scans.get(index).ok_or(Error::NoSuchScan { index, len: self.scans.len() })
    }

    pub(crate) fn check_size(&self, scan: &str, stimuli: &StimulusSet) -> Result<()> {
        let ImageNormalization { height, width, .. } = self.image;
        if (stimuli.height(), stimuli.width()) == (height, width) {
            return Ok(());
        }
        Err(Error::ImageSize {
            scan: scan.to_owned(),
            expected_height: height,
            expected_width: width,
            found_height: stimuli.height(),
            found_width: stimuli.width(),
        })
    }

    pub(crate) fn check_scan(&self, part: &ScanModel, recorded: &Scan) -> Result<()> {
        self.check_size(recorded.name(), recorded.stimuli())?;
        let of_scan = |values: Option<&Array2<f32>>| values.map_or(0, Array2::ncols);
        let of_model = |by: &Option<ColumnNormalization>| by.as_ref().map_or(0, |by| by.columns());
        let by = &part.normalization;
        let checks = [
            ("neurons", by.varies.len(), recorded.responses().ncols()),
            ("columns of behavior", of_model(&by.behavior), of_scan(recorded.behavior())),
            ("columns of pupil_center", of_model(&by.pupil), of_scan(recorded.pupil_center())),
        ];
        match checks.into_iter().find(|(_, expected, found)| expected != found) {
            None => Ok(()),
            Some((what, expected, found)) => Err(Error::ScanMismatch {
                scan: recorded.name().to_owned(),
                what,
                expected: expected.to_string(),
                found: found.to_string(),
            }),
        }
    }
}

pub(crate) fn rows(values: &Array2<f32>, by: &ColumnNormalization, device: &Device) -> Result<Tensor> {
    let scaled: Vec<f32> = values.rows().into_iter().flat_map(|row| by.apply(row.iter()).collect::<Vec<_>>()).collect();
    Ok(Tensor::from_vec(scaled, (values.nrows(), by.columns()), device)?)
}

fn array(values: &Tensor) -> Result<Array2<f32>> {
    let shape = values.dims2()?;
    Ok(Array2::from_shape_vec(shape, values.flatten_all()?.to_vec1()?).expect("a tensor has as many values as its shape says"))
}
