//! The statistics with which the lab's loaders normalize.

use crate::{Scan, Tier};
use brainprior_images::StimulusSet;
use ndarray::Array2;
use rayon::prelude::*;

/// The groups in which the loaders look; both have the same content here.
pub(crate) const SOURCES: [&str; 2] = ["all", "stimulus_frame"];

/// Statistics over rows, one entry per column.
#[derive(Default)]
pub(crate) struct Statistics {
    mean: Vec<f32>,
    /// Standard deviation, ddof 0.
    std: Vec<f32>,
    min: Vec<f32>,
    max: Vec<f32>,
    /// Median; the mean of the two middle values of an even number.
    median: Vec<f32>,
}

impl Statistics {
    pub(crate) fn named(&self) -> [(&'static str, &[f32]); 5] {
        [
            ("mean", &self.mean),
            ("std", &self.std),
            ("min", &self.min),
            ("max", &self.max),
            ("median", &self.median),
        ]
    }

    fn of_columns(columns: Vec<[f32; 5]>) -> Self {
        let part = |index: usize| columns.iter().map(|column| column[index]).collect();
        Self { mean: part(0), std: part(1), min: part(2), max: part(3), median: part(4) }
    }
}

/// For every array of a scan: its key, its statistics, and whether they are scalars.
pub(crate) fn of_scan(scan: &Scan) -> Vec<(&'static str, Statistics, bool)> {
    let rows = rows(scan);
    let matrix = |array: &Array2<f32>| {
        let column = |column| of_values(rows.iter().map(|row| array[[*row, column]]).collect());
        Statistics::of_columns((0..array.ncols()).into_par_iter().map(column).collect())
    };
    let scale = if image_bytes(scan.stimuli()).is_some() { 255.0 } else { 1.0 };
    let shown = rows.iter().flat_map(|row| scan.stimuli().image(scan.trial_image()[*row]));
    let pixels = of_values(shown.map(|pixel| pixel * scale).collect());
    let mut all = vec![
        ("images", Statistics::of_columns(vec![pixels]), true),
        ("responses", matrix(scan.responses()), false),
    ];
    all.extend(scan.behavior().map(|behavior| ("behavior", matrix(behavior), false)));
    all.extend(scan.pupil_center().map(|pupil| ("pupil_center", matrix(pupil), false)));
    all
}

/// The stimuli as bytes if every pixel is exactly k/255.
pub(crate) fn image_bytes(stimuli: &StimulusSet) -> Option<Vec<u8>> {
    let byte = |pixel: &f32| {
        let byte = (pixel * 255.0).round() as u8;
        (f32::from(byte) / 255.0 == *pixel).then_some(byte)
    };
    stimuli.pixels().iter().map(byte).collect()
}

fn rows(scan: &Scan) -> Vec<usize> {
    let train = scan.trials_in(Tier::Train);
    if train.is_empty() { (0..scan.tiers().len()).collect() } else { train }
}

/// Mean, standard deviation, minimum, maximum, median.
fn of_values(mut values: Vec<f32>) -> [f32; 5] {
    let count = values.len() as f64;
    let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / count;
    let variance =
        values.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>() / count;
    let middle = values.len() / 2;
    let even = values.len().is_multiple_of(2);
    let (below, upper, above) = values.select_nth_unstable_by(middle, f32::total_cmp);
    let largest_below = below.iter().copied().max_by(f32::total_cmp);
    let min = below.iter().copied().min_by(f32::total_cmp).unwrap_or(*upper);
    let max = above.iter().copied().max_by(f32::total_cmp).unwrap_or(*upper);
    let median = if even { (largest_below.unwrap_or(*upper) + *upper) / 2.0 } else { *upper };
    [mean as f32, variance.sqrt() as f32, min, max, median]
}

#[cfg(test)]
mod tests {
    use super::of_values;

    #[test]
    fn five_numbers() {
        assert_eq!(of_values(vec![4.0, 1.0, 3.0, 2.0]), [2.5, 1.25f32.sqrt(), 1.0, 4.0, 2.5]);
        assert_eq!(of_values(vec![5.0, -1.0, 5.0]), [3.0, 8f32.sqrt(), -1.0, 5.0, 5.0]);
        assert_eq!(of_values(vec![7.0]), [7.0, 0.0, 7.0, 7.0, 7.0]);
    }
}
