"""The page of a verdict that no run of its own stands behind: versions measured side by side."""

from __future__ import annotations

from functools import cache

from jinja2 import Template
from markupsafe import Markup

from perfhunt.reports.html.compared import BeforeAfter, compared_part
from perfhunt.reports.html.page import HERE, filled, policy
from perfhunt.reports.pictures.svg import template


def verdict_page(story: BeforeAfter, target: str, name: str) -> str:
    """The page: the verdict, each endpoint before and after, the edit with its atoms. `name` is
    what it is kept as ("": it is not). What came from the target or its repository is escaped.
    """
    sheet = template(HERE, "report.css")
    return _template().render(
        csp=policy("", sheet),
        style=Markup(sheet),
        word=story.verdict.word.value,
        target=target,
        kind=f"{story.verdict.method} check of a change",
        id=name,
        compared_part=compared_part(story),
    )


@cache
def _template() -> Template:
    return filled("verdict.html.j2")
