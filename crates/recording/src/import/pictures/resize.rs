//! Shrinks images by averaging areas.

/// Averages `height x width` pixels down to a new size: each new pixel is the mean of the old ones
/// it covers, where border pixels are weighted by their covered area.
pub(super) fn area_average(
    pixels: &[f32],
    [height, width]: [usize; 2],
    [new_height, new_width]: [usize; 2],
) -> Vec<f32> {
    let (rows, columns) = (covered(height, new_height), covered(width, new_width));
    let mut averaged = Vec::with_capacity(new_height * new_width);
    for of_rows in &rows {
        for of_columns in &columns {
            let mut sum = 0.0;
            for (row, part_of_row) in of_rows {
                for (column, part_of_column) in of_columns {
                    sum += part_of_row * part_of_column * f64::from(pixels[row * width + column]);
                }
            }
            averaged.push(sum as f32);
        }
    }
    averaged
}

/// The same for bytes: averages over columns, then over rows, each time rounded to the nearest of
/// 256 gray levels. For integer factors this equals Pillow's box filter, with which stimuli are
/// often resized.
pub(super) fn area_average_bytes(
    pixels: &[u8],
    [height, width]: [usize; 2],
    [new_height, new_width]: [usize; 2],
) -> Vec<u8> {
    let pass = |pixels: &[u8], old: [usize; 2], new: [usize; 2]| -> Vec<u8> {
        let pixels: Vec<f32> = pixels.iter().map(|byte| f32::from(*byte)).collect();
        // Half a gray level is rounded up.
        area_average(&pixels, old, new).into_iter().map(|mean| (mean + 0.5) as u8).collect()
    };
    pass(
        &pass(pixels, [height, width], [height, new_width]),
        [height, new_width],
        [new_height, new_width],
    )
}

/// For each of `new` intervals that divide a line of `old` pixels: the pixels it covers, with their
/// weights.
fn covered(old: usize, new: usize) -> Vec<Vec<(usize, f64)>> {
    let step = old as f64 / new as f64;
    (0..new)
        .map(|index| {
            // Integer arithmetic, so that borders between pixels are exact.
            let (from, to) = (index * old, (index + 1) * old);
            let pixels = from / new..to.div_ceil(new);
            pixels
                .map(|pixel| {
                    (
                        pixel,
                        (to.min((pixel + 1) * new) - from.max(pixel * new)) as f64
                            / new as f64
                            / step,
                    )
                })
                .collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_factors_are_means_of_blocks() {
        let pixels: Vec<f32> = (0..24).map(|value| value as f32).collect();
        assert_eq!(area_average(&pixels, [4, 6], [2, 3]), [3.5, 5.5, 7.5, 15.5, 17.5, 19.5]);
        assert_eq!(area_average(&pixels, [4, 6], [4, 6]), pixels);
    }

    #[test]
    fn bytes_are_rounded_after_columns_and_after_rows() {
        // Pillow 13: Image.fromarray(numpy.array([[0, 1], [0, 0]], "u1")).resize((1, 1),
        // Image.BOX), whose mean is a quarter.
        assert_eq!(area_average_bytes(&[0, 1, 0, 0], [2, 2], [1, 1]), [1]);
        assert_eq!(area_average_bytes(&[0, 255, 254, 255], [2, 2], [1, 1]), [192]);
    }

    #[test]
    fn borders_within_a_pixel_take_their_part_of_it() {
        // Three pixels to two: the middle one counts half for each.
        let close = |left: Vec<f32>, right: &[f32]| {
            left.iter().zip(right).all(|(left, right)| (left - right).abs() < 1e-6)
        };
        assert!(close(area_average(&[3.0, 6.0, 9.0], [1, 3], [1, 2]), &[4.0, 8.0]));
        // The mean over all pixels is preserved.
        let pixels: Vec<f32> = (0..35).map(|value| ((value * 13) % 17) as f32).collect();
        let small = area_average(&pixels, [5, 7], [3, 4]);
        let mean = |values: &[f32]| values.iter().sum::<f32>() / values.len() as f32;
        assert!((mean(&small) - mean(&pixels)).abs() < 1e-5);
    }
}
