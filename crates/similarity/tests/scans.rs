//! Averages over scans, within the tile and of whole matrices, and scans that do not match.

use brainprior_images::ImageId;
use brainprior_similarity::{
    Error, Images, Population, ScanVectors, SimilarityMatrix, Sweep, average, vectors,
};
use ndarray::{Array2, Axis};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

struct Made {
    name: String,
    ids: Vec<ImageId>,
    values: Array2<f32>,
    weights: Vec<f32>,
}

fn made(name: &str, images: impl Iterator<Item = u64>, neurons: usize, seed: u64) -> Made {
    let ids: Vec<ImageId> = images.map(ImageId::from_u64).collect();
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    let values =
        Array2::from_shape_fn((ids.len(), neurons), |_| generator.random_range(0.0f32..1.0));
    let weights = (0..neurons)
        .map(|neuron| if neuron % 4 == 3 { 0.0 } else { generator.random_range(0.5..2.0) })
        .collect();
    Made { name: name.into(), ids, values, weights }
}

fn together(scans: &[&Made], images: Images) -> brainprior_similarity::Result<SimilarityMatrix> {
    let views: Vec<_> = scans.iter().map(|scan| scan.values.view()).collect();
    let sources: Vec<ScanVectors<'_>> = scans
        .iter()
        .zip(&views)
        .map(|(scan, view)| ScanVectors {
            name: &scan.name,
            ids: &scan.ids,
            rows: view,
            weights: &scan.weights,
        })
        .collect();
    Population::new(&sources, images)?.matrix(&Sweep::default())
}

fn alone(scan: &Made) -> SimilarityMatrix {
    vectors(&scan.ids, scan.values.view(), &scan.weights, &scan.name).unwrap()
}

#[test]
fn accumulation_within_the_tile_is_the_average_of_the_matrices() {
    let scans = [
        made("a", 0..500, 30, 1),
        made("b", (0..500).rev(), 17, 2),
        made("c", (0..500).map(|image| (image * 7) % 500), 5, 3),
    ];
    let scans: Vec<&Made> = scans.iter().collect();
    let expected = average(
        &scans.iter().map(|scan| alone(scan)).collect::<Vec<_>>().iter().collect::<Vec<_>>(),
    )
    .unwrap();
    for images in [Images::Identical, Images::OfAnyScan, Images::OfEveryScan] {
        let found = together(&scans, images).unwrap();
        assert_eq!(found.ids(), expected.ids());
        assert_eq!(found.scans(), expected.scans());
        assert!(found.packed().iter().zip(expected.packed()).all(|(a, b)| (a - b).abs() < 1e-6));
        assert!(found.provenance().last().unwrap().contains("3 scans"), "{:?}", found.provenance());
    }
}

#[test]
fn an_image_missing_in_a_scan_averages_over_those_that_have_it() {
    let (a, b) = (made("a", 0..400, 30, 1), made("b", 100..450, 20, 2));
    let c = made("c", 0..450, 9, 3);
    let expected = average(&[&alone(&a), &alone(&b), &alone(&c)]).unwrap();
    let found = together(&[&a, &b, &c], Images::OfAnyScan).unwrap();
    assert_eq!(found.ids(), expected.ids());
    assert_eq!(found.scans(), expected.scans());
    assert_eq!((found.scans()[0], found.scans()[200], found.scans()[430]), (2, 3, 2));
    assert!(found.packed().iter().zip(expected.packed()).all(|(a, b)| (a - b).abs() < 1e-6));
    assert!(
        found.provenance().last().unwrap().contains("150 of them missing"),
        "{:?}",
        found.provenance()
    );

    // Images of every scan: means are over these images only.
    let shared: Vec<usize> = (100..400).collect();
    let cut = |scan: &Made, first: usize| Made {
        name: scan.name.clone(),
        ids: shared.iter().map(|image| scan.ids[image - first]).collect(),
        values: scan
            .values
            .select(Axis(0), &shared.iter().map(|image| image - first).collect::<Vec<_>>()),
        weights: scan.weights.clone(),
    };
    let expected = average(&[&alone(&cut(&a, 0)), &alone(&cut(&b, 100))]).unwrap();
    let found = together(&[&a, &b], Images::OfEveryScan).unwrap();
    assert_eq!(found.ids(), expected.ids());
    assert!(found.packed().iter().zip(expected.packed()).all(|(a, b)| (a - b).abs() < 1e-6));
}

#[test]
fn more_scans_than_bits_of_a_word() {
    let scans: Vec<Made> = (0..70)
        .map(|scan| made(&scan.to_string(), if scan < 69 { 0..40 } else { 20..60 }, 3, scan))
        .collect();
    let all = made("all", 0..60, 4, 99);
    let scans: Vec<&Made> = scans.iter().chain([&all]).collect();
    let expected = average(
        &scans.iter().map(|scan| alone(scan)).collect::<Vec<_>>().iter().collect::<Vec<_>>(),
    )
    .unwrap();
    let found = together(&scans, Images::OfAnyScan).unwrap();
    assert_eq!(found.scans(), expected.scans());
    assert!(found.packed().iter().zip(expected.packed()).all(|(a, b)| (a - b).abs() < 1e-6));
}

#[test]
fn images_that_match_in_no_scan() {
    let (a, b) = (made("day 1", 0..10, 5, 1), made("day 2", 20..30, 5, 2));
    let error = together(&[&a, &b], Images::OfEveryScan).unwrap_err();
    assert!(matches!(error, Error::NoSharedImages { shared: 0, .. }), "{error}");
    assert!(
        error.to_string().contains("day 1, day 2")
            && error.to_string().contains("matched by content"),
        "{error}"
    );
    let error = together(&[&a, &b], Images::OfAnyScan).unwrap_err();
    assert!(matches!(error, Error::NoCommonScan { .. }), "{error}");
    assert!(error.to_string().contains("day 1") && error.to_string().contains("day 2"), "{error}");
}

#[test]
fn differing_image_sets_say_what_is_averaged_over_what() {
    let (a, b) = (made("day 1", 0..10, 5, 1), made("day 2", 3..10, 5, 2));
    let error = together(&[&a, &b], Images::Identical).unwrap_err();
    assert!(
        matches!(
            error,
            Error::DifferentImages { first_images: 10, second_images: 7, shared: 7, .. }
        ),
        "{error}"
    );
    let text = error.to_string();
    assert!(
        text.contains("day 1") && text.contains("day 2") && text.contains("0000000000000000"),
        "{text}"
    );
}

#[test]
fn a_vector_without_direction_names_its_image_and_its_scan() {
    let (a, mut b) = (made("day 1", 0..10, 5, 1), made("day 2", 0..10, 4, 2));
    // Images lie in opposite pairs around (2, 2, 2, 2), except image 6, which lies there, and image
    // 7, which completes the mean.
    for (image, mut row) in b.values.rows_mut().into_iter().enumerate() {
        for (neuron, value) in row.iter_mut().enumerate() {
            let away = [1.0, -1.0][image % 2] * ((image / 2 + neuron) % 5 + 1) as f32;
            *value = if image == 6 { 2.0 } else { 2.0 + away };
        }
    }
    b.ids.remove(7);
    b.values.remove_index(Axis(0), 7);
    let mut a = a;
    a.ids.remove(7);
    a.values.remove_index(Axis(0), 7);
    let error = together(&[&a, &b], Images::Identical).unwrap_err();
    assert!(
        matches!(&error, Error::ZeroVector { image: 6, source_name, .. } if source_name == "day 2"),
        "{error}"
    );
    assert!(
        error.to_string().contains("day 2") && error.to_string().contains("0000000000000006"),
        "{error}"
    );

    b.weights = vec![0.0; 4];
    let error = together(&[&a, &b], Images::Identical).unwrap_err();
    assert!(
        matches!(&error, Error::NoNeurons { neurons: 4, source_name } if source_name == "day 2"),
        "{error}"
    );
}
