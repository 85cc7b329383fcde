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

/// A virtual dataset of this size, before its parts are checked.
fn whole(input: &Input, size: usize) -> Virtual<'static> {
    Virtual {
        name: "responses",
        here: canonical(&input.path),
        shape: vec![size],
        stored: None,
        below: Below::default(),
        regions: vec![],
    }
}

/// Checks a source of a virtual dataset that takes no value from it.
fn check(input: &Input, source: &str, followed: &mut Followed) -> Result<()> {
    input.check_part(&part(source), &mut whole(input, 2), followed)
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
    let numbers = ndarray::Array2::from_shape_fn((4, 3), |(row, column)| (row * 3 + column) as f32);
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
        .virtual_map(".", source, SimpleExtents::fixed(shape), .., SimpleExtents::fixed([4, 3]), ..)
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
        let mut whole = whole(&input, 2 + stride);
        let blocks = Axis { start: 0, stride, count: None, block: Some(2) };
        let part = Part {
            target: Selection::Regular(vec![blocks]),
            provides: Selection::All,
            ..part(dataset)
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
