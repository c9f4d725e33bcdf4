"""Names of compiled functions as people write them: C++'s without parameters and template
arguments, Rust's without hashes, closures and lambdas named by the function they were written in.
"""

from __future__ import annotations

import re
from functools import cache

from perfhunt.model.units import Seconds
from perfhunt.target.binary.demangler import Demangler
from perfhunt.target.binary.rust_names import rust_name

# What compilers and linkers put behind the symbol of a part or a copy of a function.
_COPY = re.compile(r"(?:\.(?:cold|part|isra|constprop|lto_priv|llvm|clone|hot|warm)(?:\.\w+)*)+$")
_VERSION = re.compile(r"@@?[\w.]+$")
_OPERATOR = re.compile(r"\boperator(?:\(\)|<=>|<<=?|>>=?|->\*?|<=?|>=?)")
_CLOSURE = re.compile(r"::\{lambda\b|::'lambda\b|::\$_\d")
# What of the C++ library only calls what it was made for, which may be inlined into it.
_CALLS_OTHERS = re.compile(r"^std::.*::(?:_\w+|operator\(\))$|^std::_\w+$")
_UNNAMED = "(anonymous namespace)"
_OPENING, _CLOSING = "(<{[", ")>}]"
_HIDDEN = 0xE000  # a private use area of Unicode: where the signs in an operator's name are put
_demangler = Demangler()


@cache
def spelled(symbol: str) -> str:
    """`shop::Order::price` for a symbol of C++ or Rust; any other as it is."""
    plain = _COPY.sub("", _VERSION.sub("", symbol))
    if not plain.startswith(("_Z", "__Z", "_R")):
        return plain or symbol
    return rust_name(plain) or _cpp_name(_demangler.name(plain)) or symbol


def naming_cpu() -> Seconds:
    """What spelling names used so far, of every process, beside the caller's own thread."""
    return _demangler.cpu


def source_name(name: str) -> str:
    """The same for a name that debug information has in a symbol's place, `lock<u64>`; "" for what
    has none in the source (`{closure#0}`).
    """
    return spelled(name) if name.startswith(("_Z", "__Z", "_R")) else _cpp_name(name)


def _cpp_name(name: str) -> str:
    """`shop::serve` of `void shop::serve<int>(int)::{lambda(int)#1}::operator()(int) const`."""
    hidden = _OPERATOR.sub(lambda found: _shifted(found[0], _HIDDEN), name)
    hidden = hidden.replace(_UNNAMED, _shifted(_UNNAMED, _HIDDEN))
    flat, depth, begin = [], 0, 0
    for at, sign in enumerate(hidden):
        if depth == 0 and _CLOSURE.match(hidden, at):
            break
        depth += (sign in _OPENING) - (sign in _CLOSING)
        if depth == 0 and sign not in _CLOSING:
            flat.append(sign)
    whole = "".join(flat).removesuffix(" const").strip()
    operator = whole.find("operator")
    begin = whole.rfind(" ", 0, operator if operator >= 0 else len(whole)) + 1
    plain = _shifted(whole[begin:], -_HIDDEN)
    called = _CLOSURE.search(name) if _CALLS_OTHERS.search(plain) else None
    return (_cpp_name(_path_before(name, called.start())) if called else "") or plain


def _path_before(name: str, end: int) -> str:
    """`shop::serve(int)`, of which a lambda is that stands there among others' arguments."""
    depth = 0
    for at in range(end - 1, -1, -1):
        depth += (name[at] in _CLOSING) - (name[at] in _OPENING)
        if depth < 0 or (depth == 0 and name[at] in ", "):
            return name[at + 1 : end]
    return name[:end]


def _shifted(text: str, by: int) -> str:
    """The text with its signs hidden, or shown again."""
    if by > 0:
        return "".join(chr(ord(sign) + by) for sign in text)
    return "".join(chr(ord(sign) + by) if ord(sign) >= -by else sign for sign in text)
