from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from sample_run import aborted_run, sample_run

from perfhunt.errors import StoreError
from perfhunt.model.document.writing import document
from perfhunt.model.run import Run
from perfhunt.store.run_json import dumps, loads, schema_text

SPELLED = {
    "": (
        "schema kind id started perfhunt question environment slo knee capacity baseline trials"
        " bottleneck findings states generator probe_effect cautions artifacts verdict"
    ),
    "slo": "verdict objectives",
    "slo.objectives": "name limit value n verdict",
    "knee": "rate low high confidence limit_ms sharpness label",
    "trials": "phase rate achieved n exceed overload response service errors lag_p99_ms resources",
    "trials.response": "p50 p95 p99",
    "bottleneck": "class score evidence runner_up",
    "findings": "rank function file line class self_share total_share ms_per_request",
    "findings.ms_per_request": "value low high",
    "states": "baseline knee",
}


def stored(run: Run) -> Run:
    """The run without what lives in other files (rows, stacks)."""
    bare = replace(run, question=run.question.redacted())
    bare = replace(bare, trials=tuple(replace(t, rows=()) for t in run.trials))
    bare = replace(
        bare, profiles={p: replace(profile, stacks={}) for p, profile in run.profiles.items()}
    )
    return replace(bare, baseline=replace(run.baseline, rows=()) if run.baseline else None)


@pytest.mark.parametrize("path", SPELLED)
def test_run_json_has_every_key_that_was_promised(path: str) -> None:
    place = json.loads(dumps(sample_run()))
    for key in filter(None, path.split(".")):
        place = place[key]
        place = place[0] if isinstance(place, list) else place
    assert set(SPELLED[path].split()) <= set(place)


def test_no_knee_is_none_with_its_reason() -> None:
    knee = json.loads(dumps(aborted_run()))["knee"]
    assert knee["none"] == "the run ended before a knee was searched for"
    assert "rate" not in knee


@pytest.mark.parametrize("run", [sample_run(), aborted_run()], ids=["whole", "aborted"])
def test_a_run_comes_back_from_its_json_as_it_was(run: Run) -> None:
    assert loads(dumps(run)) == stored(run)


def test_latencies_are_in_milliseconds_and_the_exceed_count_is_the_knees() -> None:
    run = sample_run()
    plain = document(run)
    assert plain["knee"]["limit_ms"] == 250.0
    assert plain["trials"][-1]["response"]["p99"] == pytest.approx(
        run.trials[-1].response.p99 * 1000
    )
    assert [t["exceed"] for t in plain["trials"]] == [
        t.counts["latency.p99"].exceed for t in run.trials
    ]
    assert plain["slo"]["objectives"][1] == {
        "name": "latency.p99",
        "op": "<=",
        "limit": 250.0,
        "value": 114.3,
        "unit": "ms",
        "n": 7080,
        "verdict": "MET",
        "window_s": None,
        "note": "",
    }
    assert plain["findings"][0]["ms_per_request"]["value"] == 14.2


def test_the_fingerprint_of_a_stored_question_is_that_of_the_asked_one() -> None:
    run = sample_run()
    assert loads(dumps(run)).question.fingerprint() == run.question.fingerprint()


def test_another_schema_is_refused_with_a_sentence() -> None:
    plain = json.loads(dumps(sample_run())) | {"schema": 99}
    with pytest.raises(
        StoreError, match=r"run\.json has schema 99; this perfhunt reads schema 1"
    ) as refused:
        loads(json.dumps(plain))
    assert "upgrade" in refused.value.hint


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("trials", [{"phase": "ramp"}], "damaged"),
        ("seconds", "long", "seconds: expected a number, found 'long'"),
        (
            "cautions",
            [{"code": "x", "sentence": "y", "colour": "red"}],
            "no key ['colour'] in Caution",
        ),
        ("verdict", "PASSED", "verdict: expected one of ['MET', 'MISSED', 'UNKNOWN']"),
    ],
)
def test_a_damaged_document_is_refused_naming_the_place(key: str, value: object, says: str) -> None:
    plain = json.loads(dumps(sample_run())) | {key: value}
    with pytest.raises(StoreError) as refused:
        loads(json.dumps(plain))
    assert says in refused.value.message


@pytest.mark.parametrize("key", sorted(document(sample_run())))
def test_a_document_without_one_of_its_keys_is_refused(key: str) -> None:
    plain = json.loads(dumps(sample_run()))
    del plain[key]
    if key == "generator":  # derived from the trials, for readers of the file
        assert loads(json.dumps(plain))
        return
    with pytest.raises(StoreError):
        loads(json.dumps(plain))


@pytest.mark.parametrize("run", [sample_run(), aborted_run()], ids=["whole", "aborted"])
def test_run_json_is_valid_by_the_schema_that_is_shipped(run: Run) -> None:
    schema = json.loads(schema_text())
    Draft202012Validator.check_schema(schema)
    assert [
        e.message for e in Draft202012Validator(schema).iter_errors(json.loads(dumps(run)))
    ] == []


def undescribed(
    schema: dict[str, Any], plain: Any, defs: dict[str, Any], path: str = ""
) -> list[str]:
    """Keys of a document that its schema does not describe."""
    if "$ref" in schema:
        schema = defs[schema["$ref"].rpartition("/")[2]]
    for choice in schema.get("oneOf", ()):
        resolved = defs[choice["$ref"].rpartition("/")[2]] if "$ref" in choice else choice
        if isinstance(plain, dict) and set(plain) == set(resolved.get("properties", ())):
            return undescribed(resolved, plain, defs, path)
    if isinstance(plain, list):
        return [p for item in plain for p in undescribed(schema["items"], item, defs, f"{path}[]")]
    if not isinstance(plain, dict):
        return [] if schema.get("description") else [path]
    found, rest = [], schema.get("additionalProperties")
    for key, value in plain.items():
        inner = schema.get("properties", {}).get(key) or (rest if isinstance(rest, dict) else None)
        found += (
            [f"{path}.{key}"] if inner is None else undescribed(inner, value, defs, f"{path}.{key}")
        )
    return found


def test_the_schema_describes_every_key_that_is_written() -> None:
    schema = json.loads(schema_text())
    assert sorted(set(undescribed(schema, document(sample_run()), schema["$defs"]))) == []
