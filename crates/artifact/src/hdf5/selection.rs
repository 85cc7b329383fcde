//! Selections in arrays, and how many values several of them cover.

use std::collections::HashMap;
use std::iter;
use std::ops::Range;

/// Most ranges on one axis.
const MOST_RANGES: usize = 1_000_000;
/// Most steps of a count.
const MOST_STEPS: usize = 10_000_000;

/// A selection in an array, as HDF5 stores it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Selection {
    /// The whole array.
    All,
    /// Blocks at regular distances on each axis.
    Regular(Vec<Axis>),
    /// Any blocks, each with a range on each axis.
    Boxes(Vec<Vec<Range<usize>>>),
}

/// Blocks on one axis, `stride` apart.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Axis {
    pub(super) start: usize,
    pub(super) stride: usize,
    /// How many blocks; `None` if as many as there are data for.
    pub(super) count: Option<usize>,
    /// Values of a block; `None` if as many as there are data for.
    pub(super) block: Option<usize>,
}

/// A part of an array: on each axis, the ranges whose values it has, in order and disjoint.
pub(super) type Region = Vec<Vec<Range<usize>>>;

impl Axis {
    fn is_unlimited(&self) -> bool {
        self.count.is_none() || self.block.is_none()
    }

    /// How many values an unlimited axis has in an array of this size.
    pub(super) fn within(&self, size: usize) -> usize {
        let left = size.saturating_sub(self.start);
        match self.block {
            None => left,
            Some(block) => {
                (left / self.stride).saturating_mul(block) + (left % self.stride).min(block)
            }
        }
    }

    /// The ranges of the first `values` values (of all, if `None`), up to `size`; `None` if there
    /// are too many.
    fn ranges(&self, values: Option<usize>, size: usize) -> Option<Vec<Range<usize>>> {
        let mut left = match (values, self.count, self.block) {
            (_, Some(count), Some(block)) => count.saturating_mul(block),
            (Some(values), ..) => values,
            (None, ..) => self.within(size),
        };
        let block = self.block.unwrap_or(left).max(1);
        let mut ranges: Vec<Range<usize>> = vec![];
        let mut start = self.start;
        if block >= self.stride {
            // Adjacent blocks are one range.
            return Some(one(start.min(size)..start.saturating_add(left).min(size)));
        }
        while left > 0 && start < size {
            if ranges.len() == MOST_RANGES {
                return None;
            }
            let length = block.min(left);
            ranges.push(start..start.saturating_add(length).min(size));
            left -= length;
            start = start.saturating_add(self.stride);
        }
        Some(ranges)
    }
}

impl Selection {
    /// The unlimited axis, if there is one.
    pub(super) fn unlimited(&self) -> Option<(usize, &Axis)> {
        match self {
            Self::Regular(axes) => axes.iter().enumerate().find(|(_, axis)| axis.is_unlimited()),
            _ => None,
        }
    }

    /// The selected regions of an array of this shape, if the unlimited axis has `values` values;
    /// `None` if there are too many.
    pub(super) fn regions(&self, values: Option<usize>, shape: &[usize]) -> Option<Vec<Region>> {
        match self {
            Self::All => Some(vec![shape.iter().map(|size| one(0..*size)).collect()]),
            Self::Regular(axes) => {
                let axes = axes.iter().zip(shape).map(|(axis, size)| axis.ranges(values, *size));
                Some(vec![axes.collect::<Option<_>>()?])
            }
            Self::Boxes(boxes) => {
                let region = |block: &Vec<Range<usize>>| block.iter().cloned().map(one).collect();
                Some(boxes.iter().map(region).collect())
            }
        }
    }
}

/// A single range.
fn one(range: Range<usize>) -> Vec<Range<usize>> {
    iter::once(range).collect()
}

/// How many values a region has.
pub(super) fn values(region: &[Vec<Range<usize>>]) -> usize {
    sizes(region).into_iter().fold(1, usize::saturating_mul)
}

/// How many values a region has on each axis.
pub(super) fn sizes(region: &[Vec<Range<usize>>]) -> Vec<usize> {
    region.iter().map(|ranges| ranges.iter().map(|range| range.len()).sum()).collect()
}

/// How many values are in at least one region; `None` if they are too fragmented to count.
pub(super) fn covered(regions: &[Region]) -> Option<usize> {
    let all: Vec<usize> = (0..regions.len()).collect();
    let rank = regions.iter().map(Vec::len).max().unwrap_or(0);
    count(regions, &all, 0, rank, &mut 0)
}

/// Counts the values of some regions on the axes from `axis` on.
fn count(
    regions: &[Region],
    active: &[usize],
    axis: usize,
    rank: usize,
    steps: &mut usize,
) -> Option<usize> {
    if let [only] = active {
        return Some(regions[*only].get(axis..).map_or(0, values));
    }
    if active.is_empty() || axis == rank {
        return Some(usize::from(!active.is_empty()));
    }
    // Where regions begin and end. Between two such places, the same regions are present.
    let mut events = vec![];
    for region in active {
        for range in regions[*region].get(axis).into_iter().flatten().filter(|r| !r.is_empty()) {
            events.push((range.start, true, *region));
            events.push((range.end, false, *region));
        }
    }
    events.sort_unstable();
    let mut known: HashMap<Vec<usize>, usize> = HashMap::new();
    let mut present: Vec<usize> = vec![];
    let (mut total, mut from) = (0usize, 0);
    for (place, begins, region) in events {
        *steps += 1 + present.len();
        if *steps > MOST_STEPS {
            return None;
        }
        if place > from && !present.is_empty() {
            let inner = match known.get(&present) {
                Some(inner) => *inner,
                None => {
                    let inner = count(regions, &present, axis + 1, rank, steps)?;
                    known.insert(present.clone(), inner);
                    inner
                }
            };
            total = total.saturating_add(inner.saturating_mul(place - from));
        }
        from = place;
        match (begins, present.binary_search(&region)) {
            (true, Err(position)) => present.insert(position, region),
            (false, Ok(position)) => drop(present.remove(position)),
            _ => {}
        }
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn axis(start: usize, stride: usize, count: Option<usize>, block: Option<usize>) -> Axis {
        Axis { start, stride, count, block }
    }

    #[test]
    fn unlimited_blocks_end_with_the_data() {
        let alternate = axis(1, 4, None, Some(2));
        // 1 2 . . 5 6 . . 9
        assert_eq!(
            [0, 1, 2, 3, 4, 6, 10].map(|size| alternate.within(size)),
            [0, 0, 1, 2, 2, 3, 5]
        );
        assert_eq!(alternate.ranges(Some(5), 100).unwrap(), [1..3, 5..7, 9..10]);
        assert_eq!(alternate.ranges(None, 7).unwrap(), [1..3, 5..7]);
        assert_eq!(axis(3, 1, Some(1), None).ranges(Some(4), 100).unwrap(), one(3..7));
        assert_eq!(axis(0, 3, Some(9), Some(3)).ranges(None, 100).unwrap(), one(0..27));
    }

    proptest! {
        /// Against marking each value.
        #[test]
        fn covered_values_are_counted(
            parts in prop::collection::vec(
                [(0usize..9, 1usize..5, 0usize..4, 1usize..4), (0..7, 1..4, 0..3, 1..3)],
                0..6,
            ),
        ) {
            let shape = [10, 8];
            let selections: Vec<Selection> = parts
                .iter()
                .map(|axes| {
                    let axes = axes.iter().map(|(start, stride, count, block)| {
                        axis(*start, (*stride).max(*block), Some(*count), Some(*block))
                    });
                    Selection::Regular(axes.collect())
                })
                .collect();
            let regions: Vec<Region> = selections
                .iter()
                .flat_map(|selection| selection.regions(None, &shape).unwrap())
                .collect();
            let has = |axes: &[Axis], place: [usize; 2]| {
                axes.iter().zip(place).all(|(axis, place)| {
                    place.checked_sub(axis.start).is_some_and(|place| {
                        place / axis.stride < axis.count.unwrap()
                            && place % axis.stride < axis.block.unwrap()
                    })
                })
            };
            let expected = (0..80)
                .filter(|place| {
                    selections.iter().any(|selection| match selection {
                        Selection::Regular(axes) => has(axes, [place / 8, place % 8]),
                        _ => false,
                    })
                })
                .count();
            prop_assert_eq!(covered(&regions), Some(expected));
        }
    }

    #[test]
    fn many_rows_are_counted_at_once() {
        let rows: Vec<Region> =
            (0..20_000).rev().map(|row| vec![one(row..row + 1), one(0..7)]).collect();
        assert_eq!(covered(&rows), Some(140_000));
    }
}
