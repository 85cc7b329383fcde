//! `compare`: how far two similarity matrices agree.

use crate::table;
use anyhow::{Context, Result, bail};
use brainprior_images::ImageId;
use brainprior_similarity::{Bootstrap, Measure, SimilarityMatrix, bootstrap_images, compare, spread};
use std::collections::HashSet;
use std::path::Path;

/// Values that bootstrap intervals may cost: beyond, only the agreement itself is computed.
const WORK: usize = 200_000_000;

/// The table for people.
///
/// # Errors
/// A file that is no similarity matrix; fewer than two images in common; a matrix without variation.
pub fn compare_files(first: &Path, second: &Path) -> Result<String> {
    let (a, b) = (read(first)?, read(second)?);
    let theirs: HashSet<ImageId> = b.ids().iter().copied().collect();
    let shared: Vec<ImageId> = a.ids().iter().copied().filter(|id| theirs.contains(id)).collect();
    if shared.len() < 2 {
        bail!(
            "{} ({} images) and {} ({} images) share {} images; images are matched by content, so both must come from the same stimuli",
            first.display(),
            a.len(),
            second.display(),
            b.len(),
            shared.len()
        );
    }
    let mut text = String::new();
    for (name, path, matrix) in [("A", first, &a), ("B", second, &b)] {
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
    }
    let (a, b) = (a.select(&shared)?, b.select(&shared)?);
    text += &format!("\n{} images in both, {} pairs\n\n", shared.len(), a.pairs());

    let how = Bootstrap::default();
    let intervals = a.pairs().saturating_mul(how.resamples) <= WORK;
    let mut rows = vec![vec!["measure".to_owned(), "agreement".into()]];
    if intervals {
        rows[0].extend([format!("{:.0}% interval", 100.0 * how.level), "standard error".into()]);
    }
    for measure in Measure::ALL {
        let mut row = vec![measure.name().to_owned()];
        if measure == Measure::DebiasedCka && shared.len() < 4 {
            continue;
        } else if intervals {
            let found = bootstrap_images(measure, &a, &b, how)?;
            row.extend([
                format!("{:.4}", found.value),
                format!("{:.4} to {:.4}", found.low, found.high),
                format!("{:.4}", found.standard_error),
            ]);
        } else {
            row.push(format!("{:.4}", compare(measure, &a, &b)?));
        }
        rows.push(row);
    }
    text += &table::aligned(&rows);
    text += &match intervals {
        true => format!(
            "\nintervals: {} resamples of the images; pairs of an image with itself are left out, cosines are of 1 - S\n",
            how.resamples
        ),
        false => "\ntoo many pairs for intervals over images; cosines are of 1 - S\n".to_owned(),
    };
    Ok(text)
}

fn read(path: &Path) -> Result<SimilarityMatrix> {
    SimilarityMatrix::read(path).with_context(|| format!("{} is not a similarity matrix that can be compared", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn written(folder: &Path, name: &str, ids: std::ops::Range<u64>, value: impl Fn(usize) -> f32) -> PathBuf {
        let ids: Vec<ImageId> = ids.map(ImageId::from_u64).collect();
        let pairs = ids.len() * (ids.len() - 1) / 2;
        let path = folder.join(name);
        SimilarityMatrix::new(ids, (0..pairs).map(value).collect(), vec!["made".into()]).unwrap().write(&path).unwrap();
        path
    }

    #[test]
    fn the_table_is_over_the_images_of_both() {
        let folder = tempfile::tempdir().unwrap();
        let a = written(folder.path(), "a.h5", 0..8, |pair| (pair as f32 * 0.7).sin());
        let b = written(folder.path(), "b.h5", 2..8, |pair| (pair as f32 * 0.3).cos() / 2.0);
        let text = compare_files(&a, &b).unwrap();
        assert!(text.contains("6 images in both, 15 pairs"), "{text}");
        assert!(Measure::ALL.iter().all(|measure| text.contains(measure.name())), "{text}");
        let same = compare_files(&a, &a).unwrap();
        assert!(same.lines().any(|line| line.starts_with("Pearson") && line.contains("1.0000 to 1.0000")), "{same}");
        let far = written(folder.path(), "c.h5", 100..104, |pair| pair as f32 / 10.0);
        let error = compare_files(&a, &far).unwrap_err().to_string();
        assert!(error.contains("share 0 images") && error.contains("a.h5"), "{error}");
    }
}
