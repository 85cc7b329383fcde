//! The written file matches the data spec.

use brainprior_images::{LabeledImages, LabeledSplit, write_labeled};
use safetensors::SafeTensors;
use std::collections::HashMap;

#[derive(serde::Deserialize)]
struct Spec {
    format: String,
    dataset: Vec<Dataset>,
}

#[derive(serde::Deserialize)]
struct Dataset {
    path: String,
    dtype: String,
    shape: Vec<String>,
    required: bool,
}

#[test]
fn the_writer_follows_the_spec() {
    let spec: Spec = toml::from_str(include_str!("../../../data-specs/image-set.toml")).unwrap();
    let names = vec!["cat".to_owned(), "dog".to_owned()];
    let split = LabeledSplit {
        train: LabeledImages::new(3, 4, 5, vec![7; 2 * 60], vec![0, 1], names.clone()).unwrap(),
        test: LabeledImages::new(3, 4, 5, vec![9; 60], vec![1], names).unwrap(),
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.safetensors");
    write_labeled(&path, &split).unwrap();

    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut written = file.names();
    let mut required: Vec<&str> =
        spec.dataset.iter().filter(|set| set.required).map(|set| set.path.as_str()).collect();
    written.sort_unstable();
    required.sort_unstable();
    assert_eq!((spec.format.as_str(), &written), ("safetensors", &required));

    let mut sizes: HashMap<&str, usize> = HashMap::new();
    for set in &spec.dataset {
        let tensor = file.tensor(&set.path).unwrap();
        assert_eq!(format!("{:?}", tensor.dtype()).to_lowercase(), set.dtype, "{}", set.path);
        assert_eq!(tensor.shape().len(), set.shape.len(), "{}", set.path);
        for (name, size) in set.shape.iter().zip(tensor.shape()) {
            assert_eq!(sizes.entry(name).or_insert(*size), size, "{}: {name}", set.path);
        }
    }
    assert_eq!((sizes["train"], sizes["test"], sizes["channels"], sizes["width"]), (2, 1, 3, 5));
}
