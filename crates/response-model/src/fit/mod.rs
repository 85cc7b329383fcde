//! Training: Adam on batches of images, with learning rate decays on plateaus of the validation
//! correlation.

mod checkpoint;
mod event;
mod objective;
mod options;
mod schedule;
mod trainer;

use brainprior_recording::{Scan, Tier};
use candle_core::Device;

use crate::config::{Config, LossConfig, PositionSource};
use crate::error::{Error, Result};
use crate::head::ScanDescription;
use crate::model::ResponseModel;
use crate::normalization::{ColumnNormalization, ImageNormalization, ScanNormalization};
use crate::presentations::{Presentation, Presentations};
use crate::receptive_field::{ContrastMaps, Start};

pub use event::FitEvent;
pub use options::FitOptions;
use trainer::Trainer;

/// Fits one core and a head for each of `scans`.
///
/// Everything that is learned, including normalization, comes from the training tiers. The
/// validation tiers decide when to stop, and give v_a. Scans may divide the same images
/// differently: an image in the validation tier of one scan may be in the training tier of another.
/// The result depends only on the scans, the configuration and the seed, not on the number of
/// threads or, if [`FitOptions::checkpoint`] names a file, on interruptions. That file is written
/// after every epoch. A later call with the same scans, configuration and seed resumes from it, and
/// a call after the last epoch returns the fitted model at once. Receptive fields are located on
/// the CPU, whatever the device, and files do not depend on it.
///
/// # Errors
/// Returns [`Error::NoScans`]; [`Error::Configuration`]; [`Error::ImageSize`],
/// [`Error::TooFewTrials`], [`Error::NegativeResponses`] or [`Error::NothingVaries`] if the scans
/// cannot be fitted; [`Error::Diverged`]; [`Error::File`] if the checkpoint cannot be read or
/// written; [`Error::ForeignCheckpoint`] if it belongs to another fit; or [`Error::Tensor`] if the
/// device runs out of memory.
pub fn fit(scans: &[&Scan], config: &Config, mut options: FitOptions) -> Result<ResponseModel> {
    let (device, seed, checkpoint) = (options.device.clone(), options.seed, options.checkpoint);
    let observe = &mut |event| options.tell(event);
    let span = tracing::info_span!("fit", scans = scans.len());
    let _entered = span.enter();
    config.check()?;
    check_together(scans)?;
    let presentations = Presentations::new(scans)?;
    let config = &config.for_images(presentations.training_images().count());
    let training = presentations.training_trials();
    let normalizations: Vec<ScanNormalization> = scans
        .iter()
        .zip(training)
        .map(|(scan, trials)| {
            let by = ScanNormalization::of(scan, trials, &config.loss)?;
            Ok(if config.normalization.responses { by } else { by.in_scan_units() })
        })
        .collect::<Result<_>>()?;
    let (height, width) = (scans[0].stimuli().height(), scans[0].stimuli().width());
    let image = match config.normalization.images {
        true => ImageNormalization::of(height, width, presentations.training_images()),
        false => ImageNormalization::none(height, width),
    };
    announce(scans, config, &normalizations, observe);

    let positions = locate(scans, &presentations, &image, &normalizations, &config.loss, observe)?;
    let mut descriptions = Vec::with_capacity(scans.len());
    for (((scan, trials), normalization), positions) in
        scans.iter().zip(training).zip(normalizations).zip(positions)
    {
        descriptions.push(describe(scan, trials, normalization, positions, config)?);
    }
    let model = ResponseModel::new(config.clone(), image, descriptions, seed, &device)?;
    let identity = checkpoint::identity(scans, config, seed);
    Trainer::new(model, scans, presentations, seed)?
        .run(checkpoint.map(|path| (path, identity)), observe)
}

fn describe(
    scan: &Scan,
    trials: &[usize],
    normalization: ScanNormalization,
    positions: Vec<f32>,
    config: &Config,
) -> Result<ScanDescription> {
    let name = scan.name().to_owned();
    let coordinates = match (config.readout.positions, scan.neurons().coordinates()) {
        (PositionSource::Located, _) => None,
        (PositionSource::Cortical, None) => return Err(Error::NoCoordinates { scan: name }),
        (PositionSource::Cortical, Some(of)) => Some(ColumnNormalization::of_all(of, 2)),
    };
    let zero_share = |n: usize| {
        let limit = config.loss.zero_threshold as f32 * normalization.response_std[n];
        trials.iter().filter(|&&t| scan.responses()[(t, n)] <= limit).count() as f32
            / trials.len() as f32
    };
    let zero_shares = (0..normalization.varies.len()).map(zero_share).collect();
    Ok(ScanDescription { name, normalization, positions, coordinates, zero_shares })
}

fn check_together(scans: &[&Scan]) -> Result<()> {
    let first = scans.first().ok_or(Error::NoScans)?;
    let (expected_height, expected_width) = (first.stimuli().height(), first.stimuli().width());
    for scan in scans {
        let (found_height, found_width) = (scan.stimuli().height(), scan.stimuli().width());
        if (found_height, found_width) != (expected_height, expected_width) {
            let scan = scan.name().to_owned();
            return Err(Error::ImageSize {
                scan,
                expected_height,
                expected_width,
                found_height,
                found_width,
            });
        }
        let found = scan.trials_in(Tier::Validation).len();
        if found < 3 {
            let scan = scan.name().to_owned();
            return Err(Error::TooFewTrials {
                scan,
                tier: Tier::Validation.name(),
                found,
                expected: 3,
            });
        }
    }
    Ok(())
}

fn announce(
    scans: &[&Scan],
    config: &Config,
    normalizations: &[ScanNormalization],
    observe: &mut dyn FnMut(FitEvent),
) {
    for (scan, by) in scans.iter().zip(normalizations) {
        let name = scan.name().to_owned();
        if by.behavior.is_none() && config.modulator.enabled {
            tracing::warn!(scan = name, "no behavior: the scan is fitted without a modulator");
            observe(FitEvent::WithoutModulator { scan: name.clone() });
        }
        if by.pupil.is_none() && config.shifter.enabled {
            tracing::warn!(scan = name, "no pupil centers: the scan is fitted without a shifter");
            observe(FitEvent::WithoutShifter { scan: name.clone() });
        }
        let neurons = by.varies.iter().filter(|varies| !**varies).count();
        if neurons > 0 {
            tracing::warn!(scan = name, neurons, "constant neurons are left out of the loss");
            observe(FitEvent::NeverVarying { scan: name, neurons });
        }
    }
}

/// Positions from reverse correlation, flat (x, y) for each scan.
fn locate(
    scans: &[&Scan],
    presentations: &Presentations,
    image: &ImageNormalization,
    normalizations: &[ScanNormalization],
    loss: &LossConfig,
    observe: &mut dyn FnMut(FitEvent),
) -> Result<Vec<Vec<f32>>> {
    let _entered = tracing::info_span!("locate").entered();
    let all: Vec<&Presentation> = presentations.training().iter().collect();
    let maps = ContrastMaps::new(
        all.chunks(64).map(|chunk| presentations.image_batch(chunk, image, &Device::Cpu)),
    )?;
    let mut positions = Vec::with_capacity(scans.len());
    for (s, (scan, by)) in scans.iter().zip(normalizations).enumerate() {
        let mut shown = Vec::new();
        let mut responses = Vec::new();
        for (row, presentation) in all.iter().enumerate() {
            if let Some(trial) = presentation.trials[s] {
                shown.push(row);
                responses.extend(by.responses(scan.responses().row(trial).iter(), loss));
            }
        }
        let starts = maps.starts(&shown, &responses, by.varies.len())?;
        let clear = starts.iter().filter(|start| start.clear).count();
        observe(FitEvent::Located { scan: scan.name().to_owned(), clear, neurons: starts.len() });
        positions.push(starts.iter().flat_map(|Start { position, .. }| *position).collect());
    }
    Ok(positions)
}
