"""Readers of profiles: folded text loses nothing it can say, and no bytes surprise a reader."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from perfhunt.model.document.folded import fold
from perfhunt.model.profile import Frame, Stack
from perfhunt.model.profiles.readers.folded import read_folded
from perfhunt.model.profiles.readers.pprof import PprofError, parse_pprof

names = st.text(
    st.characters(codec="ascii", exclude_categories=["Cc"], exclude_characters=";%["), min_size=1
).filter(lambda name: name.strip() == name and "(" not in name and ")" not in name)
# At the beginning of a line `::` is an order to a CI, so our writer encodes it; nobody else does.
names = names.filter(lambda name: not name.startswith("::"))
files = st.text(st.sampled_from("abc/_-. 9"), min_size=1).filter(lambda file: file.strip() == file)
frames = st.builds(Frame, names, files, st.integers(1, 10**6))


def places(stack: Stack) -> tuple[tuple[str, str, int | None], ...]:
    """What a folded line says of a stack."""
    return tuple((frame.function, frame.file, frame.line) for frame in stack)


@given(
    st.dictionaries(
        st.lists(frames, min_size=1, max_size=6).map(tuple), st.integers(1, 10**9), max_size=8
    )
)
def test_folded_text_of_another_writer_reads_back_as_it_was(stacks: dict[Stack, int]) -> None:
    back = read_folded(fold({stack: float(n) for stack, n in stacks.items()}))
    assert back.bad == ()
    assert {places(stack): n for stack, n in back.stacks.items()} == {
        places(stack): n for stack, n in stacks.items()
    }


@given(st.binary(max_size=200))
def test_no_bytes_make_the_pprof_reader_fail_in_another_way(raw: bytes) -> None:
    with contextlib.suppress(PprofError):
        parse_pprof(raw)
