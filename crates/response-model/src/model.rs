//! Fitted models: one core, and a head per scan.

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
/// The rates rho-hat of Li et al. 2019, section 2: rho = gain(behavior) (ELU(readout(core(image),
/// position + shift(pupil))) + 1), or with the gain inside ELU (see
/// [`GainPlacement`](crate::GainPlacement)). They are computed in units of each neuron's training
/// standard deviation and multiplied by it before they are returned.
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

    /// Like [`Self::new`], but creates variables only if the archive has a tensor with that name
    /// and shape.
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
        // A core without channels would have no layers.
        let config = config.for_images(0);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let core = Core::new(&config.core, &vars.pp("core"), &mut rng)?;
        let mut models = Vec::with_capacity(scans.len());
        let features = [core.channels(), core.extent(image.height), core.extent(image.width)];
        if features[1] == 0 || features[2] == 0 {
            let found = format!(
                "{:?} on images of {} x {} (height x width)",
                config.core.kernels, image.height, image.width
            );
            let expected = "a first side within the image, or core.pad_input = true";
            return Err(Error::Configuration { key: "core.kernels", found, expected });
        }
        for (s, scan) in scans.into_iter().enumerate() {
            // A separate random stream, so that the initialization of a scan does not depend on the
            // sizes of the others.
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(1 + s as u64);
            let head = Head::new(&config, features, &scan, &vars.pp(format!("scan{s}")), &mut rng)?;
            let ScanDescription { name, normalization, .. } = scan;
            let v_a = vec![None; normalization.varies.len()];
            models.push(ScanModel { name, normalization, head, v_a });
        }
        Ok(Self {
            config,
            image,
            core,
            scans: models,
            variables: variables::all(map),
            device: vars.device().clone(),
        })
    }

    /// Number of scans.
    pub fn scan_count(&self) -> usize {
        self.scans.len()
    }

    /// The device of the model.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The configuration with which it was built and trained.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Name of a scan.
    ///
    /// # Errors
    /// Returns [`Error::NoSuchScan`] if there is no scan of this number.
    pub fn scan_name(&self, scan: usize) -> Result<&str> {
        Ok(&self.part(scan)?.name)
    }

    /// Validation correlation v_a of each neuron (Li et al. 2019, section 2) between predicted and
    /// observed responses in the trials of the validation tier, which trained nothing but decided
    /// when to stop the fit. `None` for neurons that do not vary in training or in validation.
    ///
    /// # Errors
    /// Returns [`Error::NoSuchScan`] if there is no scan of this number.
    pub fn v_a(&self, scan: usize) -> Result<&[Option<f32>]> {
        Ok(&self.part(scan)?.v_a)
    }

    /// Standard deviation of each neuron's responses over the training tier, but at least 1% of the
    /// mean over neurons. Predictions and responses are divided by it to give all neurons one
    /// scale.
    ///
    /// # Errors
    /// Returns [`Error::NoSuchScan`] if there is no scan of this number.
    pub fn response_std(&self, scan: usize) -> Result<&[f32]> {
        Ok(&self.part(scan)?.normalization.response_std)
    }

    /// Center (x, y) of each neuron's receptive field. -1 and 1 are the outer edges of the first
    /// and the last pixel (align_corners = false), with x to the right and y downwards.
    ///
    /// # Errors
    /// Returns [`Error::NoSuchScan`] if there is no scan of this number.
    pub fn positions(&self, scan: usize) -> Result<Vec<[f32; 2]>> {
        Ok(self.part(scan)?.head.readout.positions()?)
    }

    /// Shift of all receptive fields (x, y), in half image widths and heights, for pupil centers
    /// `[trials, 2]` in the scan's units; `None` if the scan was fitted without a shifter.
    ///
    /// # Errors
    /// Returns [`Error::NoSuchScan`] if there is no scan of this number.
    pub fn shifts(&self, scan: usize, pupil_center: &Array2<f32>) -> Result<Option<Vec<[f32; 2]>>> {
        let part = self.part(scan)?;
        let (Some(shifter), Some(by)) = (&part.head.shifter, &part.normalization.pupil) else {
            return Ok(None);
        };
        let rows = rows(pupil_center, by, self.device())?;
        let shifts: Vec<Vec<f32>> = shifter.forward(&rows)?.to_vec2()?;
        Ok(Some(shifts.iter().map(|row| [row[0], row[1]]).collect()))
    }

    /// Gain of each neuron, `[trials, neurons]`, for behavior `[trials, columns]` in the scan's
    /// units; exactly 1 at the mean behavior of training. `None` if the scan was fitted without a
    /// modulator.
    ///
    /// # Errors
    /// Returns [`Error::NoSuchScan`] if there is no scan of this number.
    pub fn gains(&self, scan: usize, behavior: &Array2<f32>) -> Result<Option<Array2<f32>>> {
        let part = self.part(scan)?;
        let (Some(modulator), Some(by)) = (&part.head.modulator, &part.normalization.behavior)
        else {
            return Ok(None);
        };
        Ok(Some(array(&modulator.forward(&rows(behavior, by, self.device())?)?.exp()?)?))
    }

    /// Kernels of the core's first layer, `[channels, planes, side, side]`: those for the image,
    /// then those for the contrast-normalized image if the core uses it (see
    /// [`CoreConfig::contrast_window`](crate::CoreConfig::contrast_window)).
    ///
    /// # Errors
    /// Returns an error only if memory runs out.
    #[expect(clippy::missing_panics_doc, reason = "a tensor has as many values as its shape says")]
    pub fn filters(&self) -> Result<Array4<f32>> {
        let filters = self.core.filters()?;
        let shape = filters.dims4()?;
        Ok(Array4::from_shape_vec(shape, filters.flatten_all()?.to_vec1()?)
            .expect("as many values as the shape says"))
    }

    /// Features of normalized images at all scales, with the running statistics.
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

pub(crate) fn rows(
    values: &Array2<f32>,
    by: &ColumnNormalization,
    device: &Device,
) -> Result<Tensor> {
    let scaled: Vec<f32> = values
        .rows()
        .into_iter()
        .flat_map(|row| by.apply(row.iter()).collect::<Vec<_>>())
        .collect();
    Ok(Tensor::from_vec(scaled, (values.nrows(), by.columns()), device)?)
}

fn array(values: &Tensor) -> Result<Array2<f32>> {
    let shape = values.dims2()?;
    Ok(Array2::from_shape_vec(shape, values.flatten_all()?.to_vec1()?)
        .expect("a tensor has as many values as its shape says"))
}
