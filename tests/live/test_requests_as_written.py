"""What `[[traffic]]` says is what arrives: from a test file, sent, and mirrored by a service."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from perfhunt.model.traffic.parts import Expect
from perfhunt.store.testfile import read_question
from tests.live.load_targets.harness import announced, engine, python, step
from tests.unit.model.testfiles import SLO

pytestmark = [pytest.mark.live, pytest.mark.beside]

FED = 'feed = "rows.csv"'
ROWS = 'a,b,sid\nred,"big & tall",s-1\nred,"big & tall",s-1\n'
# Each endpoint by its name: how it is written, and what must arrive.
WRITTEN = {
    "several": ('request = "GET /l?tag=a&tag=b"', "GET /l?tag=a&tag=b HTTP/1.1\r\n"),
    "other order": ('request = "GET /l?tag=b&tag=a"', "GET /l?tag=b&tag=a HTTP/1.1\r\n"),
    "brackets": ('request = "GET /l?t[]=a&t[]=b&e=&f"', "GET /l?t[]=a&t[]=b&e=&f HTTP/1.1\r\n"),
    "filled": (
        f'request = "GET /l?tag={{a}}&tag={{b}}&tag={{a:raw}}"\n{FED}',
        "GET /l?tag=red&tag=big%20%26%20tall&tag=red HTTP/1.1\r\n",
    ),
    "cookies": (
        'request = "GET /"\nheaders = { Cookie = "sid=${SHOP_SID}; theme=dark" }',
        "\r\nCookie: sid=abc=.DEF/+; theme=dark\r\n",
    ),
    "cookies of a row": (
        f'request = "GET /"\nheaders = {{ cookie = "sid={{sid}}; of={{b}}" }}\n{FED}',
        "\r\ncookie: sid=s-1; of=big & tall\r\n",
    ),
    "form": (
        f'request = "POST /"\nform = {{ tag = ["a", "{{b}}"] }}\n{FED}',
        "\r\n\r\ntag=a&tag=big+%26+tall",
    ),
    "multipart": (
        'request = "POST /"\nbody = { form = { tag = ["a", "b"], f = { file = "cat.jpg" } } }',
        'name="f"; filename="cat.jpg"\r\nContent-Type: application/octet-stream\r\n\r\nmeow\r\n--',
    ),
}


def test_queries_cookies_and_forms_arrive_as_they_were_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_SID", "abc=.DEF/+")
    (tmp_path / "rows.csv").write_text(ROWS)
    (tmp_path / "cat.jpg").write_text("meow")
    tables = [f'[[traffic]]\nname = "{name}"\n{lines}\n' for name, (lines, _) in WRITTEN.items()]
    file = tmp_path / "perfhunt.toml"
    file.write_text(SLO + "".join(tables))
    looked_for = [
        replace(endpoint, expect=Expect(body=WRITTEN[endpoint.name][1]))
        for endpoint in read_question(file, tmp_path, {"SHOP_SID": "another"}).traffic
    ]
    with (
        announced(*python("mirror.py", "127.0.0.1")) as url,
        engine(url, tmp_path / "load", *looked_for) as made,
    ):
        trial = made.run(step(160, 0.5, arrivals="uniform"))
    outcomes = {name: route.outcomes.keys() for name, route in trial.routes.items()}
    assert outcomes == {name: {"ok"} for name in WRITTEN}
