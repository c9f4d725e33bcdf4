"""Ids of tests are alike in every process that collects them. Enforces docs/style.md, "Tests"."""

from __future__ import annotations

import gzip
import re

import pytest

# What differs from process to process in the text of a value: where it lies in memory.
ADDRESS = re.compile(r" at 0x[0-9a-f]+")


@pytest.mark.parametrize("content", [gzip.compress(b"one"), gzip.compress(b"two")])
def test_what_bytes_hold_is_in_no_id(content: bytes, request: pytest.FixtureRequest) -> None:
    number = [b"one", b"two"].index(gzip.decompress(content))
    assert request.node.name == f"test_what_bytes_hold_is_in_no_id[content{number}]"


def test_no_id_holds_where_a_value_lies_in_memory(request: pytest.FixtureRequest) -> None:
    ids = [item.nodeid for item in request.session.items]
    assert request.node.nodeid in ids
    assert [name for name in ids if ADDRESS.search(name)] == []
