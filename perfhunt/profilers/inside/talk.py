"""Asks what runs inside of a service, in each of its processes."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from perfhunt.errors import AttachFailed, Unreadable
from perfhunt.model.document.bounded import json_value, read_all
from perfhunt.model.inside.look import InsideTool
from perfhunt.model.units import Bytes, Seconds
from perfhunt.profilers.inside import agent
from perfhunt.profilers.inside.agent import sitecustomize
from perfhunt.target.launch import ServiceCommand
from perfhunt.target.leash import inherited

_WITHIN: Seconds = 30.0  # a snapshot of memory stops the service for as long as it takes
_LARGEST: Bytes = 64 << 20  # 20,000 stacks of 40 frames
_NOTHING: Mapping[str, str] = MappingProxyType({})


def with_agent(
    command: ServiceCommand, tool: InsideTool, directory: Path, more: Mapping[str, str] = _NOTHING
) -> ServiceCommand:
    """The command with what makes each Python process of it answer in `directory`."""
    around = {**inherited(), **command.environment}
    paths = [str(Path(agent.__file__).parent), around.get("PYTHONPATH", "")]
    environment = {
        **command.environment,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        sitecustomize.DIRECTORY: str(directory),
        sitecustomize.TOOL: tool.value,
        **more,
    }
    return replace(command, environment=environment)


def ask(directory: Path, word: str) -> list[Any]:
    """The answer of each process that lives. Raises AttachFailed where none answers."""
    answers = []
    for place in sorted(directory.glob("*.sock")):
        with suppress(OSError, Unreadable), socket.socket(socket.AF_UNIX) as line:
            line.settimeout(_WITHIN)
            line.connect(str(place))
            line.sendall(word.encode())
            raw = read_all(line.recv, _LARGEST, "the answer from inside the service")
            answers.append(json_value(raw, "the answer from inside the service"))
    if not answers:
        raise AttachFailed(
            "no Python of the service answers from inside: the command starts none of 3.7 or later,"
            " or one that does not heed PYTHONPATH (-I, -E, -S)",
            "Start the service by its interpreter, without these options.",
        )
    return answers
