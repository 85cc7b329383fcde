//! Population vectors of images: weighted, centered over images, and normalized in each scan.

use crate::matrix::positions;
use crate::panels::Panels;
use crate::{Error, Result, Rows};
use brainprior_images::ImageId;
use brainprior_kernels::gram::{GROUP, PANEL, add_to_sums, interleave, normalize};
use rayon::prelude::*;
use std::ops::Range;

/// Number of parts of the images with separate sums; fixed, so that sums do not depend on the
/// number of threads.
const PARTS: usize = 64;

/// Rows read at a time for the means.
const READ: usize = 256;

/// Marks an image that a scan does not have.
const ABSENT: u32 = u32::MAX;

/// The responses of one scan, measured or predicted, or any other image vectors, with one weight
/// per dimension.
#[derive(Clone, Copy)]
pub struct ScanVectors<'a> {
    /// Its name in errors and provenance.
    pub name: &'a str,
    /// The image of each row; distinct.
    pub ids: &'a [ImageId],
    /// `[images, dimensions]`.
    pub rows: &'a dyn Rows,
    /// Weight of each dimension. Dimensions of weight 0 are ignored, and so are their values.
    pub weights: &'a [f32],
}

/// Which images to use if the scans do not all have the same ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Images {
    /// The images of any scan, in order of first appearance; a pair is averaged over the scans that
    /// have both.
    OfAnyScan,
    /// The images that every scan has, in the order of the first scan.
    OfEveryScan,
    /// All scans must have the same images, in any order.
    Identical,
}

/// Population vectors of images in one or more scans (section 3.1 of the paper): in scan k, e_i =
/// (w r_i - mean_j w r_j) / |...|, computed in f64 and rounded once. The mean is over those of the
/// images that the scan has.
///
/// The vectors of all scans are concatenated, with zeros where a scan lacks an image, so that one
/// product sums the cosines of all scans; [`Population::pairs_of`] counts the scans of a pair.
pub struct Population<'a> {
    ids: Vec<ImageId>,
    members: Vec<Member<'a>>,
    depth: usize,
    /// One bit per scan that has the image, in `words` words per image; empty if every scan has
    /// every image.
    presence: Vec<u64>,
    words: usize,
}

/// One scan.
struct Member<'a> {
    source: ScanVectors<'a>,
    /// Dimensions with a weight above 0.
    kept: Vec<usize>,
    /// Their weights and means over images.
    weights: Vec<f64>,
    means: Vec<f64>,
    /// The row of each image, or [`ABSENT`].
    row_of: Vec<u32>,
}

/// Responses of one scan to some images.
pub(crate) struct MemberResponses<'a> {
    /// `[images, dimensions]`
    pub(crate) values: Vec<f32>,
    /// 1 for each image that the scan has, else 0.
    pub(crate) present: Vec<f32>,
    /// Mean over images, for each dimension.
    pub(crate) means: &'a [f64],
    pub(crate) weights: &'a [f64],
}

impl<'a> Population<'a> {
    /// Creates the vectors of the images of `sources`; reads each source once, for the means.
    ///
    /// # Errors
    /// Returns an error if there is no source, sizes do not match, an image is given twice, a value
    /// is not finite, a weight is negative, no weight is above 0, there are fewer than two images,
    /// no scan has both images of a pair, or, for [`Images::Identical`], scans have different
    /// images.
    pub fn new(sources: &[ScanVectors<'a>], images: Images) -> Result<Self> {
        if sources.is_empty() {
            return Err(Error::Size {
                what: "sources of population vectors",
                expected: "at least 1".into(),
                found: "none".into(),
            });
        }
        for source in sources {
            check(source)?;
        }
        let (ids, rows_of) = matched(sources, images)?;
        let (presence, words) = presence(sources, &ids, &rows_of)?;
        let members: Vec<Member<'a>> = sources
            .iter()
            .zip(rows_of)
            .map(|(source, row_of)| Member::new(*source, row_of, &ids))
            .collect::<Result<_>>()?;
        let depth = members.iter().map(|member| member.kept.len()).sum();
        Ok(Self { ids, members, depth, presence, words })
    }

    /// Number of images, at least 2.
    #[expect(clippy::len_without_is_empty, reason = "a population has at least two images")]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Identity of each image, in order.
    pub fn ids(&self) -> &[ImageId] {
        &self.ids
    }

    /// Number of scans.
    pub fn scans(&self) -> usize {
        self.members.len()
    }

    /// Total number of dimensions with a weight above 0, over all scans.
    pub fn dimensions(&self) -> usize {
        self.depth
    }

    /// Number of scans that have each image.
    pub fn scans_of_images(&self) -> Vec<u32> {
        if self.presence.is_empty() {
            return vec![self.members.len() as u32; self.len()];
        }
        (0..self.len()).map(|image| self.pairs_of(image, image)).collect()
    }

    /// Number of scans that have both images.
    pub fn pairs_of(&self, first: usize, second: usize) -> u32 {
        if self.presence.is_empty() {
            return self.members.len() as u32;
        }
        let words = |image: usize| &self.presence[image * self.words..(image + 1) * self.words];
        words(first).iter().zip(words(second)).map(|(a, b)| (a & b).count_ones()).sum()
    }

    /// Whether every scan has every image.
    pub(crate) fn complete(&self) -> bool {
        self.presence.is_empty()
    }

    /// Whether a scan has an image.
    pub(crate) fn has(&self, image: usize, scan: usize) -> bool {
        self.members[scan].row_of[image] != ABSENT
    }

    /// The error for an image whose vector is zero in a scan.
    pub(crate) fn zero_vector(&self, scan: usize, image: usize) -> Error {
        let member = &self.members[scan];
        Error::ZeroVector {
            image: member.row_of[image] as usize,
            id: self.ids[image],
            source_name: member.source.name.into(),
        }
    }

    /// The raw responses of a scan in its weighted dimensions; zeros for missing
    /// images.
    pub(crate) fn responses_of(
        &self,
        scan: usize,
        images: Range<usize>,
    ) -> Result<MemberResponses<'_>> {
        let member = &self.members[scan];
        let width = member.kept.len();
        let mut values = vec![0.0; images.len() * width];
        let mut present = vec![0.0; images.len()];
        let mut compact = Vec::new();
        for (image, row) in member.read(images.clone())? {
            let place = image - images.start;
            values[place * width..(place + 1) * width]
                .copy_from_slice(member.compacted(&row, &mut compact));
            present[place] = 1.0;
        }
        Ok(MemberResponses { values, present, means: &member.means, weights: &member.weights })
    }

    /// The provenance: what was averaged over what, one step each.
    pub fn provenance(&self) -> Vec<String> {
        let mut steps: Vec<String> = self
            .members
            .iter()
            .map(|member| {
                let images = member.row_of.iter().filter(|row| **row != ABSENT).count();
                let dimensions = member.source.weights.len();
                format!(
                    "{}: cosines of {images} images in {} of {dimensions} dimensions",
                    member.source.name,
                    member.kept.len()
                )
            })
            .collect();
        if self.members.len() > 1 {
            let all = self.members.len() as u32;
            let incomplete = self.scans_of_images().iter().filter(|scans| **scans < all).count();
            steps.push(format!(
                "averaged over {all} scans, {} images, {incomplete} of them missing in some scan",
                self.len()
            ));
        }
        steps
    }

    /// A hash of the images, the weights and the means, and thus of the values.
    pub(crate) fn fingerprint(&self) -> u64 {
        // FNV-1a over 64-bit words.
        let mut hash = 0xcbf2_9ce4_8422_2325u64;
        let mut add =
            |word: u64| hash = (hash ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(29);
        self.ids.iter().for_each(|id| add(id.to_u64()));
        for member in &self.members {
            member.row_of.iter().for_each(|row| add(u64::from(*row)));
            member.kept.iter().for_each(|kept| add(*kept as u64));
            member.weights.iter().chain(&member.means).for_each(|value| add(value.to_bits()));
        }
        hash
    }

    /// Bytes of the packed vectors of `images` images.
    pub(crate) fn packed_bytes(&self, images: usize) -> usize {
        images.div_ceil(PANEL) * PANEL * self.depth * size_of::<f32>()
    }

    /// Unit vectors of `images`; the first image must be a multiple of [`PANEL`].
    pub(crate) fn pack(&self, images: Range<usize>) -> Result<Panels> {
        debug_assert!(images.start.is_multiple_of(PANEL) && images.end <= self.len());
        Panels::filled(images.len().div_ceil(PANEL), self.depth, |panel, values| {
            let first = images.start + panel * PANEL;
            self.pack_panel(first..(first + PANEL).min(images.end), values)
        })
    }

    fn pack_panel(&self, images: Range<usize>, panel: &mut [f32]) -> Result<()> {
        let mut offset = 0;
        for (scan, member) in self.members.iter().enumerate() {
            let width = member.kept.len();
            let part = &mut panel[offset * PANEL..(offset + width) * PANEL];
            let mut units = vec![0.0f32; GROUP * width];
            let mut compact = Vec::new();
            for first in images.clone().step_by(GROUP) {
                let group = first..(first + GROUP).min(images.end);
                units.fill(0.0);
                for (image, values) in member.read(group.clone())? {
                    let unit = &mut units[(image - first) * width..(image - first + 1) * width];
                    let row = member.compacted(&values, &mut compact);
                    if !normalize(row, &member.means, &member.weights, unit) {
                        return Err(self.zero_vector(scan, image));
                    }
                }
                interleave(&units, width, &mut part[first - images.start..]);
            }
            offset += width;
        }
        Ok(())
    }
}

impl<'a> Member<'a> {
    fn new(source: ScanVectors<'a>, row_of: Vec<u32>, ids: &[ImageId]) -> Result<Self> {
        let kept: Vec<usize> =
            (0..source.weights.len()).filter(|neuron| source.weights[*neuron] > 0.0).collect();
        if kept.is_empty() {
            return Err(Error::NoNeurons {
                neurons: source.weights.len(),
                source_name: source.name.into(),
            });
        }
        let weights = kept.iter().map(|neuron| f64::from(source.weights[*neuron])).collect();
        let mut member = Self { source, kept, weights, means: Vec::new(), row_of };
        member.means = member.mean(ids)?;
        Ok(member)
    }

    fn mean(&self, ids: &[ImageId]) -> Result<Vec<f64>> {
        let images = self.row_of.len();
        let sums: Vec<Vec<f64>> = (0..images)
            .step_by(images.div_ceil(PARTS))
            .collect::<Vec<_>>()
            .into_par_iter()
            .map(|start| {
                let part = start..(start + images.div_ceil(PARTS)).min(images);
                let mut sums = vec![0.0f64; self.kept.len()];
                let mut compact = Vec::new();
                for first in part.clone().step_by(READ) {
                    for (_, values) in self.read(first..(first + READ).min(part.end))? {
                        add_to_sums(self.compacted(&values, &mut compact), &mut sums);
                    }
                }
                Ok(sums)
            })
            .collect::<Result<_>>()?;
        let present = self.row_of.iter().filter(|row| **row != ABSENT).count();
        let mut means = vec![0.0f64; self.kept.len()];
        for sums in &sums {
            means.iter_mut().zip(sums).for_each(|(mean, sum)| *mean += sum);
        }
        means.iter_mut().for_each(|mean| *mean /= present as f64);
        // A sum is finite only if all its terms are.
        if means.iter().any(|mean| !mean.is_finite()) {
            for image in 0..images {
                for (_, values) in self.read(image..image + 1)? {
                    if let Some(neuron) =
                        self.kept.iter().copied().find(|neuron| !values[*neuron].is_finite())
                    {
                        let row = self.row_of[image] as usize;
                        return Err(Error::Value {
                            image: row,
                            id: ids[image],
                            neuron,
                            found: values[neuron],
                        });
                    }
                }
            }
        }
        Ok(means)
    }

    /// Reads the rows of those of `images` that the scan has; consecutive rows are read together.
    fn read(&self, images: Range<usize>) -> Result<Vec<(usize, RowValues<'_>)>> {
        let dimensions = self.source.weights.len();
        let mut rows = Vec::with_capacity(images.len());
        let mut image = images.start;
        while image < images.end {
            let first = self.row_of[image];
            if first == ABSENT {
                image += 1;
                continue;
            }
            let run = (image..images.end)
                .take_while(|next| self.row_of[*next] as usize == first as usize + next - image)
                .count();
            let first = first as usize;
            match self.source.rows.read(first..first + run)? {
                std::borrow::Cow::Borrowed(values) => {
                    rows.extend(
                        values
                            .chunks_exact(dimensions)
                            .enumerate()
                            .map(|(i, row)| (image + i, RowValues::Borrowed(row))),
                    );
                }
                std::borrow::Cow::Owned(values) => {
                    let values = std::sync::Arc::new(values);
                    rows.extend((0..run).map(|i| {
                        (
                            image + i,
                            RowValues::Shared(values.clone(), i * dimensions..(i + 1) * dimensions),
                        )
                    }));
                }
            }
            image += run;
        }
        Ok(rows)
    }

    /// The values in the weighted dimensions.
    fn compacted<'b>(&self, row: &'b [f32], compact: &'b mut Vec<f32>) -> &'b [f32] {
        if self.kept.len() == row.len() {
            return row;
        }
        compact.clear();
        compact.extend(self.kept.iter().map(|neuron| row[*neuron]));
        compact
    }
}

/// One row that was read.
enum RowValues<'a> {
    Borrowed(&'a [f32]),
    Shared(std::sync::Arc<Vec<f32>>, Range<usize>),
}

impl std::ops::Deref for RowValues<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match self {
            Self::Borrowed(row) => row,
            Self::Shared(values, range) => &values[range.clone()],
        }
    }
}

fn check(source: &ScanVectors<'_>) -> Result<()> {
    let (images, neurons) = source.rows.shape();
    let (ids, weights) = (source.ids.len(), source.weights);
    if ids != images {
        return Err(Error::Size {
            what: "rows of the responses",
            expected: format!("{ids} images"),
            found: images.to_string(),
        });
    }
    if images >= ABSENT as usize {
        return Err(Error::Size {
            what: "images",
            expected: "fewer than 2^32 - 1".into(),
            found: images.to_string(),
        });
    }
    if weights.len() != neurons {
        return Err(Error::Size {
            what: "weights",
            expected: format!("one for each of {neurons} neurons"),
            found: weights.len().to_string(),
        });
    }
    match weights.iter().position(|weight| !(weight.is_finite() && *weight >= 0.0)) {
        Some(neuron) => Err(Error::Weight {
            neuron,
            expected: "a finite weight of at least 0",
            found: weights[neuron],
        }),
        None => Ok(()),
    }
}

/// The images to use, and for each source the row of each.
fn matched(sources: &[ScanVectors<'_>], images: Images) -> Result<(Vec<ImageId>, Vec<Vec<u32>>)> {
    let located = sources.iter().map(|source| positions(source.ids)).collect::<Result<Vec<_>>>()?;
    let mut ids = sources[0].ids.to_vec();
    match images {
        Images::OfAnyScan => {
            let mut seen: std::collections::HashSet<ImageId> = ids.iter().copied().collect();
            ids.extend(
                sources[1..]
                    .iter()
                    .flat_map(|source| source.ids)
                    .copied()
                    .filter(|id| seen.insert(*id)),
            );
        }
        Images::OfEveryScan => {
            ids.retain(|id| located.iter().all(|located| located.contains_key(id)))
        }
        Images::Identical => {
            for (source, own) in sources.iter().zip(&located).skip(1) {
                let lacking: Vec<ImageId> =
                    ids.iter().copied().filter(|id| !own.contains_key(id)).collect();
                let others: Vec<ImageId> =
                    source.ids.iter().copied().filter(|id| !located[0].contains_key(id)).collect();
                if let Some(example) = lacking.first().or(others.first()) {
                    return Err(Error::DifferentImages {
                        first: sources[0].name.into(),
                        first_images: ids.len(),
                        second: source.name.into(),
                        second_images: source.ids.len(),
                        shared: ids.len() - lacking.len(),
                        example: *example,
                    });
                }
            }
        }
    }
    if ids.len() < 2 {
        let names: Vec<&str> = sources.iter().map(|source| source.name).collect();
        return Err(Error::NoSharedImages { scans: names.join(", "), shared: ids.len() });
    }
    let rows_of = located
        .iter()
        .map(|located| {
            ids.iter().map(|id| located.get(id).map_or(ABSENT, |row| *row as u32)).collect()
        })
        .collect();
    Ok((ids, rows_of))
}

/// Which scans have which images; empty if all scans have all images.
fn presence(
    sources: &[ScanVectors<'_>],
    ids: &[ImageId],
    rows_of: &[Vec<u32>],
) -> Result<(Vec<u64>, usize)> {
    let words = rows_of.len().div_ceil(64);
    if rows_of.iter().all(|row_of| !row_of.contains(&ABSENT)) {
        return Ok((Vec::new(), words));
    }
    let mut presence = vec![0u64; ids.len() * words];
    for (scan, row_of) in rows_of.iter().enumerate() {
        for (image, row) in row_of.iter().enumerate() {
            presence[image * words + scan / 64] |= u64::from(*row != ABSENT) << (scan % 64);
        }
    }
    // There are few distinct sets of scans, so every pair of sets can be checked.
    let mut sets: std::collections::BTreeMap<&[u64], usize> = std::collections::BTreeMap::new();
    for (image, set) in presence.chunks_exact(words).enumerate() {
        sets.entry(set).or_insert(image);
    }
    for (a, first) in &sets {
        if let Some((_, second)) =
            sets.iter().find(|(b, _)| a.iter().zip(b.iter()).all(|(a, b)| a & b == 0))
        {
            let scans_of = |set: &[u64]| -> String {
                let has = |scan: &usize| set[scan / 64] >> (scan % 64) & 1 == 1;
                let names: Vec<&str> =
                    (0..sources.len()).filter(has).map(|scan| sources[scan].name).collect();
                names.join(", ")
            };
            let set = |image: usize| &presence[image * words..(image + 1) * words];
            return Err(Error::NoCommonScan {
                first: ids[*first],
                first_scans: scans_of(set(*first)),
                second: ids[*second],
                second_scans: scans_of(set(*second)),
            });
        }
    }
    Ok((presence, words))
}
