//! The nearest neighbors of each image.

use crate::{Block, Reduction, Result, Resumable, StateReader, StateWriter};
use std::sync::atomic::{AtomicU32, Ordering};

/// Finds for each image the `count` most similar images; ties go to the smaller index.
#[derive(Debug)]
pub struct NearestImages {
    images: usize,
    count: usize,
    /// For each image, the smallest similarity that enters its list, as bits. It only ever rises,
    /// so a stale value admits too much rather than too little.
    least: Vec<AtomicU32>,
}

/// The nearest neighbors of each image, nearest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbors {
    count: usize,
    lists: Vec<Vec<(u32, f32)>>,
}

impl Neighbors {
    /// Index and similarity of the neighbors of image `image`, nearest first: as many as requested,
    /// or all other images.
    pub fn of(&self, image: usize) -> &[(u32, f32)] {
        &self.lists[image]
    }

    /// Number of images.
    #[expect(clippy::len_without_is_empty, reason = "a population has at least two images")]
    pub fn len(&self) -> usize {
        self.lists.len()
    }

    /// The requested number of neighbors.
    pub fn count(&self) -> usize {
        self.count
    }
}

impl NearestImages {
    /// The `count` (at least one) nearest neighbors of each of `images` images; each neighbor takes
    /// 8 bytes.
    pub fn new(images: usize, count: usize) -> Self {
        let count = count.max(1);
        let least = (0..images).map(|_| AtomicU32::new(f32::NEG_INFINITY.to_bits())).collect();
        Self { images, count, least }
    }

    fn least(&self, image: usize) -> f32 {
        f32::from_bits(self.least[image].load(Ordering::Relaxed))
    }

    fn insert(&self, list: &mut Vec<(u32, f32)>, image: usize, other: u32, similarity: f32) {
        let place = list.partition_point(|(index, value)| {
            *value > similarity || (*value == similarity && *index < other)
        });
        if place >= self.count {
            return;
        }
        list.truncate(self.count - 1);
        list.insert(place, (other, similarity));
        if list.len() == self.count {
            self.least[image].store(list[self.count - 1].1.to_bits(), Ordering::Relaxed);
        }
    }
}

impl Reduction for NearestImages {
    /// Candidates: an image, its neighbor, their similarity.
    type Part = Vec<(u32, u32, f32)>;
    type State = Neighbors;

    fn start(&self) -> Neighbors {
        Neighbors { count: self.count, lists: vec![Vec::new(); self.images] }
    }

    fn block(&self, block: &Block<'_>) -> Self::Part {
        let columns = block.columns();
        let mut least: Vec<f32> = columns.clone().map(|column| self.least(column)).collect();
        let mut candidates = Vec::new();
        // The best of the block for each image, so that early blocks pass on at most one list per
        // image.
        let mut of_columns: Vec<Vec<(u32, f32)>> = vec![Vec::new(); columns.len()];
        let keep = |list: &mut Vec<(u32, f32)>, other: u32, similarity: f32| -> Option<f32> {
            let place = list.partition_point(|(index, value)| {
                *value > similarity || (*value == similarity && *index < other)
            });
            if place < self.count {
                list.truncate(self.count - 1);
                list.insert(place, (other, similarity));
            }
            (list.len() == self.count).then(|| list[self.count - 1].1)
        };
        for row in block.rows() {
            let (first, values) = block.row(row);
            let mut least_of_row = self.least(row);
            let mut of_row = Vec::new();
            let offset = first - columns.start;
            // Groups of values that enter no list, which are nearly all, are skipped at vector
            // speed.
            for (group, (values, leasts)) in
                values.chunks(32).zip(least[offset..].chunks_mut(32)).enumerate()
            {
                let enters = |value: f32, least: f32| value >= least || value >= least_of_row;
                if values
                    .iter()
                    .zip(&*leasts)
                    .filter(|(value, least)| enters(**value, **least))
                    .count()
                    == 0
                {
                    continue;
                }
                for (lane, (value, least)) in values.iter().zip(leasts).enumerate() {
                    let column = first + group * 32 + lane;
                    if *value >= *least
                        && let Some(raised) =
                            keep(&mut of_columns[column - columns.start], row as u32, *value)
                    {
                        *least = least.max(raised);
                    }
                    if *value >= least_of_row
                        && let Some(raised) = keep(&mut of_row, column as u32, *value)
                    {
                        least_of_row = least_of_row.max(raised);
                    }
                }
            }
            candidates.extend(
                of_row.into_iter().map(|(other, similarity)| (row as u32, other, similarity)),
            );
        }
        for (column, list) in columns.zip(of_columns) {
            candidates.extend(
                list.into_iter().map(|(other, similarity)| (column as u32, other, similarity)),
            );
        }
        candidates
    }

    fn merge(&self, state: &mut Neighbors, part: Self::Part, _: usize) -> Result<()> {
        for (image, other, similarity) in part {
            self.insert(&mut state.lists[image as usize], image as usize, other, similarity);
        }
        Ok(())
    }
}

impl Resumable for NearestImages {
    fn settings(&self) -> u64 {
        self.count as u64
    }

    fn save(&self, state: &Neighbors, to: &mut StateWriter) {
        for list in &state.lists {
            to.number(list.len() as u64);
            for (other, similarity) in list {
                to.number(u64::from(*other));
                to.value(*similarity);
            }
        }
    }

    fn load(&self, from: &mut StateReader<'_>) -> Option<Neighbors> {
        let mut neighbors = self.start();
        for (image, list) in neighbors.lists.iter_mut().enumerate() {
            for _ in 0..from.number()? {
                let other = from.number()? as u32;
                self.insert(list, image, other, from.value()?);
            }
        }
        Some(neighbors)
    }
}
