"""Training with the neural target in PyTorch, and attacks on PyTorch modules.

    from brainprior.torch import PairSampler, SimilarityLoss

    similarity = SimilarityLoss(layers={"layer1": network.layer1, "layer4": network.layer4})
    pairs = PairSampler(target, stimuli, batch=32, seed=1)
    optimizer.add_param_group({"params": similarity.parameters()})
    for (images, labels), (stimuli, wanted) in zip(loader, pairs):
        loss = cross_entropy(network(images), labels) + alpha * similarity(network, stimuli.to(device), wanted.to(device))
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from . import _native

_CLAMP = 1e-5
"""Similarities are clamped to this distance from -1 and 1, so that arctanh stays finite."""


class SimilarityLoss(nn.Module):
    """The similarity loss between a network and a target (Li et al. 2019, section 3.2), equal to that of brainprior's classifier.

    For each pair of stimuli and each layer, it computes the cosine of their features, centered per channel, and averages the cosines
    over layers with weights gamma, a softmax learned with the network. The loss is the mean over pairs of
    (arctanh similarity - arctanh target)^2.

    layers:    modules by name, whose outputs are compared: [images, channels, ...], or [images, features]. Forward hooks read the
               outputs, so the network needs no change.
    gamma:     initial logits of the layer weights, one per layer; equal by default. A learned parameter: pass it to the optimizer.
    centering: "running", by a running mean with decay 0.9 that starts at zero; or "batch", by the batch's own mean.

    Call it with the network, stimuli [2 pairs, ...] (the first images of all pairs, then the second) and the target [pairs]; it runs
    the network on the stimuli and returns the loss. `similarity` holds the similarities of the last call.
    """

    def __init__(
        self,
        layers: Mapping[str, nn.Module] | Sequence[nn.Module],
        gamma: Any = None,
        *,
        centering: str = "running",
    ) -> None:
        super().__init__()
        named = dict(layers) if isinstance(layers, Mapping) else {str(place): layer for place, layer in enumerate(layers)}
        if not named:
            raise _native.DataError("layers: expected at least one module, found none")
        if centering not in ("running", "batch"):
            raise _native.DataError(f"centering: expected running or batch, found {centering!r}")
        # Hidden in a list: the modules belong to the network, not to this module.
        self._layers = [named]
        self._centering = centering
        logits = torch.zeros(len(named)) if gamma is None else torch.as_tensor(gamma, dtype=torch.float32).clone()
        if logits.shape != (len(named),):
            raise _native.DataError(f"gamma: expected {len(named)} logits, one per layer, found {tuple(logits.shape)}")
        self.gamma = nn.Parameter(logits)
        self.similarity: torch.Tensor | None = None

    @property
    def layers(self) -> dict[str, nn.Module]:
        """The modules whose outputs are compared."""
        return self._layers[0]

    def forward(self, network: nn.Module, stimuli: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        if len(stimuli) != 2 * len(target):
            raise _native.DataError(f"stimuli: expected {2 * len(target)}, two per target, found {len(stimuli)}")
        outputs: dict[str, torch.Tensor] = {}
        with contextlib.ExitStack() as hooks:
            for name, layer in self.layers.items():
                handle = layer.register_forward_hook(lambda _module, _inputs, output, name=name: outputs.__setitem__(name, output))
                hooks.callback(handle.remove)
            network(stimuli)
        if missing := [name for name in self.layers if name not in outputs]:
            raise _native.DataError(f"layers: {', '.join(missing)} did not run in the network's forward pass on the stimuli")
        cosines = torch.stack([self._cosine(name, outputs[name]) for name in self.layers], 1)
        similarity = cosines @ torch.softmax(self.gamma.to(cosines), 0)
        self.similarity = similarity.detach()
        bound = 1 - _CLAMP
        wanted = target.to(similarity).clamp(-bound, bound)
        return (torch.atanh(similarity.clamp(-bound, bound)) - torch.atanh(wanted)).square().mean()

    def _cosine(self, name: str, output: torch.Tensor) -> torch.Tensor:
        features = output.float() if output.dtype in (torch.float16, torch.bfloat16) else output
        others = [axis for axis in range(features.ndim) if axis != 1]
        center = features.detach().mean(others, keepdim=True)
        if self._centering == "running":
            key = f"center_{name.replace('.', '_')}"
            before = getattr(self, key, None)
            center = 0.1 * center if before is None else 0.9 * before.to(center) + 0.1 * center
            self.register_buffer(key, center)
        first, second = (features - center).flatten(1).chunk(2)
        return nn.functional.cosine_similarity(first, second, eps=1e-8)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        # The sizes of the running means are unknown before the first forward pass.
        for name in state_dict:
            if name.startswith(f"{prefix}center_"):
                self.register_buffer(name.removeprefix(prefix), state_dict[name].clone())
        super()._load_from_state_dict(state_dict, prefix, *rest)


class PairSampler:
    """Batches of pairs in the order of a training with brainprior: each pair comes once before any repeats.

    target:  a SimilarityMatrix.
    stimuli: [images, height, width] or [images, channels, height, width], in the order of target.ids.
    batch:   pairs per batch.
    start:   number of the first batch, to resume an interrupted training.

    Iterating yields endless batches: stimuli [2 batch, channels, height, width] (first images, then second ones) and targets [batch].
    """

    def __init__(self, target: _native.SimilarityMatrix, stimuli: Any, *, batch: int, seed: int = 0, start: int = 0) -> None:
        images = torch.as_tensor(np.asarray(stimuli), dtype=torch.float32)
        images = images[:, None] if images.ndim == 3 else images
        if len(images) != len(target):
            raise _native.DataError(f"stimuli: expected {len(target)}, the images of the target, found {len(images)}")
        self.target, self.stimuli, self.batch, self.seed, self.start = target, images, batch, seed, start

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        step = self.start
        while True:
            places, similarities = _native.drawn_pairs(self.target, self.seed, step * self.batch, self.batch)
            yield self.stimuli[torch.from_numpy(places.T.reshape(-1))], torch.from_numpy(similarities)
            step += 1


class _Module:
    """A module under attack: arrays in, arrays out, on its own device."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        parameter = next(module.parameters(), None)
        self.device = parameter.device if parameter is not None else torch.device("cpu")

    def logits(self, images: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return self.module(torch.from_numpy(images).to(self.device)).float().cpu().numpy()

    def differentiable(self, images: np.ndarray) -> tuple[np.ndarray, Any]:
        with torch.enable_grad():
            pixels = torch.from_numpy(images).to(self.device).requires_grad_()
            logits = self.module(pixels)

        def back(factors: np.ndarray) -> np.ndarray:
            weights = torch.from_numpy(factors).to(logits)
            (gradient,) = torch.autograd.grad(logits, pixels, weights, retain_graph=True, allow_unused=True)
            return (torch.zeros_like(pixels) if gradient is None else gradient).float().cpu().numpy()

        return logits.detach().float().cpu().numpy(), back


@contextlib.contextmanager
def evaluating(module: nn.Module) -> Iterator[_Module]:
    """Puts the module into evaluation mode without parameter gradients, and restores both afterwards."""
    training = {part: part.training for part in module.modules()}
    learned = [parameter for parameter in module.parameters() if parameter.requires_grad]
    module.eval()
    for parameter in learned:
        parameter.requires_grad_(False)
    try:
        yield _Module(module)
    finally:
        for parameter in learned:
            parameter.requires_grad_(True)
        for part, mode in training.items():
            part.training = mode
