"""What docs/several-hosts.md and the files beside it tell people to type, and to read, is what the
program takes and says.
"""

from __future__ import annotations

import ast
import errno
import os
import re
import tomllib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from perfhunt.cli.app import app
from perfhunt.load.trust.address import master_address
from perfhunt.target.leash import SECRET_VARIABLE
from perfhunt.version import __version__

ROOT = Path(__file__).parents[3]
DOCUMENT = ROOT / "docs" / "several-hosts.md"
FILES = ROOT / "docs" / "several-hosts"
IMAGE = f"perfhunt:{__version__}"


def parsed(words: Sequence[str]) -> dict[str, Any]:
    """The options of a perfhunt command, by the parser's own names; unknown ones are its error."""
    verb, *options = words
    command = typer.main.get_command(app)
    context: Any = command.commands[verb].make_context(verb, list(options))  # type: ignore[attr-defined]
    values: dict[str, Any] = context.params
    return values


def written_test_file(path: Path) -> dict[str, Any]:
    """The perfhunt.toml in the comments at the top of a file."""
    lines = re.findall(r"^# {3}(\[\w+\]|\w+ = .*)$", path.read_text(), re.MULTILINE)
    return tomllib.loads("\n".join(lines))


def agree(path: Path, master: Sequence[str], worker: Sequence[str], count: int) -> None:
    """That the two commands are of one load, to the target of the test file."""
    commands, works = parsed(master), parsed(worker)
    bind, at = master_address(commands["bind"]), master_address(works["master"])
    assert bind.port == at.port
    assert not bind.on_this_machine, "nobody on another host reaches it"
    assert commands["workers"] == count
    asked = written_test_file(path)
    assert asked["target"]["url"] == f"http://{at.host}:{commands['port']}"
    assert asked["target"]["environment"] != "local"
    assert asked["safety"]["allow_hosts"] == works["allow_host"] == [at.host]


def test_the_compose_file_is_of_one_load() -> None:
    path = FILES / "compose.yaml"
    services = yaml.safe_load(path.read_text())["services"]
    master, worker = services["perfhunt"], services["worker"]
    agree(path, master["command"], worker["command"], worker["deploy"]["replicas"])
    assert master["image"] == worker["image"] == IMAGE
    assert master["environment"] == worker["environment"]
    assert [*master["environment"]] == [SECRET_VARIABLE]
    assert master["environment"][SECRET_VARIABLE].startswith(f"${{{SECRET_VARIABLE}:?")
    # They find the master by the name of whose network it has.
    at = master_address(parsed(worker["command"])["master"])
    assert master["network_mode"] == master["pid"] == f"service:{at.host}"
    assert {at.host} == {*services} - {"perfhunt", "worker"}
    shared = [volume.split(":")[1] for volume in (*master["volumes"], *worker["volumes"])]
    assert [str(p) for p in parsed(worker["command"])["allow_file"]] == [shared[0]]
    assert shared[0] == shared[1] == working_directory()


def working_directory() -> str:
    (found,) = re.findall(r"^WORKDIR (\S+)$", (FILES / "Dockerfile").read_text(), re.MULTILINE)
    return str(found)


def test_the_kubernetes_file_is_of_one_load() -> None:
    path = FILES / "kubernetes.yaml"
    service, pod, job = yaml.safe_load_all(path.read_text())
    assert (service["kind"], pod["kind"], job["kind"]) == ("Service", "Pod", "Job")
    containers = {each["name"]: each for each in pod["spec"]["containers"]}
    master = containers["perfhunt"]
    (worker,) = job["spec"]["template"]["spec"]["containers"]
    count = job["spec"]["parallelism"]
    assert job["spec"]["completions"] == count
    agree(path, master["args"], worker["args"], count)
    assert master["image"] == worker["image"] == IMAGE
    at = master_address(parsed(worker["args"])["master"])
    assert service["metadata"]["name"] == at.host
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    ports = {each["name"]: each["port"] for each in service["spec"]["ports"]}
    assert ports == {"http": parsed(master["args"])["port"], "workers": at.port}
    assert master["ports"] == [{"containerPort": at.port}]
    secrets = [
        each["valueFrom"]["secretKeyRef"]
        for container in (master, worker)
        for each in container["env"]
        if each["name"] == SECRET_VARIABLE
    ]
    assert len(secrets) == 2
    assert secrets[0] == secrets[1]
    made = re.search(r"create secret generic (\S+) --from-literal=(\w+)=", path.read_text())
    assert made is not None
    assert {"name": made[1], "key": made[2]} == secrets[0]
    for container in (master, worker):
        assert working_directory() in [each["mountPath"] for each in container["volumeMounts"]]


def test_the_image_is_built_under_the_name_that_is_used() -> None:
    text = (FILES / "Dockerfile").read_text()
    assert f"docker build -t {IMAGE} -f docs/several-hosts/Dockerfile ." in text
    (copied,) = re.findall(r"^COPY (.*) /src/$", text, re.MULTILINE)
    for name in (*copied.split(), "perfhunt"):
        assert (ROOT / name).exists()


def commands() -> list[list[str]]:
    """The commands in the document's blocks, without their comments."""
    lines = re.findall(r"^ {4}perfhunt (.*)$", DOCUMENT.read_text(), re.MULTILINE)
    return [line.partition(" #")[0].split() for line in lines]


def test_the_commands_of_the_document_are_of_one_load() -> None:
    (master, worker) = map(parsed, commands())
    assert master["bind"] == worker["master"]
    (asked,) = re.findall(r"```toml\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    question = tomllib.loads(asked)
    assert question["safety"]["allow_hosts"] == worker["allow_host"]
    assert worker["allow_host"][0] in question["target"]["url"]


@cache
def said() -> str:
    """All that the program can say: its strings, without what is filled in."""
    texts = []
    for path in (ROOT / "perfhunt").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Constant(value=str(text)):
                    texts.append(text)
                case ast.JoinedStr(values=parts):
                    texts.append("".join(filled_in(part) for part in parts))
    return "\n".join(" ".join(text.split()) for text in texts)


def filled_in(part: ast.expr) -> str:
    return str(part.value) if isinstance(part, ast.Constant) else ""


def messages() -> Iterator[str]:
    """What the document says that the program says: the first column of its tables, and the blocks
    of output.
    """
    text = DOCUMENT.read_text()
    for cell in re.findall(r"^\| (`.*?) \|", text, re.MULTILINE):
        yield from re.findall(r"`([^`]+)`", cell)
    for block in re.findall(r"```text\n(.*?)```", text, re.DOTALL):
        yield from block.splitlines()


def rows_of_words(message: str) -> list[str]:
    """Its words as they stand in the program: in rows between what is filled in."""
    rows: list[list[str]] = [[]]
    refused = f"({os.strerror(errno.ECONNREFUSED)})"  # the system's words
    message = message.removeprefix("perfhunt worker: ").replace(refused, "…")
    for word in message.replace("`", " ").split():
        if re.search(r"[\d…'/]", word):
            rows.append([])
        else:
            rows[-1].append(word)
    return [" ".join(row) for row in rows if row]


def is_said(row: str) -> bool:
    """Whether the program has these words in a row, or in two that it puts together."""
    words = row.split()
    return any(
        " ".join(words[:cut]) in said() and " ".join(words[cut:]) in said()
        for cut in range(len(words))
    )


@pytest.mark.parametrize("message", list(dict.fromkeys(messages())))
def test_every_message_of_the_document_is_one_of_the_program(message: str) -> None:
    rows = rows_of_words(message)
    assert rows
    unsaid = [row for row in rows if not is_said(row)]
    assert not unsaid


@pytest.mark.parametrize("message", ["load workers were eaten within", "its share is surely gone"])
def test_a_message_that_nothing_says_is_found(message: str) -> None:
    assert not is_said(message)
