//! A folder written by suite2p (`tests/data/suite2p`, with the script), against NumPy.
#![cfg(feature = "hdf5")]

mod npz;

use brainprior_recording::import::{
    ImageAxis, Imported, OnsetUnit, Settings, Suite2pSettings, TierCounts, Traces, suite2p,
};
use npz::{Arrays, close, data, unpacked};
use std::fs;
use std::path::Path;

fn settings(onsets: &str) -> Suite2pSettings {
    let mut common = Settings {
        tiers: Some(TierCounts { train: 4, validation: 1, test: 1, seed: 1 }),
        ..Settings::default()
    };
    common.images.axes = Some(vec![ImageAxis::Image, ImageAxis::Height, ImageAxis::Width]);
    Suite2pSettings {
        common,
        onsets: data(onsets),
        unit: None,
        images: data("suite2p/images.npy"),
        rate: 10.0,
        traces: Traces::Spikes,
        first_image: 0,
    }
}

#[track_caller]
fn contains(lines: &[String], sentence: &str) {
    assert!(lines.iter().any(|line| line.contains(sentence)), "{sentence:?} is not in: {lines:#?}");
}

#[test]
fn cells_of_all_planes_respond_to_what_the_table_of_onsets_says() {
    let folder = unpacked("suite2p/folder.zip");
    let expected = Arrays::read("suite2p/expected.npz");
    let Imported { scan, account } =
        suite2p(folder.path(), &settings("suite2p/onsets.csv")).unwrap();
    close(scan.responses(), expected.floats("spikes"), 2.0);
    assert_eq!(scan.trial_idx().unwrap(), expected.whole("trial"));
    let images = fs::read(data("suite2p/images.npy")).unwrap();
    let images = &images[images.len() - 120..];
    for (trial, image) in expected.whole("image").iter().enumerate() {
        let shown: Vec<f32> = images[*image as usize * 20..][..20]
            .iter()
            .map(|byte| f32::from(*byte) / 255.0)
            .collect();
        assert_eq!(scan.stimuli().image(scan.trial_image()[trial]), shown, "trial {trial}");
    }
    contains(account.dropped(), "other columns of the onsets: comment");
    contains(account.dropped(), "1 of 43 onsets that show a blank");
    contains(account.dropped(), "1 presentations whose window extends beyond");
    contains(account.dropped(), "plane0: 1 of");
    contains(account.assumed(), "image numbers start at 0");

    // The same from an array, and from other traces.
    let mut array = settings("suite2p/onsets.npy");
    array.unit = Some(OnsetUnit::Frames);
    assert_eq!(
        suite2p(&folder.path().join("suite2p"), &array).unwrap().scan.responses(),
        scan.responses()
    );
    array.traces = Traces::Fluorescence;
    close(
        suite2p(folder.path(), &array).unwrap().scan.responses(),
        expected.floats("fluorescence"),
        2.0,
    );
    array.common.window = brainprior_recording::import::Window::new(1.0, 0.5).unwrap();
    assert_ne!(suite2p(folder.path(), &array).unwrap().scan.responses(), scan.responses());
}

#[test]
fn pictures_are_known_by_their_names() {
    let folder = unpacked("suite2p/folder.zip");
    let arrays = unpacked("arrays/pictures.zip");
    let shown = arrays.path().join("shown");
    let rename = |from: &str, to: &str| fs::rename(shown.join(from), shown.join(to)).unwrap();
    for (place, name) in ["image1.png", "image2.png", "image9.jpg", "image10.png", "image100.png"]
        .into_iter()
        .enumerate()
    {
        rename(name, &format!("im{place}.{}", name.rsplit('.').next().unwrap()));
    }
    fs::copy(shown.join("im0.png"), shown.join("im5.png")).unwrap();
    let text = fs::read_to_string(data("suite2p/named.csv")).unwrap().replace("im2.png", "im2");
    let onsets = folder.path().join("named.csv");
    fs::write(&onsets, &text).unwrap();
    let mut wanted = settings("suite2p/onsets.csv");
    (wanted.onsets, wanted.images) = (onsets.clone(), shown);
    (wanted.common.images.axes, wanted.common.images.luma) = (None, true);
    wanted.common.tiers = Some(TierCounts { train: 3, validation: 1, test: 1, seed: 1 });
    let Imported { scan, account } = suite2p(folder.path(), &wanted).unwrap();
    let expected = Arrays::read("suite2p/expected.npz");
    close(scan.responses(), expected.floats("spikes"), 2.0);
    contains(account.assumed(), "1 of 6 images have the same pixels as another");
    fs::write(&onsets, text.replace("im3.png", "im7.png")).unwrap();
    refused(folder.path(), &wanted, &["named.csv: image", "\"im7.png\" in row"]);
}

/// Asserts that the error is one sentence that names a file, what was expected and found, and what
/// to do.
#[track_caller]
fn refused(folder: &Path, settings: &Suite2pSettings, parts: &[&str]) {
    let error = suite2p(folder, settings).unwrap_err().to_string();
    for part in parts {
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
    assert!(!error.contains('\n') && error.contains("; "), "{error}");
}

#[test]
fn what_is_cut_missing_or_on_another_clock_is_named() {
    let folder = unpacked("suite2p/folder.zip");
    let path = folder.path();
    let usual = settings("suite2p/onsets.csv");
    refused(path, &settings("suite2p/onsets.npy"), &["--onsets-in", "seconds", "frames"]);
    refused(path, &Suite2pSettings { rate: 0.0, ..usual.clone() }, &["--rate", "fs in ops.npy"]);
    refused(
        path,
        &Suite2pSettings { images: data("arrays/flat.npy"), ..usual.clone() },
        &["flat.npy", "3 axes"],
    );
    refused(
        path,
        &Suite2pSettings { onsets: data("suite2p/none.csv"), ..usual.clone() },
        &["none.csv"],
    );
    let onsets = path.join("onsets.csv");
    let table = |text: &str| {
        fs::write(&onsets, text).unwrap();
        Suite2pSettings { onsets: onsets.clone(), ..usual.clone() }
    };
    refused(path, &table("image,start\n1,2\n"), &["line 1", "seconds or frame", "image, start"]);
    refused(path, &table("image,frame\n1,2\n2,soon\n"), &["line 3", "\"soon\" as frame"]);
    refused(path, &table("image,frame\n1,nan\n"), &["onsets", "NaN in row 0"]);
    refused(path, &table("image,frame\n6,20\n"), &["image", "0 to 5", "6 in row 0"]);
    refused(
        path,
        &table("image,frame\n5,9000\n4,9010\n"),
        &["most of the 2", "2 beyond a recording", "same clock"],
    );
    let spikes = path.join("suite2p/plane1/spks.npy");
    let whole = fs::read(&spikes).unwrap();
    fs::write(&spikes, &whole[..whole.len() - 3]).unwrap();
    refused(path, &usual, &["plane1/spks.npy", "bytes, for", "truncated"]);
    let (header, _) = whole.split_at(128);
    fs::write(&spikes, [header, &vec![0; whole.len() - 128]].concat()).unwrap();
    refused(path, &usual, &["plane1/spks.npy", "zeros throughout", "--traces f"]);
    fs::write(&spikes, [header, &vec![255; whole.len() - 128]].concat()).unwrap();
    let account = suite2p(path, &usual).unwrap().account;
    contains(account.dropped(), "neurons without a value in any window");
    fs::remove_file(&spikes).unwrap();
    refused(path, &usual, &["plane1/spks.npy: could not open", "the folder that suite2p wrote"]);
    refused(&data("arrays"), &usual, &["plane0, plane1", "found none"]);
}
