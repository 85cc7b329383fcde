"""Progress bars, if tqdm is installed and there is a terminal or notebook."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Union

Progress = Union[bool, Callable[[int, int], object]]
"""True: a tqdm bar, if tqdm is installed and there is a terminal or notebook; False: none; a function: called with done and total."""


@contextlib.contextmanager
def shown(progress: Progress, what: str) -> Iterator[Callable[[int, int], object] | None]:
    """The callback for the compiled half, if any."""
    if callable(progress):
        yield progress
        return
    try:
        from tqdm.auto import tqdm
    except ImportError:
        tqdm = None
    if not progress or tqdm is None or not (sys.stderr.isatty() or "ipykernel" in sys.modules):
        yield None
        return
    # Short calls show no bar.
    with tqdm(desc=what, delay=1.0, unit_scale=True) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show
