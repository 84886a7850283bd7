import pickle

import pytest

from hierlearn import exceptions
from hierlearn.exceptions import (
    HierlearnError,
    HoldOutError,
    MissingExtraError,
    PartitionError,
    UnsupportedTargetError,
)


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (PartitionError, ValueError),
        (HoldOutError, ValueError),
        (UnsupportedTargetError, ValueError),
        (MissingExtraError, ImportError),
    ],
)
def test_each_error_is_caught_as_ours_and_as_the_builtin(error, builtin):
    for base in (HierlearnError, builtin):
        with pytest.raises(base, match="a message"):
            raise error("a message")


def test_every_public_name_is_an_error_of_ours():
    for name in exceptions.__all__:
        assert issubclass(getattr(exceptions, name), HierlearnError)


@pytest.mark.parametrize("name", exceptions.__all__)
def test_errors_survive_the_trip_from_a_worker_process(name):
    error = getattr(exceptions, name)("a message")
    revived = pickle.loads(pickle.dumps(error))
    assert type(revived) is type(error)
    assert str(revived) == "a message"
