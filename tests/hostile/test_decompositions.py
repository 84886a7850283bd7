"""Hierarchies, heads, choices among networks, given anything."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hostile.estimators import DECOMPOSITIONS
from tests.hostile.properties import PROPERTIES, examples, those_of


@pytest.mark.parametrize("name", PROPERTIES)
@examples(6)
@given(st.data())
def test_an_answer_or_a_clear_error(name, data):
    PROPERTIES[name](data, data.draw(st.sampled_from(those_of(DECOMPOSITIONS, name))))
