//! Reconstructs the layers of a VGG network from torchvision's names: `features.<index>` counts
//! convolutions, batch norms, rectifiers and poolings alike, so a pooling shows as a wider gap
//! between two convolutions.

use super::Layer;
use std::collections::BTreeSet;

/// Layers up to the rectifier after `wanted`, such as `conv3_1`, or what is wrong with the names.
pub(super) fn layers(names: &[&str], wanted: &str) -> Result<Vec<Layer>, String> {
    let indices = |ending: &str| -> BTreeSet<usize> {
        names
            .iter()
            .filter_map(|name| name.strip_prefix("features.")?.strip_suffix(ending)?.parse().ok())
            .collect()
    };
    let norms = indices(".running_mean");
    let convolutions: Vec<usize> = indices(".weight").difference(&norms).copied().collect();
    if convolutions.first() != Some(&0) {
        return Err(format!("no features.0.weight among {} tensors", names.len()));
    }
    let mut layers = Vec::new();
    let (mut block, mut within) = (1, 1);
    let mut known = Vec::new();
    for (position, index) in convolutions.iter().enumerate() {
        let normed = norms.contains(&(index + 1));
        if position > 0 {
            let before = convolutions[position - 1];
            match (index - before).checked_sub(2 + usize::from(norms.contains(&(before + 1)))) {
                Some(0) => within += 1,
                Some(1) => {
                    layers.push(Layer::MaxPool { size: 2 });
                    (block, within) = (block + 1, 1);
                }
                _ => {
                    return Err(format!(
                        "features.{before} and features.{index} with something other than one pooling layer between them"
                    ));
                }
            }
        }
        layers.push(Layer::Convolution {
            name: format!("features.{index}"),
            stride: 1,
            padding: 1,
        });
        if normed {
            layers.push(Layer::BatchNorm { name: format!("features.{}", index + 1) });
        }
        layers.push(Layer::Relu);
        let name = format!("conv{block}_{within}");
        if name == wanted {
            return Ok(layers);
        }
        known.push(name);
    }
    Err(known.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(convolutions: &[usize], normed: bool) -> Vec<String> {
        let mut names = Vec::new();
        for index in convolutions {
            names.extend(["weight", "bias"].map(|part| format!("features.{index}.{part}")));
            if normed {
                let parts = ["weight", "bias", "running_mean", "running_var"];
                names.extend(parts.map(|part| format!("features.{}.{part}", index + 1)));
            }
        }
        names.push("classifier.0.weight".into());
        names
    }

    fn found(names: &[String], layer: &str) -> Result<Vec<Layer>, String> {
        layers(&names.iter().map(String::as_str).collect::<Vec<_>>(), layer)
    }

    /// The convolution that ends the layers, and the number of poolings before it.
    fn end(layers: &[Layer]) -> (String, usize) {
        let name = layers.iter().rev().find_map(|layer| match layer {
            Layer::Convolution { name, .. } => Some(name.clone()),
            _ => None,
        });
        (
            name.unwrap(),
            layers.iter().filter(|layer| matches!(layer, Layer::MaxPool { .. })).count(),
        )
    }

    #[test]
    fn names_of_torchvision() {
        // vgg19 and vgg19_bn.
        let plain = names(&[0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34], false);
        let normed = names(&[0, 3, 7, 10, 14, 17, 20, 23, 27, 30, 33, 36, 40, 43, 46, 49], true);
        for (layer, at, at_normed, poolings) in [
            ("conv1_1", 0, 0, 0),
            ("conv2_2", 7, 10, 1),
            ("conv3_1", 10, 14, 2),
            ("conv4_4", 25, 36, 3),
            ("conv5_4", 34, 49, 4),
        ] {
            assert_eq!(end(&found(&plain, layer).unwrap()), (format!("features.{at}"), poolings));
            assert_eq!(
                end(&found(&normed, layer).unwrap()),
                (format!("features.{at_normed}"), poolings)
            );
        }
        let batch_norms = |layers: Vec<Layer>| {
            layers.iter().filter(|layer| matches!(layer, Layer::BatchNorm { .. })).count()
        };
        assert_eq!(
            (
                batch_norms(found(&plain, "conv3_1").unwrap()),
                batch_norms(found(&normed, "conv3_1").unwrap())
            ),
            (0, 5)
        );
        let error = found(&plain, "conv6_1").unwrap_err();
        assert!(error.contains("conv5_4") && error.contains("conv1_1"), "{error}");
        assert!(found(&["layer1.0.conv1.weight".into()], "conv1_1").is_err());
        assert!(found(&names(&[0, 9], false), "conv1_2").unwrap_err().contains("features.9"));
    }
}
