"""The errors that hierlearn raises on top of scikit-learn's and Python's own.

Every class also inherits the built-in error that it specialises, so code that already catches
``ValueError`` or ``ImportError`` keeps working.

Examples
--------
>>> from hierlearn.exceptions import HierlearnError, PartitionError
>>> issubclass(PartitionError, ValueError) and issubclass(PartitionError, HierlearnError)
True
"""

from __future__ import annotations

__all__ = [
    "HierlearnError",
    "MissingExtraError",
    "PartitionError",
    "UnsupportedTargetError",
]


class HierlearnError(Exception):
    """Base class of all errors that hierlearn defines."""


class PartitionError(HierlearnError, ValueError):
    """A partition of the classes is inconsistent, or was made for other classes."""


class UnsupportedTargetError(HierlearnError, ValueError):
    """The target ``y`` is of a kind that the estimator cannot learn from."""


class MissingExtraError(HierlearnError, ImportError):
    """An optional package is needed and not installed; the message names the extra to install."""
