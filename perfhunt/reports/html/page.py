"""What pages of ours have in common: templates that escape what is filled in, and a policy that
lets nothing in.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable

from jinja2 import Environment, StrictUndefined, Template

from perfhunt.model.text.escaping import markup
from perfhunt.reports.pictures.svg import template

HERE = "perfhunt.reports.html"


def filled(name: str, **filters: Callable[[str], str]) -> Template:
    """A template of this folder; texts that are filled in are escaped, markup of our own stays.
    `filters` are what it may put texts through, by name.
    """
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters)
    return environment.from_string(template(HERE, name))


def _shown(value: object) -> object:
    return markup(value) if isinstance(value, str) else value


def policy(script: str, style: str) -> str:
    """A content security policy that allows this page's own script and style, by hash, and nothing
    else; "": none at all.
    """
    rules = (
        "default-src 'none'",
        *([f"script-src '{_hash(script)}'"] if script else []),
        f"style-src '{_hash(style)}'",
        "base-uri 'none'",
        "form-action 'none'",
    )
    return "; ".join(rules)


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
