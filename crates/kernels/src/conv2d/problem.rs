//! The checked sizes of one convolution, shared by its forward pass and both gradients.

use super::Conv2dGeometry;
use crate::Error;

pub(super) const OP: &str = "conv2d";

/// All sizes of a convolution; every product used as a buffer length is known to fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Problem {
    pub batch: usize,
    pub in_channels: usize,
    pub height: usize,
    pub width: usize,
    pub out_channels: usize,
    pub kernel_height: usize,
    pub kernel_width: usize,
    pub out_height: usize,
    pub out_width: usize,
    pub stride: usize,
    pub padding: usize,
    pub dilation: usize,
    pub groups: usize,
}

fn shape_error(
    argument: &'static str,
    found: &[usize],
    expected: String,
    remedy: &'static str,
) -> Error {
    Error::Shape { op: OP, argument, expected, found: found.to_vec(), remedy }
}

/// Checks for rank 4 and no empty dimension.
fn four_dims(argument: &'static str, dims: &[usize], expected: &str) -> Result<[usize; 4], Error> {
    let dims: [usize; 4] = dims.try_into().map_err(|_| {
        shape_error(argument, dims, expected.to_owned(), "reshape it to four dimensions")
    })?;
    if dims.contains(&0) {
        return Err(shape_error(
            argument,
            &dims,
            format!("{expected} with every dimension at least 1"),
            "leave out empty batches before the call",
        ));
    }
    Ok(dims)
}

fn at_least_one(parameter: &'static str, value: usize) -> Result<(), Error> {
    if value == 0 {
        return Err(Error::Parameter {
            op: OP,
            parameter,
            expected: "at least 1".to_owned(),
            found: value.to_string(),
        });
    }
    Ok(())
}

/// Checks that a buffer of `f32` with these dimensions can exist (Rust limits allocations to
/// `isize::MAX` bytes).
fn addressable(what: &'static str, dims: &[usize]) -> Result<(), Error> {
    dims.iter()
        .try_fold(size_of::<f32>(), |n, &d| n.checked_mul(d))
        .filter(|&bytes| bytes <= isize::MAX as usize)
        .map(|_| ())
        .ok_or(Error::Overflow { op: OP, what })
}

impl Problem {
    /// Checks the shapes of the arguments against each other.
    pub(super) fn new(
        x: &[usize],
        weight: &[usize],
        geometry: Conv2dGeometry,
    ) -> Result<Self, Error> {
        let Conv2dGeometry { stride, padding, dilation, groups } = geometry;
        at_least_one("stride", stride)?;
        at_least_one("dilation", dilation)?;
        at_least_one("groups", groups)?;
        let [batch, in_channels, height, width] =
            four_dims("x", x, "[batch, in channels, height, width]")?;
        let [out_channels, group_in, kernel_height, kernel_width] = four_dims(
            "weight",
            weight,
            "[out channels, in channels / groups, kernel height, kernel width]",
        )?;
        if !in_channels.is_multiple_of(groups) || in_channels / groups != group_in {
            return Err(shape_error(
                "weight",
                weight,
                format!(
                    "{groups} groups of {group_in} input channels that add up to the {in_channels} of x"
                ),
                "make the input channels per group of the weight match x",
            ));
        }
        if !out_channels.is_multiple_of(groups) {
            return Err(shape_error(
                "weight",
                weight,
                format!("a number of output channels divisible by {groups} groups"),
                "change the number of output channels or groups",
            ));
        }
        let overflow = || Error::Overflow { op: OP, what: "the padded image" };
        let output = |size: usize, kernel: usize| -> Result<(usize, usize), Error> {
            let padded =
                padding.checked_mul(2).and_then(|p| p.checked_add(size)).ok_or_else(overflow)?;
            let span = (kernel - 1)
                .checked_mul(dilation)
                .and_then(|s| s.checked_add(1))
                .ok_or_else(overflow)?;
            if span > padded {
                return Err(shape_error(
                    "weight",
                    weight,
                    format!(
                        "a kernel that spans at most the padded image, {padded} pixels, not {span}"
                    ),
                    "use a smaller kernel or dilation, or more padding",
                ));
            }
            Ok((padded, (padded - span) / stride + 1))
        };
        let (padded_height, out_height) = output(height, kernel_height)?;
        let (padded_width, out_width) = output(width, kernel_width)?;
        addressable("the padded image", &[in_channels, padded_height, padded_width])?;
        addressable("the output", &[batch, out_channels, out_height, out_width])?;
        Ok(Self {
            batch,
            in_channels,
            height,
            width,
            out_channels,
            kernel_height,
            kernel_width,
            out_height,
            out_width,
            stride,
            padding,
            dilation,
            groups,
        })
    }

    /// Input channels that one output channel reads.
    pub(super) fn group_in(&self) -> usize {
        self.in_channels / self.groups
    }

    /// Output channels that one input channel contributes to.
    pub(super) fn group_out(&self) -> usize {
        self.out_channels / self.groups
    }

    pub(super) fn taps(&self) -> usize {
        self.kernel_height * self.kernel_width
    }

    pub(super) fn in_plane(&self) -> usize {
        self.height * self.width
    }

    pub(super) fn out_plane(&self) -> usize {
        self.out_height * self.out_width
    }

    pub(super) fn input_dims(&self) -> [usize; 4] {
        [self.batch, self.in_channels, self.height, self.width]
    }

    pub(super) fn weight_dims(&self) -> [usize; 4] {
        [self.out_channels, self.group_in(), self.kernel_height, self.kernel_width]
    }

    pub(super) fn output_dims(&self) -> [usize; 4] {
        [self.batch, self.out_channels, self.out_height, self.out_width]
    }
}
