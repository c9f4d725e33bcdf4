"""What a process runs on: the runtime and its version from its binary and mappings, the framework
from its command line.

Nothing of the target is executed; its files are read through /proc/PID/root, so a container's own
files are seen.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from perfhunt.target.proc.files import FileBytes, link, text

_PYTHON = re.compile(r"(?:lib)?python(\d\.\d+)?\d?[a-z]*(?:\.so[\d.]*)?")
_INTERPRETER = re.compile(r"python[\d.]*[a-z]*(?:-dbg)?")  # as distributions name the program
_LIBPYTHON = re.compile(r"libpython\d\.\d+[a-z]*\.so[\d.]*")
_REPLACED = " (deleted)"  # what the kernel adds to the path of a file that is there no more
_RUBY = re.compile(r"(?:lib)?ruby[\d.-]*(?:\.so[\d.]*)?")
# The command, FPM, and the module of another server.
_PHP = re.compile(r"php(?:-fpm|-cgi)?[\d.]*|(?:lib|mod_)php[\d.]*\.so[\d.]*")
_NUMBERS = re.compile(r"\d+\.\d+\.\d+[\w.-]*")
_GO_MAGIC = b"\xff Go buildinf:"
# A server is named at the front of a command line; behind that come options, paths and data.
_FIRST_WORDS = 12
_SERVERS = (
    "gunicorn",
    "uvicorn",
    "hypercorn",
    "daphne",
    "uwsgi",
    "waitress",
    "granian",
    "gevent",
    "cherrypy",
    "tornado",
    "aiohttp",
    "sanic",
    "http.server",
    "nginx",
    "apache2",
    "httpd",
    "caddy",
    "envoy",
    "haproxy",
    "php-fpm",
    "puma",
    "unicorn",
    "next",
    "nest",
    "fastify",
    "express",
    "koa",
    "spring-boot",
    "spring",
    "quarkus",
    "tomcat",
    "jetty",
    "flask",
    "django",
)
_PREFORK = (
    "gunicorn",
    "uvicorn",
    "hypercorn",
    "granian",
    "uwsgi",
    "nginx",
    "apache2",
    "httpd",
    "php-fpm",
    "puma",
    "unicorn",
    "flask",
    "django",
)


def runtime_of(pid: int) -> tuple[str, str]:
    """Runtime (cpython, pypy, ruby, php, dotnet, node, jvm, go, native) and its version ("" when it
    cannot be told) of a live process. The version of a CPython without a GIL ends in `t`, as its
    ABI's does.
    """
    exe = _program(pid)
    name = Path(exe).name
    mapped = _mapped_files(pid)
    if name.startswith("pypy"):
        return "pypy", ""
    for path in [exe, *mapped]:
        match = _PYTHON.fullmatch(Path(path.removesuffix(_REPLACED)).name)
        if match and "python" in Path(path).name:
            return "cpython", _python_version(pid, path, match[1] or "")
    if name in ("node", "nodejs") or any(
        Path(path).name.startswith("libnode.so") for path in mapped
    ):
        return "node", _node_version(pid, [exe, *mapped])
    ruby = next((path for path in [exe, *mapped] if _RUBY.fullmatch(Path(path).name)), "")
    if ruby:
        return "ruby", _search(pid, ruby, rb"ruby (\d+\.\d+\.\d+)")
    php = next((path for path in [exe, *mapped] if _PHP.fullmatch(Path(path).name)), "")
    if php:
        return "php", _search(pid, php, rb"PHP/(\d+\.\d+\.\d+)")
    core = next((path for path in mapped if Path(path).name == "libcoreclr.so"), "")
    if core or name == "dotnet":
        version = _NUMBERS.fullmatch(Path(core).parent.name)
        return "dotnet", version[0] if version else ""
    jvm = next((path for path in mapped if Path(path).name == "libjvm.so"), "")
    if jvm or name == "java":
        return "jvm", _java_version(pid, jvm or exe)
    go = _go_version(f"/proc/{pid}/exe")
    return ("go", go) if go else ("native", "")


@dataclass(frozen=True, slots=True)
class PythonImage:
    """The file that holds a process's Python: its program, or a libpython. `path` is as the process
    has it mapped, `node` its device and number, `place` the addresses of a part of it, as
    /proc/PID/map_files names them. `replaced`: there is another file at that path now, or none.
    """

    path: str
    node: tuple[str, str]
    place: str
    program: bool

    @property
    def replaced(self) -> bool:
        return self.path.endswith(_REPLACED)

    @property
    def file(self) -> str:
        """Where it was when it was mapped."""
        return self.path.removesuffix(_REPLACED)


def python_image(pid: int) -> PythonImage | None:
    """The file that holds a process's Python; None when it has none mapped, or may not be read."""
    exe, program = link(pid, "exe"), None
    for line in text(f"/proc/{pid}/maps").splitlines():
        field = line.split(maxsplit=5)
        if len(field) == 6 and field[5][0] == "/":
            image = PythonImage(field[5], (field[3], field[4]), field[0], field[5] == exe)
            if _LIBPYTHON.fullmatch(Path(image.file).name):
                return image
            program = program or (image if image.program else None)
    return program


def is_interpreter(program: str) -> bool:
    """Whether a program is Python's own, by its name, so that it runs a script that it is given:
    any other that holds a Python (a frozen service, uWSGI) does what it always does.
    """
    return bool(_INTERPRETER.fullmatch(Path(program).name))


def _program(pid: int) -> str:
    return link(pid, "exe").removesuffix(_REPLACED)


def _mapped_files(pid: int) -> tuple[str, ...]:
    """The files mapped by a process, in the order of their addresses, each once."""
    fields = (line.split(maxsplit=5) for line in text(f"/proc/{pid}/maps").splitlines())
    return tuple(
        dict.fromkeys(field[5] for field in fields if len(field) == 6 and field[5][0] == "/")
    )


def _search(pid: int, path: str, pattern: bytes) -> str:
    """The first group of a pattern in a file of the process's own root, as text; "" when absent or
    unreadable.
    """
    whole = f"/proc/{pid}/exe" if path == _program(pid) else f"/proc/{pid}/root{path}"
    try:
        with FileBytes(whole) as content:
            match = next(content.matches(re.compile(pattern)), None)
            return match[1].decode("ascii", "replace") if match else ""
    except (OSError, ValueError):
        return ""


def _python_version(pid: int, path: str, minor: str) -> str:
    # PY_VERSION ends a constant of the binary ("3.11.4", or "Python 3.11.4" where the linker merged
    # the two).
    series = re.escape(minor).encode() if minor else rb"\d\.\d{1,2}"
    exact = rb"(?<![\d.])(" + series + rb"\.\d{1,2}(?:(?:a|b|rc)\d+)?\+?)\x00"
    places = (path, _libpython(pid))
    version = next(filter(None, (_search(pid, place, exact) for place in places)), minor)
    # A part of what `sys.version` says there; other builds do not hold it.
    free = any(_search(pid, place, rb"(free-threading build)") for place in places)
    return version + ("t" if free else "")


def _libpython(pid: int) -> str:
    return next(
        (path for path in _mapped_files(pid) if Path(path).name.startswith("libpython")), "/"
    )


def _node_version(pid: int, paths: Sequence[str]) -> str:
    likely = [
        path
        for path in paths
        if Path(path).name in ("node", "nodejs") or "libnode" in Path(path).name
    ]
    for path in likely:
        # The address of the headers, which process.release carries.
        version = _search(pid, path, rb"/v(\d+\.\d+\.\d+)/node-v\d") or _search(
            pid, path, rb"\x00v(\d{1,2}\.\d{1,2}\.\d{1,2})\x00"
        )
        if version:
            return version
    return ""


def _java_version(pid: int, path: str) -> str:
    for directory in Path(path).parents:
        release = text(f"/proc/{pid}/root{directory}/release")
        if match := re.search(r'JAVA_VERSION="([^"]+)"', release):
            return match[1]
    return ""


def _go_version(exe: str) -> str:
    """The toolchain of a Go binary, "1.22.1"; "" for any other. Format: Go's debug/buildinfo,
    inline since Go 1.18.
    """
    try:
        with FileBytes(exe) as content:
            at = content.find(_GO_MAGIC)
            if at < 0:
                return ""
            head = content.at(at, 64)
    except (OSError, ValueError):
        return ""
    # Byte 15 holds flags, of which 2 means inline strings; byte 32 the length of the first of them.
    if len(head) < 34 or not head[15] & 2:
        return "before 1.18"
    return head[33 : 33 + head[32]].decode("ascii", "replace").removeprefix("go").split(" ")[0]


def framework_of(cmdline: Sequence[str], runtime: str) -> str:
    """The server or framework a command line names, with the worker class where one is given; ""
    when it names none.
    """
    words = " ".join(cmdline[:_FIRST_WORDS]).lower()
    if runtime == "cpython" and "manage.py" in words and "runserver" in words:
        return "django"
    for server in _SERVERS:
        if re.search(rf"(?:^|[\s/_.-]){re.escape(server)}(?=$|[\s/:_.,-])", words):
            worker = re.search(r"(?:-k|--worker-class)[ =](\S+)", " ".join(cmdline))
            return f"{server} ({worker[1]})" if worker and server == "gunicorn" else server
    return ""


def is_prefork(framework: str) -> bool:
    """Whether a server of that name forks workers that share its listening socket and does no work
    itself.
    """
    return framework.split(" ")[0] in _PREFORK
