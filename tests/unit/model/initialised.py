"""The file that `init` writes, as `investigate` reads it once its SLO has numbers."""

from __future__ import annotations

from perfhunt.load.render import prepare
from perfhunt.model.question import Question
from perfhunt.model.recorded.table import NONE_CHOSEN
from perfhunt.model.recorded.traffic import RecordedTraffic
from perfhunt.model.testfile.testfile import parse_question
from perfhunt.model.testfile.thresholds import BLANK
from perfhunt.model.testfile.traffic_table import Surroundings
from perfhunt.store.init_file import init_text


def question(traffic: RecordedTraffic, **env: str) -> Question:
    """The question, with whose traffic the target serves left at its default."""
    text = init_text(None, None, traffic).replace(f'environment = "{BLANK}"', "")
    return read(text, traffic, **env)


def woken(traffic: RecordedTraffic, **env: str) -> Question:
    """The question with every table taken out of its comments."""
    lines, asleep = list[str](), False
    for line in traffic.toml.removeprefix(NONE_CHOSEN).splitlines():
        asleep = line.startswith("# ") and (asleep or line == "# [[traffic]]")
        lines.append(line.removeprefix("# ") if asleep else line)
    awake = traffic._replace(toml="\n".join(lines))
    return question(awake, **env)


def read(text: str, traffic: RecordedTraffic, **env: str) -> Question:
    """The question of a written file."""
    around = Surroundings(env, lambda name: traffic.feeds[name].encode())
    text = text.replace(f"{BLANK}ms", "40ms").replace(f"{BLANK}%", "1%")
    return parse_question(text, "perfhunt.toml", around)


def sent(asked: Question, **env: str) -> dict[str, tuple[str, dict[str, str], str]]:
    """What goes over the wire, by the name of the request: its first line, the headers that the
    engine does not set, and its body.
    """
    wire = {}
    for endpoint in asked.traffic:
        head, _, body = prepare(endpoint, "host", "run", env).get(0).decode().partition("\r\n\r\n")
        first, *lines = head.split("\r\n")
        pairs = (line.split(": ", 1) for line in lines)
        own = {k: v for k, v in pairs if k not in _ENGINES}
        wire[endpoint.name] = (first.removesuffix(" HTTP/1.1"), own, body)
    return wire


_ENGINES = ("Host", "User-Agent", "X-Perfhunt-Run", "Accept", "Content-Length")
