"""Recordings in other formats, and models fitted to recordings."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence

from . import _native
from ._progress import Progress, shown


def fit(
    scans: _native.Scan | Sequence[_native.Scan],
    config: str | Mapping[str, object] = "default",
    *,
    seed: int = 1,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: Progress = True,
) -> _native.ResponseModel:
    """Fits one model to all neurons of one or more scans.

    config is "default", "small" (about a minute on two cores for two scans of a few hundred neurons), "walker2019", or a dict that
    overrides the default, with the keys of the configuration's section `response`: `{"core": {"channels": [8, 8]},
    "optimization": {"max_epochs": 5}}`. The result depends only on scans, config and seed. With a checkpoint file, an interrupted
    fit of the same scans, config and seed is resumed.
    """
    together = [scans] if isinstance(scans, _native.Scan) else list(scans)
    words = config if isinstance(config, str) else json.dumps(config)
    with shown(progress, "fit") as observer:
        return _native.fit(together, words, seed, checkpoint, observer)


def import_scan(
    kind: str,
    source: str | os.PathLike[str],
    *,
    lag: float = 0.05,
    window: float = 0.5,
    tiers: Sequence[int] | None = None,
    seed: int = 1,
    size: tuple[int, int] | None = None,
    pixel_range: tuple[float, float] | None = None,
    image_axes: Sequence[str] | None = None,
    luma: bool = False,
    behavior: bool = True,
    responses: Sequence[str] = (),
    presentations: str | None = None,
    images: str | os.PathLike[str] | None = None,
    column: str | None = None,
    onsets: str | os.PathLike[str] | None = None,
    onsets_in: str | None = None,
    rate: float | None = None,
    traces: str = "spks",
    first_image: int = 0,
) -> tuple[_native.Scan, str]:
    """Imports a recording in another format, like `cargo xtask import`. Returns the scan and a text about what was taken, dropped and
    assumed.

    kind is "arrays" (source: a TOML layout, which needs none of the other arguments), "experanto", "nwb" or "suite2p".

    For nwb and suite2p: lag, seconds from an image's onset to the window over which responses are averaged; window, its length in
    seconds; tiers, numbers of images for (train, validation, test), drawn with seed; size (height, width), to which images are averaged
    down; pixel_range, the values of black and white; image_axes, such as ("height", "width"); luma, whether to convert color to gray.

    For nwb: responses, presentations, images and column select one of several in the file; behavior=False ignores running and pupil.
    For suite2p: onsets and images, additional files; rate, volumes per second; onsets_in "seconds" or "frames"; traces "spks" or "f";
    first_image, the number of the first image.
    """
    counts = None
    if tiers is not None:
        if len(tiers) != 3:
            raise _native.DataError(f"tiers: expected 3 counts, for train, validation and test, found {len(tiers)}")
        counts = (*tiers, seed)
    return _native.import_recording(
        kind,
        source,
        window=(lag, window),
        tiers=counts,
        size=size,
        pixel_range=pixel_range,
        axes=None if image_axes is None else list(image_axes),
        luma=luma,
        behavior=behavior,
        responses=list(responses),
        presentations=presentations,
        images=None if images is None else os.fspath(images),
        column=column,
        onsets=onsets,
        onsets_in=onsets_in,
        rate=rate,
        traces=traces,
        first_image=first_image,
    )
