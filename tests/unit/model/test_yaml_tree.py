"""YAML as plain values: what JSON has, and nothing that grows or runs."""

from __future__ import annotations

import json
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from perfhunt.errors import Unreadable
from perfhunt.model.document.yaml_tree import yaml_value

# Numbers of YAML 1.2 that are words of 1.1, which the other writer writes.
NUMBERS = re.compile(r"-?[0-9]+[eE][-+]?[0-9]+")
words = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20)
told_apart = words.filter(lambda word: not NUMBERS.fullmatch(word))
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(-1e9, 1e9) | told_apart,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=20,
)


@given(plain)
def test_json_is_yaml_that_means_the_same(value: object) -> None:
    text = json.dumps(value, ensure_ascii=False)
    assert yaml_value(text, "it") == json.loads(text)


@given(plain)
def test_what_another_writer_writes_is_read_as_it_was(value: object) -> None:
    assert yaml_value(yaml.safe_dump(value, allow_unicode=True), "it") == value


def test_words_dates_and_keys_are_texts() -> None:
    text = "a: yes\nb: 2024-01-31\nc: 010\nd: 12:30\n200: ok\ntrue: x\n1e3: 1e3\n? [1]\n: y\n"
    assert yaml_value(text, "it") == {
        "a": "yes",
        "b": "2024-01-31",
        "c": "010",
        "d": "12:30",
        "200": "ok",
        "true": "x",
        "1e3": 1000.0,
        "": "y",
    }


def test_aliases_and_merges_stand_for_what_they_name() -> None:
    text = "a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nc: {<<: [*a, *b], x: 0}\nd: [*a]\n"
    read = yaml_value(text, "it")
    assert read["c"] == yaml.safe_load(text)["c"] == {"x": 0, "y": 2, "z": 4}
    assert read["d"] == [{"x": 1, "y": 2}]


def test_no_tag_is_obeyed() -> None:
    text = "a: !!python/object/apply:os.system [echo]\nb: !!int '7'\n"
    assert yaml_value(text, "it") == {"a": ["echo"], "b": "7"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [1\nb: 2", "line 2"),
        ("a: &a [*a]", "alias"),
        ("a: 1\n---\nb: 2", "2 YAML documents"),
        ("", "0 YAML documents"),
        ("\0", "characters"),
        ("- " * 500, "nest"),
        ("[" * 100_000, "nest"),
        (
            "a0: &a0 [x]\n"
            + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 20)),
            "3,000,000 values",
        ),
    ],
)
def test_what_is_no_yaml_or_grows_is_refused(text: str, told: str) -> None:
    with pytest.raises(Unreadable, match=told):
        yaml_value(text, "it")
