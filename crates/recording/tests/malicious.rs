//! Small files that claim much memory or time, or sizes whose product overflows: each is refused in
//! one sentence.
#![cfg(feature = "hdf5")]

mod fixture;

use brainprior_artifact::npy::{Npy, Values};
use brainprior_recording::import::{
    ImageAxis, Settings, Suite2pSettings, TierCounts, Traces, arrays, experanto, suite2p,
};
use brainprior_recording::{Responses, read_scan, write_sensorium, write_static_hdf5};
use hdf5::types::VarLenUnicode;
use std::fs;
use std::io::Write;
use std::path::Path;

#[track_caller]
fn contains(error: &str, parts: &[&str]) {
    for part in parts {
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
    assert!(!error.contains('\n'), "{error}");
}

/// Checks the message after `change` was applied to a valid HDF5 scan.
#[track_caller]
fn refused(change: impl FnOnce(&hdf5::File), parts: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small.h5");
    write_static_hdf5(&path, &fixture::scan(true)).unwrap();
    let file = hdf5::File::open_rw(&path).unwrap();
    change(&file);
    file.close().unwrap();
    contains(&read_scan(&path).unwrap_err().to_string(), parts);
}

/// An array file with an arbitrary header.
fn array(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    [&b"\x93NUMPY\x01\x00"[..], &(header.len() as u16).to_le_bytes(), header.as_bytes(), data]
        .concat()
}

#[test]
fn a_dataset_that_unpacks_to_much_more_than_its_file_is_not_read() {
    refused(
        |file| {
            file.unlink("responses").unwrap();
            // Equal numbers compress to a thousandth of their size.
            let builder = file.new_dataset_builder().deflate(9).chunk((16, 1 << 22));
            let dataset = builder.empty::<i32>().shape((16, 1 << 22)).create("responses").unwrap();
            dataset.write(&ndarray::Array2::<i32>::zeros((16, 1 << 22))).unwrap();
        },
        &[
            "small.h5",
            "responses: expected no more than 256 times the",
            "shape [16, 4194304], of 4 bytes each",
            "store it without compression",
        ],
    );
}

#[test]
fn a_text_that_many_rows_share_is_counted_for_each_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small.h5");
    write_static_hdf5(&path, &fixture::scan(true)).unwrap();
    let file = hdf5::File::open_rw(&path).unwrap();
    file.unlink("tiers").unwrap();
    let mut texts: Vec<VarLenUnicode> = vec!["x".parse().unwrap(); 4096];
    texts[0] = "x".repeat(1 << 15).parse().unwrap();
    let place =
        file.new_dataset_builder().with_data(&texts).create("tiers").unwrap().offset().unwrap()
            as usize;
    file.close().unwrap();
    // Each row is a length and a file offset, in 16 bytes: all are replaced by those of the first.
    let mut bytes = fs::read(&path).unwrap();
    for row in 1..texts.len() {
        bytes.copy_within(place..place + 16, place + 16 * row);
    }
    fs::write(&path, bytes).unwrap();
    let parts =
        ["small.h5: tiers: expected no more than 256 times", "found strings of 134221824 bytes"];
    contains(&read_scan(&path).unwrap_err().to_string(), &parts);
}

#[test]
fn a_dataset_without_an_array_is_no_array() {
    refused(
        |file| {
            file.unlink("behavior").unwrap();
            file.new_dataset_builder()
                .empty::<f32>()
                .shape(hdf5::Extents::Null)
                .create("behavior")
                .unwrap();
        },
        &["behavior", "expected a dataset of shape"],
    );
    refused(
        |file| {
            file.unlink("neurons/unit_ids").unwrap();
            file.new_dataset_builder()
                .empty::<u64>()
                .shape((0, usize::MAX / 2))
                .create("neurons/unit_ids")
                .unwrap();
        },
        &["neurons/unit_ids", "expected a dataset of shape"],
    );
}

#[test]
fn an_attribute_without_a_value_has_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("responses.h5");
    fixture::scan(true).single_trials().write(&path).unwrap();
    let file = hdf5::File::open_rw(&path).unwrap();
    file.delete_attr("version").unwrap();
    file.new_attr_builder().empty::<u32>().shape(hdf5::Extents::Null).create("version").unwrap();
    file.close().unwrap();
    contains(
        &Responses::read(&path).unwrap_err().to_string(),
        &["attribute version", "expected one value, found 0"],
    );
}

#[test]
fn images_without_pixels_are_no_images() {
    refused(
        |file| {
            for (name, columns) in [("images", 0), ("responses", 5)] {
                file.unlink(name).unwrap();
                let shape = if name == "images" { vec![0, 1, 0, 0] } else { vec![0, columns] };
                file.new_dataset_builder().empty::<f32>().shape(shape).create(name).unwrap();
            }
            for name in ["tiers", "behavior", "pupil_center", "item_info"] {
                file.unlink(name).unwrap();
            }
            file.new_dataset_builder()
                .empty::<hdf5::types::FixedAscii<8>>()
                .shape(0)
                .create("tiers")
                .unwrap();
        },
        &["images", "at least one row and one column of pixels", "found 0 x 0"],
    );
}

#[test]
fn a_tree_that_unpacks_to_much_more_than_its_archive_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small.zip");
    write_sensorium(&path, &fixture::scan(true)).unwrap();
    let mut archive = zip::ZipArchive::new(fs::File::open(&path).unwrap()).unwrap();
    let mut packed = zip::ZipWriter::new(std::io::Cursor::new(vec![]));
    let options = zip::write::SimpleFileOptions::default();
    for place in 0..archive.len() {
        let member = archive.by_index_raw(place).unwrap();
        let name = member.name().unwrap().into_owned();
        match name.as_str() {
            "data/responses/0.npy" => {
                packed.start_file(name, options).unwrap();
                let zeros =
                    Npy { shape: vec![12 << 20], values: Values::Floats(vec![0.0; 12 << 20]) };
                packed.write_all(&zeros.to_bytes()).unwrap();
            }
            _ => packed.raw_copy_file(member).unwrap(),
        }
    }
    fs::write(&path, packed.finish().unwrap().into_inner()).unwrap();
    contains(
        &read_scan(&path).unwrap_err().to_string(),
        &[
            "small.zip",
            "could not unpack data/responses/0.npy",
            "it decompresses to more than 256 times the",
            "store it without compression",
        ],
    );
}

#[test]
fn sizes_of_traces_whose_product_is_no_number_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    // 2^62 rows of four numbers of four bytes: 0 modulo 2^64.
    fs::write(folder.path().join("spks.npy"), array("<f4", "(4611686018427387904, 4)", &[]))
        .unwrap();
    fs::write(folder.path().join("onsets.csv"), "seconds,image\n0.5,0\n").unwrap();
    let images = Npy { shape: vec![2, 2, 2], values: Values::Bytes((0..8).collect()) };
    fs::write(folder.path().join("images.npy"), images.to_bytes()).unwrap();
    let mut common = Settings {
        tiers: Some(TierCounts { train: 1, validation: 1, test: 0, seed: 1 }),
        ..Settings::default()
    };
    common.images.axes = Some(vec![ImageAxis::Image, ImageAxis::Height, ImageAxis::Width]);
    let settings = Suite2pSettings {
        common,
        onsets: folder.path().join("onsets.csv"),
        unit: None,
        images: folder.path().join("images.npy"),
        rate: 10.0,
        traces: Traces::Spikes,
        first_image: 0,
    };
    let error = suite2p(folder.path(), &settings).unwrap_err().to_string();
    contains(
        &error,
        &["spks.npy", "more than 2^64 bytes, for 4611686018427387904 rois x 4 samples"],
    );
}

/// A session of one image whose response file has `bytes` and claims these numbers of samples and
/// signals.
fn session(samples: &str, signals: &str, bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    put("screen/meta.yml", b"modality: screen\n");
    put(
        "screen/timestamps.npy",
        &Npy { shape: vec![1], values: Values::Doubles(vec![0.0]) }.to_bytes(),
    );
    put("screen/meta/00000.yml", b"modality: image\ntier: train\nfirst_frame_idx: 0\n");
    put(
        "screen/data/00000.npy",
        &Npy { shape: vec![2, 2], values: Values::Bytes(vec![1, 2, 3, 4]) }.to_bytes(),
    );
    let meta = format!(
        "modality: sequence\nis_mem_mapped: true\ndtype: uint8\nsampling_rate: 8.0\nstart_time: 0.0\nn_signals: {signals}\n\
         n_timestamps: {samples}\n"
    );
    put("responses/meta.yml", meta.as_bytes());
    put("responses/data.mem", bytes);
    experanto(folder.path()).unwrap_err().to_string()
}

#[test]
fn a_memory_map_without_samples_has_no_signals_either() {
    contains(
        &session("0", "1099511627776", b""),
        &["data.mem", "0 samples of 1099511627776 signals, at least one of each"],
    );
    contains(&session("4294967296", "4294967296", b""), &["data.mem", "more than 2^64 bytes"]);
}

#[test]
fn a_shape_along_which_nothing_lies_is_not_gone_along() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("responses.npy"), array("<f4", "(1152921504606846976, 0)", &[]))
        .unwrap();
    let images = Npy { shape: vec![2, 2, 2], values: Values::Bytes((0..8).collect()) };
    fs::write(folder.path().join("images.npy"), images.to_bytes()).unwrap();
    let layout = |images: &str, more: &str| -> String {
        let text = format!(
            "{more}[responses]\nfile = \"responses.npy\"\naxes = [\"image\", \"neuron\"]\n[images]\nfile = \"images.npy\"\n{images}\n\
             [tiers]\nall = \"train\"\n"
        );
        fs::write(folder.path().join("layout.toml"), text).unwrap();
        arrays(&folder.path().join("layout.toml")).unwrap_err().to_string()
    };
    let axes = "axes = [\"image\", \"height\", \"width\"]";
    contains(
        &layout(axes, ""),
        &["responses.npy", "axes that are not empty", "[1152921504606846976, 0]"],
    );
    fs::write(folder.path().join("responses.npy"), array("<f4", "(3, 0)", &[])).unwrap();
    contains(&layout(axes, ""), &["responses.npy", "expected values, found none, in shape [3, 0]"]);
    fs::write(folder.path().join("responses.npy"), array("<f4", "(2, 1)", &[0; 8])).unwrap();
    contains(
        &layout(axes, "first_image = 9223372036854775807\n"),
        &["first_image", "0 to 4294967295"],
    );
    // Modulo 2^64 the product would be the four pixels that the file has.
    let images = Npy { shape: vec![2, 4], values: Values::Bytes((0..8).collect()) };
    fs::write(folder.path().join("images.npy"), images.to_bytes()).unwrap();
    let stored = "axes = [\"image\", \"pixel\"]\nstored = [2305843009213693953, 4]";
    contains(
        &layout(stored, ""),
        &["images.stored", "the 4 pixels", "found 2305843009213693953 x 4"],
    );
}

#[test]
fn names_that_would_be_copied_for_each_of_their_members_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("names.h5");
    let file = hdf5::File::create(&path).unwrap();
    file.create_group(&"long".repeat(300)).unwrap();
    file.close().unwrap();
    let error = brainprior_artifact::hdf5::list(Path::new(&path)).unwrap_err().to_string();
    contains(
        &error,
        &[
            "names.h5: names: expected at most 1024 letters, found a name of 1200 letters that begins with longlong",
        ],
    );
}
