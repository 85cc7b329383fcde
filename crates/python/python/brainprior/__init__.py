"""From recordings of visual cortex to robust classifiers (Li et al. 2019), on arrays of NumPy.

    import brainprior as bp

    scan = bp.read_scan("scan.h5")                          # or bp.Scan.from_arrays(...), bp.import_scan(...)
    model = bp.fit([scan], config="small")                  # what neurons would say, without the noise of single trials
    responses = model.predict(scan.images)                  # [images, neurons]
    target = bp.similarity(responses, ids=scan.image_ids)   # a SimilarityMatrix
    bp.compare(target, other, bootstrap=1000)

    import brainprior.torch                                 # the only part that needs PyTorch
    loss = brainprior.torch.SimilarityLoss(target, layers={"layer1": network.layer1, "layer3": network.layer3})
    found = bp.attack(network, images, labels, norm="l2")   # any PyTorch module, or two functions

Everything is computed by the Rust crates of brainprior: long calls release the interpreter's lock, stop on Ctrl-C, and tell their
progress (`progress=True` shows a bar of tqdm where that is installed; a function is called with what is done and what there is to do).
Work is shared by all processors; the variable RAYON_NUM_THREADS, set before the first import, says how many threads there are.

What is wrong with arrays or settings is a DataError (a ValueError), with files a FileError (an OSError).
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
