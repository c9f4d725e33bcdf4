"""The `[login]` table: what is asked before the load, and what of its answers fills the traffic."""

from __future__ import annotations

from dataclasses import dataclass, replace

from perfhunt.model.question import RequestTemplate
from perfhunt.model.testfile.strict import Reader
from perfhunt.model.testfile.traffic_table import (
    Surroundings,
    read_extract,
    read_request,
    read_steps,
)

MOST_SESSIONS = 1000  # each is a request or more before the load
_EXAMPLE = 'write extract = { token = "json:$.token" }'


@dataclass(frozen=True, slots=True)
class Login:
    """The `[login]` table: what is asked before the load, how many times (0: once for each row),
    and where in each answer the values of a session stand (of several steps, each says it).
    """

    request: RequestTemplate | None = None
    values: tuple[tuple[str, str], ...] = ()
    sessions: int = 0

    @property
    def columns(self) -> tuple[str, ...] | None:
        """What it fills in other requests; None where there is no login."""
        if self.request is None:
            return None
        fed = self.request.feed.columns if self.request.feed else ()
        of_steps = dict.fromkeys(name for step in self.request.steps for name, _ in step.extract)
        return (*fed, *(name for name, _ in self.values), *of_steps)


def read_login(top: Reader, around: Surroundings) -> Login:
    """The login, if there is one; problems go to the reader."""
    table = top.child("login", '[login] with request = "POST /login"')
    if table is None:
        return Login()
    sessions = table.integer("sessions", 0, low=1, high=MOST_SESSIONS)
    if table.has("weight"):
        table.wrong("weight", "has no meaning here", "write how many: sessions = 10")
    for key in ("refresh_on", "lifetime"):
        if table.has(key):
            table.wrong(
                key,
                "cannot be kept to: nobody logs in again once the load is on",
                "let sessions outlive the run in the service that is tested,"
                " or log in within each journey: steps of [[traffic]]",
            )
    if table.has("steps"):
        return _of_steps(table, around, sessions)
    values = read_extract(table)
    if not table.table.get("extract"):
        table.wrong("extract", "says nothing that the traffic could use", _EXAMPLE)
    login = Login(read_request(table, around, (), "the feed"), values, sessions)
    columns = login.columns or ()
    for name in {name for name in columns if columns.count(name) > 1}:
        table.wrong(f"extract.{name}", "is a column of its feed, too", "give it another name")
    return login


def _of_steps(table: Reader, around: Surroundings, sessions: int) -> Login:
    steps = read_steps(table, around)
    for own, step in steps:
        if step.think:
            own.wrong("think", "has no meaning before the load", "leave it out")
    if not steps:
        return Login(RequestTemplate("login", "GET", "/"), (), sessions)
    if not any(step.extract for _, step in steps):
        table.wrong("steps", "extract nothing that the traffic could use", _EXAMPLE)
    first, *later = (step for _, step in steps)
    return Login(replace(first, then=tuple(later)), (), sessions)
