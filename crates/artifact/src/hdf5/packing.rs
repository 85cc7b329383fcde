//! netCDF packing: a number is the stored value times a factor plus an offset, and one value marks
//! missing numbers.

use super::Input;
use crate::Result;
use hdf5::Dataset;

/// The packing attributes of a dataset.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Packing {
    scale: f64,
    offset: f64,
    /// Stored values that mark a missing number.
    missing: Vec<f64>,
    /// What is added to negative values if a signed type holds unsigned numbers.
    wrapped: f64,
}

impl Packing {
    /// Reads the attributes of a dataset; `None` if its numbers are not packed.
    pub(super) fn of(
        input: &Input,
        name: &str,
        dataset: &Dataset,
        bits: Option<usize>,
    ) -> Result<Option<Self>> {
        let names = dataset.attr_names().map_err(|cause| input.refused(name, &cause))?;
        let number = |attribute: &str| -> Result<Option<f64>> {
            if !names.iter().any(|known| known == attribute) {
                return Ok(None);
            }
            input.number_of(dataset, &format!("{name}, attribute {attribute}"), attribute).map(Some)
        };
        let mut missing = vec![];
        for attribute in ["_FillValue", "missing_value"] {
            missing.extend(number(attribute)?.filter(|value| !value.is_nan()));
        }
        let unsigned = names.iter().any(|known| known == "_Unsigned")
            && input.text_of(dataset, &format!("{name}, attribute _Unsigned"), "_Unsigned")?
                == "true";
        let packing = Self {
            scale: number("scale_factor")?.unwrap_or(1.0),
            offset: number("add_offset")?.unwrap_or(0.0),
            missing,
            wrapped: if unsigned { bits.map_or(0.0, |bits| 2f64.powi(bits as i32)) } else { 0.0 },
        };
        let plain = packing.scale == 1.0
            && packing.offset == 0.0
            && packing.missing.is_empty()
            && packing.wrapped == 0.0;
        Ok((!plain).then_some(packing))
    }

    /// The unpacked number; NaN if it is missing.
    pub(super) fn unpack(&self, stored: f64) -> f64 {
        if self.missing.contains(&stored) {
            return f64::NAN;
        }
        (if stored < 0.0 { stored + self.wrapped } else { stored }) * self.scale + self.offset
    }
}
