//! Computes rates from images: receptive fields, normalization, calibration on the stimuli.

use super::neuron::SimulatedNeuron;
use super::subunit::{View, total};
use crate::{Error, Result};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, linalg::general_mat_mul};
use rayon::prelude::*;

/// Number of neurons processed at a time; fixed, so that results do not depend on the number of
/// threads.
const BLOCK: usize = 16;
/// Saturation level of the drive, in units of its mean.
pub(super) const DRIVE_KNEE: f32 = 8.0;

/// Neurons with everything that determines their rates.
pub(super) struct Encoder {
    neurons: Vec<SimulatedNeuron>,
    width: usize,
}

impl SimulatedNeuron {
    /// Writes the window in which the surround contrast is computed; it sums to 1.
    fn fill_surround(&self, width: usize, window: &mut [f32]) {
        for (pixel, value) in window.iter_mut().enumerate() {
            let (dx, dy) = ((pixel % width) as f32 - self.x, (pixel / width) as f32 - self.y);
            *value =
                (-(dx * dx + dy * dy) / (2.0 * self.surround_sigma * self.surround_sigma)).exp();
        }
        let area = total(window);
        window.iter_mut().for_each(|value| *value /= area);
    }

    /// The weighted sum of the subunit responses.
    fn mixture(&self, subunits: impl Iterator<Item = View>) -> f32 {
        self.subunits
            .iter()
            .zip(subunits)
            .map(|(unit, view)| unit.weight * unit.normalized(view) / unit.scale)
            .sum()
    }

    /// The drive before saturation and scaling.
    fn suppressed_drive(&self, mixture: f32, surround: f32) -> f32 {
        let suppression = 1.0 + self.suppression * surround / self.surround_scale;
        ((mixture - self.threshold).max(0.0) / suppression).powf(self.exponent)
    }

    /// The drive in units of its mean, after saturation.
    fn saturated_drive(&self, mixture: f32, surround: f32) -> f32 {
        let drive = self.suppressed_drive(mixture, surround) / self.drive_scale;
        drive / (1.0 + drive / DRIVE_KNEE)
    }

    /// The expected response at mean behavior.
    fn rate(&self, mixture: f32, surround: f32) -> f32 {
        if !self.responsive {
            return self.mean_rate;
        }
        let modulated = self.saturated_drive(mixture, surround) / self.saturated_drive_mean;
        self.mean_rate * (self.baseline_fraction + (1.0 - self.baseline_fraction) * modulated)
    }

    /// Sets the scales that depend on the stimuli; `None` if no stimulus drives the neuron.
    fn calibrate(&mut self, views: &Views, neuron: usize) -> Option<()> {
        let positive = |value: f32| (value.is_finite() && value > 0.0).then_some(value);
        let images = 0..views.images();
        for (index, unit) in self.subunits.iter_mut().enumerate() {
            let seen: Vec<View> =
                images.clone().map(|image| views.subunit(image, neuron, index)).collect();
            unit.contrast_scale = positive(median(seen.iter().map(|view| view.contrast)))?;
            let (_, even) = moments(seen.iter().map(|view| view.even));
            let (_, luminance) = moments(seen.iter().map(|view| view.luminance));
            if unit.luminance != 0.0 {
                unit.luminance *= positive((even / luminance).sqrt() as f32)?;
            }
            unit.scale =
                positive(moments(seen.iter().map(|view| unit.normalized(*view))).1.sqrt() as f32)?;
        }
        self.surround_scale =
            positive(median(images.clone().map(|image| views.surround[[image, neuron]])))?;
        let seen: Vec<(f32, f32)> = images
            .map(|image| {
                (self.mixture(views.subunits(image, neuron)), views.surround[[image, neuron]])
            })
            .collect();
        self.threshold *= moments(seen.iter().map(|(mixture, _)| *mixture)).0 as f32;
        let of = |value: &dyn Fn(f32, f32) -> f32| {
            moments(seen.iter().map(|(mixture, surround)| value(*mixture, *surround)))
        };
        self.drive_scale =
            positive(of(&|mixture, surround| self.suppressed_drive(mixture, surround)).0 as f32)?;
        self.saturated_drive_mean =
            positive(of(&|mixture, surround| self.saturated_drive(mixture, surround)).0 as f32)?;
        self.signal_variance = of(&|mixture, surround| self.rate(mixture, surround)).1 as f32;
        if self.responsive { positive(self.signal_variance).map(|_| ()) } else { Some(()) }
    }
}

fn median(values: impl Iterator<Item = f32>) -> f32 {
    let mut sorted: Vec<f32> = values.collect();
    sorted.sort_by(f32::total_cmp);
    sorted[sorted.len() / 2]
}

/// Mean and variance (ddof 0).
pub(super) fn moments(values: impl Iterator<Item = f32> + Clone) -> (f64, f64) {
    let (count, sum) = values
        .clone()
        .fold((0.0, 0.0), |(count, sum), value| (count + 1.0, sum + f64::from(value)));
    let mean = sum / count;
    (mean, values.map(|value| (f64::from(value) - mean).powi(2)).sum::<f64>() / count)
}

/// The receptive field inputs of some neurons for all images: `[images, subunits of all neurons]`,
/// and `[images, neurons]` for the surround.
struct Views {
    even: Array2<f32>,
    odd: Array2<f32>,
    luminance: Array2<f32>,
    contrast: Array2<f32>,
    surround: Array2<f32>,
    /// Number of subunits per neuron.
    subunits: usize,
}

impl Views {
    /// Computes them from images `[images, pixels]` and their squares.
    fn new(
        neurons: &[SimulatedNeuron],
        width: usize,
        images: ArrayView2<f32>,
        squares: ArrayView2<f32>,
    ) -> Self {
        let subunits = neurons[0].subunits.len();
        let empty = |count: usize| Array2::<f32>::zeros((count, images.ncols()));
        let (mut even, mut odd, mut window) = (
            empty(neurons.len() * subunits),
            empty(neurons.len() * subunits),
            empty(neurons.len() * subunits),
        );
        let mut surround = empty(neurons.len());
        for (neuron, cell) in neurons.iter().enumerate() {
            for (index, unit) in cell.subunits.iter().enumerate() {
                let row = neuron * subunits + index;
                let [even, odd, window] = [&mut even, &mut odd, &mut window]
                    .map(|filters| filters.row_mut(row).into_slice().expect("row-major"));
                unit.fill(width, even, odd, window);
            }
            cell.fill_surround(width, surround.row_mut(neuron).into_slice().expect("row-major"));
        }
        let apply = |images: ArrayView2<f32>, filters: &Array2<f32>| {
            let mut out = Array2::zeros((images.nrows(), filters.nrows()));
            general_mat_mul(1.0, &images, &filters.t(), 0.0, &mut out);
            out
        };
        let spread = |filters: &Array2<f32>| {
            let (mean, mut spread) = (apply(images, filters), apply(squares, filters));
            spread.zip_mut_with(&mean, |square, mean| {
                *square = (*square - mean * mean).max(0.0).sqrt()
            });
            (mean, spread)
        };
        let (luminance, contrast) = spread(&window);
        let (_, surround) = spread(&surround);
        Self {
            even: apply(images, &even),
            odd: apply(images, &odd),
            luminance,
            contrast,
            surround,
            subunits,
        }
    }

    fn images(&self) -> usize {
        self.even.nrows()
    }

    fn subunit(&self, image: usize, neuron: usize, index: usize) -> View {
        let at = [image, neuron * self.subunits + index];
        View {
            even: self.even[at],
            odd: self.odd[at],
            luminance: self.luminance[at],
            contrast: self.contrast[at],
        }
    }

    fn subunits(&self, image: usize, neuron: usize) -> impl Iterator<Item = View> {
        (0..self.subunits).map(move |index| self.subunit(image, neuron, index))
    }
}

impl Encoder {
    /// Calibrates `neurons`, which must all have the same number of subunits, on standardized
    /// `stimuli` `[images, height * width]`.
    ///
    /// # Errors
    /// Returns [`Error::Simulation`] if no stimulus drives a neuron, for example if the stimuli are
    /// uniform.
    pub(super) fn calibrated(
        mut neurons: Vec<SimulatedNeuron>,
        width: usize,
        stimuli: ArrayView2<f32>,
    ) -> Result<Self> {
        let squares = stimuli.mapv(|pixel| pixel * pixel);
        let undriven =
            neurons.par_chunks_mut(BLOCK).enumerate().find_map_first(|(block, neurons)| {
                let views = Views::new(neurons, width, stimuli, squares.view());
                let undriven = neurons.iter_mut().enumerate().find_map(|(index, cell)| {
                    cell.calibrate(&views, index).is_none().then_some(index)
                });
                undriven.map(|index| block * BLOCK + index)
            });
        match undriven {
            Some(neuron) => Err(Error::Simulation {
                what: "stimuli shown once",
                expected: "contrast in every receptive field that varies between images".into(),
                found: format!("none at neuron {neuron} of {}", neurons.len()),
            }),
            None => Ok(Self { neurons, width }),
        }
    }

    pub(super) fn neurons(&self) -> &[SimulatedNeuron] {
        &self.neurons
    }

    pub(super) fn neurons_mut(&mut self) -> &mut [SimulatedNeuron] {
        &mut self.neurons
    }

    /// Expected responses `[images, neurons]` at mean behavior, for standardized images `[images,
    /// pixels]`.
    pub(super) fn rates(&self, images: ArrayView2<f32>) -> Array2<f32> {
        let squares = images.mapv(|pixel| pixel * pixel);
        let mut rates = Array2::zeros((images.nrows(), self.neurons.len()));
        rates
            .axis_chunks_iter_mut(Axis(1), BLOCK)
            .into_par_iter()
            .zip(self.neurons.par_chunks(BLOCK))
            .for_each(|(rates, neurons)| self.fill_rates(neurons, images, squares.view(), rates));
        rates
    }

    fn fill_rates(
        &self,
        neurons: &[SimulatedNeuron],
        images: ArrayView2<f32>,
        squares: ArrayView2<f32>,
        mut rates: ArrayViewMut2<f32>,
    ) {
        let views = Views::new(neurons, self.width, images, squares);
        for ((image, neuron), rate) in rates.indexed_iter_mut() {
            let cell = &neurons[neuron];
            *rate = cell
                .rate(cell.mixture(views.subunits(image, neuron)), views.surround[[image, neuron]]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::Subunit;
    use crate::simulation::gaze::shift_image;
    use crate::simulation::{SimulationConfig, neuron::draw_neurons};
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    const HEIGHT: usize = 20;
    const WIDTH: usize = 30;

    /// Smooth images: interpolated coarse noise.
    fn images(count: usize, seed: u64) -> Array2<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut images = Array2::zeros((count, HEIGHT * WIDTH));
        for mut image in images.rows_mut() {
            let knots: Vec<f32> = (0..48).map(|_| rng.random_range(-2.0..2.0)).collect();
            for (pixel, value) in image.iter_mut().enumerate() {
                let (x, y) = ((pixel % WIDTH) as f32 / 5.0, (pixel / WIDTH) as f32 / 5.0);
                let (left, top) = (x as usize, y as usize);
                let (fx, fy) = (x - left as f32, y - top as f32);
                let knot = |column: usize, row: usize| knots[(row * 8 + column) % 48];
                *value = (1.0 - fy) * ((1.0 - fx) * knot(left, top) + fx * knot(left + 1, top))
                    + fy * ((1.0 - fx) * knot(left, top + 1) + fx * knot(left + 1, top + 1));
            }
        }
        images
    }

    fn encoder(stimuli: &Array2<f32>) -> Encoder {
        let config =
            SimulationConfig { neurons: 40, fraction_unresponsive: 0.05, ..Default::default() };
        let neurons = draw_neurons(&config, HEIGHT, WIDTH, &mut ChaCha8Rng::seed_from_u64(4));
        Encoder::calibrated(neurons, WIDTH, stimuli.view()).unwrap()
    }

    /// A subunit response in units of its scale, by the formulas in the module documentation, pixel
    /// by pixel in f64.
    fn naive_subunit(unit: &Subunit, image: &[f32]) -> f64 {
        let number = f64::from;
        let pixels = || {
            image.iter().enumerate().map(|(pixel, value)| {
                let (dx, dy) = (
                    (pixel % WIDTH) as f64 - number(unit.x),
                    (pixel / WIDTH) as f64 - number(unit.y),
                );
                let angle = number(unit.orientation);
                let (u, v) =
                    (dx * angle.cos() + dy * angle.sin(), -dx * angle.sin() + dy * angle.cos());
                let gauss = |sigma: f64| {
                    (-(u * u + (number(unit.aspect) * v).powi(2)) / (2.0 * sigma * sigma)).exp()
                };
                let phase =
                    std::f64::consts::TAU * number(unit.spatial_frequency) * u + number(unit.phase);
                let sigma = number(unit.sigma);
                (number(*value), gauss(sigma), gauss(1.5 * sigma), phase)
            })
        };
        let area: f64 = pixels().map(|(_, envelope, ..)| envelope).sum();
        let gabor = |carrier: fn(f64) -> f64| {
            let offset =
                pixels().map(|(_, envelope, _, phase)| envelope * carrier(phase)).sum::<f64>()
                    / area;
            pixels()
                .map(|(value, envelope, _, phase)| {
                    2.0 / area * envelope * (carrier(phase) - offset) * value
                })
                .sum::<f64>()
        };
        let (even, odd) = (gabor(f64::cos), gabor(f64::sin));
        let (mean, contrast) = naive_window(pixels().map(|(value, _, window, _)| (value, window)));
        let simple = (even + number(unit.luminance) * mean).max(0.0);
        let weight = number(unit.complex_weight);
        let drive = (1.0 - weight) * simple + weight * (even * even + odd * odd).sqrt();
        drive
            / (number(unit.semisaturation) * number(unit.contrast_scale) + contrast)
            / number(unit.scale)
    }

    /// Mean and standard deviation of values under a window.
    fn naive_window(values: impl Iterator<Item = (f64, f64)> + Clone) -> (f64, f64) {
        let area: f64 = values.clone().map(|(_, window)| window).sum();
        let mean = values.clone().map(|(value, window)| window * value).sum::<f64>() / area;
        (
            mean,
            (values.map(|(value, window)| window * (value - mean).powi(2)).sum::<f64>() / area)
                .sqrt(),
        )
    }

    fn naive_rate(cell: &SimulatedNeuron, image: &[f32]) -> f64 {
        if !cell.responsive {
            return f64::from(cell.mean_rate);
        }
        let number = f64::from;
        let mixture: f64 =
            cell.subunits.iter().map(|unit| number(unit.weight) * naive_subunit(unit, image)).sum();
        let (_, surround) = naive_window(image.iter().enumerate().map(|(pixel, value)| {
            let (dx, dy) =
                ((pixel % WIDTH) as f64 - number(cell.x), (pixel / WIDTH) as f64 - number(cell.y));
            (
                number(*value),
                (-(dx * dx + dy * dy) / (2.0 * number(cell.surround_sigma).powi(2))).exp(),
            )
        }));
        let suppression = 1.0 + number(cell.suppression) * surround / number(cell.surround_scale);
        let drive =
            ((mixture - number(cell.threshold)).max(0.0) / suppression).powf(number(cell.exponent));
        let drive = drive / number(cell.drive_scale);
        let modulated = drive / (1.0 + drive / 8.0) / number(cell.saturated_drive_mean);
        let baseline = number(cell.baseline_fraction);
        number(cell.mean_rate) * (baseline + (1.0 - baseline) * modulated)
    }

    #[test]
    fn rates_are_those_of_the_formulas() {
        let stimuli = images(150, 1);
        let encoder = encoder(&stimuli);
        let rates = encoder.rates(stimuli.view());
        for image in [0, 63, 64, 149] {
            for (neuron, cell) in encoder.neurons().iter().enumerate() {
                let expected = naive_rate(cell, stimuli.row(image).as_slice().unwrap());
                let found = f64::from(rates[[image, neuron]]);
                assert!(
                    (found - expected).abs() < 1e-3 * (1.0 + expected),
                    "image {image}, neuron {neuron}: {found}, not {expected}"
                );
            }
        }
        for (neuron, cell) in encoder.neurons().iter().enumerate() {
            let (mean, variance) = moments(rates.column(neuron).iter().copied());
            assert!((mean / f64::from(cell.mean_rate) - 1.0).abs() < 1e-3);
            assert!((variance - f64::from(cell.signal_variance)).abs() < 1e-3 * (1.0 + variance));
        }
    }

    /// A gaze shift to the right and down shows what lies there: for whole pixels, the image equals
    /// one cropped further right and down, and so do the rates of the neurons.
    #[test]
    fn a_shifted_gaze_sees_the_shifted_image() {
        let stimuli = images(80, 2);
        let mut neurons = encoder(&stimuli).neurons;
        for cell in &mut neurons {
            cell.surround_sigma = 2.0;
            cell.subunits.iter_mut().for_each(|unit| (unit.sigma, unit.aspect) = (1.5, 1.0));
        }
        let encoder = Encoder { neurons, width: WIDTH };
        let (dx, dy) = (2_usize, 1_usize);
        let moved = Array2::from_shape_fn(stimuli.dim(), |(image, pixel)| {
            let (column, row) =
                ((pixel % WIDTH + dx).min(WIDTH - 1), (pixel / WIDTH + dy).min(HEIGHT - 1));
            stimuli[[image, row * WIDTH + column]]
        });
        let mut seen = Array2::zeros(stimuli.dim());
        for (image, mut seen) in stimuli.rows().into_iter().zip(seen.rows_mut()) {
            shift_image(
                image.as_slice().unwrap(),
                WIDTH,
                [dx as f32, dy as f32],
                seen.as_slice_mut().unwrap(),
            );
        }
        assert_eq!(seen, moved);

        // The same as shifting receptive fields to the right and down, as long as no edge is near.
        let mut neurons = encoder.neurons().to_vec();
        for cell in &mut neurons {
            (cell.x, cell.y) = (cell.x + dx as f32, cell.y + dy as f32);
            cell.subunits
                .iter_mut()
                .for_each(|unit| (unit.x, unit.y) = (unit.x + dx as f32, unit.y + dy as f32));
        }
        let elsewhere = Encoder { neurons, width: WIDTH };
        let (by_gaze, by_field) = (encoder.rates(seen.view()), elsewhere.rates(stimuli.view()));
        let still = encoder.rates(stimuli.view());
        let inside = |cell: &SimulatedNeuron| {
            let reach = 4.5;
            cell.subunits.iter().all(|unit| {
                (reach..WIDTH as f32 - reach - 3.0).contains(&unit.x)
                    && (reach..HEIGHT as f32 - reach - 2.0).contains(&unit.y)
            })
        };
        let neurons: Vec<usize> = (0..40)
            .filter(|neuron| {
                inside(&encoder.neurons()[*neuron]) && encoder.neurons()[*neuron].responsive
            })
            .collect();
        assert!(neurons.len() > 5, "{neurons:?}");
        for neuron in neurons {
            let difference = |a: &Array2<f32>, b: &Array2<f32>| {
                (0..80).map(|image| (a[[image, neuron]] - b[[image, neuron]]).powi(2)).sum::<f32>()
            };
            let share = difference(&by_gaze, &by_field) / difference(&by_gaze, &still);
            assert!(
                share < 0.1,
                "neuron {neuron}: {share} of the effect of the shift differs from that of shifted receptive fields"
            );
        }
    }

    #[test]
    fn uniform_stimuli_are_an_error() {
        let neurons = draw_neurons(
            &SimulationConfig::default(),
            HEIGHT,
            WIDTH,
            &mut ChaCha8Rng::seed_from_u64(4),
        );
        let error = Encoder::calibrated(neurons, WIDTH, Array2::zeros((5, HEIGHT * WIDTH)).view())
            .err()
            .unwrap();
        assert!(error.to_string().contains("neuron 0"), "{error}");
    }
}
