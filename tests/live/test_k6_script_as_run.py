"""What is read of a k6 script is what it sends when it is run: Node runs one of ours, with a
`k6/http` that writes down its calls.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from perfhunt.model.recorded.k6.script import k6_traffic
from tests.unit.model.initialised import question, sent

pytestmark = [
    pytest.mark.live,
    pytest.mark.beside,
    pytest.mark.skipif(shutil.which("node") is None, reason="no node"),
]
pytest.importorskip("tree_sitter_javascript", reason="perfhunt[langs] is not installed")

SCRIPT = r"""
import http from 'k6/http';
import { check } from 'k6';
const BASE = 'http://shop.test:8000', V = { n: 2, deep: { list: [1, -2.50, 0x1F, 1_000, 1e3] } };
const { ignored } = { ignored: 1 };
let later; later = 'never read';
const quoted = 'a\'b"c\\d\u0041\x42\u{1F600}\t' + "it's" + `x${V.n}y${'z'}` + "\
joined";
export default function () {
  const path = '/p' + V.n, shadowed = '/outer';
  {
    const shadowed = `${path}/inner`;
    http.get(`${BASE}${shadowed}?q=a%20b&empty=`);
  }
  http.get(BASE + shadowed, { headers: { 'X-Text': `v${V.deep.list[0]}` } });
  const body = { quoted, ...V, 'a b': null, yes: true, 'é': [[], {}] };
  const res = http.post(`${BASE}/json`, JSON.stringify(body), { tags: { name: 'json' } });
  check(res, { ok: (r) => r.status === 200 });
  http.put(`${BASE}/text`, 'line\n' + quoted);
  http.patch(`${BASE}/string`, JSON.stringify(quoted));
  http.request('delete', `${BASE}/gone`);
  http.batch([['POST', `${BASE}/one`, JSON.stringify([V.deep])], `${BASE}/two`]);
}
"""
STUB = """
const calls = [];
const text = (url) => String(url);
const write = (method) => (url, body) => {
  calls.push([method, text(url), typeof body === 'string' ? body : '']);
};
const http = {
  get: (url) => write('GET')(url), post: write('POST'), put: write('PUT'), patch: write('PATCH'),
  request: (method, url, body) => write(method.toUpperCase())(url, body),
  batch: (every) => every.forEach((each) => Array.isArray(each)
    ? write(each[0])(each[1], each[2]) : write('GET')(each)),
};
export default http;
export const check = () => true;
export { calls };
"""
RUN = """
import run from './script.mjs';
import { calls } from 'k6/http';
run();
console.log(JSON.stringify(calls));
"""


def ran(place: Path) -> list[list[str]]:
    """Method, url and body of each call that the script makes."""
    package = place / "node_modules" / "k6"
    package.mkdir(parents=True)
    exports = {".": "./http.mjs", "./http": "./http.mjs"}
    (package / "package.json").write_text(json.dumps({"name": "k6", "exports": exports}))
    (package / "http.mjs").write_text(STUB)
    (place / "script.mjs").write_text(SCRIPT)
    (place / "run.mjs").write_text(RUN)
    done = subprocess.run(
        ["node", "run.mjs"], cwd=place, capture_output=True, text=True, check=True, timeout=60
    )
    calls: list[list[str]] = json.loads(done.stdout)
    return calls


def test_what_is_read_of_a_script_is_what_it_sends(tmp_path: Path) -> None:
    asked = question(k6_traffic(SCRIPT, "perfhunt", "script.js"))
    read = [(*first.split(" "), body) for first, _, body in sent(asked).values()]
    calls = ran(tmp_path)
    assert len(calls) == 8
    assert read == [
        (method, url.removeprefix(asked.target.url), body) for method, url, body in calls
    ]
    assert {f"http://{urlsplit(url).netloc}" for _, url, _ in calls} == {asked.target.url}
