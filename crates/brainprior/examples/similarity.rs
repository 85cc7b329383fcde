//! Compares the similarities of all pairs of images in two populations with each other and with
//! controls.
#![allow(clippy::print_stdout)]

use brainprior::images::procedural::natural_stimuli;
use brainprior::ndarray::Array2;
use brainprior::similarity::{SimilarityMatrix, average, pearson, pixels, spearman, vectors};

fn main() -> anyhow::Result<()> {
    let stimuli = natural_stimuli(100, 18, 32, 1);
    // Forty neurons of each population see the contrast of two neighboring pixels somewhere in the
    // image.
    let population = |first: usize| {
        let responses = Array2::from_shape_fn((stimuli.len(), 40), |(image, neuron)| {
            let (image, at) = (stimuli.image(image), first + 14 * neuron);
            (image[at + 1] - image[at]).abs()
        });
        // One weight for each neuron, and the origin of the responses.
        vectors(stimuli.ids(), responses.view(), &[1.0; 40], "forty contrasts")
    };
    let (first, second) = (population(0)?, population(7)?);
    let both = average(&[&first, &second])?;

    let told = |what: &str, other: &SimilarityMatrix| -> brainprior::similarity::Result<()> {
        println!(
            "first population and {what}: Pearson {:.2}, Spearman {:.2}",
            pearson(&first, other)?,
            spearman(&first, other)?
        );
        Ok(())
    };
    told("the second", &second)?;
    told("their average", &both)?;
    told("the pixels themselves", &pixels(&stimuli)?)?;
    told("the second with its images permuted", &second.shuffled(1))?;

    let pairs = (0..both.len()).flat_map(|i| (i + 1..both.len()).map(move |j| (i, j)));
    let (i, j) = pairs
        .max_by(|a, b| both.get(a.0, a.1).total_cmp(&both.get(b.0, b.1)))
        .expect("there are pairs");
    println!("most similar: images {i} and {j}, with a cosine of {:.2}", both.get(i, j));
    Ok(())
}
