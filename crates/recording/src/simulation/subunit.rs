//! Subunits: the receptive fields that drive a simulated neuron.

/// Ratio of the window of local contrast and luminance to the Gabor envelope.
const WINDOW: f32 = 1.5;

/// Gabor filters in quadrature under a Gaussian window, with divisive normalization by the contrast
/// in the window. Lengths are in pixels, angles in radians; the formulas are in the documentation
/// of the [module](super).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Subunit {
    /// Center: column from the left.
    pub x: f32,
    /// Center: row from the top.
    pub y: f32,
    /// Direction along which the carrier varies, from the x axis towards lower rows of the image.
    pub orientation: f32,
    /// Phase of the even carrier at the center.
    pub phase: f32,
    /// Frequency of the carrier, cycles per pixel.
    pub spatial_frequency: f32,
    /// Standard deviation of the envelope across the bars.
    pub sigma: f32,
    /// Ratio of `sigma` to the standard deviation of the envelope along the bars.
    pub aspect: f32,
    /// Weight of the energy component: 0 for a simple cell, 1 for a complex cell.
    pub complex_weight: f32,
    /// Weight of the local mean luminance in the simple component; ON above 0, OFF below.
    pub luminance: f32,
    /// Median local contrast over the stimuli.
    pub contrast_scale: f32,
    /// Semisaturation of the divisive normalization, in units of `contrast_scale`.
    pub semisaturation: f32,
    /// Standard deviation of the subunit response over the stimuli, before the division by this
    /// scale.
    pub scale: f32,
    /// Weight in the drive of the neuron; negative for inhibition.
    pub weight: f32,
}

/// The inputs of a receptive field in one image.
#[derive(Clone, Copy)]
pub(super) struct View {
    pub(super) even: f32,
    pub(super) odd: f32,
    pub(super) luminance: f32,
    pub(super) contrast: f32,
}

impl Subunit {
    /// Even and odd Gabor filter, and the window, at a pixel; neither zero-mean nor normalized.
    fn profile(&self, column: f32, row: f32) -> (f32, f32, f32, f32) {
        let (dx, dy) = (column - self.x, row - self.y);
        let (sine, cosine) = self.orientation.sin_cos();
        let (across, along) = (dx * cosine + dy * sine, dy * cosine - dx * sine);
        let distance =
            (across * across + (self.aspect * along).powi(2)) / (2.0 * self.sigma * self.sigma);
        let envelope = (-distance).exp();
        let (odd, even) =
            (std::f32::consts::TAU * self.spatial_frequency * across + self.phase).sin_cos();
        (envelope, envelope * even, envelope * odd, (-distance / (WINDOW * WINDOW)).exp())
    }

    /// Writes the filters. A matching grating gives an even and odd response of about its
    /// amplitude, uniform light gives none; the window sums to 1.
    pub(super) fn fill(&self, width: usize, even: &mut [f32], odd: &mut [f32], window: &mut [f32]) {
        let mut envelope = vec![0.0; even.len()];
        for pixel in 0..even.len() {
            let (column, row) = ((pixel % width) as f32, (pixel / width) as f32);
            (envelope[pixel], even[pixel], odd[pixel], window[pixel]) = self.profile(column, row);
        }
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

    /// The response of the subunit before the division by its scale.
    pub(super) fn normalized(&self, view: View) -> f32 {
        let simple = (view.even + self.luminance * view.luminance).max(0.0);
        let energy = view.even.hypot(view.odd);
        let drive = (1.0 - self.complex_weight) * simple + self.complex_weight * energy;
        drive / (self.semisaturation * self.contrast_scale + view.contrast)
    }
}

/// The sum in f64.
pub(super) fn total(values: &[f32]) -> f32 {
    values.iter().map(|value| f64::from(*value)).sum::<f64>() as f32
}
