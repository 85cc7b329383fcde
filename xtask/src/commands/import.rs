//! `cargo xtask import`.

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(crate) struct ImportArguments {
    #[command(subcommand)]
    pub(crate) kind: SourceKind,
}

/// Format of the recording.
#[derive(Debug, Subcommand)]
pub(crate) enum SourceKind {
    /// Arrays (.npy, .npz, HDF5, MATLAB 7.3) and pictures (a folder or .zip of PNG or JPEG),
    /// described by a TOML file
    Arrays(LayoutPaths),
    /// An experanto session folder: image trials, responses 0.05 to 0.55 s after onset, pupil and
    /// running
    Experanto(Paths),
    /// An NWB file with image presentations: NWB 2, or NWB 1 of the Allen Brain Observatory
    Nwb(Box<NwbArguments>),
    /// A suite2p folder, with a table of onsets
    Suite2p(Box<Suite2pArguments>),
}

#[derive(Args, Debug)]
pub(crate) struct LayoutPaths {
    /// A layout (.toml) that names the arrays and pictures, and their axes, as in
    /// data-specs/layout.toml
    pub(crate) source: PathBuf,
    /// The scan file to write, in the static HDF5 layout
    pub(crate) out: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct Paths {
    /// The file or folder of the recording
    pub(crate) source: PathBuf,
    /// The scan file to write, in the static HDF5 layout
    pub(crate) out: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct NwbArguments {
    #[command(flatten)]
    pub(crate) paths: Paths,
    #[command(flatten)]
    pub(crate) common: Common,
    /// Path in the file of a response series or the table units; once per plane [default: the only
    /// one, or dF/F]
    #[arg(long, value_name = "PATH")]
    pub(crate) responses: Vec<String>,
    /// Path of the presentations: an IndexSeries, a series of images or a table of intervals
    /// [default: the only one]
    #[arg(long, value_name = "PATH")]
    pub(crate) presentations: Option<String>,
    /// Images that a table of intervals refers to [default: the only ones]
    #[arg(long, value_name = "PATH")]
    pub(crate) images: Option<String>,
    /// Column of the table of intervals with image names or numbers from 0 [default: image_name,
    /// image_index, stimulus_index or frame]
    #[arg(long, value_name = "NAME")]
    pub(crate) column: Option<String>,
    /// Ignore running and pupil data
    #[arg(long)]
    pub(crate) no_behavior: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Suite2pArguments {
    #[command(flatten)]
    pub(crate) paths: Paths,
    #[command(flatten)]
    pub(crate) common: Common,
    /// Image onsets: .csv with the columns image, and seconds or frame; or .npy with two columns
    #[arg(long, value_name = "FILE")]
    pub(crate) onsets: PathBuf,
    /// Unit of the onsets in an .npy file
    #[arg(long, value_enum, value_name = "UNIT")]
    pub(crate) onsets_in: Option<OnsetsIn>,
    /// The images: an array, or a folder or .zip of pictures
    #[arg(long, value_name = "FILE")]
    pub(crate) images: PathBuf,
    /// Volumes per second: fs in ops.npy, which is a pickle and is not opened
    #[arg(long, value_name = "HZ")]
    pub(crate) rate: f64,
    /// Traces used as responses
    #[arg(long, value_enum, default_value_t = TracesOf::Spks)]
    pub(crate) traces: TracesOf,
    /// Number of the first image in the onsets: 0, or 1 as in MATLAB
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) first_image: usize,
}

/// Settings that no recording contains.
#[derive(Args, Debug)]
pub(crate) struct Common {
    /// Seconds from the onset of an image to the start of the window over which responses are
    /// averaged
    #[arg(long, value_name = "SECONDS", default_value_t = 0.05, allow_negative_numbers = true)]
    pub(crate) lag: f64,
    /// Length of this window in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 0.5)]
    pub(crate) window: f64,
    /// Numbers of images for training, validation and test: TRAIN,VALIDATION,TEST; test images are
    /// drawn from those with repeats
    #[arg(long, value_name = "COUNTS", value_delimiter = ',')]
    pub(crate) tiers: Option<Vec<usize>>,
    /// Seed for drawing the tiers
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Height and width to average images down to: HEIGHT,WIDTH
    #[arg(long, value_name = "PIXELS", value_delimiter = ',')]
    pub(crate) size: Option<Vec<usize>>,
    /// Values of black and white in images that are not bytes: BLACK,WHITE
    #[arg(long, value_name = "VALUES", value_delimiter = ',', allow_negative_numbers = true)]
    pub(crate) range: Option<Vec<f64>>,
    /// The axes of images, such as height,width or image,height,width
    #[arg(long, value_name = "AXES", value_delimiter = ',')]
    pub(crate) image_axes: Option<Vec<String>>,
    /// Conversion of color images
    #[arg(long, value_enum, value_name = "WAY")]
    pub(crate) color: Option<ColorTo>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ColorTo {
    /// 0.299 red + 0.587 green + 0.114 blue
    Luma,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum OnsetsIn {
    /// Seconds after the first frame
    Seconds,
    /// Frames, from 0
    Frames,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum TracesOf {
    /// Deconvolved traces, spks.npy
    Spks,
    /// F.npy minus 0.7 times Fneu.npy
    F,
}

/// Writes the scan and prints what was taken, dropped and assumed.
#[cfg(feature = "pipeline")]
pub(crate) fn run(arguments: &ImportArguments) -> anyhow::Result<()> {
    use brainprior_pipeline::import::{
        Kind, NwbSettings, OnsetUnit, Suite2pSettings, Traces, import,
    };
    let (kind, source, out) = match &arguments.kind {
        SourceKind::Arrays(paths) => (Kind::Arrays, &paths.source, &paths.out),
        SourceKind::Experanto(paths) => (Kind::Experanto, &paths.source, &paths.out),
        SourceKind::Nwb(arguments) => {
            let settings = NwbSettings {
                common: arguments.common.settings(!arguments.no_behavior)?,
                responses: arguments.responses.clone(),
                presentations: arguments.presentations.clone(),
                images: arguments.images.clone(),
                column: arguments.column.clone(),
            };
            (Kind::Nwb(settings), &arguments.paths.source, &arguments.paths.out)
        }
        SourceKind::Suite2p(arguments) => {
            let settings = Suite2pSettings {
                common: arguments.common.settings(true)?,
                onsets: arguments.onsets.clone(),
                unit: arguments.onsets_in.map(|unit| match unit {
                    OnsetsIn::Seconds => OnsetUnit::Seconds,
                    OnsetsIn::Frames => OnsetUnit::Frames,
                }),
                images: arguments.images.clone(),
                rate: arguments.rate,
                traces: match arguments.traces {
                    TracesOf::Spks => Traces::Spikes,
                    TracesOf::F => Traces::Fluorescence,
                },
                first_image: arguments.first_image,
            };
            (Kind::Suite2p(settings), &arguments.paths.source, &arguments.paths.out)
        }
    };
    print!("{}", import(&kind, source, out)?);
    Ok(())
}

#[cfg(feature = "pipeline")]
impl Common {
    fn settings(&self, behavior: bool) -> anyhow::Result<brainprior_pipeline::import::Settings> {
        use brainprior_pipeline::import::{ImageSettings, Settings, TierCounts, Window};
        let tiers = self.tiers.as_deref().map(|counts| match counts {
            [train, validation, test] => Ok(TierCounts {
                train: *train,
                validation: *validation,
                test: *test,
                seed: self.seed,
            }),
            _ => Err(anyhow::anyhow!("--tiers: expected 3 counts, found {}", counts.len())),
        });
        let size = self.size.as_deref().map(|size| match size {
            [height, width] => Ok([*height, *width]),
            _ => Err(anyhow::anyhow!("--size: expected height and width, found {}", size.len())),
        });
        let range = self.range.as_deref().map(|range| match range {
            [black, white] => Ok([*black, *white]),
            _ => Err(anyhow::anyhow!("--range: expected black and white, found {}", range.len())),
        });
        let axes = self
            .image_axes
            .as_ref()
            .map(|axes| axes.iter().map(|axis| axis.parse()).collect::<Result<_, _>>());
        Ok(Settings {
            window: Window::new(self.lag, self.window)?,
            tiers: tiers.transpose()?,
            images: ImageSettings {
                size: size.transpose()?,
                range: range.transpose()?,
                axes: axes.transpose()?,
                luma: self.color.is_some(),
            },
            behavior,
        })
    }
}
