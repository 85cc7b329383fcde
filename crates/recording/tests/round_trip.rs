//! Files are read back as written, in every format and with every optional part absent; and the
//! specs describe all of them.
#![cfg(feature = "hdf5")]

mod fixture;

use brainprior_recording::{
    Fitting, ResponseKind, Responses, Scan, Tier, read_scan, write_sensorium, write_static_hdf5,
};
use fixture::check_same;
use ndarray::Array2;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::path::Path;

fn bare(bytes: bool) -> Scan {
    let mut parts = fixture::parts(bytes);
    (parts.behavior, parts.pupil_center) = (None, None);
    parts.neurons = brainprior_recording::Neurons::unnamed(5);
    Scan::new(parts).unwrap()
}

fn check_round_trip(name: &str, write: fn(&Path, &Scan) -> brainprior_recording::Result<()>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    for scan in [fixture::scan(true), fixture::scan(false), bare(true)] {
        write(&path, &scan).unwrap();
        let found = read_scan(&path).unwrap();
        check_same(&found, &scan);
        assert_eq!(found.name(), "small");
        let left: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, [name], "no temporary file is left");
    }
}

#[test]
fn static_hdf5() {
    check_round_trip("small.h5", write_static_hdf5);
}

#[test]
fn sensorium_folder() {
    check_round_trip("small", write_sensorium);
}

#[test]
fn sensorium_zip() {
    check_round_trip("small.zip", write_sensorium);
}

/// Large enough for chunks and filters.
#[test]
fn large_arrays_are_compressed() {
    let mut parts = fixture::parts(true);
    parts.responses =
        Array2::from_shape_fn((16, 20_000), |(row, column)| ((row + column) % 7) as f32);
    parts.neurons = brainprior_recording::Neurons::unnamed(20_000);
    let scan = Scan::new(parts).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wide.h5");
    write_static_hdf5(&path, &scan).unwrap();
    check_same(&read_scan(&path).unwrap(), &scan);
    let responses = hdf5::File::open(&path).unwrap().dataset("responses").unwrap();
    assert!(responses.filters().len() == 2 && responses.is_chunked(), "{:?}", responses.filters());
    assert!(responses.storage_size() < 16 * 20_000);
}

/// The output does not even depend on the time of writing.
#[test]
fn equal_scans_give_equal_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let write = |time: &str| {
        let (scan, name) =
            (fixture::scan(true), |ending| folder.path().join(format!("{time}.{ending}")));
        write_static_hdf5(&name("h5"), &scan).unwrap();
        write_sensorium(&name("zip"), &scan).unwrap();
        scan.single_trials().write(&name("responses")).unwrap();
        ["h5", "zip", "responses"].map(|ending| std::fs::read(name(ending)).unwrap())
    };
    let first = write("first");
    std::thread::sleep(std::time::Duration::from_millis(2100));
    let equal: Vec<bool> =
        first.iter().zip(write("second")).map(|(first, second)| *first == second).collect();
    assert_eq!(equal, [true; 3], "static HDF5, Sensorium zip, responses");
}

#[test]
fn responses_of_every_kind() {
    let scan = fixture::scan(true);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("responses.h5");
    let single = scan.single_trials();
    assert_eq!(
        (single.ids().len(), scan.repeat(0).ids().len(), scan.repeat_means().ids().len()),
        (8, 2, 2)
    );
    let predicted = |kind| {
        Responses::new("small", kind, single.ids().to_vec(), single.values().clone()).unwrap()
    };
    let all = [
        scan.repeat_means(),
        predicted(ResponseKind::Predicted(Fitting::InSample)),
        predicted(ResponseKind::Predicted(Fitting::CrossFitted)),
        predicted(ResponseKind::Expected),
        single.clone(),
    ];
    for responses in all {
        responses.write(&path).unwrap();
        assert_eq!(Responses::read(&path).unwrap(), responses);
    }
    let chosen = [single.ids()[5], single.ids()[2]];
    let selected = single.select(&chosen).unwrap();
    assert_eq!(selected.values().row(0), single.values().row(5));
    assert_eq!(selected.values().row(1), scan.responses().row(4));
    assert!(
        single
            .select(&scan.repeat(0).ids()[..1])
            .unwrap_err()
            .to_string()
            .contains(&scan.repeat(0).ids()[0].to_string())
    );
}

/// The names under `datasets` of a spec, with `*` as a wildcard for one part, and whether each is
/// required.
fn spec(name: &str, key: &str) -> Vec<(String, bool)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data-specs").join(name);
    let table: toml::Table = std::fs::read_to_string(path).unwrap().parse().unwrap();
    let text = |entry: &toml::Value| entry["path"].as_str().unwrap().to_owned();
    table[key]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (text(entry), entry["required"].as_bool().unwrap()))
        .collect()
}

#[track_caller]
fn check_spec(name: &str, written: &BTreeSet<String>) {
    let matches = |pattern: &str, path: &str| {
        let (pattern, path): (Vec<&str>, Vec<&str>) =
            (pattern.split('/').collect(), path.split('/').collect());
        let part = |(pattern, part): (&&str, &&str)| match pattern.split_once('*') {
            Some((start, end)) => part.starts_with(start) && part.ends_with(end),
            None => pattern == part,
        };
        pattern.len() == path.len() && pattern.iter().zip(&path).all(part)
    };
    let specified = spec(name, "dataset");
    for path in written {
        assert!(
            specified.iter().any(|(pattern, _)| matches(pattern, path)),
            "{path} is written and not in {name}"
        );
    }
    for (pattern, _) in specified.iter().filter(|(_, required)| *required) {
        assert!(
            written.iter().any(|path| matches(pattern, path)),
            "{pattern} is required in {name} and not written"
        );
    }
}

fn datasets(group: &hdf5::Group, names: &mut BTreeSet<String>) {
    names.extend(
        group
            .datasets()
            .unwrap()
            .iter()
            .map(|dataset| dataset.name().trim_start_matches('/').to_owned()),
    );
    group.groups().unwrap().iter().for_each(|group| datasets(group, names));
}

fn files(folder: &Path, root: &Path, names: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, root, names);
        } else {
            names.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
        }
    }
}

#[test]
fn specs_describe_what_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let scan = fixture::scan(true);
    let path = folder.path().join("small.h5");
    write_static_hdf5(&path, &scan).unwrap();
    let mut names = BTreeSet::new();
    datasets(&hdf5::File::open(&path).unwrap(), &mut names);
    assert!(
        names.contains("statistics/responses/all/std")
            && names.contains("item_info/frame_image_class"),
        "{names:?}"
    );
    check_spec("scan.toml", &names);

    let tree = folder.path().join("small");
    write_sensorium(&tree, &scan).unwrap();
    let mut names = BTreeSet::new();
    files(&tree, &tree, &mut names);
    assert!(
        names.contains("meta/statistics/images/all/mean.npy") && names.contains("config.json"),
        "{names:?}"
    );
    check_spec("sensorium.toml", &names);

    scan.repeat_means().write(&path).unwrap();
    let file = hdf5::File::open(&path).unwrap();
    let mut names = BTreeSet::new();
    datasets(&file, &mut names);
    check_spec("responses.toml", &names);
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data-specs/responses.toml");
    let table: toml::Table = std::fs::read_to_string(table).unwrap().parse().unwrap();
    let mut named: Vec<&str> = table["attribute"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["name"].as_str().unwrap())
        .collect();
    let mut written = file.attr_names().unwrap();
    named.sort();
    written.sort();
    assert_eq!(named, written);
}

#[test]
fn statistics_are_those_of_the_training_tier() {
    let folder = tempfile::tempdir().unwrap();
    let scan = fixture::scan(true);
    let path = folder.path().join("small.h5");
    write_static_hdf5(&path, &scan).unwrap();
    let file = hdf5::File::open(&path).unwrap();
    let rows = scan.trials_in(Tier::Train);
    let column: Vec<f64> = rows.iter().map(|row| f64::from(scan.responses()[[*row, 3]])).collect();
    let mean = column.iter().sum::<f64>() / 6.0;
    let std = (column.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 6.0).sqrt();
    let read = |name: &str| file.dataset(name).unwrap().read_raw::<f32>().unwrap();
    assert!((f64::from(read("statistics/responses/all/mean")[3]) - mean).abs() < 1e-6);
    assert!((f64::from(read("statistics/responses/stimulus_frame/std")[3]) - std).abs() < 1e-6);
    assert_eq!(file.dataset("statistics/images/all/max").unwrap().shape(), [0usize; 0]);
    let brightest = rows
        .iter()
        .flat_map(|row| scan.stimuli().image(scan.trial_image()[*row]))
        .fold(0.0f32, |a, b| a.max(*b));
    assert_eq!(read("statistics/images/all/max"), [(brightest * 255.0).round()]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_finite_responses_survive(values in prop::collection::vec(prop::num::f32::NORMAL | prop::num::f32::ZERO, 16 * 5)) {
        let mut parts = fixture::parts(true);
        parts.responses = Array2::from_shape_vec((16, 5), values).unwrap();
        let scan = Scan::new(parts).unwrap();
        let folder = tempfile::tempdir().unwrap();
        for (name, write) in [("a.h5", write_static_hdf5 as fn(&Path, &Scan) -> _), ("a.zip", write_sensorium)] {
            write(&folder.path().join(name), &scan).unwrap();
            let found = read_scan(&folder.path().join(name)).unwrap();
            prop_assert_eq!(found.responses(), scan.responses());
        }
    }
}
