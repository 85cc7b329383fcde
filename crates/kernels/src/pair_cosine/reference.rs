//! The definition, in f64.

pub(super) fn reference(pairs: usize, area: usize, center: &[f64], features: &[f64]) -> Vec<f64> {
    let length = center.len() * area;
    let vector = |image: usize| -> Vec<f64> {
        (0..length).map(|i| features[image * length + i] - center[i / area]).collect()
    };
    (0..pairs)
        .map(|pair| {
            let (u, v) = (vector(pair), vector(pairs + pair));
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            dot(&u, &v) / (dot(&u, &u).sqrt() * dot(&v, &v).sqrt())
        })
        .collect()
}
