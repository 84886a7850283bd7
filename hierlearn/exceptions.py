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
    """An optional package is needed and not installed.

    Parameters
    ----------
    package : str
        Name of the package that could not be imported.
    extra : str
        The extra of hierlearn that installs it.
    purpose : str
        What the package is needed for, as the beginning of a sentence.

    Examples
    --------
    >>> from hierlearn.exceptions import MissingExtraError
    >>> print(MissingExtraError("matplotlib", extra="display", purpose="Plotting a partition"))
    Plotting a partition needs matplotlib: install it with pip install "hierlearn[display]".
    """

    def __init__(self, package: str, *, extra: str, purpose: str) -> None:
        super().__init__(
            f'{purpose} needs {package}: install it with pip install "hierlearn[{extra}]".',
            name=package,
        )
        self.extra = extra
        self.purpose = purpose

    def __reduce__(self) -> tuple[object, ...]:
        """Rebuild from the keyword arguments, which plain exception pickling would lose."""
        return _rebuild_missing_extra, (self.name, self.extra, self.purpose)


def _rebuild_missing_extra(package: str, extra: str, purpose: str) -> MissingExtraError:
    return MissingExtraError(package, extra=extra, purpose=purpose)
