//! Checks the sources of virtual datasets, and of sources that are virtual themselves.

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
                let found = match canonical(&path) == whole.here {
                    true => self.find(&source),
                    false => Self::open(&path).and_then(|input| input.find(&source)),
                };
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
        let opened;
        let input = if own {
            self
        } else {
            opened = Self::open(path).map_err(|error| {
                let found = format!("{}, which cannot be opened ({error})", path.display());
                self.gone(name, found, CORRECT)
            })?;
            &opened
        };
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

#[cfg(test)]
mod tests {
    use super::super::selection::Axis;
    use super::*;
    use hdf5::SimpleExtents;

    fn part(source: &str) -> Part {
        Part {
            file: ".".to_owned(),
            dataset: source.to_owned(),
            target: Selection::Boxes(vec![]),
            provides: Selection::Boxes(vec![]),
            reaches: None,
        }
    }

    /// Checks a source of a virtual dataset that takes no value from it.
    fn check(input: &Input, source: &str, followed: &mut Followed) -> Result<()> {
        let mut whole = Virtual {
            name: "responses",
            here: canonical(&input.path),
            shape: vec![2],
            stored: None,
            below: Below::default(),
            regions: vec![],
        };
        input.check_part(&part(source), &mut whole, followed)
    }

    /// A virtual dataset of two values.
    fn add_virtual(file: &hdf5::File, name: &str, source: &str) {
        let two = SimpleExtents::fixed([2]);
        let builder = file.new_dataset_builder();
        let builder = builder.virtual_map(".", source, two.clone(), .., two, ..);
        builder.empty::<f32>().shape(2).create(name).unwrap();
    }

    /// Reading such a source through a virtual dataset can crash the process, so only the check is
    /// tested.
    #[test]
    fn a_source_behind_an_external_link_is_not_of_this_file() {
        let folder = tempfile::tempdir().unwrap();
        let [path, other] = ["own.h5", "other.h5"].map(|name| folder.path().join(name));
        for (path, name) in [(&path, "block0"), (&other, "far")] {
            let file = hdf5::File::create(path).unwrap();
            file.new_dataset_builder().with_data(&[1f32, 2.0]).create(name).unwrap();
        }
        let file = hdf5::File::open_rw(&path).unwrap();
        file.link_external("other.h5", "/far", "block1").unwrap();
        file.link_soft("/block1", "soft").unwrap();
        file.link_soft("/block0", "inside").unwrap();
        file.create_group("group").unwrap();
        file.link_hard("/block0", "group/hard").unwrap();
        file.link_external("own.h5", "/block0", "back").unwrap();
        file.link_external("own.h5", "/group", "through").unwrap();
        file.close().unwrap();

        let input = Input::open(&path).unwrap();
        for source in ["block0", "/block0", "inside", "group/hard", "other%b"] {
            check(&input, source, &mut Followed::default()).unwrap();
        }
        for (source, named, file) in [
            ("block1", "block1", "other.h5"),
            ("soft", "soft", "other.h5"),
            ("back", "back", "own.h5"),
            ("through/hard", "through/hard", "own.h5"),
            ("block%b", "block1", "other.h5"),
        ] {
            let error = check(&input, source, &mut Followed::default()).err().unwrap().to_string();
            assert!(
                ["responses", &format!("source {named} in this file"), file]
                    .iter()
                    .all(|part| error.contains(part)),
                "{error}"
            );
        }
    }

    /// h5py 3.16 names the source that it is given as a dataset from the root.
    #[test]
    fn a_source_named_from_the_root_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scan.h5");
        let file = hdf5::File::create(&path).unwrap();
        file.create_group("raw").unwrap();
        file.new_dataset_builder().with_data(&[1f32, 2.0]).create("raw/values").unwrap();
        add_virtual(&file, "responses", "/raw/values");
        file.close().unwrap();
        let dataset = Input::open(&path).unwrap().dataset("responses", &[Some(2)]).unwrap();
        assert_eq!(dataset.read_raw::<f32>().unwrap(), [1.0, 2.0]);
    }

    /// A main file links to virtual data of a session in another folder, whose sources are named
    /// from there.
    #[test]
    fn virtual_data_behind_an_external_link_are_read() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("session")).unwrap();
        let session = hdf5::File::create(folder.path().join("session/scan.h5")).unwrap();
        session.new_dataset_builder().with_data(&[1f32, 2.0]).create("raw").unwrap();
        add_virtual(&session, "responses", "raw");
        add_virtual(&session, "lost", "nowhere");
        session.close().unwrap();
        let path = folder.path().join("main.h5");
        let file = hdf5::File::create(&path).unwrap();
        file.link_external("session/scan.h5", "/responses", "responses").unwrap();
        file.link_external("session/scan.h5", "/lost", "lost").unwrap();
        file.close().unwrap();

        let input = Input::open(&path).unwrap();
        let dataset = input.dataset("responses", &[Some(2)]).unwrap();
        assert_eq!(dataset.read_raw::<f32>().unwrap(), [1.0, 2.0]);
        let error = input.dataset("lost", &[Some(2)]).unwrap_err().to_string();
        for part in ["main.h5: lost", "scan.h5: lost", "nowhere"] {
            assert!(error.contains(part), "{error}");
        }
    }

    /// HDF5 2.2.0 follows virtual data that lead back to themselves until its stack ends, so no
    /// such file is made here: the checks meet what would be one.
    #[test]
    fn sources_of_sources_end_somewhere() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scan.h5");
        let file = hdf5::File::create(&path).unwrap();
        file.new_dataset_builder().with_data(&[1f32, 2.0]).create("level0").unwrap();
        for level in 0..=DEEPEST {
            add_virtual(&file, &format!("level{}", level + 1), &format!("level{level}"));
        }
        file.close().unwrap();
        let input = Input::open(&path).unwrap();
        let deepest = input.dataset(&format!("level{DEEPEST}"), &[Some(2)]).unwrap();
        assert_eq!(deepest.read_raw::<f32>().unwrap(), [1.0, 2.0]);
        let deeper = format!("level{}", DEEPEST + 1);
        // Once with sources met from the deepest, and once with all others known before.
        let all = check(&input, "level%b", &mut Followed::default()).err();
        for error in [input.dataset(&deeper, &[Some(2)]).err(), all] {
            let error = error.unwrap().to_string();
            assert!(error.contains("more than 16 levels"), "{error}");
        }

        let here = canonical(&path);
        let mut followed = Followed { open: vec![place(&here, "level2")], ..Default::default() };
        for source in ["level2", "/level2"] {
            let error = check(&input, source, &mut followed).err().unwrap().to_string();
            assert!(error.contains("leads back to") && error.contains("level2"), "{error}");
        }
        let dataset = input.find("level2").unwrap().unwrap();
        let below = Below { levels: 1, opened: MOST_OPENED };
        let known = Known { shape: vec![2], stored: None, below };
        let mut followed = Followed::default();
        followed.known.insert((place(&here, "level1"), true), known);
        let error = input.check("level2", &dataset, &mut followed).err().unwrap().to_string();
        assert!(error.contains("level2") && error.contains("1000001 virtual sources"), "{error}");
    }

    /// What reading the dataset `responses` of a file with these sources says; `add` makes it.
    fn refusal(add: impl Fn(&hdf5::File)) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scan.h5");
        let file = hdf5::File::create(&path).unwrap();
        let numbers =
            ndarray::Array2::from_shape_fn((4, 3), |(row, column)| (row * 3 + column) as f32);
        file.new_dataset_builder().with_data(&numbers).create("r").unwrap();
        let turned = numbers.t().as_standard_layout().into_owned();
        file.new_dataset_builder().with_data(&turned).create("turned").unwrap();
        file.new_dataset_builder().with_data(&numbers.flatten()).create("flat").unwrap();
        add(&file);
        file.close().unwrap();
        let found = Input::open(&path).unwrap().dataset("responses", &[Some(4), Some(3)]);
        match found {
            Ok(dataset) => {
                assert_eq!(dataset.read_2d::<f32>().unwrap(), numbers);
                None
            }
            Err(error) => Some(error.to_string()),
        }
    }

    /// Parts of (4, 3) from rows of `r`.
    fn rows(file: &hdf5::File, parts: &[(std::ops::Range<usize>, std::ops::Range<usize>)]) {
        let shape = || SimpleExtents::fixed([4, 3]);
        let mut builder = file.new_dataset_builder();
        for (target, source) in parts.iter().cloned() {
            builder = builder.virtual_map(".", "r", shape(), (source, ..), shape(), (target, ..));
        }
        builder.empty::<f32>().shape((4, 3)).create("responses").unwrap();
    }

    fn whole_of<T: hdf5::H5Type>(file: &hdf5::File, source: &str, shape: &[usize]) {
        let builder = file.new_dataset_builder();
        builder
            .virtual_map(
                ".",
                source,
                SimpleExtents::fixed(shape),
                ..,
                SimpleExtents::fixed([4, 3]),
                ..,
            )
            .empty::<T>()
            .shape((4, 3))
            .create("responses")
            .unwrap();
    }

    #[test]
    fn parts_that_overlap_do_not_hide_a_hole() {
        assert_eq!(refusal(|file| rows(file, &[(0..2, 0..2), (2..4, 2..4)])), None);
        assert_eq!(refusal(|file| rows(file, &[(0..3, 0..3), (1..4, 1..4)])), None);
        let error = refusal(|file| rows(file, &[(0..2, 0..2), (0..2, 2..4)])).unwrap();
        assert!(error.contains("sources for 6 of its 12 values"), "{error}");
    }

    #[test]
    fn a_source_that_is_used_as_a_whole_has_the_shape_of_its_part() {
        assert_eq!(refusal(|file| whole_of::<f32>(file, "r", &[4, 3])), None);
        assert_eq!(refusal(|file| whole_of::<f64>(file, "flat", &[12])), None);
        let error = refusal(|file| whole_of::<f32>(file, "turned", &[4, 3])).unwrap();
        assert!(error.contains("[3, 4] for a part of shape [4, 3]"), "{error}");
    }

    #[test]
    fn a_virtual_dataset_does_not_clip_its_sources() {
        let error = refusal(|file| whole_of::<i32>(file, "r", &[4, 3])).unwrap();
        assert!(error.contains("clips to") && error.contains("type of its sources"), "{error}");
        use TypeDescriptor::{Float, Integer, Unsigned};
        use hdf5::types::{FloatSize, IntSize};
        let (four, eight) = (IntSize::U4, IntSize::U8);
        for (to, from, narrower) in [
            (Integer(four), Integer(eight), true),
            (Integer(eight), Unsigned(four), false),
            (Integer(four), Unsigned(four), true),
            (Unsigned(eight), Integer(four), true),
            (Float(FloatSize::U4), Float(FloatSize::U8), false),
            (Float(FloatSize::U8), Integer(four), false),
        ] {
            assert_eq!(is_narrower(&to, &from), narrower, "{from} in {to}");
        }
    }

    /// Blocks b0, b1 and b3 of two rows each.
    #[test]
    fn blocks_after_a_missing_one_are_missed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scan.h5");
        let file = hdf5::File::create(&path).unwrap();
        for name in ["b0", "b1", "b3", "c0", "c1"] {
            file.new_dataset_builder().with_data(&[1f32, 2.0]).create(name).unwrap();
        }
        file.close().unwrap();
        let input = Input::open(&path).unwrap();
        let check = |dataset: &str, stride: usize| {
            let mut whole = Virtual {
                name: "responses",
                here: canonical(&path),
                shape: vec![2 + stride],
                stored: None,
                below: Below::default(),
                regions: vec![],
            };
            let blocks = Axis { start: 0, stride, count: None, block: Some(2) };
            let part = Part {
                file: ".".to_owned(),
                dataset: dataset.to_owned(),
                target: Selection::Regular(vec![blocks]),
                provides: Selection::All,
                reaches: None,
            };
            let checked = input.check_part(&part, &mut whole, &mut Followed::default());
            checked.map(|()| covered(&whole.regions))
        };
        assert_eq!(check("c%b", 2).unwrap(), Some(4));
        // Each third value of the virtual dataset has no source.
        assert_eq!(check("c%b", 3).unwrap(), Some(4));
        let error = check("b%b", 2).unwrap_err().to_string();
        assert!(error.contains("\"b2\"") && error.contains("\"b3\""), "{error}");
    }
}
