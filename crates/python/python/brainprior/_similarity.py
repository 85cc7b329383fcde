"""Similarities of images from whatever stands for them: responses of neurons, features of networks, pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _native
from ._progress import Progress, shown

MEMORY = 1 << 30
"""Bytes of vectors held at once where nothing else is asked for: 1 GiB."""


@dataclass(frozen=True)
class Nearest:
    """The images most alike to each, nearest first."""

    ids: npt.NDArray[np.uint64]
    """Identity of each image, [images]."""
    neighbors: npt.NDArray[np.int64]
    """Places of its neighbors among ids, [images, count]."""
    similarities: npt.NDArray[np.float32]
    """Their similarities, [images, count]."""


@dataclass(frozen=True)
class PairSample:
    """Pairs drawn uniformly without replacement, and their similarities."""

    ids: npt.NDArray[np.uint64]
    """Identity of each image, [images]."""
    pairs: npt.NDArray[np.int64]
    """Places of both images among ids, [pairs, 2], the first before the second."""
    similarities: npt.NDArray[np.float32]
    """[pairs]"""


def _scans(responses: Any, weights: Any, ids: Any) -> tuple[list[Any], list[Any], list[Any]]:
    """One entry for each scan of what may be given for one scan alone."""
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
    """Similarities of all pairs of images (Li et al. 2019, section 3.1): dimensions are weighted, their means over images taken away, each
    image's vector is brought to length one, and the similarity of two images is the cosine of theirs.

    responses: [images, neurons] of any type of number (float32 in rows is not copied); or a list of such, one for each scan, over
               which similarities are averaged.
    weights:   [neurons], at least 0; without them all count alike. For several scans a list.
    ids:       [images] of uint64 as of image_ids, by which images of several scans are matched; without them 0, 1, 2, ... For several
               scans a list.
    images:    of several scans: "any", those of any scan, a pair being averaged over the scans that have both; "every", those that
               every scan has; "same", all scans must have the same.
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
    """The `count` images most alike to each, without holding the matrix; other arguments as of similarity, memory in bytes of vectors."""
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
    """`count` pairs drawn uniformly, and their similarities, without holding the matrix; other arguments as of similarity."""
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
    """How far two matrices of the same images (in any order) agree.

    measure:   "pearson", "spearman", "kendall" (tau-a), "cosine", "whitened_cosine" (both of 1 - similarity), or "cka" (debiased).
    bootstrap: number of random halves of the images, drawn without copies, from which the interval comes; 0: no interval.
    level:     share of the halves within the interval.
    """
    return _native.compare(a, b, measure, bootstrap, level, seed)
