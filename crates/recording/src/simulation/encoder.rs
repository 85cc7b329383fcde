//! From images to rates: receptive fields, normalisation, calibration on the stimuli.

use super::neuron::SimulatedNeuron;
use crate::{Error, Result};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, linalg::general_mat_mul};
use rayon::prelude::*;

/// Images filtered at a time: fixed, so that the work is divided alike for any number of threads.
pub(super) const BATCH: usize = 64;
/// Soft ceiling of the drive, in units of its mean.
pub(super) const DRIVE_KNEE: f32 = 8.0;
/// The window of local contrast and luminance is wider than the Gabor's envelope by this factor.
const WINDOW: f32 = 1.5;

/// Receptive fields, each `[neurons, pixels]`.
struct Filters {
    even: Array2<f32>,
    odd: Array2<f32>,
    window: Array2<f32>,
}

/// What the receptive fields see in some images, each `[images, neurons]`.
struct Views {
    even: Array2<f32>,
    odd: Array2<f32>,
    luminance: Array2<f32>,
    contrast: Array2<f32>,
}

/// What one receptive field sees in one image.
#[derive(Clone, Copy)]
struct View {
    even: f32,
    odd: f32,
    luminance: f32,
    contrast: f32,
}

/// Neurons with all that their rates depend on.
pub(super) struct Encoder {
    neurons: Vec<SimulatedNeuron>,
    filters: Filters,
}

impl SimulatedNeuron {
    /// Even and odd Gabor, and the window, at a pixel; neither zero-mean nor normalized.
    fn profile(&self, column: f32, row: f32) -> (f32, f32, f32, f32) {
        let (dx, dy) = (column - self.x, row - self.y);
        let (sine, cosine) = self.orientation.sin_cos();
        let (across, along) = (dx * cosine + dy * sine, dy * cosine - dx * sine);
        let distance = (across * across + (self.aspect * along).powi(2)) / (2.0 * self.sigma * self.sigma);
        let envelope = (-distance).exp();
        let (odd, even) = (std::f32::consts::TAU * self.spatial_frequency * across + self.phase).sin_cos();
        (envelope, envelope * even, envelope * odd, (-distance / (WINDOW * WINDOW)).exp())
    }

    /// Writes the filters of this neuron. A grating that fits has an even and odd response of about its amplitude;
    /// uniform light has none; the window sums to 1.
    fn fill(&self, width: usize, even: &mut [f32], odd: &mut [f32], window: &mut [f32]) {
        let mut envelope = vec![0.0; even.len()];
        for pixel in 0..even.len() {
            let (column, row) = ((pixel % width) as f32, (pixel / width) as f32);
            (envelope[pixel], even[pixel], odd[pixel], window[pixel]) = self.profile(column, row);
        }
        let total = |values: &[f32]| values.iter().map(|value| f64::from(*value)).sum::<f64>() as f32;
        let area = total(&envelope);
        for filter in [even, odd] {
            let offset = total(filter) / area;
            for (value, envelope) in filter.iter_mut().zip(&envelope) {
                *value = 2.0 * (*value - offset * envelope) / area;
            }
        }
        let area = total(window);
        window.iter_mut().for_each(|value| *value /= area);
    }

    /// Drive before the ceiling and without its scale.
    fn normalized_drive(&self, view: View) -> f32 {
        let simple = (view.even + self.luminance * view.luminance).max(0.0);
        let energy = view.even.hypot(view.odd);
        let drive = (1.0 - self.complex_weight) * simple + self.complex_weight * energy;
        (drive / (self.semisaturation * self.contrast_scale + view.contrast)).powf(self.exponent)
    }

    /// Drive in units of its mean, after the soft ceiling.
    fn saturated_drive(&self, view: View) -> f32 {
        let drive = self.normalized_drive(view) / self.drive_scale;
        drive / (1.0 + drive / DRIVE_KNEE)
    }

    /// Expected response at mean behaviour.
    fn rate(&self, view: View) -> f32 {
        if !self.responsive {
            return self.mean_rate;
        }
        let modulated = self.saturated_drive(view) / self.saturated_drive_mean;
        self.mean_rate * (self.baseline_fraction + (1.0 - self.baseline_fraction) * modulated)
    }

    /// Sets the scales that depend on the stimuli; `None` where nothing drives the neuron.
    fn calibrate(&mut self, views: &[View]) -> Option<()> {
        let positive = |value: f32| (value.is_finite() && value > 0.0).then_some(value);
        let mut contrast: Vec<f32> = views.iter().map(|view| view.contrast).collect();
        contrast.sort_by(f32::total_cmp);
        self.contrast_scale = positive(contrast[contrast.len() / 2])?;
        let (_, even) = moments(views.iter().map(|view| view.even));
        let (_, luminance) = moments(views.iter().map(|view| view.luminance));
        if self.luminance != 0.0 {
            self.luminance *= positive((even / luminance).sqrt() as f32)?;
        }
        self.drive_scale = positive(moments(views.iter().map(|view| self.normalized_drive(*view))).0 as f32)?;
        self.saturated_drive_mean = positive(moments(views.iter().map(|view| self.saturated_drive(*view))).0 as f32)?;
        self.signal_variance = moments(views.iter().map(|view| self.rate(*view))).1 as f32;
        if self.responsive { positive(self.signal_variance).map(|_| ()) } else { Some(()) }
    }
}

/// Mean and variance (ddof 0).
pub(super) fn moments(values: impl Iterator<Item = f32> + Clone) -> (f64, f64) {
    let (count, sum) = values.clone().fold((0.0, 0.0), |(count, sum), value| (count + 1.0, sum + f64::from(value)));
    let mean = sum / count;
    (mean, values.map(|value| (f64::from(value) - mean).powi(2)).sum::<f64>() / count)
}

impl Filters {
    fn new(neurons: &[SimulatedNeuron], height: usize, width: usize) -> Self {
        let area = height * width;
        let empty = || Array2::<f32>::zeros((neurons.len(), area));
        let (mut even, mut odd, mut window) = (empty(), empty(), empty());
        even.as_slice_mut()
            .expect("row-major")
            .par_chunks_mut(area)
            .zip(odd.as_slice_mut().expect("row-major").par_chunks_mut(area))
            .zip(window.as_slice_mut().expect("row-major").par_chunks_mut(area))
            .zip(neurons)
            .for_each(|(((even, odd), window), cell)| cell.fill(width, even, odd, window));
        Self { even, odd, window }
    }

    /// What the neurons see in images `[images, pixels]`.
    fn view(&self, images: ArrayView2<f32>) -> Views {
        let apply = |images: ArrayView2<f32>, filters: &Array2<f32>| {
            let mut out = Array2::zeros((images.nrows(), filters.nrows()));
            general_mat_mul(1.0, &images, &filters.t(), 0.0, &mut out);
            out
        };
        let luminance = apply(images, &self.window);
        let mut contrast = apply(images.map(|pixel| pixel * pixel).view(), &self.window);
        contrast.zip_mut_with(&luminance, |square, mean| *square = (*square - mean * mean).max(0.0).sqrt());
        Views { even: apply(images, &self.even), odd: apply(images, &self.odd), luminance, contrast }
    }
}

impl Views {
    fn at(&self, image: usize, neuron: usize) -> View {
        let at = [image, neuron];
        View { even: self.even[at], odd: self.odd[at], luminance: self.luminance[at], contrast: self.contrast[at] }
    }
}

impl Encoder {
    /// Calibrates `neurons` on standardized `stimuli` `[images, height * width]`.
    ///
    /// # Errors
    /// A neuron that no stimulus drives, as when the stimuli are uniform.
    pub(super) fn calibrated(
        mut neurons: Vec<SimulatedNeuron>,
        height: usize,
        width: usize,
        stimuli: ArrayView2<f32>,
    ) -> Result<Self> {
        let filters = Filters::new(&neurons, height, width);
        let batches: Vec<ArrayView2<f32>> = stimuli.axis_chunks_iter(Axis(0), BATCH).collect();
        let views: Vec<Views> = batches.into_par_iter().map(|batch| filters.view(batch)).collect();
        let undriven = neurons.par_iter_mut().enumerate().find_map_first(|(neuron, cell)| {
            let views: Vec<View> =
                views.iter().flat_map(|batch| (0..batch.even.nrows()).map(move |image| batch.at(image, neuron))).collect();
            cell.calibrate(&views).is_none().then_some(neuron)
        });
        match undriven {
            Some(neuron) => Err(Error::Simulation {
                what: "stimuli shown once",
                expected: "contrast in every receptive field, different from image to image".into(),
                found: format!("none at neuron {neuron} of {}", neurons.len()),
            }),
            None => Ok(Self { neurons, filters }),
        }
    }

    pub(super) fn neurons(&self) -> &[SimulatedNeuron] {
        &self.neurons
    }

    pub(super) fn neurons_mut(&mut self) -> &mut [SimulatedNeuron] {
        &mut self.neurons
    }

    /// Expected responses at mean behaviour to standardized images `[images, pixels]`, written to `[images, neurons]`.
    pub(super) fn rates_into(&self, images: ArrayView2<f32>, mut rates: ArrayViewMut2<f32>) {
        let views = self.filters.view(images);
        for ((image, neuron), rate) in rates.indexed_iter_mut() {
            *rate = self.neurons[neuron].rate(views.at(image, neuron));
        }
    }

    /// Expected responses at mean behaviour to any number of standardized images, in parallel.
    pub(super) fn rates(&self, images: ArrayView2<f32>) -> Array2<f32> {
        let mut rates = Array2::zeros((images.nrows(), self.neurons.len()));
        rates
            .axis_chunks_iter_mut(Axis(0), BATCH)
            .into_par_iter()
            .zip(images.axis_chunks_iter(Axis(0), BATCH))
            .for_each(|(rates, images)| self.rates_into(images, rates));
        rates
    }
}

/// Writes the image as it lies under the receptive fields when the gaze has moved by (dx, dy) pixels: the value at
/// (x + dx, y + dy), bilinear, edge pixels repeated.
pub(super) fn shift_image(image: &[f32], width: usize, shift: [f32; 2], out: &mut [f32]) {
    let height = image.len() / width;
    let weights = |size: usize, shift: f32| -> Vec<(usize, usize, f32)> {
        let clamp = |index: f32| index.clamp(0.0, (size - 1) as f32) as usize;
        let floor = shift.floor();
        (0..size).map(|index| index as f32 + floor).map(|low| (clamp(low), clamp(low + 1.0), shift - floor)).collect()
    };
    let (columns, rows) = (weights(width, shift[0]), weights(height, shift[1]));
    for (out, (top, bottom, lower)) in out.chunks_exact_mut(width).zip(rows) {
        let (top, bottom) = (&image[top * width..][..width], &image[bottom * width..][..width]);
        for (out, (left, right, further)) in out.iter_mut().zip(&columns) {
            let along = |row: &[f32]| row[*left] + further * (row[*right] - row[*left]);
            let upper = along(top);
            *out = upper + lower * (along(bottom) - upper);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::{SimulationConfig, neuron::draw_neurons};
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    const HEIGHT: usize = 20;
    const WIDTH: usize = 30;

    /// Smooth images: coarse noise, interpolated.
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
        let config = SimulationConfig { neurons: 40, fraction_unresponsive: 0.05, ..Default::default() };
        let neurons = draw_neurons(&config, HEIGHT, WIDTH, &mut ChaCha8Rng::seed_from_u64(4));
        Encoder::calibrated(neurons, HEIGHT, WIDTH, stimuli.view()).unwrap()
    }

    /// The formulas of the module's documentation, a pixel at a time, in f64.
    fn naive_rate(cell: &SimulatedNeuron, image: &[f32]) -> f64 {
        if !cell.responsive {
            return f64::from(cell.mean_rate);
        }
        let number = f64::from;
        let pixels = || {
            image.iter().enumerate().map(|(pixel, value)| {
                let (dx, dy) = ((pixel % WIDTH) as f64 - number(cell.x), (pixel / WIDTH) as f64 - number(cell.y));
                let angle = number(cell.orientation);
                let (u, v) = (dx * angle.cos() + dy * angle.sin(), -dx * angle.sin() + dy * angle.cos());
                let gauss = |sigma: f64| (-(u * u + (number(cell.aspect) * v).powi(2)) / (2.0 * sigma * sigma)).exp();
                let phase = std::f64::consts::TAU * number(cell.spatial_frequency) * u + number(cell.phase);
                let sigma = number(cell.sigma);
                (number(*value), gauss(sigma), gauss(1.5 * sigma), phase)
            })
        };
        let area: f64 = pixels().map(|(_, envelope, ..)| envelope).sum();
        let gabor = |carrier: fn(f64) -> f64| {
            let offset = pixels().map(|(_, envelope, _, phase)| envelope * carrier(phase)).sum::<f64>() / area;
            pixels().map(|(value, envelope, _, phase)| 2.0 / area * envelope * (carrier(phase) - offset) * value).sum::<f64>()
        };
        let (even, odd) = (gabor(f64::cos), gabor(f64::sin));
        let window: f64 = pixels().map(|(_, _, window, _)| window).sum();
        let mean = pixels().map(|(value, _, window, _)| window * value).sum::<f64>() / window;
        let contrast = (pixels().map(|(value, _, window, _)| window * (value - mean).powi(2)).sum::<f64>() / window).sqrt();
        let simple = (even + number(cell.luminance) * mean).max(0.0);
        let weight = number(cell.complex_weight);
        let drive = (1.0 - weight) * simple + weight * (even * even + odd * odd).sqrt();
        let normalized = drive / (number(cell.semisaturation) * number(cell.contrast_scale) + contrast);
        let drive = normalized.powf(number(cell.exponent)) / number(cell.drive_scale);
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

    /// A gaze that moves right and down sees what lies there: whole pixels against an image cut out further right and
    /// down, and the rates of the neurons with it.
    #[test]
    fn a_shifted_gaze_sees_the_shifted_image() {
        let stimuli = images(80, 2);
        let mut neurons = encoder(&stimuli).neurons;
        neurons.iter_mut().for_each(|cell| (cell.sigma, cell.aspect) = (1.5, 1.0));
        let encoder = Encoder { filters: Filters::new(&neurons, HEIGHT, WIDTH), neurons };
        let (dx, dy) = (2_usize, 1_usize);
        let moved = Array2::from_shape_fn(stimuli.dim(), |(image, pixel)| {
            let (column, row) = ((pixel % WIDTH + dx).min(WIDTH - 1), (pixel / WIDTH + dy).min(HEIGHT - 1));
            stimuli[[image, row * WIDTH + column]]
        });
        let mut seen = Array2::zeros(stimuli.dim());
        for (image, mut seen) in stimuli.rows().into_iter().zip(seen.rows_mut()) {
            shift_image(image.as_slice().unwrap(), WIDTH, [dx as f32, dy as f32], seen.as_slice_mut().unwrap());
        }
        assert_eq!(seen, moved);

        // The same as receptive fields moved right and down, as far as no edge is near.
        let mut neurons = encoder.neurons().to_vec();
        neurons.iter_mut().for_each(|cell| (cell.x, cell.y) = (cell.x + dx as f32, cell.y + dy as f32));
        let elsewhere = Encoder { filters: Filters::new(&neurons, HEIGHT, WIDTH), neurons };
        let (by_gaze, by_field) = (encoder.rates(seen.view()), elsewhere.rates(stimuli.view()));
        let still = encoder.rates(stimuli.view());
        let inside = |cell: &SimulatedNeuron| {
            let reach = 3.0 * cell.sigma;
            (reach..WIDTH as f32 - reach - 3.0).contains(&cell.x) && (reach..HEIGHT as f32 - reach - 2.0).contains(&cell.y)
        };
        let neurons: Vec<usize> =
            (0..40).filter(|neuron| inside(&encoder.neurons()[*neuron]) && encoder.neurons()[*neuron].responsive).collect();
        assert!(neurons.len() > 5, "{neurons:?}");
        for neuron in neurons {
            let difference = |a: &Array2<f32>, b: &Array2<f32>| {
                (0..80).map(|image| (a[[image, neuron]] - b[[image, neuron]]).powi(2)).sum::<f32>()
            };
            let share = difference(&by_gaze, &by_field) / difference(&by_gaze, &still);
            assert!(share < 0.1, "neuron {neuron}: {share} of the effect of the shift is unlike that of moved fields");
        }
    }

    #[test]
    fn shifts_interpolate() {
        let image = [0.0, 1.0, 2.0, 10.0, 11.0, 12.0];
        let shifted = |shift| {
            let mut out = [0.0; 6];
            shift_image(&image, 3, shift, &mut out);
            out
        };
        assert_eq!(shifted([0.0, 0.0]), image);
        assert_eq!(shifted([0.25, 0.0]), [0.25, 1.25, 2.0, 10.25, 11.25, 12.0]);
        assert_eq!(shifted([-0.5, 0.5]), [5.0, 5.5, 6.5, 10.0, 10.5, 11.5]);
    }

    #[test]
    fn uniform_stimuli_are_an_error() {
        let neurons = draw_neurons(&SimulationConfig::default(), HEIGHT, WIDTH, &mut ChaCha8Rng::seed_from_u64(4));
        let error = Encoder::calibrated(neurons, HEIGHT, WIDTH, Array2::zeros((5, HEIGHT * WIDTH)).view()).err().unwrap();
        assert!(error.to_string().contains("neuron 0"), "{error}");
    }
}
