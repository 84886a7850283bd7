"""Large arrays of several tasks are found wherever they lie, and travel apart, once."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from hierlearn._rows import RowView
from hierlearn._shipping import dask_client, opened, pack

pytest.importorskip("cloudpickle", reason="cloudpickle, which comes with Dask, pickles tasks")
LARGE = np.random.RandomState(0).standard_normal((200, 100))


@dataclass(frozen=True)
class Holder:
    held: Any


@pytest.mark.parametrize(
    "held",
    [
        LARGE,
        np.asfortranarray(LARGE),
        RowView(LARGE, np.arange(5)),
        sparse.csr_matrix(LARGE),
        {"nested": [(LARGE,)]},
    ],
    ids=["array", "fortran", "view", "sparse", "nested"],
)
def test_what_several_tasks_hold_is_in_none_of_them(held):
    parcels, shared = pack([(Holder(held), number) for number in range(3)])
    assert sum(part.nbytes for part in shared) >= LARGE.nbytes
    for number, parcel in enumerate(parcels):
        assert len(parcel.content) < LARGE.nbytes / 4
        assert all(isinstance(array, int) for array in parcel.arrays)
        holder, found = opened(parcel, [shared[place] for place in parcel.shared])
        assert found == number
        assert_array_equal(_first_array(holder.held), _first_array(held))


def _first_array(held):
    if isinstance(held, dict):
        return held["nested"][0][0]
    return held.toarray() if sparse.issparse(held) else np.asarray(held)


def test_parts_of_their_own_stay_with_the_tasks():
    parts = [LARGE[:100], LARGE[100:]]
    parcels, shared = pack([(part,) for part in parts])
    assert shared == []
    for part, parcel in zip(parts, parcels, strict=True):
        assert parcel.shared == []
        assert_array_equal(opened(parcel, [])[0], part)


def test_small_arrays_stay_in_their_tasks():
    small = np.arange(5)
    (parcel, other), shared = pack([(small,), (small,)])
    assert shared == []
    assert parcel.arrays == other.arrays == ()
    found = opened(parcel, [])[0]
    found += 1  # as any array that was pickled
    assert_array_equal(found, small + 1)


def test_a_task_may_hold_an_array_twice():
    (parcel, _), shared = pack([(LARGE, [LARGE]), (LARGE, [])])
    assert len(shared) == 1
    first, (second,) = opened(parcel, [shared[place] for place in parcel.shared])
    assert_array_equal(first, LARGE)
    assert_array_equal(second, LARGE)


def test_functions_without_a_module_travel():
    (parcel,), _ = pack([(lambda number: number + 1,)])
    assert opened(parcel, [])[0](1) == 2


def test_other_backends_have_no_client():
    assert dask_client(object()) is None
