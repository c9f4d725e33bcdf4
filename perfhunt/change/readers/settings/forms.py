"""Configuration files as flat settings: dotted name to values. Comments, order and layout are
gone.
"""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, TypeAlias

Settings: TypeAlias = dict[str, tuple[str, ...]]

_COMMANDS = re.compile(
    r"(CMD|ENTRYPOINT|.*\bcommand|.*\bargs|.*\bentrypoint|ExecStart|web|worker|.*\bstart|exec)",
    re.I,
)
_ALIASES = {"w": "workers", "k": "worker_class", "b": "bind", "t": "timeout", "p": "processes"}


# Settings that only mean something with another: the switch they belong to, when that is edited
# too.
_SWITCHES = {
    "threads": "worker_class",
    "worker_connections": "worker_class",
    "proxy_http_version": "keepalive",
    "proxy_set_header connection": "keepalive",
    "connection": "keepalive",
}


def read_settings(path: str, text: str) -> Settings:
    """The settings in a configuration file, by the form its name suggests. Raises ValueError when
    it does not parse.
    """
    name = PurePosixPath(path).name
    reader = next((r for pattern, r in _READERS if re.fullmatch(pattern, name)), _lines)
    return _with_arguments(reader(text))


def plain_name(setting: str) -> str:
    """A setting's own name, however it is reached: `CMD --workers`, `-w`, `services.web.workers`,
    `WORKERS` are all workers.
    """
    last = re.split(r"[.\s/\]]", setting.strip())[-1].lstrip("-").replace("-", "_").lower()
    return _ALIASES.get(last, last)


def belongs_to(plain: str) -> tuple[str, ...]:
    """The features a setting is part of: gzip_types of gzip, proxy_cache_valid of proxy_cache."""
    words = plain.split("_")
    features = ["_".join(words[:i]) for i in range(1, len(words))]
    switch = _SWITCHES.get(plain)
    return tuple(f"setting:{f}" for f in [*features, *([switch] if switch else [])] if len(f) > 3)


def _add(found: Settings, name: str, value: str) -> None:
    found[name] = (*found.get(name, ()), " ".join(value.split()))


def _with_arguments(settings: Settings) -> Settings:
    """Command lines with their options as settings of their own: `CMD --workers`."""
    found: Settings = {}
    for name, values in settings.items():
        for value in values:
            words = _words(value) if _COMMANDS.fullmatch(name) else []
            if not any(w.startswith("-") for w in words):
                _add(found, name, value)
                continue
            for option, argument in _options(words):
                _add(found, f"{name} {option}".strip(), argument)
    return found


def _words(command: str) -> list[str]:
    """A command line as words, from its shell form or its JSON form."""
    try:
        return (
            [str(w) for w in json.loads(command)]
            if command.startswith("[")
            else shlex.split(command)
        )
    except ValueError:
        return command.split()


def _options(words: list[str]) -> Iterator[tuple[str, str]]:
    """Pairs of option and argument; words that are neither come last, together, without an
    option.
    """
    plain: list[str] = []
    index = 0
    while index < len(words):
        word, following = words[index], words[index + 1] if index + 1 < len(words) else "-"
        index += 1
        if not word.startswith("-"):
            plain.append(word)
        elif "=" in word:
            yield word.partition("=")[0], word.partition("=")[2]
        elif following.startswith("-"):
            yield word, ""
        elif re.match(r"\w+=", following):  # postgres -c shared_buffers=1GB
            yield f"{word} {following.partition('=')[0]}", following.partition("=")[2]
            index += 1
        else:
            yield word, following
            index += 1
    yield "", " ".join(plain)


def _flat(value: Any, prefix: str, found: Settings) -> Settings:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _flat(inner, f"{prefix}.{key}" if prefix else str(key), found)
    elif isinstance(value, list) and any(isinstance(v, Mapping) for v in value):
        for index, inner in enumerate(value):
            _flat(inner, f"{prefix}[{index}]", found)
    else:
        _add(found, prefix, json.dumps(value, default=str))
    return found


def _toml(text: str) -> Settings:
    return _flat(tomllib.loads(text), "", {})


def _json(text: str) -> Settings:
    return _flat(json.loads(text), "", {})


def _yaml(text: str) -> Settings:
    """YAML by its indentation: enough to name what changed, with nothing in the file ever being
    built or run.
    """
    found: Settings = {}
    path: list[tuple[int, str]] = []
    for line in text.splitlines():
        bare = re.sub(r"(^|\s)#.*$", "", line).rstrip()
        if not bare.strip() or bare.strip() in ("---", "..."):
            continue
        indent = len(bare) - len(bare.lstrip())
        item = re.match(r"(-\s+)*", bare.lstrip())
        body = bare.lstrip()[item.end() if item else 0 :]
        if item and item[0] and ":" in body:
            indent += 1  # `- key: value` opens an entry; its other keys are deeper than the dash
        path = [(i, k) for i, k in path if i < indent]
        key, colon, value = (
            body.partition(": ")
            if ": " in body
            else (body.removesuffix(":"), body[-1:] if body.endswith(":") else "", "")
        )
        key, value = key.strip().strip("'\""), value.strip().strip("'\"")
        dotted = ".".join([k for _, k in path] + ([key] if colon else []))
        if not colon and "=" in body:  # a list of NAME=value, as compose writes environments
            dotted, value = f"{dotted}.{body.partition('=')[0]}", body.partition("=")[2]
            _add(found, dotted, value)
        elif colon and not value:
            path.append((indent, key))
        else:
            _add(found, dotted, value if colon else body.strip())
    return found


def _lines(text: str) -> Settings:
    """`name = value`, `name: value` or `name value` lines under [sections]; # and ; begin
    comments.
    """
    found: Settings = {}
    section = ""
    for line in text.splitlines():
        bare = re.sub(r"(^|\s)[#;].*$", "", line).strip()
        if re.fullmatch(r"\[.*\]", bare):
            section = bare[1:-1] + "."
        elif bare:
            match = re.match(r"(?:export\s+)?([^\s=:]+)\s*(?:[=:]|\s)\s*(.*)", bare)
            name, value = (match[1], match[2]) if match else (bare, "")
            _add(found, section + name, value)
    return found


def _braces(text: str) -> Settings:
    """nginx, HCL and Caddy: directives that end in ; or a line's end, in blocks named by what
    stands before the brace.
    """
    found: Settings = {}
    path: list[str] = []
    bare = re.sub(r"(^|\s)#[^\n]*", "", text)
    for words, mark in re.findall(r"([^;{}]*)([;{}])", bare):
        directive = " ".join(words.split())
        if mark == "{":
            path.append(directive or "block")
        elif directive:
            name, _, value = directive.partition(" ")
            if name in ("proxy_set_header", "add_header", "set", "map"):
                inner, _, value = value.partition(" ")
                name = f"{name} {inner}"
            _add(found, "/".join([*path, name]), value)
        if mark == "}" and path:
            path.pop()
    return found


def _dockerfile(text: str) -> Settings:
    """Instructions by name, ENV and ARG by variable."""
    found: Settings = {}
    joined = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", text, flags=re.M))
    for line in joined.splitlines():
        instruction, _, rest = line.strip().partition(" ")
        instruction = instruction.upper()
        if instruction in ("ENV", "ARG"):
            for name, value in re.findall(r"(\w+)[= ]((?:\"[^\"]*\"|\S)*)", rest):
                _add(found, f"{instruction} {name}", value)
        elif instruction and instruction not in ("LABEL", "MAINTAINER"):
            _add(found, instruction, rest)
    return found


def _shell(text: str) -> Settings:
    """A start script: exported variables, and its commands."""
    found: Settings = {}
    joined = re.sub(r"\\\n", " ", text)
    for line in joined.splitlines():
        bare = line.strip()
        variable = re.fullmatch(r"(?:export\s+)?(\w+)=(\S*)", bare)
        if variable:
            _add(found, variable[1], variable[2])
        elif bare.startswith("exec "):
            _add(found, "exec", bare.removeprefix("exec "))
        elif bare and not bare.startswith("#"):
            _add(found, "command", bare)
    return found


_READERS: tuple[tuple[str, Callable[[str], Settings]], ...] = (
    (r"Dockerfile.*|.*\.dockerfile|Containerfile", _dockerfile),
    (r".*\.toml", _toml),
    (r".*\.json", _json),
    (r".*\.ya?ml", _yaml),
    (r"nginx.*|.*\.nginx|.*\.tf|.*\.hcl|Caddyfile", _braces),
    (r".*\.sh|(docker-)?entrypoint[\w-]*", _shell),
)
