"""Lines of instructions, against the interpreter's own account of them."""

import argparse
import asyncio.base_events
import json.decoder
from types import CodeType, ModuleType

import pytest

from perfhunt.profilers.cpython.objects import line_of


def codes_of(module: ModuleType) -> list[CodeType]:
    """Every code object of a module, nested ones included."""
    assert module.__file__ is not None and module.__spec__ is not None
    whole = module.__spec__.loader.get_code(module.__name__)  # type: ignore[union-attr]
    found, todo = [], [whole]
    while todo:
        code = todo.pop()
        found.append(code)
        todo += [each for each in code.co_consts if isinstance(each, CodeType)]
    return found


@pytest.mark.parametrize("module", [argparse, asyncio.base_events, json.decoder])
def test_every_instruction_of_a_module_has_the_line_that_python_says(module: ModuleType) -> None:
    codes = codes_of(module)
    assert len(codes) > 5
    for code in codes:
        for begin, end, line in code.co_lines():
            for at in range(begin, end, 2):
                assert line_of(code.co_linetable, code.co_firstlineno, at) == line, code


def test_a_torn_table_ends_the_search() -> None:
    table = argparse.ArgumentParser.parse_args.__code__.co_linetable
    for cut in range(len(table)):
        line_of(table[:cut], 1, 40)  # no exception, whatever is missing
    assert line_of(b"", 1, 0) is None
