//! Arrays and pictures from the programs that write them (`tests/data/arrays`, with the script),
//! imported by layouts.
#![cfg(feature = "hdf5")]
#![allow(clippy::print_stderr, reason = "a skipped test says why")]

use brainprior_artifact::npy::{Npy, Values};
use brainprior_recording::import::{Imported, arrays};
use brainprior_recording::{Scan, Tier, read_scan, write_static_hdf5};
use std::fs;
use std::path::{Path, PathBuf};

const RESPONSES: &str =
    "[responses]\nfile = \"responses.npy\"\naxes = [\"neuron\", \"image\", \"repeat\"]\n";
const IMAGES: &str =
    "[images]\nfile = \"trials.npz\"\narray = \"img\"\naxes = [\"image\", \"height\", \"width\"]\n";
const TIERS: &str = "[tiers]\ntrain = [0, 1]\nvalidation = [2]\ntest = \"others\"\n";

/// A folder with the fixtures and a layout.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/arrays");
    for entry in fs::read_dir(data).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    folder
}

fn layout(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("layout.toml");
    fs::write(&path, text).unwrap();
    path
}

#[track_caller]
fn imported(text: &str) -> Imported {
    let folder = folder();
    arrays(&layout(folder.path(), text)).unwrap()
}

/// Asserts that the error is one sentence that names the file, what was expected and found, and
/// what to do.
#[track_caller]
fn refused(folder: &Path, text: &str, parts: &[&str]) {
    let error = arrays(&layout(folder, text)).unwrap_err().to_string();
    for part in parts {
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
    assert!(!error.contains('\n') && error.contains("; "), "{error}");
    assert!(error.starts_with(&folder.display().to_string()), "the file comes first: {error}");
}

/// Checks the responses of the script, in the order of images and repeats, and the grayscale
/// images.
fn check(scan: &Scan) {
    let mut row = 0;
    for image in 0..5 {
        for repeat in 0..4 - image % 3 {
            let expected: Vec<f32> =
                (0..3).map(|neuron| (neuron * 100 + image * 10 + repeat) as f32 / 8.0).collect();
            assert_eq!(scan.responses().row(row).to_vec(), expected, "row {row}");
            let shown = scan.stimuli().image(scan.trial_image()[row]);
            let gray: Vec<f32> =
                (0..24).map(|pixel| ((pixel * 7 + 31 * image) % 256) as f32 / 255.0).collect();
            assert_eq!(shown, gray, "row {row}");
            row += 1;
        }
    }
    assert_eq!((row, scan.responses().dim(), scan.stimuli().height()), (16, (16, 3), 4));
}

#[test]
fn axes_are_named_and_repeats_end_where_no_neuron_has_a_number() {
    let Imported { scan, account } =
        imported(&format!("area = \"V4\"\n{RESPONSES}{IMAGES}{TIERS}"));
    check(&scan);
    assert_eq!(
        [Tier::Train, Tier::Validation, Tier::Test].map(|tier| scan.trials_in(tier).len()),
        [7, 2, 7]
    );
    assert_eq!(
        (scan.neurons().area()[2].as_str(), scan.image_labels().unwrap()),
        ("V4", &[0i64, 1, 2, 3, 4][..])
    );
    assert_eq!(account.dropped(), ["4 of 20 trials without values: images with fewer repeats"]);
    assert_eq!(
        account.taken()[0],
        "responses from responses.npy: 3 neurons x 5 images x 4 repeats, f64"
    );
    assert!(account.assumed().is_empty(), "{account}");
}

#[test]
fn trials_with_numbers_of_images_come_from_npz_and_from_matlab() {
    let of = |file: &str, responses: &str, images: &str| {
        format!(
            "first_image = 1\n[responses]\nfile = \"{file}\"\narray = \"resp\"\naxes = {responses}\n\
             [images]\nfile = \"{file}\"\narray = \"img\"\naxes = {images}\n\
             [trials]\nfile = \"{file}\"\narray = \"istim\"\n[tiers]\nfile = \"tiers.npy\"\n"
        )
    };
    let numpy = imported(&of(
        "trials.npz",
        "[\"trial\", \"neuron\"]",
        "[\"image\", \"height\", \"width\"]",
    ))
    .scan;
    check(&numpy);
    let matlab = imported(&of(
        "trials.mat",
        "[\"neuron\", \"trial\"]",
        "[\"height\", \"width\", \"image\"]",
    ))
    .scan;
    check(&matlab);
    assert_eq!(numpy.tiers(), matlab.tiers());
    assert_eq!((numpy.trials_in(Tier::Test).len(), numpy.image_labels().unwrap()[0]), (7, 1));
}

#[test]
fn flat_images_are_given_a_height_and_a_range() {
    let images = "[images]\nfile = \"flat.npy\"\naxes = [\"image\", \"pixel\"]\nstored = [4, 6]\nrange = [0, 0.000255]\n";
    check(&imported(&format!("{RESPONSES}{images}{TIERS}")).scan);
    let folder = folder();
    let ranged = |images: &str| format!("{RESPONSES}{images}{TIERS}");
    refused(
        folder.path(),
        &ranged(&images.replace("range", "#")),
        &["images.range", "black and white", "f64", "found none"],
    );
    refused(
        folder.path(),
        &ranged(&images.replace("0.000255", "0.0001")),
        &["flat.npy", "pixels from 0 to 0.0001", "at image 0, pixel 15"],
    );
    refused(
        folder.path(),
        &ranged(&images.replace("[4, 6]", "[4, 5]")),
        &["images.stored", "the 24 pixels", "found 4 x 5"],
    );
    // A range that the pixels do not fill is reported.
    let Imported { account, .. } = imported(&ranged(&images.replace("0.000255", "1000")));
    assert!(
        account.taken().iter().any(|line| line.ends_with("with black = 0 and white = 1000")),
        "{account}"
    );
    assert!(account.assumed()[0].contains("0.0% of the stated range [0, 1000]"), "{account}");
}

#[test]
fn pictures_are_taken_in_the_order_of_their_numbers() {
    let pictures = "[images]\nfile = \"pictures.zip\"\ncolor = \"luma\"\n";
    let Imported { scan, account } = imported(&format!("{RESPONSES}{pictures}{TIERS}"));
    // Pillow's grayscale images: identical from PNG, within 3 gray levels from JPEG, whose decoders
    // round differently.
    let gray =
        fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/arrays/gray.npy")).unwrap();
    let gray = &gray[gray.len() - 120..];
    for (image, expected) in gray.chunks(24).enumerate() {
        let found: Vec<u8> =
            scan.stimuli().image(image).iter().map(|pixel| (pixel * 255.0).round() as u8).collect();
        let furthest = found
            .iter()
            .zip(expected)
            .map(|(found, expected)| found.abs_diff(*expected))
            .max()
            .unwrap();
        assert!(
            furthest <= if image == 2 { 3 } else { 0 },
            "image {image}: {found:?}, {expected:?}"
        );
    }
    assert_eq!(account.dropped()[0], "1 files that are not PNG or JPEG: shown/README.txt");
    assert!(account.assumed()[0].ends_with("image 0 is shown/image1.png"), "{account}");
    assert!(
        account.taken()[1].contains(
            "5 pictures of 4 x 6, 5 of them in color, shown/image1.png to shown/image100.png"
        ),
        "{account}"
    );

    let folder = folder();
    let pack = fs::File::open(folder.path().join("pictures.zip")).unwrap();
    zip::ZipArchive::new(pack).unwrap().extract(folder.path()).unwrap();
    let of_folder = format!("{RESPONSES}{}{TIERS}", pictures.replace("pictures.zip", "shown"));
    let from_folder = arrays(&layout(folder.path(), &of_folder)).unwrap().scan;
    assert_eq!(from_folder.stimuli(), scan.stimuli());
    refused(
        folder.path(),
        &of_folder.replace("color = \"luma\"", ""),
        &["images.color", "has colors", "add color = \"luma\""],
    );
    let cut = folder.path().join("shown/image10.png");
    let whole = fs::read(&cut).unwrap();
    fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    refused(folder.path(), &of_folder, &["shown: image10.png", "a complete PNG file", "truncated"]);
    fs::remove_file(&cut).unwrap();
    refused(folder.path(), &of_folder, &["shown: images", "expected 5 images", "found 4"]);
}

/// Saves an array of f8.
fn save(path: &Path, shape: &[usize], values: Vec<f64>) {
    let array = Npy { shape: shape.to_vec(), values: Values::Doubles(values) };
    fs::write(path, array.to_bytes()).unwrap();
}

#[test]
fn behavior_and_the_pupil_have_the_axes_of_the_responses() {
    let folder = folder();
    let value =
        |signal: usize, image: usize, repeat: usize| (signal * 100 + image * 10 + repeat) as f64;
    let all = |signals: usize| -> Vec<f64> {
        (0..signals * 20).map(|index| value(index / 20, index / 4 % 5, index % 4)).collect()
    };
    let mut behavior = all(3);
    // The eye was lost in the second trial of image 1; values of trials that were not recorded are
    // arbitrary.
    behavior[5] = f64::NAN;
    behavior[4 * 2 + 3] = f64::NAN;
    save(&folder.path().join("behavior.npy"), &[3, 5, 4], behavior);
    save(&folder.path().join("pupil.npy"), &[2, 5, 4], all(2));
    let signals = "[behavior]\nfile = \"behavior.npy\"\naxes = [\"signal\", \"image\", \"repeat\"]\n\
                   [pupil_center]\nfile = \"pupil.npy\"\naxes = [\"signal\", \"image\", \"repeat\"]\n";
    let text = format!("{RESPONSES}{IMAGES}{TIERS}{signals}");
    let Imported { scan, account } = arrays(&layout(folder.path(), &text)).unwrap();
    assert_eq!((scan.responses().nrows(), scan.behavior().unwrap().dim()), (15, (15, 3)));
    let mut row = 0;
    for image in 0..5 {
        for repeat in (0..4 - image % 3).filter(|repeat| (image, *repeat) != (1, 1)) {
            let of = |signals: usize| {
                (0..signals).map(|signal| value(signal, image, repeat) as f32).collect::<Vec<_>>()
            };
            assert_eq!(scan.behavior().unwrap().row(row).to_vec(), of(3), "row {row}");
            assert_eq!(scan.pupil_center().unwrap().row(row).to_vec(), of(2), "row {row}");
            assert_eq!(scan.responses()[(row, 0)], (image * 10 + repeat) as f32 / 8.0);
            row += 1;
        }
    }
    assert!(
        account.dropped().contains(&"1 of 16 trials with NaN in behavior or pupil".to_owned()),
        "{account}"
    );
    assert!(
        account.taken().contains(&"behavior from behavior.npy: 3 signals".to_owned()),
        "{account}"
    );
    refused(
        folder.path(),
        &text.replace("pupil.npy", "behavior.npy"),
        &["behavior.npy", "2 signals: x and y", "found 3"],
    );
    refused(
        folder.path(),
        &text.replace("\"signal\", \"image\", \"repeat\"", "\"signal\", \"trial\""),
        &["behavior.axes", "[signal, image, repeat] in any order", "[signal, trial]"],
    );
    save(&folder.path().join("behavior.npy"), &[3, 4, 5], all(3));
    refused(folder.path(), &text, &["behavior.npy", "5 images x 4 repeats", "4 x 5 of 3 signals"]);
    save(&folder.path().join("behavior.npy"), &[3, 5, 4], vec![f64::NAN; 60]);
    refused(folder.path(), &text, &["behavior and pupil_center", "NaN in all 16"]);
}

#[test]
fn formats_that_are_not_read_are_named() {
    let folder = folder();
    let all = format!("{RESPONSES}{IMAGES}{TIERS}");
    let with = |name: &str| all.replace("responses.npy", name);
    fs::create_dir(folder.path().join("responses.zarr")).unwrap();
    refused(folder.path(), &with("responses.zarr"), &["responses.zarr", "a Zarr store"]);
    fs::write(folder.path().join("responses.pkl"), b"\x80\x04").unwrap();
    refused(
        folder.path(),
        &with("responses.pkl"),
        &["responses.pkl", "a Python pickle", "numpy.save"],
    );
    fs::write(folder.path().join("responses.avi"), b"RIFF").unwrap();
    refused(folder.path(), &with("responses.avi"), &["responses.avi", "a movie"]);
    let assembly = hdf5::File::create(folder.path().join("assembly.nc")).unwrap();
    for name in ["neuroid_id", "stimulus_id", "values"] {
        assembly.new_dataset_builder().with_data(&[1, 2]).create(name).unwrap();
    }
    assembly.close().unwrap();
    refused(folder.path(), &with("assembly.nc"), &["assembly.nc", "a BrainIO assembly", "layout"]);
}

#[test]
fn images_are_averaged_down_and_never_enlarged() {
    let smaller = format!("{RESPONSES}{IMAGES}size = [2, 3]\n{TIERS}");
    let Imported { scan, account } = imported(&smaller);
    // For the first image: (0 + 7 + 1) / 2 = 4, (42 + 49 + 1) / 2 = 46, with mean 25.
    assert_eq!((scan.stimuli().height(), scan.stimuli().width()), (2, 3));
    assert_eq!(scan.stimuli().image(0)[0], 25.0 / 255.0);
    assert!(
        account
            .taken()
            .iter()
            .any(|line| line.contains("each pixel is the mean of 2.0000 x 2.0000")),
        "{account}"
    );
    refused(
        folder().path(),
        &smaller.replace("[2, 3]", "[8, 3]"),
        &["images.size", "at most 4 x 6", "found 8 x 3"],
    );
}

#[test]
fn tiers_are_drawn_or_listed_or_refused() {
    let counts = "[tiers.counts]\ntrain = 2\nvalidation = 1\ntest = 2\nseed = 7\n";
    let text = format!("{RESPONSES}{IMAGES}{counts}");
    let Imported { scan, account } = imported(&text);
    assert_eq!(scan.repeats().len(), 2);
    assert!(account.assumed()[0].contains("drawn with seed 7"), "{account}");
    assert_eq!(imported(&text).scan.tiers(), scan.tiers());
    let folder = folder();
    let with = |tiers: &str| format!("{RESPONSES}{IMAGES}{tiers}");
    refused(
        folder.path(),
        &with(&counts.replace("train = 2", "train = 3")),
        &["tiers.counts", "5 images in total", "3 + 1 + 2 = 6"],
    );
    refused(
        folder.path(),
        &with("[tiers]\ntrain = [0, 1]\ntest = [4]\n"),
        &["every image with trials", "image 2 in no list"],
    );
    refused(
        folder.path(),
        &with("[tiers]\ntrain = [0, 5]\ntest = \"others\"\n"),
        &["tiers.train", "from 0 to 4", "found 5"],
    );
    refused(
        folder.path(),
        &with("[tiers]\ntrain = [0, 1]\ntest = [1, 2, 3, 4]\n"),
        &["tiers.test", "image 1 in train and in test"],
    );
    refused(folder.path(), &with("[tiers]\nall = \"rest\"\n"), &["all = \"rest\"", "train"]);
    refused(
        folder.path(),
        &with(
            "[tiers]\nall = \"test\"\ncounts = { train = 1, validation = 1, test = 1, seed = 1 }\n",
        ),
        &["one way"],
    );
}

#[test]
fn what_is_cut_missing_or_no_number_is_named() {
    let folder = folder();
    let all = format!("{RESPONSES}{IMAGES}{TIERS}");
    let nan = all.replace("responses.npy", "responses-nan.npy");
    refused(
        folder.path(),
        &nan,
        &["responses-nan.npy", "NaN for neuron 1 at image 2, repeat 0", "2 neurons have values"],
    );
    refused(
        folder.path(),
        &all.replace("responses.npy", "responses-pickled.npy"),
        &["responses-pickled.npy", "|O", "allow_pickle=False"],
    );
    refused(
        folder.path(),
        &all.replace("\"repeat\"", "\"neuron\""),
        &["responses.axes", "[neuron, image, neuron]"],
    );
    refused(
        folder.path(),
        &all.replace(", \"repeat\"", ""),
        &["responses.npy", "2 axes, [neuron, image]", "shape [3, 5, 4]"],
    );
    refused(
        folder.path(),
        &all.replace("\"neuron\", \"image\"", "\"image\", \"neuron\""),
        &[
            "trials.npz: images",
            "expected 3 images",
            "found 5",
            "the axis named neuron has that size",
            "responses.axes",
        ],
    );
    refused(
        folder.path(),
        &all.replace("array = \"img\"", ""),
        &["trials.npz", "resp, istim, img", "array ="],
    );
    refused(
        folder.path(),
        &all.replace("\"img\"", "\"stim\""),
        &["trials.npz: stim", "resp, istim, img"],
    );
    refused(
        folder.path(),
        &format!("{}{IMAGES}{TIERS}", RESPONSES.replace("axes", "axis")),
        &[
            "layout.toml: line 3: expected one of the keys file, array or axes, found the key axis; data-specs/layout.toml",
        ],
    );
    refused(
        folder.path(),
        &format!("{RESPONSES}{IMAGES}"),
        &["expected a section [tiers], found none"],
    );
    refused(
        folder.path(),
        &all.replace("\"repeat\"", "\"cell\""),
        &["expected neuron, image, repeat or trial, found \"cell\""],
    );
    refused(
        folder.path(),
        &all.replace("[2]", "\"some\""),
        &["numbers of images, or \"others\", found validation = \"some\""],
    );
    refused(
        folder.path(),
        &format!("first_image = \"1\"\n{all}"),
        &["line 1: expected a whole number of at least 0, found the text \"1\""],
    );
    let path = folder.path().join("responses.npy");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 9]).unwrap();
    refused(folder.path(), &all, &["responses.npy", "480 bytes of data", "471 bytes", "truncated"]);
    fs::write(&path, "MATLAB 5.0 MAT-file, Platform: GLNXA64").unwrap();
    refused(folder.path(), &all, &["responses.npy", "a MATLAB 5 file", "-v7.3"]);
    fs::remove_file(&path).unwrap();
    let error = arrays(&layout(folder.path(), &all)).unwrap_err().to_string();
    assert!(error.contains("responses.npy: could not open"), "{error}");
}

fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/real").join(name);
    if !path.exists() {
        eprintln!("skipped: there is no {}", path.display());
        return None;
    }
    Some(path.canonicalize().unwrap())
}

/// Checks that a published recording gives the scan that was made from it elsewhere, written and
/// read again.
#[track_caller]
fn comes_to(text: &str, known: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let imported = arrays(&layout(folder.path(), text)).unwrap().scan;
    let written = folder.path().join("scan.h5");
    write_static_hdf5(&written, &imported).unwrap();
    let (scan, known) = (read_scan(&written).unwrap(), read_scan(known).unwrap());
    assert_eq!(scan.responses(), known.responses());
    assert_eq!(scan.tiers(), known.tiers());
    assert_eq!(scan.trial_image(), known.trial_image());
    assert_eq!(scan.neurons().area(), known.neurons().area());
    assert_eq!(
        (scan.stimuli().height(), scan.stimuli().len()),
        (known.stimuli().height(), known.stimuli().len())
    );
    let off = |(found, known): (&f32, &f32)| ((found - known).abs() * 255.0).round() as usize;
    let differences: Vec<usize> =
        scan.stimuli().pixels().iter().zip(known.stimuli().pixels()).map(off).collect();
    let differ = differences.iter().filter(|difference| **difference > 0).count();
    eprintln!(
        "{differ} of {} pixels differ, at most by {:?} grays",
        differences.len(),
        differences.iter().max()
    );
    // JPEG decoders may round to neighboring gray levels.
    assert!(
        differences.iter().all(|difference| *difference <= 1) && differ * 100 <= differences.len()
    );
}

#[test]
fn the_published_recording_of_macaque_v4_comes_to_its_scan() {
    let Some(real) = shared("cowley2023-macaque-v4") else { return };
    let known = real.join("v4-210325.h5");
    let scan = read_scan(&known).unwrap();
    let of_tier = |tier| {
        let mut images: Vec<i64> = scan
            .trials_in(tier)
            .iter()
            .map(|trial| scan.image_labels().unwrap()[scan.trial_image()[*trial]])
            .collect();
        images.dedup();
        images
    };
    let text = format!(
        "area = \"V4\"\n[responses]\nfile = {:?}\naxes = [\"neuron\", \"image\", \"repeat\"]\n\
         [images]\nfile = {:?}\nsize = [56, 56]\n[tiers]\ntrain = \"others\"\nvalidation = {:?}\ntest = {:?}\n",
        real.join("responses_raw_210325.npy"),
        real.join("images_210325.zip"),
        of_tier(Tier::Validation),
        of_tier(Tier::Test)
    );
    comes_to(&text, &known);
}

#[test]
fn the_published_recordings_of_mouse_v1_come_to_their_scans() {
    let Some(real) = shared("antolik2016-mouse-v1") else { return };
    for region in [1, 2] {
        let text = format!(
            "area = \"V1\"\n[responses]\nfile = {:?}\naxes = [\"repeat\", \"image\", \"neuron\"]\n\
             [images]\nfile = {:?}\naxes = [\"image\", \"pixel\"]\nstored = [31, 31]\nrange = [0, 0.000255]\n[tiers]\nall = \"test\"\n",
            real.join(format!("region{region}_raw_validation_set.npy")),
            real.join("region1_validation_inputs.npy")
        );
        comes_to(&text, &real.join(format!("region{region}-validation.h5")));
    }
}
