//! What similarities are pulled towards.

use brainprior_images::StimulusSet;
use brainprior_similarity::SimilarityMatrix;

/// A condition of training.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a training has one")]
pub enum Target {
    /// Cross entropy alone; no pair is passed.
    None,
    /// Similarities of pairs of grayscale stimuli, of any origin. Which one it is makes the condition: predicted responses,
    /// single trials, shuffled identities, pixels.
    Similarity {
        /// The images, among others perhaps; their size need not be that of the labelled ones.
        stimuli: StimulusSet,
        /// The similarities, by the identity of the images.
        matrix: SimilarityMatrix,
    },
}
