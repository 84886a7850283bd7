"""What all tests share."""

import os

import pytest
from sklearn.datasets import load_digits

# Pictures are drawn in memory, on machines with a screen too.
os.environ["MPLBACKEND"] = "Agg"


@pytest.fixture(scope="session")
def digits():
    """Six hundred digits with pixels from 0 to 1: X of shape (600, 64), y from 0 to 9."""
    X, y = load_digits(return_X_y=True)
    return X[:600] / 16, y[:600]


@pytest.fixture(scope="session")
def train(digits):
    """The first 450 of them."""
    return digits[0][:450], digits[1][:450]


@pytest.fixture(scope="session")
def test(digits):
    """The other 150."""
    return digits[0][450:], digits[1][450:]


@pytest.fixture
def onnx_session():
    """Open an ONNX file in onnxruntime, on one thread."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime runs what is exported")

    def opened(path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    return opened


@pytest.fixture
def onnx_probabilities(onnx_session, tmp_path):
    """Export a fitted estimator and return what onnxruntime makes of rows."""

    def run(estimator, rows, *settings, input_dtype="float32"):
        estimator.to_onnx(tmp_path / "model.onnx", *settings, input_dtype=input_dtype)
        session = onnx_session(tmp_path / "model.onnx")
        return session.run(None, {"rows": rows.astype(input_dtype)})[0]

    return run
