"""Where the files that a job of CI keeps can be opened, by the variables that each system sets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from perfhunt.model.text.escaping import Markdown

# An address that a system gives, as it may stand in Markdown.
_ADDRESS = re.compile(r"https?://[A-Za-z0-9./_:~%?#=&+@-]+")
# What is linked, where it is among the files.
TITLES: Mapping[str, str] = {
    "difference.svg": "flame graph of the difference",
    "flamegraph.svg": "flame graph",
    "report.html": "report",
    "knee.svg": "knee",
    "waterfall.svg": "where the latency went",
}


def links(environ: Mapping[str, str], directory: str, names: Iterable[str]) -> Markdown:
    """A line of links to those of the files that a person opens; "" outside of CI.

    GitLab and Jenkins show a kept file at an address that is known before the job ends; of GitHub
    it is the page of the run. `directory` is where the files lie.
    """
    there = set(names)
    shown = {name: title for name, title in TITLES.items() if name in there}
    base = _of_files(environ)
    if base:
        project = environ.get("CI_PROJECT_DIR") or environ.get("WORKSPACE") or ""
        kept = quote(directory.removeprefix(project).removeprefix("./").strip("/"))
        linked = [f"[{title}]({base}/{kept}/{quote(name)})" for name, title in shown.items()]
    elif page := _of_github(environ):
        linked = [f"[{' · '.join([*shown.values(), 'all files'])}]({page})"]
    else:
        return Markdown("")
    return Markdown(" · ".join(linked))


def _of_files(environ: Mapping[str, str]) -> str:
    """The address below which files are shown."""
    if job := _address(environ.get("CI_JOB_URL", "")):
        return f"{job}/artifacts/file"
    build = _address(environ.get("BUILD_URL", "")) if "JENKINS_URL" in environ else ""
    return f"{build.rstrip('/')}/artifact" if build else ""


def _of_github(environ: Mapping[str, str]) -> str:
    names = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
    server, repository, run = (environ.get(name, "") for name in names)
    if not (server and repository and run):
        return ""
    return _address(f"{server}/{repository}/actions/runs/{run}#artifacts")


def _address(text: str) -> str:
    return text if _ADDRESS.fullmatch(text) else ""
