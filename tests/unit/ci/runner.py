"""A stand-in for the runner of GitHub Actions: a composite action's steps in bash, as it runs them.

It knows what our actions use: `inputs`, `github` and `steps` in `${{ }}`, `==`, `!=`, `!`, `&&`,
`||` and the functions of a step's state, the files named GITHUB_*, and that a step after one that
failed runs only where its `if` says so. A step that `uses` another action is noted, and not run.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_FILES = ("GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_STEP_SUMMARY", "GITHUB_ENV")
_WORD = re.compile(r"'(?:[^']|'')*'|[A-Za-z_][\w.-]*(?:\(\))?|&&|\|\||==|!=|!|[()]|\s+")
_SYMBOLS = {"&&": " and ", "||": " or ", "!": " not ", "==": "==", "!=": "!=", "(": "(", ")": ")"}


@dataclass
class ActionRun:
    """What an action came to: its own end, what each step printed, which actions it used."""

    failed: bool = False
    outputs: dict[str, str] = field(default_factory=dict)
    printed: dict[str, str] = field(default_factory=dict)
    used: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    summary: str = ""


class _Context:
    """What an expression may name."""

    def __init__(self, inputs: Mapping[str, str], github: Mapping[str, Any]) -> None:
        self.values: dict[str, Any] = {"inputs": dict(inputs), "github": github, "steps": {}}
        self.failed = False

    def named(self, name: str) -> Any:
        value: Any = self.values
        for part in name.split("."):
            value = value.get(part, "") if isinstance(value, Mapping) else ""
        return value

    def evaluated(self, expression: str) -> Any:
        words = _WORD.findall(expression)
        assert "".join(words) == expression, f"the stand-in cannot read {expression!r}"
        code, names = "", []
        for word in words:
            if word in _SYMBOLS:
                code += _SYMBOLS[word]
            elif not word.isspace():
                names.append(self._value(word))
                code += f"n[{len(names) - 1}]"
        return eval(code, {"__builtins__": {}}, {"n": names})

    def _value(self, word: str) -> Any:
        if word.startswith("'"):
            return word[1:-1].replace("''", "'")
        state = {
            "always()": True,
            "cancelled()": False,
            "success()": not self.failed,
            "failure()": self.failed,
        }
        return state[word] if word in state else self.named(word)

    def filled(self, text: str) -> str:
        def said(match: re.Match[str]) -> str:
            value = self.evaluated(match[1].strip())
            return str(value).lower() if isinstance(value, bool) else str(value)

        return re.sub(r"\$\{\{(.*?)\}\}", said, text)


def run_action(
    folder: Path,
    given: Mapping[str, str],
    github: Mapping[str, Any],
    work: Path,
    environ: Mapping[str, str],
) -> ActionRun:
    """Run the composite action in `folder` with these inputs, in the directory `work`."""
    action = yaml.safe_load((folder / "action.yml").read_text())
    known = action["inputs"]
    assert set(given) <= set(known), "an input that the action does not have"
    context = _Context({}, github)
    defaults = {name: context.filled(str(i.get("default", ""))) for name, i in known.items()}
    context.values["inputs"] = {**defaults, **given}
    run = ActionRun()
    home = work.parent / "runner"
    home.mkdir(exist_ok=True)
    path = environ["PATH"]
    for number, step in enumerate(action["runs"]["steps"]):
        condition = str(step.get("if", "success()")).strip()
        condition = condition.removeprefix("${{").removesuffix("}}").strip()
        implied = re.search(r"\b(always|cancelled|success|failure)\(\)", condition)
        wanted = bool(context.evaluated(condition)) and bool(implied or not context.failed)
        if not wanted:
            continue
        if "uses" in step:
            with_ = {k: context.filled(str(v)) for k, v in step.get("with", {}).items()}
            run.used.append((step["uses"], with_))
            continue
        files = {name: home / f"{number}-{name}" for name in _FILES}
        for file in files.values():
            file.touch()
        env = {
            **environ,
            "PATH": path,
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTION_PATH": str(folder),
            "RUNNER_TEMP": str(home),
            **{name: str(file) for name, file in files.items()},
            **{name: context.filled(str(v)) for name, v in step.get("env", {}).items()},
        }
        _step(step, context.filled(step["run"]), env, work, context, run)
        path = os.pathsep.join([*files["GITHUB_PATH"].read_text().split(), path])
        context.values["steps"][step.get("id", "")] = {"outputs": _pairs(files["GITHUB_OUTPUT"])}
        run.summary += files["GITHUB_STEP_SUMMARY"].read_text()
    run.failed = context.failed
    outputs = action.get("outputs", {})
    run.outputs = {name: context.filled(each["value"]) for name, each in outputs.items()}
    return run


def _step(
    step: Mapping[str, Any],
    script: str,
    env: Mapping[str, str],
    work: Path,
    context: _Context,
    run: ActionRun,
) -> None:
    """One step, with the flags that the runner gives bash."""
    assert step["shell"] == "bash"
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    done = subprocess.run(
        command,
        env=dict(env),
        cwd=work,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    run.printed[step["name"]] = done.stdout
    context.failed |= done.returncode != 0


def _pairs(file: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in file.read_text().splitlines())
