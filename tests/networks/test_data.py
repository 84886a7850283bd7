"""Arrays and sparse matrices as batches of tensors."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from scipy import sparse

from hierlearn.networks import _data as data
from hierlearn.networks import forward
from hierlearn.networks._data import BatchDataset, as_tensor, auto_batch_size, prediction_slices

X = np.arange(12.0).reshape(4, 3)


@pytest.mark.parametrize(
    "rows", [X, X[1:3], X[:, ::2], X.T, np.asfortranarray(X)], ids=["all", "view", "step", "T", "F"]
)
@pytest.mark.parametrize("dtype", [None, torch.float64, torch.float32])
def test_tensors_never_share_memory_with_views(rows, dtype):
    view = rows[:]
    before = view.copy()
    tensor = as_tensor(view, dtype)
    assert_array_equal(tensor.numpy(), before)
    tensor += 1
    assert_array_equal(view, before)


@pytest.mark.parametrize("dtype", ["u1", "i8", "f4", ">f8", ">i4", np.longdouble, bool], ids=str)
def test_dtypes_become_the_networks(dtype):
    tensor = as_tensor(X.astype(dtype), torch.float32)
    assert tensor.dtype == torch.float32
    assert_array_equal(tensor.numpy(), X.astype(dtype).astype(np.float32))


def test_read_only_rows_give_no_warning():
    rows = X.copy()
    rows.flags.writeable = False
    assert_array_equal(as_tensor(rows).numpy(), X)


@pytest.mark.parametrize("wrap", [np.asarray, sparse.csr_array, sparse.csr_matrix])
@pytest.mark.parametrize("target", [np.arange(4), np.eye(4, dtype=np.uint8)])
def test_batches_hold_the_rows_asked_for(wrap, target):
    weight = np.array([0.5, 1.5, 1.0, 1.0])
    dataset = BatchDataset(wrap(X), target, weight, torch.float32)
    assert len(dataset) == 4
    inputs, (targets, weights) = dataset.__getitems__([2, 0])
    assert_array_equal(inputs.numpy(), X[[2, 0]].astype(np.float32))
    assert_array_equal(targets.numpy(), target[[2, 0]])
    assert_array_equal(weights.numpy(), [1.0, 0.5])
    assert inputs.dtype == weights.dtype == torch.float32
    # Class codes stay integers; indicators are compared with probabilities.
    assert targets.dtype == (torch.int64 if target.ndim == 1 else torch.float32)
    one, _ = dataset[3]
    assert_array_equal(one.numpy(), X[[3]])


def test_sparse_targets_are_densified_batch_by_batch():
    Y = sparse.csr_array(np.eye(4, dtype=np.uint8))
    _, (targets, _) = BatchDataset(X, Y, np.ones(4), torch.float64).__getitems__([3, 1])
    assert_array_equal(targets.numpy(), np.eye(4)[[3, 1]])


@pytest.mark.parametrize(
    ("n_samples", "expected"),
    [(1, 64), (6_400, 64), (12_799, 64), (12_800, 128), (25_600, 256), (10**7, 256)],
)
def test_batch_size_is_a_hundredth_within_limits(n_samples, expected):
    assert auto_batch_size(n_samples) == expected


@pytest.mark.parametrize("shape", [(5, 3), (8192, 2), (8193, 2), (20_000, 1), (7, 3, 4, 4), (2, 0)])
def test_slices_cover_every_row_once(shape):
    rows = np.concatenate([np.arange(shape[0])[part] for part in prediction_slices(shape)])
    assert_array_equal(rows, np.arange(shape[0]))


def test_slices_of_wide_rows_are_thin():
    slices = prediction_slices((10, 2**21))
    assert [part.stop - part.start for part in slices] == [2] * 5


@pytest.mark.parametrize("wrap", [np.asarray, sparse.csr_array])
def test_forward_in_slices_equals_one_pass(monkeypatch, wrap):
    module = torch.nn.Linear(3, 2)
    whole = forward(module, wrap(X))
    monkeypatch.setattr(data, "_MAX_BATCH_ROWS", dict.fromkeys(("cpu", "cuda"), 3))
    assert len(prediction_slices(X.shape)) == 2
    np.testing.assert_allclose(forward(module, wrap(X)), whole, rtol=1e-6)


def test_forward_is_evaluation_without_gradients():
    module = torch.nn.Sequential(torch.nn.Dropout(0.9), torch.nn.Identity()).train()
    assert_array_equal(forward(module, X), X.astype(np.float32))


@pytest.mark.parametrize("dtype", ["f4", "f8", "u1"])
def test_networks_that_only_read_are_given_views(dtype):
    rows = X.astype(dtype)
    tensor = as_tensor(rows[1:3], torch.from_numpy(rows).dtype, shared=True)
    assert tensor.data_ptr() == rows[1:3].ctypes.data
    assert_array_equal(as_tensor(rows[1:3], torch.float32, shared=True).numpy(), rows[1:3])


def test_what_scikit_learn_would_pass_on_as_it_is():
    assert data.is_plain(X, (3,))
    assert data.is_plain(X.astype("f4")[:1], (3,))
    others = [X[:0], X[:, :2], X[0], X.tolist(), sparse.csr_array(X)]
    others += [X.astype(dtype) for dtype in (">f8", np.longdouble, "f2", object, bool)]
    assert not any(data.is_plain(other, (3,)) for other in others)
