"""Similarities of images from any vectors: neural responses, network features, pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _native
from ._progress import Progress, shown

MEMORY = 1 << 30
"""Default memory limit for vectors in bytes: 1 GiB."""


@dataclass(frozen=True)
class Nearest:
    """The most similar images of each image, nearest first."""

    ids: npt.NDArray[np.uint64]
    """Identity of each image, [images]."""
    neighbors: npt.NDArray[np.int64]
    """Indices of its neighbors in ids, [images, count]."""
    similarities: npt.NDArray[np.float32]
    """Their similarities, [images, count]."""


@dataclass(frozen=True)
class PairSample:
    """Pairs sampled uniformly without replacement, and their similarities."""

    ids: npt.NDArray[np.uint64]
    """Identity of each image, [images]."""
    pairs: npt.NDArray[np.int64]
    """Indices of both images in ids, [pairs, 2], the smaller first."""
    similarities: npt.NDArray[np.float32]
    """[pairs]"""


def _scans(responses: Any, weights: Any, ids: Any) -> tuple[list[Any], list[Any], list[Any]]:
    """Lists with one entry per scan, from arguments for one scan or several."""
    several = isinstance(responses, (list, tuple)) and len(responses) > 0 and np.ndim(responses[0]) == 2
    if not several:
        return [responses], [weights], [ids]
    of_none = [None] * len(responses)
    return list(responses), of_none if weights is None else list(weights), of_none if ids is None else list(ids)


def similarity(
    responses: Any,
    weights: Any = None,
    *,
    ids: Any = None,
    images: str = "any",
    progress: Progress = True,
) -> _native.SimilarityMatrix:
    """Similarities of all pairs of images (Li et al. 2019, section 3.1): the cosine of their vectors, after weighting the dimensions and
    subtracting their means over images.

    responses: [images, neurons] of any numeric type (row-major float32 is not copied); or a list with one array per scan, over which
               similarities are averaged.
    weights:   [neurons], at least 0; equal by default. A list for several scans.
    ids:       [images] of uint64, as from image_ids, to match images between scans; 0, 1, 2, ... by default. A list for several scans.
    images:    for several scans: "any", images of any scan, with a pair averaged over the scans that have both; "every", images that
               every scan has; "same", all scans must have the same images.
    """
    with shown(progress, "similarity") as observer:
        return _native.similarity(*_scans(responses, weights, ids), images, observer)


def nearest(
    responses: Any,
    count: int = 10,
    weights: Any = None,
    *,
    ids: Any = None,
    images: str = "any",
    memory: int = MEMORY,
    progress: Progress = True,
) -> Nearest:
    """The `count` most similar images of each image, without storing the matrix. memory limits the vectors, in bytes; the other arguments
    are those of similarity."""
    with shown(progress, "nearest") as observer:
        return Nearest(*_native.nearest(*_scans(responses, weights, ids), images, count, memory, observer))


def sample_pairs(
    responses: Any,
    count: int,
    weights: Any = None,
    *,
    ids: Any = None,
    images: str = "any",
    seed: int = 0,
    memory: int = MEMORY,
    progress: Progress = True,
) -> PairSample:
    """`count` pairs sampled uniformly, and their similarities, without storing the matrix. The other arguments are those of nearest."""
    with shown(progress, "sample_pairs") as observer:
        return PairSample(*_native.sample_pairs(*_scans(responses, weights, ids), images, count, seed, memory, observer))


def compare(
    a: _native.SimilarityMatrix,
    b: _native.SimilarityMatrix,
    measure: str = "pearson",
    *,
    bootstrap: int = 0,
    level: float = 0.95,
    seed: int = 0,
) -> _native.Estimate:
    """Agreement of two matrices of the same images (in any order).

    measure:   "pearson", "spearman", "kendall" (tau-a), "cosine", "whitened_cosine" (both of 1 - similarity), or "cka" (debiased).
    bootstrap: number of random halves of the images, drawn without replacement, for the interval; 0: no interval.
    level:     coverage of the interval.
    """
    return _native.compare(a, b, measure, bootstrap, level, seed)
