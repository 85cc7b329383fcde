//! Saves a fitted model as one safetensors file.

use std::collections::BTreeMap;
use std::path::Path;

use brainprior_artifact::archive::{self, Archive};
use brainprior_artifact::json;
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::error::Result;
use crate::file;
use crate::head::ScanDescription;
use crate::model::ResponseModel;
use crate::normalization::{ColumnNormalization, ImageNormalization, ScanNormalization};
use crate::variables;

const ADVICE: &str = "fit the model again";
/// Upper limit of image height and width; no screen has more rows or columns.
const LARGEST_SIDE: usize = 1 << 16;
const FORMAT: &str = "brainprior response-model, version 4";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: String,
    config: Config,
    height: usize,
    width: usize,
    scans: Vec<ScanHeader>,
}

/// Parsed first, since the rest of the header depends on the format.
#[derive(Deserialize)]
struct Format {
    format: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScanHeader {
    name: String,
    neurons: usize,
    behavior_columns: usize,
    pupil_columns: usize,
}

impl ResponseModel {
    /// Writes the model to `path`: tensors by name, with configuration, image size and scans in the
    /// header. The header is also written to a readable file next to it with the extension `json`.
    /// Each file is written atomically.
    ///
    /// # Errors
    /// Returns [`Error::File`](crate::Error::File) if a file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut tensors: BTreeMap<String, Tensor> = self
            .variables
            .iter()
            .map(|(name, var)| (name.clone(), var.as_tensor().clone()))
            .collect();
        let mut add = |name: String, values: &[f32]| -> Result<()> {
            tensors.insert(name, Tensor::new(values, &Device::Cpu)?);
            Ok(())
        };
        add("image.mean_std".to_owned(), &[self.image.mean, self.image.std])?;
        let mut scans = Vec::new();
        for (s, part) in self.scans.iter().enumerate() {
            let name = |what: &str| format!("scan{s}.{what}");
            let by = &part.normalization;
            let flag = |flags: Vec<bool>| {
                flags.into_iter().map(|f| f32::from(u8::from(f))).collect::<Vec<_>>()
            };
            add(name("response_std"), &by.response_std)?;
            add(name("response_mean"), &by.response_mean)?;
            add(name("varies"), &flag(by.varies.clone()))?;
            add(name("v_a"), &part.v_a.iter().map(|v| v.unwrap_or(0.0)).collect::<Vec<_>>())?;
            add(name("v_a_defined"), &flag(part.v_a.iter().map(Option::is_some).collect()))?;
            for (what, columns) in [("behavior", &by.behavior), ("pupil", &by.pupil)] {
                if let Some(columns) = columns {
                    add(name(&format!("{what}_mean")), &columns.mean)?;
                    add(name(&format!("{what}_std")), &columns.std)?;
                }
            }
            let columns = |columns: &Option<ColumnNormalization>| {
                columns.as_ref().map_or(0, ColumnNormalization::columns)
            };
            scans.push(ScanHeader {
                name: part.name.clone(),
                neurons: by.varies.len(),
                behavior_columns: columns(&by.behavior),
                pupil_columns: columns(&by.pupil),
            });
        }
        let ImageNormalization { height, width, .. } = self.image;
        let header =
            Header { format: FORMAT.to_owned(), config: self.config.clone(), height, width, scans };
        json::write(&path.with_extension("json"), &header)?;
        Ok(archive::write(path, &header, tensors)?)
    }

    /// Reads a model that [`ResponseModel::save`] wrote.
    ///
    /// # Errors
    /// Returns [`Error::File`](crate::Error::File) if a tensor or the header is missing or invalid.
    pub fn load(path: &Path) -> Result<Self> {
        Self::load_on(path, &Device::Cpu)
    }

    /// Like [`ResponseModel::load`], onto a device.
    ///
    /// # Errors
    /// Returns an error if [`ResponseModel::load`] would or if the device runs out of memory.
    pub fn load_on(path: &Path, device: &Device) -> Result<Self> {
        let archive = Archive::read(path, ADVICE)?;
        let Format { format } = archive.header()?;
        if format != FORMAT {
            return Err(archive.mismatch("format", FORMAT, format).into());
        }
        let header: Header = archive.header()?;
        header.config.check()?;
        let size = [header.height, header.width];
        if !size.iter().all(|side| (1..=LARGEST_SIDE).contains(side)) {
            let expected = format!("sizes from 1 to {LARGEST_SIDE}");
            return Err(archive
                .mismatch("metadata, height and width", expected, format!("{size:?}"))
                .into());
        }
        let mean_std = archive.values::<f32>("image.mean_std", &[2])?;
        let image = ImageNormalization {
            height: header.height,
            width: header.width,
            mean: mean_std[0],
            std: mean_std[1],
        };
        let mut descriptions = Vec::new();
        let mut validation = Vec::new();
        for (s, scan) in header.scans.iter().enumerate() {
            let vector =
                |what: &str, len| archive.values::<f32>(&format!("scan{s}.{what}"), &[len]);
            let columns = |what: &str, len: usize| -> Result<Option<ColumnNormalization>> {
                if len == 0 {
                    return Ok(None);
                }
                let (mean, std) =
                    (vector(&format!("{what}_mean"), len)?, vector(&format!("{what}_std"), len)?);
                Ok(Some(ColumnNormalization { mean, std }))
            };
            let normalization = ScanNormalization {
                response_std: vector("response_std", scan.neurons)?,
                response_mean: vector("response_mean", scan.neurons)?,
                varies: vector("varies", scan.neurons)?.into_iter().map(|v| v != 0.0).collect(),
                behavior: columns("behavior", scan.behavior_columns)?,
                pupil: columns("pupil", scan.pupil_columns)?,
            };
            let defined = vector("v_a_defined", scan.neurons)?;
            let values = vector("v_a", scan.neurons)?.into_iter().zip(defined);
            validation.push(values.map(|(v, defined)| (defined != 0.0).then_some(v)).collect());
            descriptions.push(ScanDescription {
                name: scan.name.clone(),
                normalization,
                positions: vec![0.0; 2 * scan.neurons],
                coordinates: None,
                zero_shares: vec![0.5; scan.neurons],
            });
        }
        let mut model =
            Self::held_by(&archive, header.config.clone(), image, descriptions, device)?;
        variables::restore(&model.variables, &file::state(&archive, "", &model.variables)?)?;
        for (part, v_a) in model.scans.iter_mut().zip(validation) {
            part.v_a = v_a;
        }
        Ok(model)
    }
}
