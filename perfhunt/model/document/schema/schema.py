"""The JSON Schema (draft 2020-12) of run.json, from the types that write and read it."""

from __future__ import annotations

from typing import Any

import msgspec

from perfhunt.model.document.schema.causes import CAUSES
from perfhunt.model.document.schema.circumstances import CIRCUMSTANCES
from perfhunt.model.document.schema.results import RESULTS
from perfhunt.model.document.shape import KneeDocument, NoKneeDocument, RunDocument
from perfhunt.model.finding import FORMER_CLASSES, BottleneckClass
from perfhunt.model.run import SCHEMA

_MEANINGS = CIRCUMSTANCES | RESULTS | CAUSES
# Keys that are not in every document; all others are always written.
_OPTIONAL = {
    *("rows", "curve", "drift", "disturbance", "interference", "route_knees", "over"),
    *("waterfall", "unread", "unread_error", "memory_hits", "tasks_refused"),
    *("fds_most", "fds_limit"),
    *("leaves", "application", "between", "target_busy"),
    *("wire", "listen_drops", "syn_retransmits", "retransmits"),
    *("withheld", "saturated", "saturated_low", "saturated_high", "at_least", "binding"),
    *("peers", "parts", "keep_error_text"),
    *("locust_options", "locust_classes", "locust_withheld"),
    *("engine", "k6_script", "k6_script_sha256"),
    *("launched", "inside", "code_sha256"),
    *("login", "session_values", "sessions", "smoke", "extract", "think", "then"),
    *("locustfile_connects", "refused", "attached", "mishaps", "tasks", "why", "failures"),
    *("sizes", "cpu_waits"),
}


def schema() -> dict[str, Any]:
    """The schema as plain values: every key with its meaning and unit, and required where it is
    always written.
    """
    _, types = msgspec.json.schema_components(
        [RunDocument, KneeDocument, NoKneeDocument], ref_template="#/$defs/{name}"
    )
    for name, described in types.items():
        if "properties" in described:
            _describe(described, _MEANINGS[name])
    types[BottleneckClass.__name__]["enum"] += FORMER_CLASSES
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:perfhunt:run:{SCHEMA}",
    }
    run = types.pop(RunDocument.__name__) | {"title": f"perfhunt run.json, schema {SCHEMA}"}
    whole: dict[str, Any] = head | run | {"$defs": types}
    return whole


def _describe(described: dict[str, Any], meanings: dict[str, str]) -> None:
    """Puts the meaning beside the type of each key. What a reader assumes of an absent key is no
    business of who writes one, so defaults go.
    """
    for key, value in described["properties"].items():
        value["description"] = meanings[key]
        value.pop("default", None)
    described["required"] = [key for key in described["properties"] if key not in _OPTIONAL]
    described["description"] = " ".join(described["description"].split())
