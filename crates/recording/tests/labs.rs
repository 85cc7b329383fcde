//! Files as labs have them, from the programs that write them (`tests/data/labs`, with the
//! scripts): each is either read as the scan it holds, or refused in a sentence that names the
//! file, what was found and expected, and what to do.

mod fixture;

use brainprior_recording::{Notes, ResponseKind, Responses, Scan, read_scan, read_scan_with_notes};
use std::fs;
use std::path::{Path, PathBuf};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/labs").join(name)
}

/// The scan in all of them: that of `user-block.h5`, which differs from the plainest file only in
/// its first bytes.
fn plain() -> Scan {
    let scan = read_scan(&file("user-block.h5")).unwrap();
    assert_eq!(
        (scan.stimuli().len(), scan.responses()[[1, 3]]),
        (8, ((10 * 29) % 64) as f32 / 16.0)
    );
    scan
}

/// Checks that images, tiers and responses are those of the plain file, and returns the notes from
/// reading.
#[track_caller]
fn holds(path: &Path) -> (Scan, Notes) {
    let (scan, notes) = read_scan_with_notes(path).unwrap();
    let plain = plain();
    let shown = |scan: &Scan| {
        scan.trial_image().iter().map(|image| scan.stimuli().ids()[*image]).collect::<Vec<_>>()
    };
    assert_eq!(shown(&scan), shown(&plain), "{}", path.display());
    assert_eq!(scan.responses(), plain.responses(), "{}", path.display());
    assert_eq!(scan.tiers(), plain.tiers(), "{}", path.display());
    (scan, notes)
}

#[track_caller]
fn refused(path: &Path, parts: &[&str]) {
    let error = read_scan(path).unwrap_err().to_string();
    let name = path.file_name().unwrap().to_str().unwrap();
    for part in parts.iter().chain(&[name]) {
        assert!(error.contains(part), "{part:?} is not in {error:?}");
    }
    let plugins = Path::new("lib").join("plugin");
    assert!(
        !error.contains(plugins.to_str().unwrap()),
        "a folder of the machine that built HDF5: {error}"
    );
}

#[test]
fn user_blocks_are_passed_over() {
    holds(&file("user-block.h5"));
    refused(
        &file("matlab.mat"),
        &["images", "(*, 1, *, *)", "(8, 5, 1, 12)", "MATLAB stores axes in reverse"],
    );
}

#[test]
fn additional_datasets_of_any_type_are_ignored() {
    holds(&file("other-types.h5"));
    let listed = brainprior_artifact::hdf5::list(&file("other-types.h5")).unwrap();
    assert_eq!(
        (listed["lab/opaque"].dtype.as_str(), listed["lab/float8"].dtype.as_str()),
        ("(2 bytes)", "(1 bytes)")
    );
    assert_eq!(
        (listed["lab/boolean"].dtype.as_str(), listed["images"].dtype.as_str()),
        ("bool", "u8")
    );
}

#[test]
fn lzf_and_blosc_are_undone_without_a_plugin() {
    for name in ["lzf.h5", "blosc.h5", "blosc-zstd.h5"] {
        holds(&file(name));
    }
    refused(
        &file("blosc-snappy.h5"),
        &["images", "Blosc (around BloscLZ, LZ4, zlib or Zstd)", "settings", "h5repack"],
    );
}

#[test]
fn filters_that_are_missing_are_named() {
    for (name, filter) in [
        ("szip.h5", "szip (number 4)"),
        ("zstd.h5", "Zstd (number 32015)"),
        ("lz4.h5", "LZ4 (number 32004)"),
        ("bitshuffle.h5", "Bitshuffle (number 32008)"),
        ("blosc2.h5", "Blosc2 (number 32026)"),
    ] {
        refused(&file(name), &["images", filter, "not installed", "HDF5_PLUGIN_PATH", "h5repack"]);
    }
}

#[test]
fn links_are_followed_or_refused_where_they_lead_nowhere() {
    let (scan, _) = holds(&file("links.h5"));
    assert_eq!(
        (scan.behavior().unwrap()[[11, 2]], scan.pupil_center().unwrap()[[11, 1]]),
        (35.0, 11.5)
    );
    for kind in ["soft", "external"] {
        for part in ["behavior", "pupil_center", "item_info/image_id", "neurons/unit_ids"] {
            let short = part.rsplit('/').next().unwrap().replace('_', "-");
            refused(
                &file(&format!("dangling-{kind}-{short}.h5")),
                &[part, "a dangling link", "remove the link"],
            );
        }
    }
    refused(&file("dangling-external-behavior.h5"), &["moved.h5"]);
    refused(&file("dangling-soft-neurons.h5"), &["neurons: ", "a dangling link"]);
}

#[test]
fn groups_in_the_place_of_datasets_are_called_groups() {
    for part in ["behavior", "pupil_center", "responses", "tiers"] {
        let name = format!("group-{}.h5", part.replace('_', "-"));
        refused(&file(&name), &[part, "expected a dataset", "a group that holds data"]);
    }
}

#[test]
fn virtual_data_are_read_or_their_missing_source_is_named() {
    holds(&file("virtual.h5"));
    refused(
        &file("virtual-gone.h5"),
        &["responses", "\"virtual-moved.h5\", which is missing", "put that file back"],
    );
    refused(
        &file("virtual-renamed.h5"),
        &["renamed of \"virtual-source.h5\"", "no dataset of that name"],
    );
    refused(
        &file("virtual-part.h5"),
        &["responses", "sources for 35 of its 84 values", "fill values"],
    );
}

#[test]
fn raw_data_are_read_or_their_missing_or_short_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (path, raw) = (folder.path().join("external.h5"), folder.path().join("external.raw"));
    let bytes = fs::read(file("external.raw")).unwrap();
    fs::copy(file("group-responses.h5"), &path).unwrap();
    let written = hdf5::File::open_rw(&path).unwrap();
    written.unlink("responses").unwrap();
    let builder =
        written.new_dataset::<f32>().shape((12, 7)).external(raw.to_str().unwrap(), 0, bytes.len());
    drop(builder.create("responses").unwrap());
    drop(builder);
    written.close().unwrap();

    refused(&path, &["responses", "external.raw", "which is missing", "HDF5_EXTFILE_PREFIX"]);
    fs::write(&raw, &bytes).unwrap();
    holds(&path);
    fs::write(&raw, &bytes[..100]).unwrap();
    refused(&path, &["responses", "336 bytes", "100 bytes", "truncated"]);
    refused(&file("external-gone.h5"), &["external-moved.raw", "which is missing"]);
}

/// A file from a writer that stopped halfway: HDF5 reads zeros.
#[test]
fn data_that_were_never_written_are_no_zeros() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("half.h5");
    for (chunk, parts) in [(Some((4, 7)), "1 of its 3 chunks"), (None, "none of its 84 values")] {
        fs::copy(file("group-responses.h5"), &path).unwrap();
        let written = hdf5::File::open_rw(&path).unwrap();
        written.unlink("responses").unwrap();
        let builder = written.new_dataset::<f32>();
        match chunk {
            Some(chunk) => {
                let dataset = builder.chunk(chunk).shape((12, 7)).create("responses").unwrap();
                dataset.write_slice(&ndarray::Array2::<f32>::ones((4, 7)), (..4, ..)).unwrap();
            }
            None => drop(builder.shape((12, 7)).create("responses").unwrap()),
        }
        written.close().unwrap();
        refused(&path, &["responses", "complete data", parts]);
    }
}

#[test]
fn other_files_whose_data_a_file_shows_are_its_sources() {
    let sources = |name: &str| {
        let found = brainprior_artifact::hdf5::sources(&file(name)).unwrap();
        found
            .iter()
            .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(sources("virtual.h5"), ["virtual-source.h5"]);
    assert_eq!(sources("links.h5"), ["links-target.h5"]);
    assert_eq!(sources("user-block.h5"), [] as [&str; 0]);
    assert_eq!(sources("virtual-gone.h5"), [] as [&str; 0]);
}

#[test]
fn a_walk_visits_a_group_once_whatever_the_links() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("circle.h5");
    fs::copy(file("user-block.h5"), &path).unwrap();
    let written = hdf5::File::open_rw(&path).unwrap();
    let group = written.create_group("a/b").unwrap();
    group.link_hard("/a", "up").unwrap();
    group.link_soft("/", "top").unwrap();
    group.link_external("circle.h5", "/a", "out").unwrap();
    written.link_soft("/own", "own").unwrap();
    // HDF5 keeps a file open, and locked, as long as any object in it is open.
    drop(group);
    written.close().unwrap();

    holds(&path);
    let listed = brainprior_artifact::hdf5::list(&path).unwrap();
    let shown = |name: &str| listed[name].dtype.as_str();
    assert_eq!(
        (shown("a/b/up"), shown("a/b/top"), shown("a/b/out")),
        ("(as a)", "(as /)", "(as a)")
    );
    assert_eq!((shown("own"), listed.len()), ("(dangling link)", 7));
}

#[test]
fn a_file_that_somebody_writes_says_so() {
    refused(&file("swmr-left.h5"), &["the mark of a program that is writing it", "h5clear -s"]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("busy.h5");
    fs::copy(file("user-block.h5"), &path).unwrap();
    let writer = fs::File::open(&path).unwrap();
    writer.lock().unwrap();
    refused(&path, &["a file that another program has locked", "read a copy"]);
    drop(writer);
    holds(&path);
}

#[test]
fn the_range_of_pixels_is_certain_or_must_be_stated() {
    let notes = |name: &str| holds(&file(name)).1;
    assert_eq!((notes("pixels-unit.h5").white, notes("pixels-float-bytes.h5").white), (1.0, 255.0));
    for name in ["pixels-overshoot.h5", "tree-pixels-overshoot.zip"] {
        refused(
            &file(name),
            &[
                "images",
                "from 0 to 1 or from 0 to 255",
                "1.02",
                "attribute `range`",
                "meta/image_range.npy",
            ],
        );
    }
    refused(&file("pixels-percent.h5"), &["images", "a maximum of 100;"]);
    for name in ["pixels-stated.h5", "tree-pixels-stated.zip"] {
        let (scan, notes) = read_scan_with_notes(&file(name)).unwrap();
        assert_eq!((notes.white, notes.stated, notes.clipped), (1.0, true, 1));
        assert_eq!(
            (scan.stimuli().image(3)[2 * 8 + 4], scan.stimuli().image(3)[1]),
            (1.0, plain().stimuli().image(3)[1])
        );
        assert!(
            notes.remarks()[0].contains("1 pixels lie outside the stated range"),
            "{:?}",
            notes.remarks()
        );
    }
    refused(&file("pixels-stated-wrongly.h5"), &["images: row 0, pixel 1", "[0, 1]", "53"]);
}

#[test]
fn whole_numbers_of_one_are_no_certain_range() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("binary.h5");
    fs::copy(file("user-block.h5"), &path).unwrap();
    let written = hdf5::File::open_rw(&path).unwrap();
    written.unlink("images").unwrap();
    let images = ndarray::Array4::from_shape_fn((12, 1, 5, 8), |(row, _, y, x)| {
        u8::from(40 * row + 8 * y + x > 41)
    });
    drop(written.new_dataset_builder().with_data(&images).create("images").unwrap());
    written.close().unwrap();
    refused(&path, &["images", "a maximum of 1;"]);
    let written = hdf5::File::open_rw(&path).unwrap();
    drop(
        written
            .dataset("images")
            .unwrap()
            .new_attr_builder()
            .with_data(&[0.0, 1.0])
            .create("range")
            .unwrap(),
    );
    written.close().unwrap();
    // The rows after the second show one image in three tiers, which is detected only once the
    // pixels are known.
    refused(&path, &["is in tier"]);
}

#[test]
fn identifiers_are_whole_and_stay_apart() {
    for name in ["ids-large.h5", "tree-ids-large.zip"] {
        assert_eq!(
            holds(&file(name)).0.image_labels(),
            None,
            "too large for a label, and distinct: {name}"
        );
    }
    for name in ["ids-floats.h5", "tree-ids-floats.zip"] {
        let (scan, _) = holds(&file(name));
        assert_eq!(scan.image_labels(), Some(&[0, 10, 20, 30, 40, 50, 60, 70][..]));
        assert_eq!(scan.neurons().unit_ids(), [100, 101, 102, 103, 104, 105, 106]);
    }
    for name in ["units-large.h5", "tree-units-large.zip"] {
        refused(&file(name), &["unit_ids", "below 2^63", "92233720368547758"]);
    }
    for name in ["units-fractional.h5", "tree-units-fractional.zip"] {
        refused(&file(name), &["unit_ids", "whole numbers", "100.5 in row 0"]);
    }
    for name in ["ids-fractional.h5", "tree-ids-fractional.zip"] {
        refused(&file(name), &["image_id", "whole numbers", "0.25 in row 0"]);
    }
    for name in ["trial-idx-nan.h5", "tree-trial-idx-nan.zip"] {
        refused(&file(name), &["trial_idx", "whole numbers", "NaN in row 4"]);
    }
}

#[test]
fn several_identifiers_for_one_image_are_a_remark() {
    let (_, notes) = holds(&file("ids-several.h5"));
    assert_eq!(notes.identifiers, Some((12, 8)));
    assert!(notes.remarks()[0].contains("12 identifiers for 8 images"));
}

#[test]
fn packed_numbers_of_netcdf_are_unpacked() {
    for name in
        ["netcdf-packed.nc", "netcdf-h5netcdf.nc", "netcdf-unsigned.nc", "netcdf-characters.nc"]
    {
        let (scan, _) = holds(&file(name));
        assert_eq!(scan.behavior().unwrap()[[11, 2]], 35.0);
    }
    refused(&file("netcdf-missing.nc"), &["responses: row 7, neuron 3", "NaN"]);
}

#[test]
fn responses_stored_neurons_by_trials_are_blamed() {
    refused(
        &file("transposed.h5"),
        &["responses: expected 12 rows, like images and tiers", "7 rows of 12", "trials x neurons"],
    );
    refused(
        &file("tree-transposed.zip"),
        &["data/responses/0.npy", "one vector, of one trial", "[7, 12]"],
    );
}

#[test]
fn rows_of_synthetic_images_are_left_out_and_counted() {
    for name in ["tier-test-mei.h5", "tree-tier-test-mei.zip"] {
        let (_, notes) = holds(&file(name));
        assert_eq!(notes.left_out.get("test_mei"), Some(&2));
        assert!(
            notes.remarks()[0].starts_with("2 rows of tier test_mei are left out"),
            "{:?}",
            notes.remarks()
        );
    }
}

#[test]
fn statistics_in_whole_numbers_change_nothing() {
    holds(&file("statistics-whole.h5"));
}

/// As an archive, and unpacked.
#[test]
fn trees_are_read_whatever_numpy_or_macos_put_there() {
    for name in ["tree.zip", "tree-apple.zip", "tree-types.zip"] {
        let (zipped, _) = holds(&file(name));
        let folder = unpacked(&file(name));
        let (scan, _) = holds(&folder.path().join("static17-2-3"));
        fixture::check_same(&scan, &zipped);
        assert_eq!(scan.behavior().unwrap()[[11, 2]], 35.0);
    }
}

#[test]
fn links_of_a_tree_are_followed_or_refused_where_they_lead_nowhere() {
    let folder = unpacked(&file("tree.zip"));
    let tree = folder.path().join("static17-2-3");
    let link =
        |target: &str, name: &str| std::os::unix::fs::symlink(target, tree.join(name)).unwrap();
    fs::rename(tree.join("data/behavior"), folder.path().join("kept")).unwrap();
    link("../../kept", "data/behavior");
    link("..", "data/again");
    assert!(holds(&tree).0.behavior().is_some());
    let listed = brainprior_recording::list_sensorium(&tree).unwrap();
    assert_eq!(listed["data/images/*.npy"].shape, [1, 5, 8]);
    assert!(listed.keys().all(|name| !name.contains("again")), "{listed:?}");
    for name in ["data/pupil_center", "meta/trials/image_id.npy", "meta/neurons"] {
        link("moved", name);
        refused(&tree, &[name, "a link to moved, which is missing", "remove the link"]);
        fs::remove_file(tree.join(name)).unwrap();
    }
    fs::remove_file(tree.join("data/behavior")).unwrap();
    assert!(holds(&tree).0.behavior().is_none());
}

#[test]
fn responses_of_other_writers_are_read() {
    for name in ["responses-fixed.h5", "responses-arrays.h5"] {
        let responses = Responses::read(&file(name)).unwrap();
        assert_eq!((responses.scan(), responses.values()[[1, 2]]), ("a", 5.0));
        assert!(matches!(responses.kind(), ResponseKind::Measured(_)));
        assert_eq!(responses.ids()[1].to_u64(), (1 << 63) + 1);
    }
}

fn unpacked(path: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    zip::ZipArchive::new(fs::File::open(path).unwrap()).unwrap().extract(folder.path()).unwrap();
    folder
}
