//! `compare`: agreement of two similarity matrices, or of the similarities of scans' repeated
//! images.

use crate::files::{Kind, Recognized, recognize};
use crate::table;
use anyhow::{Context, Result, bail};
use brainprior_artifact::FileError;
use brainprior_images::ImageId;
use brainprior_recording::{Scan, read_scan, reliability};
use brainprior_similarity::{
    Error, Estimate, HalfSamples, Measure, ScanWeights, SimilarityMatrix, Weighting, agreement,
    compare, compare_oracle_images, interval_over_images, similarity, spread,
};
use std::collections::HashSet;
use std::path::Path;

/// Largest number of values for intervals; beyond it only the agreement itself is computed.
const WORK: usize = 200_000_000;

/// Compares two files and returns a table. Each is a similarity matrix, or a scan whose repeated
/// images give the similarities.
///
/// # Errors
/// Returns an error if a file is neither, or if fewer than two images are shared.
pub fn compare_files(first: &Path, second: &Path) -> Result<String> {
    let ((a, about_a), (b, about_b)) = (read(first)?, read(second)?);
    let theirs: HashSet<ImageId> = b.ids().iter().copied().collect();
    let shared: Vec<ImageId> = a.ids().iter().copied().filter(|id| theirs.contains(id)).collect();
    if shared.len() < 2 {
        bail!(
            "{} ({} images) and {} ({} images) share {} images; two images are the same if \
             every pixel is equal, and a scan contributes the images repeated in its tier test: give files made from the same images, with \
             the same size and range of pixels",
            first.display(),
            a.len(),
            second.display(),
            b.len(),
            shared.len()
        );
    }
    let mut text = String::new();
    for (name, path, matrix, about) in [("A", first, &a, about_a), ("B", second, &b, about_b)] {
        let values = spread(matrix);
        text += &format!(
            "{name}  {}: {} images, mean {:.4}, standard deviation {:.4}, {:.1} dimensions\n",
            path.display(),
            matrix.len(),
            values.mean,
            values.standard_deviation,
            values.participation_ratio
        );
        for step in matrix.provenance() {
            text += &format!("     {step}\n");
        }
        text += &about;
    }
    let (a, b) = (a.select(&shared)?, b.select(&shared)?);
    text += &format!("\n{} images in both, {} pairs\n\n", shared.len(), a.pairs());

    let how = HalfSamples::default();
    let intervals = a.pairs().saturating_mul(how.count) <= WORK;
    let mut rows = vec![vec!["measure".to_owned(), "agreement".into()]];
    if intervals {
        rows[0].extend([format!("{:.0}% interval", 100.0 * how.level), "standard error".into()]);
    }
    let (mut undefined, mut too_few) = (false, false);
    for measure in Measure::ALL {
        let found = if intervals {
            interval_over_images(measure, &a, &b, how)
        } else {
            compare(measure, &a, &b).map(|value| Estimate { value, interval: None })
        };
        let found = match found {
            // Constant similarities, or too few images for the measure.
            Err(Error::Constant { .. } | Error::Size { .. }) => None,
            other => Some(other?),
        };
        undefined |= found.is_none();
        let mut row = vec![
            measure.name().to_owned(),
            found.map_or("–".into(), |found| format!("{:.4}", found.value)),
        ];
        if intervals {
            let interval = found.and_then(|found| found.interval);
            too_few |= interval.is_none();
            row.push(interval.map_or("–".into(), |interval| {
                format!("{:.4} to {:.4}", interval.low, interval.high)
            }));
            row.push(
                interval.map_or("–".into(), |interval| format!("{:.4}", interval.standard_error)),
            );
        }
        rows.push(row);
    }
    text += &table::aligned(&rows);
    text += "\n";
    match agreement(&a, &b) {
        Err(Error::Constant { .. }) => {}
        found => {
            let found = found?;
            text += &format!(
                "size: regression of A on B with slope {:.4}, standard deviation of A over that of B {:.4} (1 if sizes agree)\n",
                found.slope, found.spread_ratio
            );
        }
    }
    text += &match intervals {
        true => {
            format!(
                "intervals: {} random halves of the images, drawn without replacement; cosines are of 1 - S\n",
                how.count
            )
        }
        false => "too many pairs for intervals over images; cosines are of 1 - S\n".to_owned(),
    };
    if undefined {
        text += "–: the measure is undefined for these images (one pair, constant similarities, or fewer than 4 images for CKA)\n";
    }
    if too_few {
        text += "no interval: fewer than 8 images, or halves with undefined agreement\n";
    }
    Ok(text)
}

/// Reads the matrix, with text about it.
fn read(path: &Path) -> Result<(SimilarityMatrix, String)> {
    match recognize(path)? {
        Recognized::Known(Kind::Similarity) => Ok((SimilarityMatrix::read(path)?, String::new())),
        Recognized::Known(Kind::Scan | Kind::Sensorium) => {
            of_repeats(&read_scan(path)?).with_context(|| format!("{} is a scan", path.display()))
        }
        Recognized::Known(kind) => bail!(FileError::mismatch(
            path,
            "kind of file",
            "a similarity matrix, or a scan with repeated images",
            kind.spec()?.title,
            "name files of these kinds",
        )),
        Recognized::Unknown(unknown) => bail!(unknown.error(path)),
    }
}

/// Similarities of a scan's repeated images from their mean responses with equal neuron weights,
/// and the reliability of its repeats.
fn of_repeats(scan: &Scan) -> Result<(SimilarityMatrix, String)> {
    let weights = ScanWeights::new(scan, &reliability(scan)?, None)?;
    let matrix = similarity(&scan.repeat_means(), &weights.equal)?
        .with_provenance(weights.standardized_over.description());
    let found = compare_oracle_images(scan, None, None, &weights)?;
    let mut rows = vec![
        [
            "weights",
            "one trial ~ the others",
            "slope",
            "spread ratio",
            "reliability of the mean",
            "ceiling of one trial",
            "ceiling of the mean",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    for found in &found.weightings {
        let name = match found.weighting {
            Weighting::Equal => "equal",
            Weighting::SignalToNoise => "times w",
            Weighting::FileUnits | Weighting::SignalToNoiseAndPrediction => continue,
        };
        let trials = found.to_other_repeats.single_trials;
        let shown = |value: Option<f64>| value.map_or("–".into(), |value| format!("{value:.3}"));
        let correlation = match trials.map(|trials| (trials.correlation, trials.interval)) {
            Some((value, Some(interval))) => {
                format!("{value:.3} [{:.3}, {:.3}]", interval.low, interval.high)
            }
            found => shown(found.map(|(value, _)| value)),
        };
        rows.push(vec![
            name.to_owned(),
            correlation,
            shown(trials.map(|trials| trials.slope)),
            shown(trials.map(|trials| trials.spread_ratio)),
            shown(found.reliability.map(|reliability| reliability.average)),
            shown(found.reliability.map(|reliability| reliability.ceiling_of_single_trials())),
            shown(found.reliability.map(|reliability| reliability.ceiling_of_average())),
        ]);
    }
    Ok((matrix, table::aligned(&rows)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn written(
        folder: &Path,
        name: &str,
        ids: std::ops::Range<u64>,
        value: impl Fn(usize) -> f32,
    ) -> PathBuf {
        let ids: Vec<ImageId> = ids.map(ImageId::from_u64).collect();
        let pairs = ids.len() * (ids.len() - 1) / 2;
        let path = folder.join(name);
        SimilarityMatrix::new(ids, (0..pairs).map(value).collect(), vec!["made".into()])
            .unwrap()
            .write(&path)
            .unwrap();
        path
    }

    #[test]
    fn the_table_is_over_the_images_of_both() {
        let folder = tempfile::tempdir().unwrap();
        let a = written(folder.path(), "a.h5", 0..9, |pair| (pair as f32 * 0.7).sin());
        let b = written(folder.path(), "b.h5", 2..8, |pair| (pair as f32 * 0.3).cos() / 2.0);
        let text = compare_files(&a, &b).unwrap();
        assert!(text.contains("6 images in both, 15 pairs"), "{text}");
        assert!(Measure::ALL.iter().all(|measure| text.contains(measure.name())), "{text}");
        let same = compare_files(&a, &a).unwrap();
        assert!(
            same.lines()
                .any(|line| line.starts_with("Pearson") && line.contains("1.0000 to 1.0000")),
            "{same}"
        );
        let kendall = same.lines().find(|line| line.starts_with("Kendall")).unwrap();
        assert!(kendall.contains("1.0000"), "{same}");
        assert!(
            same.contains("slope 1.0000, standard deviation of A over that of B 1.0000"),
            "{same}"
        );
        let far = written(folder.path(), "c.h5", 100..104, |pair| pair as f32 / 10.0);
        let error = compare_files(&a, &far).unwrap_err().to_string();
        assert!(error.contains("share 0 images") && error.contains("a.h5"), "{error}");
    }

    #[test]
    fn a_value_is_given_wherever_there_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let a = written(folder.path(), "a.h5", 0..8, |pair| (pair as f32 * 0.7).sin());
        for shared in 2..8 {
            let b = written(folder.path(), "b.h5", 8 - shared..8 + shared, |pair| {
                (pair as f32 * 0.3).cos() / 2.0
            });
            let text = compare_files(&a, &b).unwrap();
            assert!(text.contains(&format!("{shared} images in both")), "{text}");
            let row = |measure: Measure| {
                text.lines().find(|line| line.starts_with(measure.name())).unwrap()
            };
            assert_eq!(
                row(Measure::Pearson).matches('–').count(),
                if shared == 2 { 3 } else { 2 },
                "{text}"
            );
            assert_eq!(
                row(Measure::DebiasedCka).matches('–').count(),
                if shared < 4 { 3 } else { 2 },
                "{text}"
            );
            assert_eq!(row(Measure::Cosine).matches('–').count(), 2, "{text}");
            assert!(text.contains("no interval: fewer than 8 images"), "{text}");
        }
    }
}
