"""What may be kept of a command line: an allow list, because a secret looks like anything.

Kept are the program, a script's or module's name, a known subcommand, and known options, with their
values where these have the form that is known to be harmless. All else is HIDDEN, and what follows
a hidden word is no longer taken for a name: it may be that word's value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

HIDDEN = "…"

# Forms of values.
_COUNT = re.compile(r"\d{1,4}(?:\.\d{1,3})?")
_AMOUNT = re.compile(r"\d{1,6}(?:\.\d{1,3})?[kKmMgG]?")
# A number, or what a command that we start has in its place.
_PORT_WORD = r"(?:\d{1,5}|\$PORT|\$\{PORT\}|\{port\})"
_PORT = re.compile(_PORT_WORD)
_HOST = r"(?:localhost|(?:\d{1,3}\.){3}\d{1,3}|\[?[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}\]?)"
_AT_HOST = re.compile(_HOST)
_ADDRESS = re.compile(rf"(?:http://)?(?:{_HOST})?:{_PORT_WORD}")
_FILE = re.compile(
    r"(?:[\w.+@-]*/)*[\w.+-]+\.(?:py|pyz|js|mjs|cjs|ts|jar|war|rb|php|pl|sh|exs"
    r"|toml|conf|cfg|ini|json|ya?ml|xml)"
)
_PROGRAM_FILE = re.compile(r"(?:[\w.+@-]*/)*s?bin/[\w.+-]{1,40}")
# A word of code: a key or a token, where letters and digits alternate, is none.
_WORD = r"_{0,2}[A-Za-z]{1,24}\d{0,3}(?:_{1,2}[A-Za-z]{0,24}\d{0,3}){0,8}"
_MODULE = re.compile(rf"{_WORD}(?:\.{_WORD}){{0,9}}")
_APPLICATION = re.compile(
    rf"{_WORD}(?:\.{_WORD}){{0,9}}:{_WORD}(?:\(\))?|{_WORD}(?:\.{_WORD}){{1,9}}"
)
_PROGRAM = re.compile(r"(?:[\w.+@-]*/)*[\w.+@-]{1,64}")


def _words(*words: str) -> re.Pattern[str]:
    return re.compile("|".join(words))


_FLAG = None  # an option without a value
_LEVEL = _words("critical", "error", "warning", "warn", "info", "debug", "trace", "off")
_WORKER = _words(
    *("sync", "gthread", "gevent", "eventlet", "tornado", "threads", "prefork", "solo"),
    r"uvicorn(?:_worker|\.workers)?\.Uvicorn(?:H11)?Worker",
)
_OPTIONS: Mapping[str, re.Pattern[str] | None] = {
    # how much
    **dict.fromkeys(("--workers", "--processes", "--threads", "--concurrency"), _COUNT),
    **dict.fromkeys(("--worker-connections", "--backlog", "--limit-concurrency"), _AMOUNT),
    **dict.fromkeys(("--timeout", "--graceful-timeout", "--keep-alive", "--keepalive"), _COUNT),
    **dict.fromkeys(("--timeout-keep-alive", "--runtime-threads", "--blocking-threads"), _COUNT),
    **dict.fromkeys(("--max-requests", "--max-requests-jitter", "--maxmemory"), _AMOUNT),
    **dict.fromkeys(("--max-old-space-size", "--max-semi-space-size"), _AMOUNT),
    # where
    **dict.fromkeys(("--bind", "--http-socket", "--listen"), _ADDRESS),
    "--host": _AT_HOST,
    "--port": _PORT,
    # which file
    **dict.fromkeys(("--config", "--ini", "--wsgi-file"), _FILE),
    # how
    "--worker-class": _WORKER,
    "--log-level": _LEVEL,
    "--loglevel": _LEVEL,
    "--loop": _words("auto", "asyncio", "uvloop", "rloop"),
    "--http": _words("auto", "h11", "httptools", "1", "2"),
    "--interface": _words("auto", "asgi3", "asgi2", "wsgi", "asgi", "rsgi"),
    "--lifespan": _words("auto", "on", "off"),
    "--ws": _words("auto", "none", "websockets", "wsproto"),
    **dict.fromkeys(("--preload", "--reload", "--no-reload", "--noreload"), _FLAG),
    **dict.fromkeys(("--master", "--enable-threads", "--proxy-headers", "--no-access-log"), _FLAG),
    **dict.fromkeys(("--without-threads", "--with-threads", "--debug", "--no-debug"), _FLAG),
    **dict.fromkeys(("--enable-source-maps", "--expose-gc", "--factory", "--insecure"), _FLAG),
}
# Short ones mean another thing in every program: these are of servers of Python, these of its own.
_SERVERS_OPTIONS: Mapping[str, re.Pattern[str] | None] = {
    "-w": _COUNT,
    "-t": _COUNT,
    "-b": _ADDRESS,
    "-k": _WORKER,
    "-c": _FILE,
}
_INTERPRETERS_OPTIONS: Mapping[str, Mapping[str, re.Pattern[str] | None]] = {
    "python": {
        **dict.fromkeys(("-u", "-O", "-OO", "-B", "-E", "-I", "-s", "-S", "-P"), _FLAG),
        "-m": _MODULE,
        "-X": _words("dev", "utf8", "utf8=1", "gil=0", "gil=1", "perf", "importtime"),
        "-W": _words("default", "error", "always", "ignore", "once"),
    },
    "node": {},
    "java": {"-jar": _FILE, "-server": _FLAG},
    **{name: {} for name in ("pypy", "ruby", "php", "perl", "sh", "bash", "dash", "deno", "bun")},
}
_JVM = re.compile(r"-Xm[nsx]\d{1,6}[kKmMgG]?|-XX:[+-]Use\w{1,40}|-XX:\w{1,40}=\d{1,6}[kKmMgG]?")
# Their first word is the application.
_SERVERS = {
    *("gunicorn", "uvicorn", "hypercorn", "daphne", "granian", "waitress-serve", "waitress")
}
# Known by their name alone where nothing says what a process really runs.
_KNOWN = {
    *_SERVERS,
    *_INTERPRETERS_OPTIONS,
    *("uwsgi", "flask", "fastapi", "django-admin", "celery"),
    *("nginx", "apache2", "httpd", "caddy", "envoy", "haproxy", "php-fpm", "puma", "unicorn"),
    *("postgres", "redis-server", "redis-cli", "mysqld", "mongod", "memcached", "npm", "npx"),
}
_SUBCOMMANDS = {
    *("run", "runserver", "serve", "server", "start", "worker", "beat", "web", "dev", "prod"),
    *("daemon", "master", "api", "app", "asgi", "wsgi"),
}


def kept(arguments: Sequence[str], program: str = "") -> tuple[str, ...]:
    """A command line without what may be secret; `program` is the file that the process runs, which
    tells a program's name from a title that was written over it. Doing it twice changes nothing.
    """
    if not arguments:
        return ()
    name = _name(arguments[0], program)
    return (name, *_rest(_stem(name), list(arguments[1:])))


def _name(first: str, program: str) -> str:
    """What is kept of the first word: it, if it names the program; else the program's own name."""
    if _PROGRAM.fullmatch(first) and (
        _stem(first) in _KNOWN or (program and _stem(first) == _stem(program))
    ):
        return first
    title = first.partition(":")[0]
    if ":" in first and title in _KNOWN:  # nginx: master process /usr/sbin/nginx
        return f"{title}: {HIDDEN}"
    return program.rpartition("/")[2] or HIDDEN


def _stem(path: str) -> str:
    """`python` of `/usr/bin/python3.11`."""
    return re.sub(r"[\d.-]+$", "", path.rpartition("/")[2]) or path


def _rest(program: str, words: list[str]) -> Iterator[str]:
    names = _Names(program)
    while words:
        word = words.pop(0)
        if not word.startswith("-"):
            yield names.kept(word)
            continue
        option, equals, value = word.partition("=")
        if word in names.flags or (program == "java" and _JVM.fullmatch(word)):
            yield word
        elif option not in names.options:
            yield names.hide()
        elif equals:
            yield word if names.fits(option, value) else f"{option}={HIDDEN}"
        else:
            yield option
            if words and not (words[0].startswith("-") and len(words[0]) > 1):
                value = words.pop(0)
                yield value if names.fits(option, value) else HIDDEN
                names.took(option, value)


class _Names:
    """Which words of a command line are names: it goes along with the reading, for that depends on
    what stood before.
    """

    def __init__(self, program: str) -> None:
        self._interpreter = program if program in _INTERPRETERS_OPTIONS else ""
        self._serves = program in _SERVERS
        self._expects_script = bool(self._interpreter)
        self._doubtful = False
        self.options: dict[str, re.Pattern[str]] = {}
        self.flags: set[str] = set()
        self._learn(_OPTIONS)
        self._learn(_INTERPRETERS_OPTIONS.get(program, {}))
        if self._serves:
            self._learn(_SERVERS_OPTIONS)

    def _learn(self, options: Mapping[str, re.Pattern[str] | None]) -> None:
        self.flags |= {name for name, form in options.items() if form is None}
        self.options |= {name: form for name, form in options.items() if form is not None}

    def fits(self, option: str, value: str) -> bool:
        """Whether a value has the form that is harmless for its option."""
        return self.options[option].fullmatch(value) is not None

    def took(self, option: str, value: str) -> None:
        """An option's value went by: a module is the program from then on."""
        if option not in ("-m", "-jar") or not self._expects_script:
            return
        if self.fits(option, value):
            self._begin(value)
        else:
            self.hide()

    def hide(self) -> str:
        """What stands for a word that may be secret; the next may be its value."""
        self._doubtful = True
        return HIDDEN

    def kept(self, word: str) -> str:
        """A word that is no option, if it is the name that may stand there."""
        if self._doubtful:
            return HIDDEN
        if self._expects_script and (_FILE.fullmatch(word) or _PROGRAM_FILE.fullmatch(word)):
            self._begin(word)
            return word
        if not self._expects_script and word in _SUBCOMMANDS:
            return word
        if self._serves and _APPLICATION.fullmatch(word):
            self._serves = False  # there is one application
            return word
        return self.hide()

    def _begin(self, script: str) -> None:
        """From here on the words are those of a script or a module."""
        self._expects_script = False
        name = script.rpartition("/")[2]
        self._serves = name in _SERVERS
        if self._interpreter == "python":
            for option in _INTERPRETERS_OPTIONS["python"]:
                self.options.pop(option, None)
                self.flags.discard(option)
        if self._serves:
            self._learn(_SERVERS_OPTIONS)
