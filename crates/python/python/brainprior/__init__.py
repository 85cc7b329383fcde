"""From recordings of visual cortex to robust classifiers (Li et al. 2019), on NumPy arrays.

    import brainprior as bp

    scan = bp.read_scan("scan.h5")                          # or bp.Scan.from_arrays(...), bp.import_scan(...)
    model = bp.fit([scan], config="small")                  # predicts responses without the noise of single trials
    responses = model.predict(scan.images)                  # [images, neurons]
    target = bp.similarity(responses, ids=scan.image_ids)   # a SimilarityMatrix
    bp.compare(target, other, bootstrap=1000)

    import brainprior.torch                                 # the only part that needs PyTorch
    loss = brainprior.torch.SimilarityLoss(layers={"layer1": network.layer1, "layer3": network.layer3})
    found = bp.attack(network, images, labels, norm="l2")   # any PyTorch module, or two functions

The Rust crates of brainprior do the computing: long calls release the interpreter lock, stop on Ctrl-C, and report their progress
(`progress=True` shows a tqdm bar if tqdm is installed; a function is called with the amounts done and total). They use all processors;
set the environment variable RAYON_NUM_THREADS before the first import to limit the number of threads.

Invalid arrays or settings raise DataError (a ValueError), problems with files FileError (an OSError).
"""

from ._native import (
    DataError,
    Estimate,
    FileError,
    ModelError,
    Network,
    Reliability,
    ResponseModel,
    Scan,
    SimilarityMatrix,
    average,
    image_ids,
    read_scan,
)
from ._attacks import (
    Attack,
    Check,
    MaskingReport,
    attack,
    corruption_errors,
    masking_report,
    noise_curve,
)
from ._recordings import fit, import_scan
from ._similarity import Nearest, PairSample, compare, nearest, sample_pairs, similarity

__all__ = [
    "Attack",
    "Check",
    "DataError",
    "Estimate",
    "FileError",
    "MaskingReport",
    "ModelError",
    "Nearest",
    "Network",
    "PairSample",
    "Reliability",
    "ResponseModel",
    "Scan",
    "SimilarityMatrix",
    "attack",
    "average",
    "compare",
    "corruption_errors",
    "fit",
    "image_ids",
    "import_scan",
    "masking_report",
    "nearest",
    "noise_curve",
    "read_scan",
    "sample_pairs",
    "similarity",
]
