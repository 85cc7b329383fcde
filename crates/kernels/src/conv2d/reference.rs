//! Convolution as it is defined, in f64.

use super::Conv2dGeometry;

/// Output of shape `[batch, out, oh, ow]`, and the products that make it, as (output, input, weight) indices.
pub fn terms(x: [usize; 4], w: [usize; 4], g: Conv2dGeometry, mut visit: impl FnMut(usize, usize, usize)) -> [usize; 4] {
    let [b, c, h, width] = x;
    let [o, cg, kh, kw] = w;
    let oh = (h + 2 * g.padding - g.dilation * (kh - 1) - 1) / g.stride + 1;
    let ow = (width + 2 * g.padding - g.dilation * (kw - 1) - 1) / g.stride + 1;
    for n in 0..b {
        for out in 0..o {
            let group = out / (o / g.groups);
            for y in 0..oh {
                for xx in 0..ow {
                    for input in 0..cg {
                        for ky in 0..kh {
                            for kx in 0..kw {
                                let (iy, ix) = (y * g.stride + ky * g.dilation, xx * g.stride + kx * g.dilation);
                                if iy < g.padding || ix < g.padding || iy - g.padding >= h || ix - g.padding >= width {
                                    continue;
                                }
                                let channel = group * cg + input;
                                visit(
                                    ((n * o + out) * oh + y) * ow + xx,
                                    ((n * c + channel) * h + iy - g.padding) * width + ix - g.padding,
                                    ((out * cg + input) * kh + ky) * kw + kx,
                                );
                            }
                        }
                    }
                }
            }
        }
    }
    [b, o, oh, ow]
}
