"""Which functions of a program there are to watch, by their names."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from perfhunt.profilers.native.calls import WatchedFunction
from perfhunt.profilers.native.image import ProcessImage

_MOST = 500  # symbols with a word in them


def watchable(
    image: ProcessImage,
    program: str,
    names: Mapping[str, re.Pattern[str]],
    module: str,
    with_stack: Collection[str],
) -> list[WatchedFunction]:
    """Every function of these names, in whose symbols `module` stands: of a generic one each that
    was made. Empty where one of the names has none: it was stripped, or optimized away.
    """
    found = list(_found(image, program, names, module, with_stack))
    return found if {function.name for function in found} == names.keys() else []


def _found(
    image: ProcessImage,
    program: str,
    names: Mapping[str, re.Pattern[str]],
    module: str,
    with_stack: Collection[str],
) -> Iterator[WatchedFunction]:
    file, known = image.files.of(program), set[int]()
    for symbol, own in file.elf.symbols_with(module, _MOST) if file is not None else ():
        name = next((name for name, pattern in names.items() if pattern.search(symbol)), "")
        offset = file.elf.offset_of(own) if file is not None else None
        address = image.address_of(program, own)
        if name and offset is not None and address is not None and own not in known:
            known.add(own)
            yield WatchedFunction(name, offset, address, stack=name in with_stack)
