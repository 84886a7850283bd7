"""Every public estimator, given anything, at length: some thousands of examples."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hostile.estimators import ALL
from tests.hostile.properties import PROPERTIES, applies, examples, many

pytestmark = pytest.mark.long
CASES = [(estimator, name) for estimator in ALL for name in PROPERTIES if applies(name, estimator)]


@pytest.mark.parametrize(("estimator", "name"), CASES)
@examples(8)
@given(st.data())
def test_an_answer_or_a_clear_error(estimator, name, data):
    PROPERTIES[name](data, estimator)


@pytest.mark.parametrize("estimator", ALL)
@examples(4)
@given(st.data())
def test_many_classes_and_rare_ones(estimator, data):
    many(data, estimator)
