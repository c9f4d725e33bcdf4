"""Configuration files as flat settings: dotted name to values, without comments and layout."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, TypeAlias

import yaml

from perfhunt.change.readers.lines import last_word
from perfhunt.errors import Unreadable
from perfhunt.model.document.bounded import DEEPEST, json_value, toml_table

Settings: TypeAlias = dict[str, tuple[str, ...]]
_Collected: TypeAlias = dict[str, list[str]]  # settings while a file is read
# libyaml's loader is ten times as quick; it too gives scalars as they are written.
_YAML: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)

MOST_SETTINGS = 100_000  # in one file: YAML aliases can stand for any number of copies

_COMMAND_LINES = re.compile(
    r"(CMD|ENTRYPOINT|.*\bcommand|.*\bargs|.*\bentrypoint|ExecStart|web|worker|.*\bstart|exec)",
    re.I,
)
_VARIABLE = re.compile(r"\w+=")  # in a list, as compose writes environments
_ALIASES = {"w": "workers", "k": "worker_class", "b": "bind", "t": "timeout", "p": "processes"}
# Some settings mean something only with another one: they belong to it when both are edited.
_SWITCHES = {
    "threads": "worker_class",
    "worker_connections": "worker_class",
    "proxy_http_version": "keepalive",
    "connection": "keepalive",
}
_SHORT = 3  # letters: a first word as short as `max` in max_clients is no feature


def read_settings(path: str, text: str) -> Settings:
    """The settings of a configuration file, read in the form that its name suggests.

    A command line gives its options as settings of their own: `CMD --workers`. Raises ValueError
    or Unreadable when the file does not parse, or is larger than is read.
    """
    name = PurePosixPath(path).name
    form = next((form for pattern, form in _FORMS if re.fullmatch(pattern, name)), _lines)
    settings: _Collected = {}
    for setting, values in form(text).items():
        for value in values:
            words = _words(value) if _COMMAND_LINES.fullmatch(setting) else []
            if any(word.startswith("-") for word in words):
                for option, argument in _options(words):
                    _add(settings, f"{setting} {option}".strip(), argument)
            else:
                _add(settings, setting, value)
    return {name: tuple(values) for name, values in settings.items()}


def plain_name(setting: str) -> str:
    """One name however it is reached: `CMD --workers`, `-w`, `web.WORKERS` are all workers."""
    word = last_word(setting).replace("-", "_").lower()
    return _ALIASES.get(word, word)


def belongs_to(plain: str) -> tuple[str, ...]:
    """The features a setting is part of: gzip_types of gzip, proxy_cache_valid of proxy_cache."""
    words = plain.split("_")
    features = ["_".join(words[:i]) for i in range(1, len(words))]
    if plain in _SWITCHES:
        features.append(_SWITCHES[plain])
    return tuple(f"setting:{feature}" for feature in features if len(feature) > _SHORT)


def _add(settings: _Collected, name: str, *values: str) -> None:
    settings.setdefault(name, []).extend(" ".join(value.split()) for value in values)
    if len(settings) > MOST_SETTINGS:
        raise ValueError(f"it has more than {MOST_SETTINGS:,} settings")


def _words(command: str) -> list[str]:
    """A command line as words, from its shell form or its JSON form."""
    try:
        if command.startswith("["):
            return [str(word) for word in json_value(command, "the command")]
        return shlex.split(command)
    except (ValueError, TypeError, Unreadable):
        return command.split()


def _options(words: list[str]) -> Iterator[tuple[str, str]]:
    """Pairs of option and argument; words that are neither come last, under no option."""
    plain: list[str] = []
    rest = iter([*words, "-"])
    word = next(rest)
    for following in rest:
        if not word.startswith("-"):
            plain.append(word)
        elif "=" in word:
            yield word.partition("=")[0], word.partition("=")[2]
        elif following.startswith("-"):
            yield word, ""
        else:
            # postgres takes -c shared_buffers=1GB: there the setting has a name of its own.
            name, equals, value = following.rpartition("=")
            yield (f"{word} {name}", value) if equals else (word, following)
            following = next(rest)
        word = following
    yield "", " ".join(plain)


def _tree(tree: Any, written: Callable[[Any], str] = json.dumps) -> _Collected:
    """Nested tables and lists as dotted names; `written` gives the text of a value."""
    settings: _Collected = {}

    def visit(value: Any, name: str, depth: int = 0) -> None:
        if depth > DEEPEST:  # aliases of YAML may make it endless
            raise ValueError(f"it is nested more than {DEEPEST} levels deep")
        if isinstance(value, Mapping):
            for key, inner in value.items():
                visit(inner, f"{name}.{key}" if name else str(key), depth + 1)
        elif isinstance(value, list) and value:
            visit_list(value, name, depth)
        else:
            _add(settings, name, written(value))

    def visit_list(values: list[Any], name: str, depth: int) -> None:
        plain = [str(value) for value in values if not isinstance(value, Mapping | list)]
        if _COMMAND_LINES.fullmatch(name) and len(plain) == len(values):
            _add(settings, name, shlex.join(plain))
            return
        for index, value in enumerate(values):
            if isinstance(value, Mapping | list):
                # An entry is known by its name where it has one, as Kubernetes knows it.
                label = value.get("name") if isinstance(value, Mapping) else None
                label = label if isinstance(label, str) else index
                visit(value, f"{name}[{label}]", depth + 1)
        for variable in filter(_VARIABLE.match, plain):
            _add(settings, f"{name}.{variable.partition('=')[0]}", variable.partition("=")[2])
        values = [text for text in plain if not _VARIABLE.match(text)]
        if values:
            _add(settings, name, *values)

    visit(tree, "")
    return settings


def _yaml(text: str) -> _Collected:
    """Scalars as they are written and no tag obeyed: nothing in the file is built or run."""
    try:
        documents = list(yaml.load_all(text, Loader=_YAML))
    except yaml.YAMLError as error:
        if "{{" in text:  # a template of YAML, as Helm has them, is read line by line
            return _lines(re.sub(r"^\s*-\s+", "", text, flags=re.M))
        raise ValueError(" ".join(str(error).split())) from error
    return _tree(documents[0] if len(documents) == 1 else documents, str)


def _lines(text: str) -> _Collected:
    """`name = value`, `name: value` or `name value` lines, as in ini, env and nginx files.

    Lines are in [sections] or in blocks of braces; # and ; begin comments.
    """
    settings: _Collected = {}
    section, blocks = "", []
    for line in text.splitlines():
        bare = re.sub(r"(^|\s)[#;].*$", "", line).strip().removesuffix(";")
        match = re.match(r"(?:export\s+)?([^\s=:]+)\s*(?:[=:]|\s)\s*(.*)", bare)
        if re.fullmatch(r"\[.*\]", bare):
            section = f"{bare[1:-1]}."
        elif bare.endswith("{"):
            blocks.append(f"{bare[:-1].strip()}/")
            if len(blocks) > DEEPEST:
                raise ValueError(f"its blocks are nested more than {DEEPEST} levels deep")
        elif bare == "}":
            del blocks[-1:]
        elif bare:
            name, value = (match[1], match[2]) if match else (bare, "")
            if name in ("proxy_set_header", "add_header", "set"):  # nginx: these name what they set
                variable, _, value = value.partition(" ")
                name = f"{name} {variable}"
            _add(settings, "".join((section, *blocks, name)), value)
    return settings


def _dockerfile(text: str) -> _Collected:
    """Instructions by name, ENV and ARG by variable."""
    settings: _Collected = {}
    for line in re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", text, flags=re.M)).splitlines():
        instruction, _, rest = line.strip().partition(" ")
        instruction = instruction.upper()
        if instruction in ("ENV", "ARG"):
            for name, value in re.findall(r"(\w+)[= ]((?:\"[^\"]*\"|\S)*)", rest):
                _add(settings, f"{instruction} {name}", value)
        elif instruction and instruction not in ("LABEL", "MAINTAINER"):
            _add(settings, instruction, rest)
    return settings


def _shell(text: str) -> _Collected:
    """A start script: its variables, and its commands."""
    settings: _Collected = {}
    for line in re.sub(r"\\\n", " ", text).splitlines():
        bare = line.strip()
        variable = re.fullmatch(r"(?:export\s+)?(\w+)=(\S*)", bare)
        if variable:
            _add(settings, variable[1], variable[2])
        elif bare and not bare.startswith("#"):
            _add(settings, "command", bare.removeprefix("exec "))
    return settings


def _toml(text: str) -> _Collected:
    return _tree(toml_table(text, "it"), lambda value: json.dumps(value, default=str))


_FORMS: tuple[tuple[str, Callable[[str], _Collected]], ...] = (
    (r"Dockerfile.*|.*\.dockerfile|Containerfile", _dockerfile),
    (r".*\.toml", _toml),
    (r".*\.json", lambda text: _tree(json_value(text, "it"))),
    (r".*\.ya?ml", _yaml),
    (r".*\.sh|(docker-)?entrypoint[\w-]*", _shell),
)
