//! The mean matrix over scans; images are matched by identity.

use crate::matrix::{pairs, positions, rows_mut};
use crate::{Error, Result, SimilarityMatrix};
use brainprior_images::ImageId;
use rayon::prelude::*;
use std::collections::{HashMap, HashSet};

/// Mean over scans (section 3.1 of the paper). The images are those of any scan, in order of first
/// appearance; a pair is averaged over the scans that have both images. [`SimilarityMatrix::scans`]
/// counts the scans of each image.
///
/// Shuffle after averaging: identities shuffled per scan could not be matched, so donors are not
/// kept.
///
/// # Errors
/// Returns an error if there is no matrix, or if no scan has both images of a pair.
pub fn average(matrices: &[&SimilarityMatrix]) -> Result<SimilarityMatrix> {
    if matrices.is_empty() {
        return Err(Error::Size {
            what: "matrices to average",
            expected: "at least 1".into(),
            found: "none".into(),
        });
    }
    let ids = union(matrices);
    let located: Vec<Vec<Option<usize>>> = matrices
        .iter()
        .map(|matrix| {
            let positions = positions(matrix.ids())?;
            Ok(ids.iter().map(|id| positions.get(id).copied()).collect())
        })
        .collect::<Result<_>>()?;
    let mut packed = vec![0.0f32; pairs(ids.len())];
    let unknown =
        rows_mut(ids.len(), &mut packed).into_par_iter().enumerate().find_map_first(|(i, row)| {
            let mut sums = vec![(0.0f64, 0u32); row.len()];
            for (matrix, located) in matrices.iter().zip(&located) {
                let Some(first) = located[i] else { continue };
                for ((sum, count), second) in sums.iter_mut().zip(&located[i + 1..]) {
                    if let Some(second) = second {
                        *sum += f64::from(matrix.get(first, *second));
                        *count += 1;
                    }
                }
            }
            for (value, (sum, count)) in row.iter_mut().zip(&sums) {
                *value = (sum / f64::from(*count)) as f32;
            }
            sums.iter().position(|(_, count)| *count == 0).map(|j| (i, i + 1 + j))
        });
    if let Some((first, second)) = unknown {
        let matrices_of = |image: usize| {
            let has = |(_, located): &(usize, &Vec<Option<usize>>)| located[image].is_some();
            let numbers: Vec<String> = located
                .iter()
                .enumerate()
                .filter(has)
                .map(|(scan, _)| format!("matrix {scan}"))
                .collect();
            numbers.join(", ")
        };
        return Err(Error::NoCommonScan {
            first: ids[first],
            first_scans: matrices_of(first),
            second: ids[second],
            second_scans: matrices_of(second),
        });
    }
    let mut scans = vec![0u32; ids.len()];
    for (matrix, located) in matrices.iter().zip(&located) {
        for (scans, position) in scans.iter_mut().zip(located) {
            *scans += position.map_or(0, |position| matrix.scans()[position]);
        }
    }
    let mut provenance: Vec<String> =
        matrices.iter().flat_map(|matrix| matrix.provenance()).cloned().collect();
    let incomplete = (0..ids.len())
        .filter(|image| located.iter().any(|located| located[*image].is_none()))
        .count();
    provenance.push(format!(
        "averaged over {} scans, {} images, {incomplete} of them missing in some scan",
        matrices.len(),
        ids.len()
    ));
    Ok(SimilarityMatrix::new(ids, packed, provenance)?.with_scans(scans))
}

/// Groups scans, given by their images, so that within a group every pair of images occurs in some
/// scan, as [`average`] requires. If possible, there is a single group. Otherwise scans with more
/// images come first, and each joins the first group that it fits. Groups hold ascending indices;
/// groups with more images come first.
pub fn groups_of_scans(images: &[&[ImageId]]) -> Vec<Vec<usize>> {
    if knows_every_pair(images) {
        return vec![(0..images.len()).collect()];
    }
    let mut order: Vec<usize> = (0..images.len()).collect();
    order.sort_by_key(|scan| std::cmp::Reverse(images[*scan].len()));
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for scan in order {
        let fits = |group: &&mut Vec<usize>| {
            let joined: Vec<&[ImageId]> =
                group.iter().chain([&scan]).map(|scan| images[*scan]).collect();
            knows_every_pair(&joined)
        };
        match groups.iter_mut().find(fits) {
            Some(group) => group.push(scan),
            None => groups.push(vec![scan]),
        }
    }
    groups.iter_mut().for_each(|group| group.sort_unstable());
    let count = |group: &Vec<usize>| {
        group.iter().flat_map(|scan| images[*scan]).collect::<HashSet<_>>().len()
    };
    groups.sort_by_key(|group| std::cmp::Reverse(count(group)));
    groups
}

fn knows_every_pair(images: &[&[ImageId]]) -> bool {
    let mut scans_of: HashMap<ImageId, Vec<usize>> = HashMap::new();
    for (scan, ids) in images.iter().enumerate() {
        ids.iter().for_each(|id| scans_of.entry(*id).or_default().push(scan));
    }
    // There are few distinct sets of scans, so every pair of sets can be checked.
    let sets: HashSet<Vec<usize>> = scans_of.into_values().collect();
    sets.iter()
        .all(|first| sets.iter().all(|second| first.iter().any(|scan| second.contains(scan))))
}

fn union(matrices: &[&SimilarityMatrix]) -> Vec<ImageId> {
    let mut seen = HashMap::new();
    let mut ids = Vec::new();
    for id in matrices.iter().flat_map(|matrix| matrix.ids()) {
        if seen.insert(*id, ()).is_none() {
            ids.push(*id);
        }
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(ids: &[u64], packed: &[f32]) -> SimilarityMatrix {
        SimilarityMatrix::new(
            ids.iter().copied().map(ImageId::from_u64).collect(),
            packed.to_vec(),
            vec!["made".into()],
        )
        .unwrap()
    }

    #[test]
    fn an_image_missing_in_a_scan_averages_over_those_that_have_it() {
        let first = matrix(&[1, 2, 3], &[0.5, 0.25, -0.5]);
        let second = matrix(&[3, 1, 2, 4], &[0.75, 0.0, 0.5, 0.0, 0.25, -1.0]);
        let matrix = average(&[&first, &second]).unwrap();
        assert_eq!(matrix.ids(), [1, 2, 3, 4].map(ImageId::from_u64));
        assert_eq!(matrix.packed(), &[0.25, 0.5, 0.25, -0.25, -1.0, 0.5]);
        assert_eq!(matrix.scans(), &[2, 2, 2, 1]);
        assert!(matrix.provenance().last().unwrap().contains("1 of them missing"));
    }

    #[test]
    fn a_pair_in_no_scan_is_named() {
        let error = average(&[&matrix(&[1, 2], &[0.5]), &matrix(&[2, 3], &[0.5])]).unwrap_err();
        assert!(
            matches!(error, Error::NoCommonScan { first, second, .. } if first.to_u64() == 1 && second.to_u64() == 3)
        );
        assert!(average(&[]).is_err());
    }

    #[test]
    fn scans_are_grouped_by_whether_their_pairs_are_known() {
        let ids = |images: std::ops::Range<u64>| images.map(ImageId::from_u64).collect::<Vec<_>>();
        let groups = |images: &[Vec<ImageId>]| {
            groups_of_scans(&images.iter().map(Vec::as_slice).collect::<Vec<_>>())
        };
        assert_eq!(groups(&[ids(0..4), ids(0..3), ids(1..4)]), [[0, 1, 2]]);
        assert_eq!(groups(&[ids(0..3), ids(10..15)]), [[1], [0]], "no image in common");
        assert_eq!(
            groups(&[ids(0..3), ids(2..6), ids(0..3)]),
            [vec![1], vec![0, 2]],
            "images 0 and 5 were never shown together"
        );
        let pairwise = [[1, 2], [2, 3], [1, 3]].map(|ids| ids.map(ImageId::from_u64).to_vec());
        assert_eq!(groups(&pairwise), [[0, 1, 2]]);
    }

    #[test]
    fn the_mean_of_one_is_itself() {
        let only = matrix(&[5, 6, 7], &[0.1, 0.2, 0.3]);
        assert_eq!(average(&[&only]).unwrap().packed(), only.packed());
    }
}
