"""k6 scripts as traffic: what can be said without running them, and what cannot, by its line."""

from __future__ import annotations

import json

import pytest

from perfhunt.errors import QuestionError, Unreadable
from perfhunt.model.recorded.k6.script import k6_traffic
from perfhunt.model.recorded.traffic import RecordedTraffic
from perfhunt.store.init_file import init_text
from tests.unit.model.initialised import question, read, sent, woken

pytest.importorskip("tree_sitter_javascript", reason="perfhunt[langs] is not installed")

SHOP = """\
import http from 'k6/http';
import { check, sleep } from 'k6';

const BASE_URL = __ENV.BASE_URL || 'http://localhost:3000';
const JSON_TYPE = { 'Content-Type': 'application/json' };

export const options = {
  scenarios: { peak: { executor: 'constant-arrival-rate', rate: 50, timeUnit: '1s' } },
  thresholds: {
    http_req_duration: ['p(95)<200', { threshold: 'p(99)<500', abortOnFail: true }],
    'http_req_duration{name:Pay}': ['p(95)<300'],
    checks: ['rate>0.9'],
  },
};

export function setup() {
  return http.post(`${BASE_URL}/login`, { user: 'a' }).json('token');
}

export default function (token) {
  const home = http.get(`${BASE_URL}/`);
  check(home, { 'is there': (r) => r.status === 200 });
  const order = { sku: 'A-1', n: 2, gift: false, to: null, tags: ["x", 'y'] };
  let res = http.post(BASE_URL + '/pay?c=1', JSON.stringify(order), {
    headers: { ...JSON_TYPE, Authorization: `Bearer ${__ENV.PAY_TOKEN}` },
    tags: { name: 'Pay' },
  });
  check(res, {
    'was made': (r) => r.status === 201 || r.status === 200,
    'and not late': (r) => r.timings.duration < 100,
  });
  res = http.put(`${BASE_URL}/cart/${res.json().id}`, 'x', { headers: { 'X-A': 'b' } });
  check(res, { 'is ok': (r) => r.status === 204 });
  http.batch([
    ['GET', `${BASE_URL}/a.css`],
    { method: 'POST', url: `${BASE_URL}/log`, body: { e: 'a b' } },
    `${BASE_URL}/b.css`,
  ]);
  if (Math.random() < 0.1) {
    http.del(`${BASE_URL}/cart`);
  }
  sleep(1);
}
"""


def script(body: str, head: str = "") -> RecordedTraffic:
    text = f"import http from 'k6/http';\n{head}\nexport default function () {{\n{body}\n}}\n"
    return k6_traffic(text, "perfhunt", "script.js")


def only(body: str, head: str = "", **env: str) -> tuple[str, dict[str, str], str]:
    """What the only request of a script sends."""
    (wire,) = sent(question(script(body, head), **env), **env).values()
    return wire


@pytest.fixture
def shop() -> RecordedTraffic:
    return k6_traffic(SHOP, "perfhunt", "load/shop.js")


def test_what_stands_in_the_script_is_sent(shop: RecordedTraffic) -> None:
    asked = question(shop, PAY_TOKEN="t")
    assert asked.target.url == "http://localhost:3000"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert sent(asked, PAY_TOKEN="t") == {
        "GET /": ("GET /", {}, ""),
        "Pay": (
            "POST /pay?c=1",
            {"Content-Type": "application/json", "Authorization": "Bearer t"},
            '{"sku":"A-1","n":2,"gift":false,"to":null,"tags":["x","y"]}',
        ),
        "GET /a.css": ("GET /a.css", {}, ""),
        "POST /log": ("POST /log", form, "e=a+b"),
        "GET /b.css": ("GET /b.css", {}, ""),
        "DELETE /cart": ("DELETE /cart", {}, ""),
    }
    expected = {endpoint.name: endpoint.expect.status for endpoint in asked.traffic}
    assert expected["GET /"] == (200,)
    assert expected["Pay"] == (200, 201)
    assert expected["GET /a.css"] == ()


def test_what_is_computed_is_counted_named_by_its_line_and_not_sent(shop: RecordedTraffic) -> None:
    assert (
        "1 in the file as comments: computed in the script (line 32 PUT /cart/{id})." in shop.notes
    )
    assert "# line 32: {id} is res.json().id\n" in shop.toml
    assert '# request = "PUT /cart/{id}"\n# feed = "perfhunt-rows.csv"\n' in shop.toml
    assert "# expect = { status = [204] }" in shop.toml
    rows = shop._replace(feeds={"perfhunt-rows.csv": "id\n7\n"})
    put = next(e for e in woken(rows, PAY_TOKEN="t").traffic if e.method == "PUT")
    assert (put.path, put.body, put.headers) == ("/cart/{id}", "x", (("X-A", "b"),))


def test_what_is_sent_once_or_sometimes_is_said(shop: RecordedTraffic) -> None:
    assert "1 left out: setup() sends them once (line 17)." in shop.notes
    assert "# line 39: sent only sometimes, or several times: mind its weight\n" in shop.toml


def test_thresholds_are_an_slo_to_choose(shop: RecordedTraffic) -> None:
    text = init_text(None, None, shop)
    line = next(line for line in text.splitlines() if line.startswith("# expressions"))
    assert text.index("[slo]") < text.index(line) < text.index("latency = {")
    chosen = text.replace(line, line.removeprefix("# "))
    chosen = "\n".join(x for x in chosen.splitlines() if not x.startswith(("latency", "errors")))
    asked = read(chosen, shop, PAY_TOKEN="t")
    assert [(o.route, o.key, o.limit) for o in asked.slo.objectives] == [
        (None, "p95", 0.2),
        (None, "p99", 0.5),
        ("Pay", "p95", 0.3),
    ]
    assert any("checks: rate>0.9 is left out" in note for note in shop.notes)


def test_its_own_load_and_k6_itself_are_told(shop: RecordedTraffic) -> None:
    told = " ".join(shop.notes)
    assert "peak constant-arrival-rate up to 50 per 1s" in told
    assert 'k6_script = "load/shop.js"' in told
    assert "BASE_URL is taken for its default, 'http://localhost:3000'." in told


@pytest.mark.parametrize(
    ("expression", "path"),
    [
        ("'http://h/a'", "/a"),
        ('"http://h/\\u0061\\x62\\u{63}"', "/abc"),
        ("`http://h/${'a' + 1}/${true}/${null}`", "/a1/true/null"),
        ("http.url`http://h/a`", "/a"),
        ("('http://h' + ('/a'))", "/a"),
        ("urls[1]", "/b"),
        ("places.shop.url + '/c'", "/shop/c"),
        ("places['shop']['url']", "/shop"),
        ("`${host}/a`", "/a"),
        ("(__ENV.HOST ? __ENV.HOST : 'http://h') + '/a'", "/a"),
        ("`${__ENV.HOST}/a`", "/a"),
        ("`https://${__ENV.HOST}/a`", "/a"),
        ("`https://${__ENV.HOST}:8080/a`", "/a"),
        ("`${config.baseUrl}/a`", "/a"),
        ("'http://u:p@h/a'", "/a"),
        ("'http://h/a?b=c#d'", "/a?b=c"),
        ("'http://h'", "/"),
    ],
)
def test_urls_are_read_as_far_as_they_are_known(expression: str, path: str) -> None:
    head = (
        "import { config } from './config.js';\n"
        "const host = __ENV.HOST ?? 'http://h', urls = ['http://h/a', 'http://h/b'];\n"
        "const places = Object.freeze({ shop: { url: 'http://h/shop' } });"
    )
    env = {"AUTHORIZATION": "x"} if "@" in expression else {}
    assert only(f"http.get({expression});", head, **env)[0] == f"GET {path}"


@pytest.mark.parametrize(
    ("call", "request_line"),
    [
        ("http.get('http://h/' + id)", "GET /{id}"),
        ("http.get(`http://h/a/${pick(ids)}/b`)", "GET /a/{pick}/b"),
        ("http.get(path)", "GET {path:raw}"),
        ("http.get(redirectUrl)", "GET {redirectUrl:raw}"),
        ("http.get(`${redirect().url}/a`)", "GET {url:raw}/a"),
        ("http.get(`${path}/a`)", "GET {path:raw}/a"),
        ("http.get(`http://h/${a.id}/${b.id}/${a.id}`)", "GET /{id}/{id_2}/{id}"),
        ("for (const id of ids) http.get(`http://h/${id}`)", "GET /{id}"),
        ("let n = '1'; n = '2'; http.get(`http://h/${n}`)", "GET /{n}"),
        ("const l = ['a']; l.push('b'); http.get(`http://h/${l[0]}`)", "GET /{l}"),
        ("const o = { a: '1' }; o.a = f(); http.get(`http://h/${o.a}`)", "GET /{a}"),
        ("const f = (id) => http.get(`http://h/${id}`)", "GET /{id}"),
        ("const x = c ? '1' : '2'; http.get(`http://h/${x}`)", "GET /{x}"),
    ],
)
def test_what_running_would_decide_is_a_place_to_fill(call: str, request_line: str) -> None:
    traffic = script(call)
    assert f'# request = "{request_line}"\n' in traffic.toml
    with pytest.raises(QuestionError, match="still blank"):
        question(traffic)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("JSON.stringify({ a: `${__ENV.T}`, \"b\": [1.5, -2, 0x10, 1_000] })",
         '{"a":"s\\"q","b":[1.5,-2,16,1000]}'),
        ("'a=' + __ENV.T", 'a=s"q'),
        ("JSON.stringify(\"q\\\"\")", '"q\\""'),
        ("null", ""),
    ],
)  # fmt: skip
def test_bodies_are_what_javascript_makes_of_them(body: str, expected: str) -> None:
    params = "{ headers: { 'Content-Type': 'application/json' } }"
    if not body.startswith("JSON"):
        params = "{}"
    env = {"T": 's"q'} if "__ENV" in body else {}
    assert only(f"http.post('http://h/', {body}, {params})", **env)[2] == expected


def test_a_request_whose_headers_are_computed_is_not_sent_without_them() -> None:
    traffic = script("http.get('http://h/a', params()); http.get('http://h/b', { headers: h });")
    assert traffic.toml.count("# [[traffic]]") == 2 and "params() are not read" in traffic.toml
    base = "const base = { 'X-A': 'b' };"
    merged = only("http.get('http://h/', { headers: Object.assign({}, base, { c: 'd' }) })", base)
    assert merged[1] == {"X-A": "b", "c": "d"}


def test_a_body_with_a_computed_part_keeps_the_rest() -> None:
    traffic = script("http.post('http://h/', JSON.stringify({ a: 'b', c: uuid() }))")
    assert """# body = '{"a":"b","c":"{uuid}"}'\n""" in traffic.toml
    braces = script("http.post('http://h/', JSON.stringify({ a: '{b}', c: uuid() }))")
    assert "braces of its own" in braces.toml and "# body" not in braces.toml


def test_secrets_of_a_script_are_not_kept() -> None:
    params = "{ headers: { 'X-Api-Key': 's3cret' }, cookies: { sid: 's3cret' } }"
    traffic = script(f"http.get('http://u:s3cret@h/', {params})")
    assert "s3cret" not in init_text(None, None, traffic)
    (line,) = [note for note in traffic.notes if "export" in note]
    assert line.endswith("export AUTHORIZATION=... COOKIE=... X_API_KEY=...")


@pytest.mark.parametrize(
    ("head", "call"),
    [
        ("import { get as fetch } from 'k6/http';", "fetch('http://h/a')"),
        ("import * as web from 'k6/http';", "web.get('http://h/a')"),
        ("const web = require('k6/http');", "web.get('http://h/a')"),
        ("", "http.request('get', 'http://h/a')"),
        ("", "const r = await http.asyncRequest('GET', 'http://h/a')"),
        ("function a() { return http.get('http://h/a'); }", "a()"),
    ],
)
def test_k6_http_is_known_by_whatever_name_it_has(head: str, call: str) -> None:
    assert only(call, head)[0] == "GET /a"


def test_what_is_no_request_of_k6_is_none() -> None:
    with pytest.raises(Unreadable, match=r"no request .* \./api\.js \(line 2\)") as refused:
        script("other.get('http://h/'); get('http://h/')", "import { api } from './api.js';")
    assert 'k6_script = "script.js"' in refused.value.hint


def test_requests_to_other_places_are_left_out() -> None:
    traffic = script("http.get('http://h/a'); http.get('http://h/b'); http.get('http://cdn/c')")
    assert traffic.origin == "http://h"
    assert "1 left out: they go to other places (GET /c at http://cdn)." in traffic.notes


@pytest.mark.parametrize(
    ("check", "statuses"),
    [
        ("(r) => r.status == 200", (200,)),
        ("r => 201 === r.status", (201,)),
        ("(r) => { return r.status === 200 && r.body.length > 3; }", (200,)),
        ("function (r) { return [200, 404].includes(r.status) }", (200, 404)),
        ("(r) => r.status !== 500", ()),
        ("(r) => !(r.status === 500)", ()),
        ("(r) => r.status < 400", ()),
        ("(r) => r.status === 200 || r.body", ()),
        ("(r) => other.status === 200", ()),
    ],
)
def test_statuses_are_those_that_checks_allow(check: str, statuses: tuple[int, ...]) -> None:
    traffic = script(f"const r = http.get('http://h/'); check(r, {{ a: {check} }});")
    assert question(traffic).traffic[0].expect.status == statuses


def test_typescript_and_what_is_not_understood() -> None:
    text = "import http from 'k6/http';\nexport default (): void => { http.get('/a' as string); };"
    traffic = k6_traffic(text, "perfhunt", "a.ts")
    assert sent(question(traffic))["GET /a"][0] == "GET /a"
    broken = k6_traffic(
        f"{text.replace(': void', '').replace(' as string', '')}\nlet = = ;", "p", "a.js"
    )
    assert any(note.startswith("Line 3 is no JavaScript") for note in broken.notes)


def test_json_of_a_body_is_json() -> None:
    body = only("http.post('http://h/', JSON.stringify({ 'é\\n\"': ['\\u2028', 1e3] }), {})")[2]
    assert json.loads(body) == {'é\n"': ["\u2028", 1000]}
