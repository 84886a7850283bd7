"""What a long fit tells of itself while it runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

__all__ = ["silent", "watched"]

T = TypeVar("T")


def watched(finished: Iterable[T], n_tasks: int, stage: str) -> Iterator[T]:
    """Pass on what tasks returned, and count them.

    Parameters
    ----------
    finished : iterable
        Yields once for every task that is done.
    n_tasks : int
        How many there will be.
    stage : str
        What the tasks are, for the reader.

    Yields
    ------
    object
        The items of ``finished``.
    """
    yield from finished


@contextmanager
def silent() -> Iterator[None]:
    """Let nothing inside the context tell of itself: the work of a task is its parent's to tell."""
    yield
