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
    "HoldOutError",
    "MissingExtraError",
    "ModelFileError",
    "PartitionError",
    "UnsupportedTargetError",
]


class HierlearnError(Exception):
    """Base class of all errors that hierlearn defines."""


class PartitionError(HierlearnError, ValueError):
    """A partition of the classes is inconsistent, or was made for other classes."""


class ModelFileError(HierlearnError, ValueError):
    """A file is not a model as :func:`hierlearn.save` writes it, or needs types nobody trusts."""


class HoldOutError(HierlearnError, ValueError):
    """No row can be held out: each is the only one of its class, or of one of its labels."""


class UnsupportedTargetError(HierlearnError, ValueError):
    """The target ``y`` is of a kind that the estimator cannot learn from."""


class MissingExtraError(HierlearnError, ImportError):
    """An optional package is needed and not installed; the message names the extra to install."""
