//! Exports for other programs: a similarity matrix as a NumPy array, a network under torchvision's
//! names.

use anyhow::{Result, ensure};
use brainprior_artifact::npy::{Npy, Values};
use brainprior_artifact::replace;
use brainprior_classifier::ResNet;
use brainprior_similarity::SimilarityMatrix;
use std::path::Path;

/// What to export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A similarity matrix, f32 `[images, images]`, and a file with the identities of the images.
    Matrix,
    /// A trained classifier as a state dict.
    Network,
}

/// Writes `source` to `out` and returns a summary.
///
/// # Errors
/// Returns an error if the source cannot be read, or if `out` cannot be written, has the wrong
/// extension or is the source itself.
pub fn export(kind: Kind, source: &Path, out: &Path) -> Result<String> {
    let ending = match kind {
        Kind::Matrix => "npy",
        Kind::Network => "safetensors",
    };
    ensure!(
        out.extension().is_some_and(|found| found == ending),
        "{}: expected a file name that ends in .{ending}, which other programs need; rename the output",
        out.display()
    );
    // Only an existing file can be the one that is read.
    if let (Ok(read), Ok(written)) = (source.canonicalize(), out.canonicalize()) {
        ensure!(
            read != written,
            "{}: the output is the input itself; name another file",
            out.display()
        );
    }
    match kind {
        Kind::Matrix => matrix(&SimilarityMatrix::read(source)?, out),
        Kind::Network => {
            let network = ResNet::load(source)?;
            network.save_for_torchvision(out)?;
            let config = network.config();
            Ok(format!(
                "wrote {}: a state dict of torchvision's ResNet(BasicBlock, {:?}) with {} to {} channels and {} classes\n\
                 Before loading it, in Python:\n  \
                 model.conv1 = torch.nn.Conv2d({}, {}, 7, 1, 3, bias=False); model.maxpool = torch.nn.Identity()\n\
                 Rescale images x in [0, 1] to 5 * (x - 0.5).\n",
                out.display(),
                config.blocks,
                config.base_channels,
                config.base_channels << (config.blocks.len() - 1),
                config.classes,
                config.input_channels,
                config.base_channels
            ))
        }
    }
}

fn matrix(matrix: &SimilarityMatrix, out: &Path) -> Result<String> {
    let images = matrix.len();
    let values = (0..images).flat_map(|image| matrix.row(image)).collect();
    replace::bytes(
        out,
        &Npy { shape: vec![images, images], values: Values::Floats(values) }.to_bytes(),
    )?;
    let beside = out.with_extension("images.npy");
    let ids = matrix.ids().iter().map(ToString::to_string).collect();
    replace::bytes(&beside, &Npy { shape: vec![images], values: Values::Strings(ids) }.to_bytes())?;
    Ok(format!(
        "wrote {}: similarities of {images} x {images} images, f32\nwrote {}: the identity of the image of each row\n",
        out.display(),
        beside.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use brainprior_images::ImageId;

    #[test]
    fn a_matrix_is_written_whole_with_the_identities_of_its_images() {
        let folder = tempfile::tempdir().unwrap();
        let (source, out) = (folder.path().join("matrix.h5"), folder.path().join("matrix.npy"));
        let ids: Vec<ImageId> = [7, 5, 9].map(ImageId::from_u64).to_vec();
        SimilarityMatrix::new(ids, vec![0.5, -0.25, 0.125], vec!["made up".into()])
            .unwrap()
            .write(&source)
            .unwrap();
        let text = export(Kind::Matrix, &source, &out).unwrap();
        assert!(text.contains("3 x 3 images") && text.contains("matrix.images.npy"), "{text}");
        let read = |path: &Path| Npy::parse(&std::fs::read(path).unwrap()).unwrap();
        let expected = vec![1.0, 0.5, -0.25, 0.5, 1.0, 0.125, -0.25, 0.125, 1.0];
        assert_eq!(read(&out), Npy { shape: vec![3, 3], values: Values::Floats(expected) });
        let ids = read(&folder.path().join("matrix.images.npy"));
        assert_eq!(
            ids.values,
            Values::Strings(vec![
                "0000000000000007".into(),
                "0000000000000005".into(),
                "0000000000000009".into()
            ])
        );
        let whole = std::fs::read(&source).unwrap();
        let network = folder.path().join("network.safetensors");
        std::fs::write(&network, "a network").unwrap();
        for (kind, from, to, part) in [
            (Kind::Matrix, &source, &source, "ends in .npy"),
            (Kind::Network, &network, &out, "ends in .safetensors"),
            (Kind::Network, &network, &network, "the output is the input itself"),
        ] {
            let error = export(kind, from, to).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        assert!(
            std::fs::read(&source).unwrap() == whole
                && std::fs::read(&network).unwrap() == b"a network"
        );
        let cut = std::fs::read(&source).unwrap();
        std::fs::write(&source, &cut[..cut.len() / 2]).unwrap();
        assert!(
            format!("{:#}", export(Kind::Matrix, &source, &out).unwrap_err()).contains("matrix.h5")
        );
    }
}
