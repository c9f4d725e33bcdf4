"""Whose code a frame is, and which function a stack belongs to."""

from __future__ import annotations

import pytest

from perfhunt.analysis.blame.frames import Code, Origin, call_path
from perfhunt.model.profile import Frame, FrameKind
from perfhunt.model.run import Application

APP = "/srv/shop/cart.py"


@pytest.mark.parametrize(
    ("file", "origin"),
    [
        ("/srv/shop/cart.py", Origin.APP),
        ("/home/me/lib/python/shop.py", Origin.APP),
        ("/usr/lib/python3.11/json/encoder.py", Origin.RUNTIME),
        ("/opt/python/3.12.1/lib/python3.12/threading.py", Origin.RUNTIME),
        ("/srv/venv/lib/python3.11/site-packages/flask/app.py", Origin.LIBRARY),
        ("/usr/lib/python3/dist-packages/flask/app.py", Origin.LIBRARY),
        ("<frozen importlib._bootstrap>", Origin.RUNTIME),
        ("<string>", Origin.RUNTIME),
        ("", Origin.RUNTIME),
    ],
)
def test_the_path_says_whose_code_it_is(file: str, origin: Origin) -> None:
    assert Code().origin(Frame("f", file)) is origin


def test_a_stack_belongs_to_its_deepest_application_function_and_names_the_call_on_top() -> None:
    owner = Code().owner(
        (
            Frame("view", APP),
            Frame("price", APP),
            Frame("dumps", "/usr/lib/python3.11/json/__init__.py"),
        )
    )
    assert owner is not None
    assert owner.frame.function == "price"
    assert owner.via == "dumps (json/__init__.py)"


@pytest.mark.parametrize("nameless", ["<listcomp>", "<lambda>", "total.<locals>.<genexpr>"])
def test_code_without_a_name_belongs_to_the_function_that_wrote_it(nameless: str) -> None:
    owner = Code().owner(
        (Frame("view", APP), Frame("total", APP), Frame("sum", "<frozen x>"), Frame(nameless, APP))
    )
    assert owner is not None
    assert owner.frame.function == "total"


PACKAGES = "/srv/venv/lib/python3.11/site-packages"


def test_an_application_installed_among_libraries_is_known_by_its_import_names() -> None:
    code = Code(("shop", "acme.cart"))
    assert code.is_app(Frame("pay", f"{PACKAGES}/shop/views.py"))
    assert code.is_app(Frame("add", f"{PACKAGES}/acme/cart/views.py"))
    assert not code.is_app(Frame("pay", f"{PACKAGES}/shopping/views.py"))
    assert not code.is_app(Frame("send", f"{PACKAGES}/acme/mail.py"))
    assert not Code().is_app(Frame("pay", f"{PACKAGES}/shop/views.py"))


def test_a_launcher_is_nobodys_code_whether_it_was_found_out_or_not() -> None:
    launcher = "/srv/venv/bin/shop"
    assert not Code().is_app(Frame("<module>", launcher))
    assert not Code(launchers=(launcher,)).is_app(Frame("main", launcher))
    # A script of the user's own without a suffix is theirs.
    assert Code().is_app(Frame("main", "/srv/bin/serve"))


def test_what_was_installed_into_a_zip_is_a_library_and_the_rest_of_it_is_not() -> None:
    code = Code(libraries=("/srv/shop.pyz/flask",))
    assert code.is_app(Frame("view", "/srv/shop.pyz/shop/views.py"))
    assert not code.is_app(Frame("dispatch", "/srv/shop.pyz/flask/app.py"))
    assert code.is_app(Frame("view", "/srv/shop.pyz/flask_shop/app.py"))


SERVED = Application(entry=("server",))


def test_the_commands_own_distribution_is_the_application_where_the_user_has_no_code() -> None:
    launched = (Frame("<module>", "/srv/venv/bin/server"), Frame("run", f"{PACKAGES}/server/a.py"))
    library = (*launched, Frame("select", f"{PACKAGES}/database/b.py"))
    code = Code.of([launched, library], SERVED)
    assert [code.is_app(frame) for frame in library] == [False, True, False]
    owner = code.owner(library)
    assert owner is not None
    assert (owner.frame.function, owner.via) == ("run", "select (database/b.py)")


def test_the_commands_own_distribution_is_a_server_where_most_stacks_hold_the_users_code() -> None:
    run = Frame("run", f"{PACKAGES}/server/a.py")
    views = [(run, Frame(name, APP)) for name in ("buy", "sell")]
    assert not Code.of([(run,), *views, *views], SERVED).is_app(run)
    assert Code.of([(run,), (run, run), *views[:1]], SERVED).is_app(run)


RUN = (Frame("main", APP), Frame("run_forever", f"{PACKAGES}/server/loop.py"))


def test_what_a_server_does_is_not_the_work_of_who_started_it() -> None:
    asleep = (*RUN, Frame("select", "/usr/lib/python3.11/selectors.py"))
    code = Code().idling_on([call_path(asleep)])
    parsing = (*RUN, Frame("parse", f"{PACKAGES}/server/http.py"))
    owner = code.owner(parsing)
    assert owner is not None
    assert (owner.frame.function, owner.is_app) == ("parse", False)
    view = code.owner(
        (*parsing, Frame("view", APP), Frame("dumps", "/usr/lib/python3.11/json/a.py"))
    )
    assert view is not None
    assert (view.frame.function, view.is_app) == ("view", True)
    # What else it calls is its own work.
    settings = code.owner((RUN[0], Frame("load", f"{PACKAGES}/settings.py")))
    assert settings is not None
    assert (settings.frame.function, settings.is_app) == ("main", True)


def test_an_event_loop_is_a_server_where_nobody_saw_the_service_idle() -> None:
    loop = Frame("BaseEventLoop._run_once", "/usr/lib/python3.11/asyncio/base_events.py")
    owner = Code().owner((RUN[0], loop, Frame("parse", f"{PACKAGES}/server/http.py")))
    assert owner is not None
    assert (owner.frame.function, owner.is_app) == ("parse", False)
    view = Code().owner((RUN[0], loop, Frame("view", APP), Frame("read", f"{PACKAGES}/db.py")))
    assert view is not None
    assert view.frame.function == "view"


def test_a_library_is_named_for_what_it_has_the_language_do_where_there_is_no_application() -> None:
    loop = Frame("BaseEventLoop._run_once", "/usr/lib/python3.11/asyncio/base_events.py")
    wait = Frame("Condition.wait", "/usr/lib/python3.11/threading.py")
    serve = Frame("serve", f"{PACKAGES}/server/main.py")
    starting = Code().owner((serve, loop, Frame("to_thread", f"{PACKAGES}/bridge.py"), wait))
    assert starting is not None
    assert starting.frame.function == "to_thread"
    assert starting.via == "Condition.wait (python3.11/threading.py)"
    assert not starting.is_app
    # What runs the loop is named for nothing that happens in it.
    bare = Code().owner((serve, loop, wait))
    assert bare is not None and bare.frame.function == "Condition.wait"


def test_a_function_with_lines_of_the_application_is_named_where_there_is_nothing_else_of_it() -> (
    None
):
    def native(*functions: str) -> tuple[Frame, ...]:
        return tuple(Frame(function, "shop", kind=FrameKind.NATIVE) for function in functions)

    within = "hyper::Dispatcher::poll_write (src/main.rs:15-22 inlined)"
    stack = native("tokio::runtime::task::raw::poll", within, "bb8::Pool::get", "std::time::now")
    libraries = ("hyper::", "bb8::", "tokio::")
    for fallback in (False, True):
        owner = Code(libraries=libraries, fallback=fallback).owner(stack)
        assert owner is not None and owner.frame.function == within
        assert owner.is_app is fallback
    ours = Code(libraries=libraries).owner((*stack, *native("shop::price")))
    assert ours is not None and ours.frame.function == "shop::price"


def test_libraries_count_as_the_application_only_when_nothing_else_does() -> None:
    library = (Frame("cart", "/srv/venv/lib/python3.11/site-packages/shop/views.py"),)
    assert Code.of([library]).is_app(library[0])
    assert not Code.of([library, (Frame("main", APP),)]).is_app(library[0])


_OF_HTTP = "net/http.(*conn).serve"
_OF_GIN = "github.com/gin-gonic/gin.(*Context).Next"
_OF_SHOP = "example.com/shop/store.(*Store).Get"


@pytest.mark.parametrize(
    ("function", "file", "origin"),
    [
        (_OF_HTTP, "/usr/local/go/src/net/http/server.go", Origin.RUNTIME),
        (_OF_HTTP, "/home/me/sdk/go1.25.1/src/net/http/server.go", Origin.RUNTIME),
        (
            _OF_HTTP,
            "/root/go/pkg/mod/golang.org/toolchain@v0.0.1-go1.24.0.linux-amd64/src/net/http/a.go",
            Origin.RUNTIME,
        ),
        (_OF_HTTP, "net/http/server.go", Origin.RUNTIME),  # built with -trimpath
        ("runtime.gopark", "", Origin.RUNTIME),
        ("memeqbody", "/usr/lib/go-1.19/src/internal/bytealg/equal_amd64.s", Origin.RUNTIME),
        ("memeqbody", "internal/bytealg/equal_amd64.s", Origin.RUNTIME),
        (_OF_GIN, "/root/go/pkg/mod/github.com/gin-gonic/gin@v1.10.0/context.go", Origin.LIBRARY),
        (_OF_GIN, "github.com/gin-gonic/gin@v1.10.0/context.go", Origin.LIBRARY),
        (_OF_GIN, "/srv/shop/vendor/github.com/gin-gonic/gin/context.go", Origin.LIBRARY),
        ("main.main", "/srv/shop/main.go", Origin.APP),
        ("main.main", "./main.go", Origin.APP),
        (_OF_SHOP, "/home/me/go/src/example.com/shop/store/store.go", Origin.APP),
        (_OF_SHOP, "example.com/shop/store/store.go", Origin.APP),
        ("shop/store.Get", "shop/store/store.go", Origin.APP),
    ],
)
def test_go_code_is_told_apart_however_it_was_built(
    function: str, file: str, origin: Origin
) -> None:
    assert Code().origin(Frame(function, file, kind=FrameKind.GO)) is origin


@pytest.mark.parametrize(
    ("function", "file", "origin"),
    [
        ("signReceipt", "/srv/shop/receipts.js", Origin.APP),
        ("next", "/srv/shop/node_modules/express/lib/router.js", Origin.LIBRARY),
        ("emit", "node:events", Origin.RUNTIME),
        ("Hash", "", Origin.RUNTIME),  # compiled into Node, or an addon
        ("(program)", "", Origin.RUNTIME),
    ],
)
def test_what_v8_gives_no_file_is_not_the_applications(
    function: str, file: str, origin: Origin
) -> None:
    assert Code().origin(Frame(function, file, kind=FrameKind.JS)) is origin
