from __future__ import annotations

import json
from dataclasses import replace
from math import isinf
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from perfhunt.errors import StoreError
from perfhunt.model.document.folded import fold
from perfhunt.model.document.schema.causes import CAUSES
from perfhunt.model.document.schema.circumstances import CIRCUMSTANCES
from perfhunt.model.document.schema.results import RESULTS
from perfhunt.model.document.writing import document, trial_document
from perfhunt.model.knee import Knee
from perfhunt.model.run import Run
from perfhunt.store.run_json import dumps, loads, read_run, schema_text
from tests.sample_run import aborted_run, launched_run, sample_run

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


@pytest.mark.parametrize(
    "run", [sample_run(), aborted_run(), launched_run()], ids=["whole", "aborted", "launched"]
)
def test_a_run_comes_back_from_its_json_as_it_was(run: Run) -> None:
    assert loads(dumps(run)) == stored(run)


def test_latencies_are_in_milliseconds_and_the_exceed_count_is_the_knees() -> None:
    run = sample_run()
    plain = document(run)
    assert plain["knee"]["limit_ms"] == 250.0
    last = run.trials[-1].response.p99
    assert last is not None
    assert plain["trials"][-1]["response"]["p99"] == pytest.approx(last * 1000)
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
        ("trials", [{"phase": "ramp"}], "trials[0]: object missing required field `rate`"),
        ("seconds", "long", "seconds: expected `float`, got `str`"),
        ("exit_code", True, "exit_code: expected `int`, got `bool`"),
        (
            "cautions",
            [{"code": "version", "sentence": "y", "colour": "red"}],
            "cautions[0].colour: unknown field",
        ),
        ("cautions", [{"code": "x", "sentence": "y"}], "cautions[0].code: invalid enum value 'x'"),
        ("verdict", "PASSED", "verdict: invalid enum value 'PASSED'"),
        ("knee", {"none": "stopped"}, "knee: object missing required field `code`"),
        ("knees", [{"rate": 1.0}], "knees[0]: object missing required field `low`"),
    ],
)
def test_a_damaged_document_is_refused_naming_the_place(key: str, value: object, says: str) -> None:
    plain = json.loads(dumps(sample_run())) | {key: value}
    with pytest.raises(StoreError) as refused:
        loads(json.dumps(plain))
    assert refused.value.message == f"run.json is damaged: {says}"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("trials", [{"phase": "ramp"}]),
        ("seconds", "long"),
        ("cautions", [{"code": "x", "sentence": "y", "next": ""}]),
        ("verdict", "PASSED"),
        ("knee", {"none": "stopped"}),
        ("knee", {"rate": 1.0}),
        ("schema", 2),
    ],
)
def test_the_schema_refuses_a_damaged_document(key: str, value: object) -> None:
    plain = json.loads(dumps(sample_run()))
    schema = Draft202012Validator(json.loads(schema_text()))
    assert schema.is_valid(plain)
    assert not schema.is_valid(plain | {key: value})
    del plain[key]
    assert not schema.is_valid(plain)


OLD = Path(__file__).parents[2] / "golden" / "runs" / "20261123T043000Z-1f3a9c"


def unlike(old: Any, new: Any, path: str = "") -> list[str]:
    """Where a value is not as it was; keys may be added."""
    if isinstance(old, dict) and isinstance(new, dict):
        lost = [f"{path}.{key}" for key in old if key not in new]
        return lost + [p for k in old if k in new for p in unlike(old[k], new[k], f"{path}.{k}")]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return [p for i, (a, b) in pairs for p in unlike(a, b, f"{path}[{i}]")]
    return [] if old == new else [path]


def test_a_run_that_an_earlier_version_wrote_opens_and_is_written_alike() -> None:
    run, text = read_run(OLD), (OLD / "run.json").read_text("utf-8")
    assert unlike(json.loads(text), json.loads(dumps(run))) == []
    assert list(Draft202012Validator(json.loads(schema_text())).iter_errors(json.loads(text))) == []
    lines = [json.loads(line) for line in (OLD / "trials.jsonl").read_text("utf-8").splitlines()]
    kept = [trial_document(trial) for trial in (run.baseline, *run.trials) if trial is not None]
    assert unlike([line["trial"] for line in lines if "trial" in line], kept) == []
    (stacks,) = (profile.stacks for profile in run.profiles.values())
    assert fold(stacks) == (OLD / "profile-knee.folded").read_text("utf-8")


def test_a_run_that_an_earlier_version_wrote_holds_what_was_measured() -> None:
    run = read_run(OLD)
    assert isinstance(run.knee, Knee)
    assert (run.knee.rate, run.knee.limit, run.knee.label) == (141.3, 0.25, "sharp")
    assert [type(knee).__name__ for knee in run.knees] == ["Knee", "Knee", "NoKnee", "Knee"]
    assert [isinstance(k, Knee) and isinf(k.limit) for k in run.knees] == [False] * 3 + [True]
    assert run.findings[0].blamed.value == 0.0142
    assert run.bottleneck is not None
    assert (run.bottleneck.category, run.bottleneck.runner_up) == ("lock", "gil")
    assert [trial.rows[0].due for trial in run.trials] == [15, 171, 154, 127]
    assert run.ended == "complete"


DERIVED = {"generator"}  # from the trials, for readers of the file
JOINED = {
    "drift",
    "disturbance",
    "route_knees",
    "waterfall",
    "peers",
    "launched",
    "inside",
}  # since runs were first written: old ones open without


@pytest.mark.parametrize("key", sorted(document(sample_run()).keys() - DERIVED - JOINED))
def test_a_document_without_one_of_its_keys_is_refused(key: str) -> None:
    plain = json.loads(dumps(sample_run()))
    del plain[key]
    with pytest.raises(StoreError):
        loads(json.dumps(plain))


@pytest.mark.parametrize("key", sorted(DERIVED))
def test_a_document_without_what_is_derived_is_read_all_the_same(key: str) -> None:
    plain = json.loads(dumps(sample_run()))
    del plain[key]
    assert loads(json.dumps(plain)) == loads(dumps(sample_run()))


@pytest.mark.parametrize(
    "run", [sample_run(), aborted_run(), launched_run()], ids=["whole", "aborted", "launched"]
)
def test_run_json_is_valid_by_the_schema_that_is_shipped(run: Run) -> None:
    validator = Draft202012Validator(json.loads(schema_text()))
    assert [e.message for e in validator.iter_errors(json.loads(dumps(run)))] == []


def test_the_schema_that_is_shipped_is_one() -> None:
    Draft202012Validator.check_schema(json.loads(schema_text()))


def choices(schema: dict[str, Any], defs: dict[str, Any]) -> list[dict[str, Any]]:
    """The schemas that a value may be by, references followed."""
    if "$ref" in schema:
        return choices(defs[schema["$ref"].rpartition("/")[2]], defs)
    inner = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    return [found for choice in inner for found in choices(choice, defs)] or [schema]


def undescribed(
    schema: dict[str, Any], plain: Any, defs: dict[str, Any], path: str = ""
) -> list[str]:
    """Keys of a document that its schema does not describe."""
    if isinstance(plain, list):
        (array,) = (s for s in choices(schema, defs) if s.get("type") == "array")
        return [p for item in plain for p in undescribed(array["items"], item, defs, f"{path}[]")]
    if not isinstance(plain, dict):
        return []
    objects = [s for s in choices(schema, defs) if s.get("type") == "object"]
    shape = next((s for s in objects if set(plain) <= set(s.get("properties", ()))), objects[0])
    found, rest = [], shape.get("additionalProperties")
    for key, value in plain.items():
        inner = shape.get("properties", {}).get(key)
        nameless = not isinstance(rest, dict) if inner is None else not inner.get("description")
        if nameless:
            found.append(f"{path}.{key}")
        found += undescribed(inner or rest or {}, value, defs, f"{path}.{key}")
    return found


def test_the_schema_describes_every_key_that_is_written() -> None:
    schema = json.loads(schema_text())
    assert sorted(set(undescribed(schema, document(sample_run()), schema["$defs"]))) == []
    assert undescribed(schema, {"colour": "red"}, schema["$defs"]) == [".colour"]


def test_every_meaning_in_the_schema_is_of_a_key_there_is() -> None:
    defs = json.loads(schema_text())["$defs"] | {"RunDocument": json.loads(schema_text())}
    meanings = {name: set(keys) for name, keys in (CIRCUMSTANCES | RESULTS | CAUSES).items()}
    assert meanings == {n: set(d["properties"]) for n, d in defs.items() if "properties" in d}
