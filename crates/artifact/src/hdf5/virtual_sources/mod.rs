//! Checks the sources of virtual datasets, and of sources that are virtual themselves.

#[cfg(test)]
mod tests;

use super::Input;
use super::own_link::is_own;
use super::selection::{Region, Selection, covered, sizes, values};
use super::sources::{beside_link, canonical, is_pattern, of_block};
use super::virtual_map::{Part, parts};
use crate::{FileError, Result};
use hdf5::Dataset;
use hdf5::plist::DatasetCreate;
use hdf5::types::TypeDescriptor;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

const BRING_BACK: &str = "put that file back where it was, or write the data into this one";
const CORRECT: &str = "correct the virtual dataset, or write the data into this file";
const WRITE_HERE: &str = "write the data into this file";

/// How many levels of virtual sources are followed.
const DEEPEST: usize = 16;
/// How many virtual sources HDF5 may open for one virtual dataset, in all levels. Without a limit, a
/// small file could take it years: sources that are used twice double in every level.
const MOST_OPENED: usize = 1_000_000;
/// How many blocks after a missing one are looked for.
const LOOK_AHEAD: usize = 8;

/// A dataset: the file, and its name without a leading slash.
type Place = (PathBuf, String);

/// The virtual datasets that a check has met.
#[derive(Default)]
pub(super) struct Followed {
    /// Those whose sources are being checked, from the outermost.
    open: Vec<Place>,
    /// Finished sources, and whether they were checked for a virtual dataset of the same file.
    known: HashMap<(Place, bool), Known>,
}

impl Followed {
    /// How many files have sources.
    pub(super) fn files(&self) -> usize {
        self.known.keys().map(|((file, _), _)| file).collect::<HashSet<_>>().len()
    }
}

#[derive(Clone)]
struct Known {
    shape: Vec<usize>,
    /// Type of the values, if it is one of Rust's.
    stored: Option<TypeDescriptor>,
    below: Below,
}

/// What HDF5 follows to read a dataset.
#[derive(Clone, Copy, Default)]
pub(super) struct Below {
    /// Levels of virtual datasets; 0 if the dataset is not virtual.
    levels: usize,
    /// How many virtual sources are opened in all levels.
    opened: usize,
}

impl Below {
    fn add(&mut self, source: Self) {
        self.levels = self.levels.max(source.levels);
        if source.levels > 0 {
            self.opened = self.opened.saturating_add(source.opened).saturating_add(1);
        }
    }
}

/// A virtual dataset whose parts are being checked.
struct Virtual<'a> {
    name: &'a str,
    /// Its file, without symbolic links.
    here: PathBuf,
    shape: Vec<usize>,
    stored: Option<TypeDescriptor>,
    below: Below,
    /// The regions of the parts so far.
    regions: Vec<Region>,
}

impl<'a> Virtual<'a> {
    fn new(input: &Input, name: &'a str, dataset: &Dataset) -> Self {
        Self {
            name,
            here: canonical(&input.path),
            shape: dataset.shape(),
            stored: stored(dataset),
            below: Below::default(),
            regions: vec![],
        }
    }
}

fn stored(dataset: &Dataset) -> Option<TypeDescriptor> {
    dataset.dtype().and_then(|dtype| dtype.to_descriptor()).ok()
}

impl Input {
    /// Checks that the sources of a virtual dataset exist, hold data and cover it.
    pub(super) fn check_virtual(
        &self,
        name: &str,
        dataset: &Dataset,
        properties: &DatasetCreate,
        followed: &mut Followed,
    ) -> Result<Below> {
        if followed.open.len() == DEEPEST {
            return Err(self.too_deep(name));
        }
        let mut whole = Virtual::new(self, name, dataset);
        followed.open.push(place(&whole.here, name));
        for part in &parts(properties).map_err(|cause| self.refused(name, &cause))? {
            self.check_part(part, &mut whole, followed)?;
        }
        followed.open.pop();
        let Virtual { regions, mut below, .. } = whole;
        below.levels += 1;
        if below.opened > MOST_OPENED {
            let found = format!("{} virtual sources, in all levels", below.opened);
            return Err(self.mismatch(name, format!("at most {MOST_OPENED}"), found, WRITE_HERE));
        }
        match covered(&regions) {
            Some(covered) if covered < dataset.size() => {
                let found = format!("sources for {covered} of its {} values", dataset.size());
                Err(self.never_written(name, found))
            }
            Some(_) => Ok(below),
            None => Err(self.fragmented(name)),
        }
    }

    /// Checks the source of a part. A pattern stands for any number of files or datasets: HDF5
    /// counts up until one is missing.
    fn check_part(&self, part: &Part, whole: &mut Virtual, followed: &mut Followed) -> Result<()> {
        let name = whole.name;
        let several = is_pattern(&part.file) || is_pattern(&part.dataset);
        // Blocks of a pattern, or values of a source that may grow.
        let mut present = None;
        for block in 0usize.. {
            let (file, source) = (of_block(&part.file, block), of_block(&part.dataset, block));
            let Some(path) = self.source_file(part, block) else {
                let found = match several {
                    true => format!("files {:?}, of which the first is missing", part.file),
                    false => format!("{file:?}, which is missing"),
                };
                if block == 0 {
                    return Err(self.gone(name, found, BRING_BACK));
                }
                break;
            };
            let Some(known) = self.check_source(&path, &source, whole, followed)? else {
                if several {
                    break;
                }
                let none = format!("{source} of {file:?}, which has no dataset of that name");
                return Err(self.gone(name, none, CORRECT));
            };
            if followed.open.len() + known.below.levels > DEEPEST {
                return Err(self.too_deep(name));
            }
            self.check_fit(part, &format!("{source} of {file:?}"), &known, whole)?;
            whole.below.add(known.below);
            if !several {
                present = part
                    .provides
                    .unlimited()
                    .and_then(|(axis, blocks)| Some(blocks.within(*known.shape.get(axis)?)));
                break;
            }
            present = Some(block + 1);
        }
        if let (true, Some(count)) = (several, present) {
            self.check_gap(part, count, whole)?;
            let block = part.target.unlimited().and_then(|(_, blocks)| blocks.block);
            present = Some(count.saturating_mul(block.unwrap_or(1)));
        }
        let regions = part.target.regions(present.or(several.then_some(0)), &whole.shape);
        whole.regions.extend(regions.ok_or_else(|| self.fragmented(name))?);
        Ok(())
    }

    /// The file of a block, if it exists.
    fn source_file(&self, part: &Part, block: usize) -> Option<PathBuf> {
        match part.file.as_str() {
            "." => Some(self.path.clone()),
            file => beside_link(&self.path, &of_block(file, block), "HDF5_VDS_PREFIX"),
        }
    }

    /// HDF5 leaves out all blocks of a pattern after a missing one.
    fn check_gap(&self, part: &Part, count: usize, whole: &Virtual) -> Result<()> {
        let later = (count + 1..count + LOOK_AHEAD).find(|block| {
            let path = self.source_file(part, *block);
            path.is_some_and(|path| {
                let source = of_block(&part.dataset, *block);
                let opened = self.other(&path, canonical(&path) == whole.here);
                let found = opened.and_then(|other| other.as_ref().unwrap_or(self).find(&source));
                found.is_ok_and(|found| found.is_some())
            })
        });
        let Some(later) = later else { return Ok(()) };
        let [missing, later] = [count, later].map(|block| {
            format!("{:?} of {:?}", of_block(&part.dataset, block), of_block(&part.file, block))
        });
        let found = format!("{missing}, which is missing although {later} exists");
        Err(self.gone(
            whole.name,
            found,
            "put it back, or name the blocks without a gap: HDF5 leaves out all that follow one",
        ))
    }

    /// Checks that a source has the shape and type that the virtual dataset takes from it.
    fn check_fit(&self, part: &Part, source: &str, known: &Known, whole: &Virtual) -> Result<()> {
        let Known { shape, stored, .. } = known;
        if let Some(wanted) = part
            .reaches
            .as_ref()
            .filter(|wanted| shape.iter().zip(*wanted).any(|(size, wanted)| size < wanted))
        {
            let found =
                format!("{source}, of which {wanted:?} values are needed but only {shape:?} exist");
            return Err(self.gone(whole.name, found, CORRECT));
        }
        // HDF5 does not store the shape of a source that is used as a whole.
        let target = match (&part.provides, part.target.unlimited()) {
            (Selection::All, None) => part.target.regions(None, &whole.shape),
            _ => None,
        };
        if let Some(regions) = target {
            let count: usize = regions.iter().map(|region| values(region)).sum();
            let sizes = if let [region] = &regions[..] { sizes(region) } else { vec![count] };
            if count != shape.iter().product::<usize>() || is_permuted(&sizes, shape) {
                let found = format!("{source} of shape {shape:?} for a part of shape {sizes:?}");
                return Err(self.gone(whole.name, found, CORRECT));
            }
        }
        if let (Some(from), Some(to)) = (stored, &whole.stored)
            && is_narrower(to, from)
        {
            let found = format!("values of type {from} in {source}, which HDF5 clips to {to}");
            let expected = format!("sources whose values fit into the type {to}");
            let advice = "give the virtual dataset the type of its sources";
            return Err(self.mismatch(whole.name, expected, found, advice));
        }
        Ok(())
    }

    /// Checks the dataset `source` of the file at `path`; `None` if there is none.
    fn check_source(
        &self,
        path: &Path,
        source: &str,
        whole: &Virtual,
        followed: &mut Followed,
    ) -> Result<Option<Known>> {
        let name = whole.name;
        let file = canonical(path);
        let own = file == whole.here;
        let key = (place(&file, source), own);
        if let Some(known) = followed.known.get(&key) {
            return Ok(Some(known.clone()));
        }
        if followed.open.contains(&key.0) {
            let found = format!("a virtual dataset that leads back to {source}");
            return Err(self.mismatch(name, "a source that holds data", found, WRITE_HERE));
        }
        let other = self.other(path, own).map_err(|error| {
            let found = format!("{}, which cannot be opened ({error})", path.display());
            self.gone(name, found, CORRECT)
        })?;
        let input = other.as_ref().unwrap_or(self);
        let unusable = |error: FileError| {
            let found = format!("{source} of {}, which cannot be read ({error})", path.display());
            self.gone(name, found, CORRECT)
        };
        let Some(dataset) = input.find(source).map_err(unusable)? else { return Ok(None) };
        if own {
            self.check_own(name, source, &dataset)?;
        }
        let below = input.check(source, &dataset, followed).map_err(unusable)?;
        let known = Known { shape: dataset.shape(), stored: stored(&dataset), below };
        followed.known.insert(key, known.clone());
        Ok(Some(known))
    }

    /// The file at `path`, opened unless it is this one.
    fn other(&self, path: &Path, own: bool) -> Result<Option<Self>> {
        if own { Ok(None) } else { Self::open(path).map(Some) }
    }

    /// Checks that a source in the file of the virtual dataset is really in that file. If an
    /// external link leads from there into another file, or back into this one, HDF5 2.2.0 can crash
    /// when it reads the virtual dataset.
    fn check_own(&self, name: &str, source: &str, dataset: &Dataset) -> Result<()> {
        if is_own(&self.file, source).map_err(|cause| self.refused(name, &cause))? {
            return Ok(());
        }
        let found = PathBuf::from(dataset.filename());
        Err(self.mismatch(
            name,
            format!("its source {source} in this file"),
            format!(
                "an external link from there to {}, from which HDF5 cannot read virtual data safely",
                found.display()
            ),
            "name that file as the source of the virtual dataset, or write the data into this one",
        ))
    }

    fn gone(&self, name: &str, found: String, advice: &'static str) -> FileError {
        self.mismatch(name, "data", format!("a reference to {found}"), advice)
    }

    fn fragmented(&self, name: &str) -> FileError {
        let found = "virtual sources in too many fragments to check that none is missing";
        self.mismatch(name, "contiguous parts", found, WRITE_HERE)
    }

    fn too_deep(&self, name: &str) -> FileError {
        let found = format!("virtual sources of virtual sources, in more than {DEEPEST} levels");
        self.mismatch(name, "a source that holds data", found, WRITE_HERE)
    }
}

fn place(file: &Path, name: &str) -> Place {
    (file.to_owned(), name.trim_start_matches('/').to_owned())
}

/// Whether two shapes of several dimensions have the same sizes in another order.
fn is_permuted(one: &[usize], other: &[usize]) -> bool {
    let [mut one, mut other] = [one, other]
        .map(|shape| shape.iter().copied().filter(|size| *size != 1).collect::<Vec<usize>>());
    if one == other {
        return false;
    }
    one.sort_unstable();
    other.sort_unstable();
    one == other
}

/// Whether numbers of one type do not all fit into another. HDF5 clips them, and cuts fractions.
fn is_narrower(to: &TypeDescriptor, from: &TypeDescriptor) -> bool {
    use TypeDescriptor::{Float, Integer, Unsigned};
    match (from, to) {
        (Float(_), Integer(_) | Unsigned(_)) | (Integer(_), Unsigned(_)) => true,
        (Unsigned(from), Unsigned(to)) | (Integer(from), Integer(to)) => {
            *from as usize > *to as usize
        }
        (Unsigned(from), Integer(to)) => *from as usize >= *to as usize,
        _ => false,
    }
}
