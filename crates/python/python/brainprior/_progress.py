"""Bars of progress, where tqdm is installed and somebody looks."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Union

Progress = Union[bool, Callable[[int, int], object]]
"""True: a bar of tqdm, where that is installed and somebody looks; False: nothing; a function: called with done and total."""


@contextlib.contextmanager
def shown(progress: Progress, what: str) -> Iterator[Callable[[int, int], object] | None]:
    """What the compiled half is to call, if anything."""
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
    # A short call shows nothing.
    with tqdm(desc=what, delay=1.0, unit_scale=True) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show
