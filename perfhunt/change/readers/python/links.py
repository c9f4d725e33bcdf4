"""What ties an edited Python definition to others: what it defines, uses, and shares."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from perfhunt.change.readers.edit_shape import edit_shape
from perfhunt.change.readers.python.definitions import STATEMENTS, DefinitionSort, Module
from perfhunt.change.readers.python.normal import masked_tokens
from perfhunt.change.readers.python.renames import DefinitionPair
from perfhunt.change.readers.settings.forms import belongs_to, plain_name
from perfhunt.model.verdict.change import Kind, Links

# Methods of built-in types and of every other library: a call of one says nothing about who is
# called.
_BUILT_IN = (dict, list, set, str, bytes, tuple, int, float, object, io.BytesIO, BaseException)
_WORDS = """
acquire add all begin call close commit connect count create cursor delete execute fetch fetchall
fetchone filter find first flush get handle init load main next one open order_by patch post
process put query release render request rollback run save scalar scalars select send set setup
start stop submit update
"""
_COMMON = frozenset(name for kind in _BUILT_IN for name in dir(kind)) | {*_WORDS.split()}
_MAKERS = (".__init__", ".__new__", ".__post_init__")  # methods that run when a class is called


def links_of(pair: DefinitionPair, kind: Kind, modules: Sequence[Module], owner: str) -> Links:
    """The links of an edited definition, `modules` being both sides of its file.

    `owner` is the class that is as new (or as gone) as the method, else empty.
    """
    defines = _defines(pair, modules)
    uses = {symbol for side in pair.sides for symbol in side.names if _is_telling(symbol)}
    uses |= {f"state:{symbol}" for symbol in _altered(pair, "state")}
    plain = plain_name(pair.definition.name)
    if kind == Kind.CONFIG:
        uses.update(belongs_to(plain))
    if owner:
        uses.add(f"{pair.texts.path}::{owner}")
    value = _literal(pair.after.code) if kind == Kind.CONFIG and pair.after else ""
    shape = ""
    if pair.before and pair.after:
        shape = edit_shape(masked_tokens(pair.before.normal), masked_tokens(pair.after.normal))
    return Links(
        defines=tuple(sorted(defines)),
        uses=tuple(sorted(uses - defines)),
        touches=(f"setting={plain}={value}",) if value else (),
        shape=shape,
    )


def _is_telling(symbol: str) -> bool:
    """Whether a symbol tells who is meant, as an attribute that every object has does not."""
    return not symbol.startswith(".") or symbol[1:] not in _COMMON


def _altered(pair: DefinitionPair, counter: str) -> set[str]:
    """The symbols whose mentions (`state`) or assignments (`writes`) an edit alters."""
    before, after = (
        getattr(side, counter) if side else Counter[str]() for side in (pair.before, pair.after)
    )
    return {key.partition("\t")[0] for key in before | after if before[key] != after[key]}


def _literal(code: str) -> str:
    """The one literal a setting is given; empty when it is more than that."""
    literals = re.findall(r"Constant\(value=([^()]*?)\)", code)
    return literals[0].strip("'\"") if len(literals) == 1 else ""


def _defines(pair: DefinitionPair, modules: Sequence[Module]) -> set[str]:
    definition, path = pair.definition, pair.texts.path
    name = definition.name.partition("#")[0]
    owner, _, own = name.rpartition(".")
    names = {name} - {STATEMENTS}
    if name.endswith(_MAKERS):
        names.add(owner)
    if definition.sort in (DefinitionSort.CLASS, DefinitionSort.CONSTANT, DefinitionSort.STATEMENT):
        names.update(definition.binds)
    # `cache = Cache()` makes cache.get mean Cache.get, here and where cache is imported.
    instances = (pair for module in modules for pair in module.instances.items())
    through = {f"{instance}.{own}" for instance, maker in instances if owner and maker == owner}
    parts = path.removesuffix(".py").removesuffix("/__init__").split("/")
    defines = {symbol for n in names | through for symbol in _named(n, path, parts)}
    # The packages around a module may hand its names on, from their __init__.
    packages = [".".join(parts[i:j]) for j in range(1, len(parts)) for i in range(j)]
    defines |= {f"{package}.{n}" for package in packages for n in names}
    if owner and own not in _COMMON and definition.sort == DefinitionSort.FUNCTION:
        defines.add(f".{own}")
    if pair.texts.settings:
        defines |= {f"{how}:{n}" for n in names for how in ("setting", "text")}
    return defines | {f"state:{symbol}" for symbol in _altered(pair, "writes")}


def _named(name: str, path: str, parts: Sequence[str]) -> Iterator[str]:
    """The symbols of a name of a module: in its own file, and under every dotted name of it."""
    yield f"{path}::{name}"
    yield from (".".join([*parts[i:], name]) for i in range(len(parts)))
