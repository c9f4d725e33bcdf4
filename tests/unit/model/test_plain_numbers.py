"""Numbers of other libraries in what is written."""

import numpy as np
import pytest

from perfhunt.model.document.plain import to_plain


def test_a_number_of_numpy_is_written_as_the_number_it_is() -> None:
    plain = to_plain({"a": np.float64(1.5), "b": np.int64(3), "c": np.float64("inf")})
    assert plain == {"a": 1.5, "b": 3, "c": "inf"}
    assert [type(value) for value in plain.values()] == [float, int, str]


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(TypeError, match="no plain form"):
        to_plain({"a": object()})
