//! NWB files from their real writers (`tests/data/nwb`, with the scripts), against what pynwb and
//! AllenSDK read from them.
#![cfg(feature = "hdf5")]

mod npz;

use brainprior_recording::import::{ImageAxis, Imported, NwbSettings, TierCounts, Window, nwb};
use brainprior_recording::{Scan, Tier};
use npz::{Arrays, close, unpacked};
use std::fs;
use std::path::Path;

const DFF: &str = "processing/ophys/DfOverF/DfOverF";
const SCENES: &str = "stimulus/presentation/natural_scenes_stimulus";

/// Settings with only the number of images per tier.
fn settings(train: usize, validation: usize, test: usize) -> NwbSettings {
    let mut settings = NwbSettings::default();
    settings.common.tiers = Some(TierCounts { train, validation, test, seed: 1 });
    settings
}

fn with_axes(mut settings: NwbSettings) -> NwbSettings {
    settings.common.images.axes = Some(vec![ImageAxis::Height, ImageAxis::Width]);
    settings
}

/// Checks that each trial shows the image with the expected number.
#[track_caller]
fn check_images(scan: &Scan, image: &[i64], images: &[u8]) {
    let area = scan.stimuli().height() * scan.stimuli().width();
    assert_eq!(scan.trial_image().len(), image.len());
    for (trial, image) in image.iter().enumerate() {
        let expected: Vec<f32> = images[*image as usize * area..][..area]
            .iter()
            .map(|byte| f32::from(*byte) / 255.0)
            .collect();
        assert_eq!(scan.stimuli().image(scan.trial_image()[trial]), expected, "trial {trial}");
    }
}

#[track_caller]
fn contains(lines: &[String], sentence: &str) {
    assert!(lines.iter().any(|line| line.contains(sentence)), "{sentence:?} is not in: {lines:#?}");
}

#[test]
fn visual_coding_of_nwb_2_holds_what_pynwb_reads() {
    let folder = unpacked("nwb/nwb2.zip");
    let Imported { scan, account } =
        nwb(&folder.path().join("allen.nwb"), &settings(8, 2, 2)).unwrap();
    let expected = Arrays::read("nwb/expected2.npz");
    assert_eq!(scan.trial_idx().unwrap(), expected.whole("allen_trial"));
    check_images(&scan, expected.whole("allen_image"), expected.bytes("allen_images"));
    close(scan.responses(), expected.floats("allen_responses"), 2.0);
    // The slope of a line, computed in double precision in a different order.
    close(scan.behavior().unwrap(), expected.floats("allen_behavior"), 16.0);
    close(scan.pupil_center().unwrap(), expected.floats("allen_pupil"), 0.0);
    assert_eq!(scan.neurons().unit_ids(), expected.whole("allen_units"));
    assert_eq!(scan.neurons().area()[0], "VISp");
    assert_eq!((scan.stimuli().height(), scan.stimuli().width()), (6, 8));
    assert_eq!(scan.repeats().len(), 2);
    for sentence in [
        "movies: stimulus/presentation/natural_movie_one_stimulus",
        "other responses: processing/ophys/DfOverF/DfOverFEvents, processing/ophys/Fluorescence/Corrected",
        "4 of 52 presentations that show a blank",
        "presentations with non-finite behavior",
    ] {
        contains(account.dropped(), sentence);
    }
    contains(account.assumed(), "numbered by their names (NaturalScene0 is image 0)");
    contains(account.assumed(), "from 0.05 s after image onset, for 0.5 s");
}

#[test]
fn the_brain_observatory_of_nwb_1_holds_what_allensdk_reads() {
    let folder = unpacked("nwb/nwb1.zip");
    let Imported { scan, account } =
        nwb(&folder.path().join("allen-1.nwb"), &settings(8, 2, 2)).unwrap();
    let expected = Arrays::read("nwb/expected1.npz");
    assert_eq!(scan.trial_idx().unwrap(), expected.whole("trial"));
    check_images(&scan, expected.whole("image"), expected.bytes("images"));
    close(scan.responses(), expected.floats("responses"), 2.0);
    close(scan.behavior().unwrap(), expected.floats("behavior"), 16.0);
    close(scan.pupil_center().unwrap(), expected.floats("pupil"), 0.0);
    assert_eq!(scan.neurons().unit_ids(), expected.whole("units"));
    assert_eq!(
        (scan.neurons().area()[0].as_str(), scan.neurons().layer()[0].as_str()),
        ("VISp", "275 microns")
    );
    contains(account.taken(), "onsets from frame_duration");
    contains(account.dropped(), "other stimuli: natural_movie_one_stimulus");
    contains(account.dropped(), "4 of 52 presentations");
}

#[test]
fn a_table_of_intervals_names_images_and_units_spike() {
    let folder = unpacked("nwb/nwb2.zip");
    let path = folder.path().join("table.nwb");
    let Imported { scan, account } = nwb(&path, &with_axes(settings(10, 1, 1))).unwrap();
    let expected = Arrays::read("nwb/expected2.npz");
    check_images(&scan, expected.whole("table_image"), expected.bytes("table_images"));
    close(scan.responses(), expected.floats("table_responses"), 0.0);
    assert_eq!(scan.neurons().unit_ids(), [10, 11, 12]);
    contains(account.taken(), "image_name and stimulus_index, which agree");
    contains(account.dropped(), "3 of 39 presentations that show a blank");
    contains(account.assumed(), "the number of spikes");
    assert!(scan.behavior().is_none());

    // Another order of the axes transposes the images and nothing else.
    let mut turned = settings(10, 1, 1);
    turned.common.images.axes = Some(vec![ImageAxis::Width, ImageAxis::Height]);
    let turned = nwb(&path, &turned).unwrap().scan;
    assert_eq!((turned.stimuli().height(), turned.stimuli().width()), (6, 4));
    let (upright, lying) = (
        scan.stimuli().image(scan.trial_image()[0]),
        turned.stimuli().image(turned.trial_image()[0]),
    );
    assert!((0..24).all(|pixel| upright[pixel] == lying[pixel % 6 * 4 + pixel / 6]));
    assert_eq!(turned.responses(), scan.responses());
}

#[test]
fn images_of_a_series_were_shown_and_planes_are_neighbors() {
    let folder = unpacked("nwb/nwb2.zip");
    let path = folder.path().join("shown.nwb");
    let mut wanted = settings(3, 1, 1);
    refused(
        &path,
        &wanted,
        &["--responses", "RoiResponseSeries0", "RoiResponseSeries1", "--responses PATH"],
    );
    wanted.responses = vec![
        "RoiResponseSeries0".into(),
        "/processing/ophys/Fluorescence/RoiResponseSeries1".into(),
    ];
    let Imported { scan, account } = nwb(&path, &wanted).unwrap();
    let expected = Arrays::read("nwb/expected2.npz");
    check_images(&scan, expected.whole("shown_image"), expected.bytes("shown_images"));
    close(scan.responses(), expected.floats("shown_responses"), 2.0);
    assert_eq!(
        (scan.neurons().unit_ids(), scan.neurons().area()[5].as_str()),
        (&[0, 1, 2, 100, 101, 102][..], "VISl")
    );
    assert_eq!(
        [Tier::Train, Tier::Validation, Tier::Test].map(|tier| scan.trials_in(tier).len()),
        [18, 6, 6]
    );
    contains(account.taken(), "from their attribute `dimension`, 7 x 4: height, then width");
    contains(account.assumed(), "stored neurons first");
    contains(account.assumed(), "25 of 30 images have the same pixels as another");

    wanted.common.window = Window::new(0.0, 0.2).unwrap();
    let early = nwb(&path, &wanted).unwrap().scan;
    assert_ne!(early.responses(), scan.responses());
    wanted.responses = vec!["Corrected".into()];
    refused(
        &path,
        &wanted,
        &["--responses", "\"Corrected\"", "RoiResponseSeries0", "give its path"],
    );
}

/// Asserts that the error is one sentence that names the file, what was expected and found, and
/// what to do.
#[track_caller]
fn refused(path: &Path, settings: &NwbSettings, parts: &[&str]) {
    let error = nwb(path, settings).unwrap_err().to_string();
    for part in parts {
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
    assert!(
        !error.contains('\n')
            && error.contains("; ")
            && error.starts_with(&path.display().to_string()),
        "{error}"
    );
}

/// The same for a file of `nwb2.zip` after a change.
#[track_caller]
fn refused_after(
    name: &str,
    change: impl FnOnce(&hdf5::File),
    settings: &NwbSettings,
    parts: &[&str],
) {
    let folder = unpacked("nwb/nwb2.zip");
    let path = folder.path().join(name);
    let file = hdf5::File::open_rw(&path).unwrap();
    change(&file);
    file.close().unwrap();
    refused(&path, settings, parts);
}

fn set(file: &hdf5::File, dataset: &str, change: impl FnOnce(&mut Vec<f64>)) {
    let dataset = file.dataset(dataset).unwrap();
    let mut values: Vec<f64> = dataset.read_raw().unwrap();
    change(&mut values);
    dataset.write_raw(&values).unwrap();
}

#[test]
fn what_a_file_leaves_in_doubt_is_asked_for() {
    let folder = unpacked("nwb/nwb2.zip");
    let (allen, table) = (folder.path().join("allen.nwb"), folder.path().join("table.nwb"));
    refused(
        &allen,
        &NwbSettings::default(),
        &["--tiers", "12 images", "12 have repeats", "for example --tiers 9,1,2"],
    );
    refused(&allen, &settings(9, 1, 3), &["--tiers", "12 images in total", "9 + 1 + 3 = 13"]);
    refused(
        &table,
        &settings(10, 1, 1),
        &["--image-axes", "which of the axes [4, 6]", "height,width or width,height"],
    );
    let mut wanted = with_axes(settings(10, 1, 1));
    wanted.column = Some("stop_time".into());
    refused(&table, &wanted, &["stop_time", "numbers of the 12 images", "5.25 at 0"]);
    wanted.column = Some("photo".into());
    refused(&table, &wanted, &["--column", "\"photo\"", "image_name"]);
    let mut movie = settings(8, 2, 2);
    movie.presentations = Some("natural_movie_one_stimulus".into());
    refused(
        &allen,
        &movie,
        &["natural_movie_one_stimulus", "still images", "movies are not supported"],
    );
    wanted.column = Some("image_name".into());
    wanted.presentations = Some("intervals/photographs_presentations".into());
    let by_name = nwb(&table, &wanted).unwrap();
    contains(by_name.account.taken(), "from the column image_name");
    // Without a stated order, and with names that do not define one.
    let photographs = "stimulus/templates/photographs";
    let by_number =
        || NwbSettings { column: Some("stimulus_index".into()), ..with_axes(settings(10, 1, 1)) };
    refused_after(
        "table.nwb",
        |file| {
            let group = file.group(photographs).unwrap();
            group.unlink("order_of_images").unwrap();
            group.relink("im7", "sky").unwrap();
        },
        &by_number(),
        &["order_of_images", "the order of images", "im0, im1, im10"],
    );
    refused_after(
        "table.nwb",
        |file| {
            set(file, "intervals/photographs_presentations/stimulus_index", |values| {
                values.swap(1, 2)
            })
        },
        &with_axes(settings(10, 1, 1)),
        &["--column", "image_name and stimulus_index", "different images in row"],
    );
}

#[test]
fn what_is_cut_missing_or_on_another_clock_is_named() {
    let all = settings(8, 2, 2);
    let folder = unpacked("nwb/nwb2.zip");
    let cut = folder.path().join("allen.nwb");
    let whole = fs::read(&cut).unwrap();
    fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    refused(&cut, &all, &["could not open the file", "truncated"]);
    refused_after(
        "allen.nwb",
        |file| file.group(SCENES).unwrap().unlink("timestamps").unwrap(),
        &all,
        &[SCENES, "timestamps, or a starting_time and its rate", "neither", "they hold the times"],
    );
    refused_after(
        "allen.nwb",
        |file| {
            file.group("processing/ophys/Fluorescence/Corrected")
                .unwrap()
                .unlink("timestamps")
                .unwrap()
        },
        &all,
        &["DfOverF/timestamps", "a dangling link"],
    );
    refused_after(
        "allen.nwb",
        |file| {
            set(file, &format!("{SCENES}/timestamps"), |times| {
                times.iter_mut().for_each(|time| *time += 1000.0)
            })
        },
        &all,
        &["presentations", "most of the 48", "0 of them, 48 beyond a recording", "same clock"],
    );
    refused_after(
        "allen.nwb",
        |file| set(file, &format!("{SCENES}/timestamps"), |times| times[7] = f64::NAN),
        &all,
        &["natural_scenes_stimulus/timestamps", "finite, non-decreasing times", "NaN at 7"],
    );
    refused_after(
        "allen.nwb",
        |file| set(file, &format!("{SCENES}/timestamps"), |times| times.swap(7, 8)),
        &all,
        &["natural_scenes_stimulus/timestamps", "non-decreasing", "at 8"],
    );
    refused_after(
        "allen.nwb",
        |file| set(file, &format!("{SCENES}/data"), |images| images[3] = 12.0),
        &all,
        &["natural_scenes_stimulus/data", "numbers of the 12 images", "12 at 3"],
    );
    refused_after(
        "allen.nwb",
        |file| {
            set(file, &format!("{DFF}/data"), |values| {
                values.iter_mut().for_each(|value| *value = f64::NAN)
            })
        },
        &all,
        &["most of the 48", "48 with non-finite responses"],
    );
    refused_after(
        "allen.nwb",
        |file| {
            file.group("stimulus/presentation").unwrap().unlink("natural_scenes_stimulus").unwrap()
        },
        &all,
        &["--presentations", "only movies: stimulus/presentation/natural_movie_one_stimulus"],
    );
    refused_after(
        "table.nwb",
        |file| file.group("/").unwrap().unlink("units").unwrap(),
        &with_axes(settings(10, 1, 1)),
        &["a RoiResponseSeries or a table Units", "found none"],
    );
}

#[test]
fn the_clocks_of_nwb_1_must_agree() {
    let folder = unpacked("nwb/nwb1.zip");
    let path = folder.path().join("allen-1.nwb");
    let file = hdf5::File::open_rw(&path).unwrap();
    set(&file, &format!("{SCENES}/timestamps"), |times| {
        times.iter_mut().for_each(|time| *time += 3.0)
    });
    file.close().unwrap();
    refused(
        &path,
        &settings(8, 2, 2),
        &["natural_scenes_stimulus/timestamps", "within 0.25 s", "clocks", "disagree"],
    );
}

#[test]
fn neurons_and_trials_without_numbers_are_dropped_and_counted() {
    let folder = unpacked("nwb/nwb2.zip");
    let path = folder.path().join("allen.nwb");
    let file = hdf5::File::open_rw(&path).unwrap();
    set(&file, &format!("{DFF}/data"), |values| {
        values.iter_mut().skip(2).step_by(4).for_each(|value| *value = f64::NAN);
        values[4 * 30 + 1] = f64::NAN;
    });
    file.close().unwrap();
    let mut wanted = settings(8, 2, 2);
    wanted.common.behavior = false;
    let Imported { scan, account } = nwb(&path, &wanted).unwrap();
    assert_eq!(
        (scan.neurons().unit_ids(), scan.behavior()),
        (&[517_000_000, 517_000_007, 517_000_021][..], None)
    );
    contains(account.dropped(), "1 neurons without a value in any window: 517000014");
    contains(account.dropped(), "2 presentations with non-finite responses");
    assert_eq!(scan.responses().nrows(), 46);
}

#[test]
fn formats_that_are_not_read_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    fs::create_dir(folder.path().join("session.zarr")).unwrap();
    refused(&folder.path().join("session.zarr"), &settings(1, 1, 1), &["a Zarr store", "HDF5"]);
    refused(&write("eye.mp4", b"...."), &settings(1, 1, 1), &["a movie", "not supported"]);
    refused(
        &write("a.mat", b"MATLAB 5.0 MAT-file, Platform"),
        &settings(1, 1, 1),
        &["a MATLAB 5 file", "-v7.3"],
    );
    refused(
        &write("a.pkl", b"\x80\x04abc"),
        &settings(1, 1, 1),
        &["a Python pickle", "numpy.save"],
    );
    refused(
        &write("a.nwb", b"no file of this kind"),
        &settings(1, 1, 1),
        &["an HDF5 file", "begins with"],
    );
    refused(&npz::data("h5py.h5"), &settings(1, 1, 1), &["an NWB file", "without an NWB version"]);
}
