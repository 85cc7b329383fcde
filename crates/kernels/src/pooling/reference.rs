//! The definition, in f64.

pub(super) fn reference(
    planes: usize,
    (h, w): (usize, usize),
    kernel: usize,
    stride: usize,
    partial: bool,
    x: &[f64],
) -> Vec<f64> {
    let starts = |size: usize| {
        (0..size)
            .step_by(stride)
            .filter(|start| partial || start + kernel <= size)
            .collect::<Vec<_>>()
    };
    let mut output = Vec::new();
    for plane in 0..planes {
        for y in starts(h) {
            for xx in starts(w) {
                let window: Vec<f64> = (y..(y + kernel).min(h))
                    .flat_map(|r| (xx..(xx + kernel).min(w)).map(move |c| (r, c)))
                    .map(|(r, c)| x[(plane * h + r) * w + c])
                    .collect();
                output.push(window.iter().sum::<f64>() / window.len() as f64);
            }
        }
    }
    output
}
