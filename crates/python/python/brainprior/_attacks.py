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
    """What it measured."""
    finding: str | None
    """What it found; None where nothing is wrong."""


@dataclass(frozen=True)
class MaskingReport:
    """Whether attacks on a model can be believed."""

    verdict: str
    """In words."""
    images: int
    """Images that the model is right about, on which the checks were made."""
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class Attack:
    """What became of each image; every array has one entry for each of them."""

    norm: str
    adversarial: npt.NDArray[np.float32]
    """The nearest adversarial images that were found, [images, channels, height, width], each verified on its own; the image itself where
    none was, or where it is misclassified as it is. With an epsilon, the attack's last images, adversarial or not."""
    distances: npt.NDArray[np.float64]
    """Their distances in the norm; 0 where an image is misclassified as it is, infinite where none was found. With an epsilon, the
    distance of the attack's last image."""
    already: npt.NDArray[np.bool_]
    """Whether the image is misclassified (or of the target class) as it is; then it was not attacked."""
    success: npt.NDArray[np.bool_]
    """Whether there is an adversarial image."""
    found_by: list[str | None]
    """The attack that found it."""
    queries: npt.NDArray[np.int64]
    """Forward passes that it cost."""
    gradient_calls: npt.NDArray[np.int64]
    """Gradients that it cost."""
    zero_gradients: npt.NDArray[np.int64]
    """Of those, how many were zero everywhere, which hides a model from attacks and does not make it robust."""
    median: float | None
    """Median of the smallest perturbations over the images that are classified rightly; None with an epsilon."""
    interval: tuple[float, float] | None
    """Its 95% interval, over images."""
    masking: MaskingReport | None
    """Checks for gradient masking, where they were asked for."""

    def accuracy(self, epsilons: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Share of all images that are classified rightly and withstand every perturbation of at most each of these sizes, as far as was
        found: the curve of robustness. Of smallest perturbations; an attack within one epsilon says it of that alone."""
        smallest = np.where(self.success, self.distances, np.inf)
        return (smallest > np.asarray(epsilons, float)[..., None]).mean(-1)


class _Functions:
    """Two functions of arrays as what is attacked."""

    def __init__(self, logits: Callable[..., Any], gradient: Callable[..., Any] | None) -> None:
        self.logits, self.gradient = logits, gradient

    def differentiable(self, images: npt.NDArray[np.float32]) -> tuple[Any, Callable[..., Any]]:
        gradient = self.gradient
        if gradient is None:
            # Attacks that only ask for logits pass here as well, and never go back.
            def refuse(factors: npt.NDArray[np.float32]) -> Any:
                raise _native.DataError(
                    "this attack needs gradients: give two functions, (logits, gradient), or choose boundary, hop-skip-jump or square"
                )

            return self.logits(images), refuse
        return self.logits(images), lambda factors: gradient(images, factors)


@contextlib.contextmanager
def _attackable(model: Any) -> Iterator[Any]:
    """What the compiled half asks, while the model is in evaluation mode."""
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
    """The smallest perturbations that mislead a model, image by image; or with an epsilon, what an attack reaches within it.

    model:   a torch.nn.Module from images to logits (put into evaluation mode meanwhile, on whatever device it is); a Network; or two
             functions of arrays: logits(images) -> [images, classes], and gradient(images, factors) -> an array like images, the
             gradient of (logits(images) * factors).sum(). One function alone will do for attacks that ask for no gradients.
             Normalization belongs inside.
    images:  [images, channels, height, width] of float32 in [0, 1].
    labels:  [images] of integers.
    norm:    "linf", "l2", "l1" or "l0".
    attack:  "ensemble", the protocol of brainprior, whose attacks help each other; or one alone: fgsm, bim, mim, pgd, pgd-margin,
             apgd-ce, apgd-dlr, apgd-t, apgd-t-minimal, autoattack, deepfool, carlini-wagner, ddn, fab, fab-t, fmn, brendel-bethge,
             boundary, hop-skip-jump, square, primal-dual, sigma-zero, line-search, blended-noise.
    budget:  passes through the model for each image, forward and back, of the ensemble (at least 100).
    epsilon: largest perturbation; without it the smallest is looked for, an attack that needs one being bisected.
    steps:   steps of one attack (queries of square), where it has some.
    targets: [images], classes to reach; without them any class but the label.
    masking: on how many of the images the checks for gradient masking are made, too.
    seed:    of all random numbers; each image has its own, whatever batch it is in.
    batch:   images that the model is given at once.

    No attack is trusted: every result is brought within its bounds and given to the model once more, alone.
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
    """Whether attacks on a model can be believed: stronger ones must do better, gradients must be what they claim, and so on, in Linf at
    epsilon. A hundred images that the model is right about are enough; other arguments as of attack."""
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
    """Accuracy of a model (as of attack) under noise of each level, [levels].

    noise: "gaussian" (levels are standard deviations), "uniform" (half widths) or "salt_and_pepper" (probabilities).
    clamp: what becomes of values beyond [0, 1]: "none", they stay; "unit", they become 0 or 1; "own_range", the image's own extremes.
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
    """Share of images that a model (as of attack) errs on under common corruptions (Hendrycks and Dietterich 2019): for each family, or each
    of those named, [5] for severities 1 to 5."""
    with _attackable(model) as functions, shown(progress, "corruptions") as observer:
        names = None if families is None else list(families)
        found = _native.corruption_errors(functions, images, labels, names, seed, batch, observer)
    return {name: np.array(errors) for name, errors in found}
