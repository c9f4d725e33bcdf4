"""The client agrees with the HTTP of four servers it did not write: nginx, gunicorn, uvicorn and
node.
"""

import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from perfhunt.model.question import Question, RequestTemplate, Target
from perfhunt.model.slo import Slo
from perfhunt.model.traffic.parts import Expect
from tests.live.load_targets.harness import HERE, announced, engine, free_port, listening, step

pytestmark = pytest.mark.live

ROUTES = (
    RequestTemplate("fixed", "GET", "/fixed", expect=Expect(body="fixed")),
    RequestTemplate("chunked", "GET", "/chunked", expect=Expect((200,), "threethree")),
    RequestTemplate("empty", "GET", "/empty", expect=Expect((204,))),
    RequestTemplate("big", "GET", "/big"),
    RequestTemplate("missing", "GET", "/missing", expect=Expect((404,))),
    RequestTemplate("head", "HEAD", "/big"),
    RequestTemplate("echo", "POST", "/echo", body='{"sku": "A1"}', expect=Expect((201,), "A1")),
    # More than a socket takes at once, and less than what nginx refuses.
    RequestTemplate("upload", "POST", "/echo", body="A1" * 450_000, expect=Expect((201,), "A1")),
)
RATE, SECONDS = 70.0, 1.5
NGINX = """
daemon off; master_process off; pid {dir}/pid; error_log {dir}/err; worker_processes 1;
events {{ worker_connections 512; }}
http {{
  access_log off; keepalive_timeout {keepalive};
  client_body_temp_path {dir}; proxy_temp_path {dir}; fastcgi_temp_path {dir};
  uwsgi_temp_path {dir}; scgi_temp_path {dir};
  gzip on; gzip_min_length 100; gzip_types application/octet-stream;
  server {{
    listen 127.0.0.1:{port} {tls};
    location = /fixed {{ return 200 "fixed"; }}
    location = /chunked {{ proxy_pass http://{upstream}; }}
    location = /empty {{ return 204; }}
    location = /big {{ alias {dir}/big; }}
    location = /echo {{ return 201 "A1"; }}
    location = /moved {{ return 302 /fixed; }}
    location / {{ return 404; }}
  }}
}}
"""


def test_gunicorn_sync_which_closes_after_every_answer(tmp_path: Path) -> None:
    port = free_port()
    command = (sys.executable, "-m", "gunicorn", "-b", f"127.0.0.1:{port}", "wsgi_app:app")
    with listening(port, *command) as url:
        opened = ask_everything(url, tmp_path)
    assert opened >= 100


def test_gunicorn_threads_with_keep_alive(tmp_path: Path) -> None:
    port = free_port()
    command = (
        sys.executable,
        "-m",
        "gunicorn",
        "-k",
        "gthread",
        "--threads",
        "4",
        "-b",
        f"127.0.0.1:{port}",
        "wsgi_app:app",
    )
    with listening(port, *command) as url:
        # gthread closes after an answer without a length
        assert ask_everything(url, tmp_path) < 60


def test_uvicorn(tmp_path: Path) -> None:
    port = free_port()
    with listening(
        port,
        sys.executable,
        "-m",
        "uvicorn",
        "--port",
        str(port),
        "--log-level",
        "error",
        "asgi_app:app",
    ) as url:
        assert ask_everything(url, tmp_path) < 30


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_node(tmp_path: Path) -> None:
    with announced("node", str(HERE / "node_server.js")) as url:
        assert ask_everything(url, tmp_path) < 30


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Path]:
    if shutil.which("nginx") is None:
        pytest.skip("nginx is not installed")
    (tmp_path / "big").write_bytes(b"x" * (1 << 20))
    yield tmp_path


def started_nginx(
    directory: Path, port: int, upstream: str = "127.0.0.1:9", keepalive: str = "75s", tls: str = ""
) -> tuple[str, ...]:
    config = directory / "nginx.conf"
    config.write_text(
        NGINX.format(dir=directory, port=port, upstream=upstream, keepalive=keepalive, tls=tls)
    )
    return ("nginx", "-c", str(config))


def test_nginx_with_a_chunked_upstream(nginx: Path) -> None:
    port, upstream = free_port(), free_port()
    app = (
        sys.executable,
        "-m",
        "uvicorn",
        "--port",
        str(upstream),
        "--log-level",
        "error",
        "asgi_app:app",
    )
    with (
        listening(upstream, *app),
        listening(port, *started_nginx(nginx, port, f"127.0.0.1:{upstream}")) as url,
    ):
        assert ask_everything(url, nginx / "load") < 30


def test_nginx_without_keep_alive_gets_a_connection_per_request(nginx: Path) -> None:
    port = free_port()
    with (
        listening(port, *started_nginx(nginx, port, keepalive="0")) as url,
        engine(url, nginx / "load", ROUTES[0]) as made,
    ):
        trial = made.run(step(100, 1.0, arrivals="uniform"))
    assert trial.outcomes == {"ok": 100}
    assert trial.generator.connections_opened == 100


def test_a_redirect_is_an_answer_and_is_not_followed(nginx: Path) -> None:
    port = free_port()
    with (
        listening(port, *started_nginx(nginx, port)) as url,
        engine(url, nginx / "load", RequestTemplate("m", "GET", "/moved")) as made,
    ):
        trial = made.run(step(20, 0.5, arrivals="uniform"))
    assert trial.routes["m"].statuses == {302: 10}


def test_nginx_over_tls_with_and_without_trust(nginx: Path) -> None:
    key, cert = nginx / "key.pem", nginx / "cert.pem"
    command = (
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    )
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed, so there is no certificate")
    subprocess.run(
        [*command, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True
    )
    port = free_port()
    tls = f"ssl; ssl_certificate {cert}; ssl_certificate_key {key}"
    with listening(port, *started_nginx(nginx, port, tls=tls)) as url:
        secure = url.replace("http:", "https:")
        routes = tuple(r for r in ROUTES if r.name != "chunked")
        trusting = Question(Target(secure, verify_tls=False), routes, Slo(()))
        with engine(secure, nginx / "a", *routes) as made:
            assert made.run(step(40, 0.5, arrivals="uniform")).outcomes == {"tls": 20}
            made.open(trusting, (), nginx / "b")
            trial = made.run(step(RATE, SECONDS))
            assert set(trial.outcomes) == {"ok"}
            assert trial.generator.connections_opened < 30
    assert ssl.HAS_TLSv1_3


def ask_everything(url: str, directory: Path) -> int:
    """Every route answers as it should; returns how many connections that took."""
    with engine(url, directory, *ROUTES) as made:
        trial = made.run(step(RATE, SECONDS))
    assert {name: route.outcomes.keys() for name, route in trial.routes.items()} == {
        r.name: {"ok"} for r in ROUTES
    }
    assert trial.invalid == ""
    return trial.generator.connections_opened
