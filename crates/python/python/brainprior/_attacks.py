"""Attacks on any classifier, and its accuracy under noise and corruptions."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _native
from ._progress import Progress, shown


@dataclass(frozen=True)
class Check:
    """One check for gradient masking."""

    name: str
    figures: Mapping[str, float]
    """Measured values by description."""
    finding: str | None
    """The problem in words; None if there is none."""


@dataclass(frozen=True)
class MaskingReport:
    """Whether attacks on a model can be trusted."""

    verdict: str
    """The verdict in words."""
    images: int
    """Number of correctly classified images used for the checks."""
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class Attack:
    """The outcome of an attack; every array has one entry per image."""

    norm: str
    adversarial: npt.NDArray[np.float32]
    """The nearest adversarial images found, [images, channels, height, width], each verified on its own; the image itself if none was
    found or if it is already misclassified. With an epsilon, the attack's last images, adversarial or not."""
    distances: npt.NDArray[np.float64]
    """Their distances in the norm; 0 if the image is already misclassified, infinite if none was found. With an epsilon, the distance of
    the attack's last image."""
    already: npt.NDArray[np.bool_]
    """Whether the unperturbed image is already misclassified (or of the target class); such images are not attacked."""
    success: npt.NDArray[np.bool_]
    """Whether an adversarial image was found."""
    found_by: list[str | None]
    """The attack that found it."""
    queries: npt.NDArray[np.int64]
    """Number of forward passes."""
    gradient_calls: npt.NDArray[np.int64]
    """Number of gradients."""
    zero_gradients: npt.NDArray[np.int64]
    """Number of gradients that were zero everywhere, which hides a model from attacks without making it robust."""
    median: float | None
    """Median of the smallest perturbations over the correctly classified images; None with an epsilon."""
    interval: tuple[float, float] | None
    """Its 95% bootstrap interval over images."""
    masking: MaskingReport | None
    """Checks for gradient masking, if requested."""

    def accuracy(self, epsilons: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Robustness curve: for each size, the fraction of all images that are classified correctly and withstand every perturbation found
        up to that size. It needs smallest perturbations; an attack at one epsilon gives the value at that epsilon only."""
        smallest = np.where(self.success, self.distances, np.inf)
        return (smallest > np.asarray(epsilons, float)[..., None]).mean(-1)


class _Functions:
    """A model given as two functions of arrays."""

    def __init__(self, logits: Callable[..., Any], gradient: Callable[..., Any] | None) -> None:
        self.logits, self.gradient = logits, gradient

    def differentiable(self, images: npt.NDArray[np.float32]) -> tuple[Any, Callable[..., Any]]:
        gradient = self.gradient
        if gradient is None:
            # Attacks that only need logits also get here, but never call this.
            def refuse(factors: npt.NDArray[np.float32]) -> Any:
                raise _native.DataError(
                    "this attack needs gradients: pass two functions, (logits, gradient), or choose boundary, hop-skip-jump or square"
                )

            return self.logits(images), refuse
        return self.logits(images), lambda factors: gradient(images, factors)


@contextlib.contextmanager
def _attackable(model: Any) -> Iterator[Any]:
    """The interface for the compiled half, with the model in evaluation mode."""
    torch = sys.modules.get("torch")
    if isinstance(model, _native.Network):
        yield model
    elif torch is not None and isinstance(model, torch.nn.Module):
        from .torch import evaluating

        with evaluating(model) as functions:
            yield functions
    elif isinstance(model, tuple) and len(model) == 2 and all(map(callable, model)):
        yield _Functions(*model)
    elif callable(model):
        yield _Functions(model, None)
    else:
        raise _native.DataError(
            "model: expected a torch.nn.Module, a brainprior.Network, a function from images to logits, or two functions "
            f"(logits, gradient), found {type(model).__name__}"
        )


def attack(
    model: Any,
    images: Any,
    labels: Any,
    *,
    norm: str = "linf",
    attack: str = "ensemble",
    budget: int = 400,
    epsilon: float | None = None,
    steps: int | None = None,
    targets: Any = None,
    masking: int = 0,
    seed: int = 0,
    batch: int = 100,
    progress: Progress = True,
) -> Attack:
    """Finds the smallest perturbation of each image that misleads a model; with an epsilon, runs an attack within that epsilon.

    model:   a torch.nn.Module from images to logits (on any device; switched to evaluation mode during the call); a Network; or two
             functions of arrays: logits(images) -> [images, classes], and gradient(images, factors) -> an array like images, the
             gradient of (logits(images) * factors).sum(). The first function suffices for attacks without gradients.
             The model normalizes images itself.
    images:  [images, channels, height, width] of float32 in [0, 1].
    labels:  [images] of integers.
    norm:    "linf", "l2", "l1" or "l0".
    attack:  "ensemble", brainprior's protocol of attacks that help each other; or a single attack: fgsm, bim, mim, pgd, pgd-margin,
             apgd-ce, apgd-dlr, apgd-t, apgd-t-minimal, autoattack, deepfool, carlini-wagner, ddn, fab, fab-t, fmn, brendel-bethge,
             boundary, hop-skip-jump, square, primal-dual, sigma-zero, line-search, blended-noise.
    budget:  forward and backward passes per image for the ensemble (at least 100).
    epsilon: largest perturbation. Without it, the smallest perturbation is sought; for attacks that need an epsilon, it is bisected.
    steps:   number of steps of a single attack (queries of square), if it has steps.
    targets: [images], target classes; without them, any class but the label.
    masking: number of images on which to check for gradient masking as well.
    seed:    seed of all random numbers; each image has its own stream in any batch.
    batch:   images per call to the model.

    Every result is projected into its bounds and verified by the model on its own.
    """
    with _attackable(model) as functions, shown(progress, attack) as observer:
        *found, middle = _native.attack(
            functions, images, labels, targets, norm, attack, steps, budget, epsilon, seed, batch, observer
        )
        adversarial, distances, already, success, found_by, counts = found
        report = None
        if masking > 0:
            standing = np.flatnonzero(~already)[:masking]
            standing = standing if len(standing) else np.arange(1)
            bound = 8 / 255 if middle is None or norm != "linf" or not np.isfinite(middle[0]) else min(1.5 * middle[0], 0.5)
            some = np.asarray(images)[standing], np.asarray(labels)[standing]
            report = masking_report(model, *some, epsilon=bound, seed=seed, batch=batch, progress=progress)
    return Attack(
        norm,
        adversarial,
        distances,
        already,
        success,
        found_by,
        *counts,
        median=None if middle is None else middle[0],
        interval=None if middle is None else middle[1:],
        masking=report,
    )


def masking_report(
    model: Any,
    images: Any,
    labels: Any,
    *,
    epsilon: float = 8 / 255,
    seed: int = 0,
    batch: int = 100,
    progress: Progress = True,
) -> MaskingReport:
    """Checks whether attacks on a model can be trusted: stronger attacks must do better, gradients must be correct, and so on, in Linf at
    epsilon. A hundred correctly classified images are enough; the other arguments are those of attack."""
    with _attackable(model) as functions, shown(progress, "masking") as observer:
        verdict, count, checks = _native.masking_report(functions, images, labels, epsilon, seed, batch, observer)
    return MaskingReport(verdict, count, tuple(Check(*check) for check in checks))


def noise_curve(
    model: Any,
    images: Any,
    labels: Any,
    levels: Sequence[float],
    *,
    noise: str = "gaussian",
    clamp: str = "none",
    seed: int = 0,
    batch: int = 100,
    progress: Progress = True,
) -> npt.NDArray[np.float64]:
    """Accuracy of a model (as in attack) at each noise level, [levels].

    noise: "gaussian" (levels are standard deviations), "uniform" (half widths) or "salt_and_pepper" (probabilities).
    clamp: treatment of values outside [0, 1]: "none" keeps them, "unit" clips them to [0, 1], "own_range" to the image's own range.
    """
    with _attackable(model) as functions, shown(progress, "noise") as observer:
        levels = [float(level) for level in levels]
        return _native.noise_curve(functions, images, labels, levels, noise, clamp, seed, batch, observer)


def corruption_errors(
    model: Any,
    images: Any,
    labels: Any,
    families: Sequence[str] | None = None,
    *,
    seed: int = 0,
    batch: int = 100,
    progress: Progress = True,
) -> dict[str, npt.NDArray[np.float64]]:
    """Error rate of a model (as in attack) under common corruptions (Hendrycks and Dietterich 2019): for each corruption, or each of those
    named, [5] for severities 1 to 5."""
    with _attackable(model) as functions, shown(progress, "corruptions") as observer:
        names = None if families is None else list(families)
        found = _native.corruption_errors(functions, images, labels, names, seed, batch, observer)
    return {name: np.array(errors) for name, errors in found}
