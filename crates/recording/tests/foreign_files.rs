//! Two small files written by Python (`tests/data/make.py`) hold the same scan.
#![cfg(feature = "hdf5")]

mod fixture;

use brainprior_recording::{Origin, Tier, read_scan, reliability};
use fixture::check_same;
use std::path::Path;

#[test]
fn h5py_and_numpy_agree() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let scan = read_scan(&folder.join("h5py.h5")).unwrap();
    assert_eq!(scan.responses().dim(), (12, 7));
    assert_eq!(scan.responses()[[1, 3]], ((10 * 29) % 64) as f32 / 16.0);
    assert_eq!((scan.stimuli().len(), scan.stimuli().height(), scan.stimuli().width()), (8, 5, 8));
    let expected: Vec<f32> = (0..40)
        .map(|pixel| if pixel == 0 { 3.0 } else { ((3 * 40 + pixel) * 53 % 256) as f32 } / 255.0)
        .collect();
    assert_eq!(scan.stimuli().image(3), expected);
    assert_eq!(scan.trials_in(Tier::Train), [0, 1, 2, 3, 4]);
    assert_eq!(scan.trials_in(Tier::Validation), [5]);
    assert_eq!(
        scan.repeats().into_iter().collect::<Vec<_>>(),
        [(6, vec![6, 8, 10]), (7, vec![7, 9, 11])]
    );
    assert_eq!(scan.image_labels(), Some(&[0, 10, 20, 30, 40, 50, 60, 70][..]));
    assert_eq!(scan.neurons().unit_ids(), [100, 101, 102, 103, 104, 105, 106]);
    assert_eq!(
        (scan.neurons().area()[6].as_str(), scan.neurons().layer()[6].as_str()),
        ("V1", "L2/3")
    );
    assert_eq!(scan.origin(), Origin { animal_id: 17, session: 0, scan_idx: 0 });
    assert_eq!(scan.behavior().unwrap()[[11, 2]], 35.0);
    assert!(scan.pupil_center().is_none() && scan.trial_idx().is_none());
    assert!(reliability(&scan).is_ok());

    check_same(&read_scan(&folder.join("numpy.zip")).unwrap(), &scan);
}
