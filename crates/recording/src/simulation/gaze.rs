//! Shifts an image by the gaze.

/// Writes the image seen by the receptive fields after the gaze moved by (dx, dy) pixels: the value
/// at (x + dx, y + dy), with bilinear interpolation and repeated edge pixels.
pub(super) fn shift_image(image: &[f32], width: usize, shift: [f32; 2], out: &mut [f32]) {
    let height = image.len() / width;
    let weights = |size: usize, shift: f32| -> Vec<(usize, usize, f32)> {
        let clamp = |index: f32| index.clamp(0.0, (size - 1) as f32) as usize;
        let floor = shift.floor();
        (0..size)
            .map(|index| index as f32 + floor)
            .map(|low| (clamp(low), clamp(low + 1.0), shift - floor))
            .collect()
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
}
