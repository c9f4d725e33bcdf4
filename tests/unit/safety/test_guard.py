"""Where load may be sent: every refusal is exit 93, says why, and says what to write."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date

import pytest

from perfhunt.errors import TargetNotFound, UnsafeTarget, UsageError
from perfhunt.model.question import (
    Killswitch,
    Question,
    RequestTemplate,
    Safety,
    Target,
    TargetEnvironment,
)
from perfhunt.model.slo import Slo
from perfhunt.safety.guard import TOKEN, Clearance, Consent, clear, looks_like_production, resolve

TODAY = date(2026, 3, 1)
READY = Safety(
    allow_hosts=("shop.example.com",),
    max_rate=200.0,
    max_duration=600.0,
    killswitch=Killswitch(".perfhunt/stop", ""),
    comms="#ops, OPS-1",
)


def ask(url: str, environment: str = "local", safety: Safety | None = None) -> Question:
    return Question(
        Target(url, TargetEnvironment(environment)),
        (RequestTemplate("GET /", "GET", "/"),),
        Slo(()),
        safety=safety or Safety(),
    )


def judge(
    question: Question,
    *addresses: str,
    env: Mapping[str, str] | None = None,
    confirm: Callable[[str], str] | None = None,
    switch: str = "",
) -> Clearance:
    consent = Consent(env or {}, TODAY, confirm, lambda: switch)
    return clear(question, consent, lambda host, port: addresses or ("127.0.0.1",))


def refused(question: Question, *addresses: str, **consent: object) -> UnsafeTarget:
    with pytest.raises(UnsafeTarget) as caught:
        judge(question, *addresses, **consent)  # type: ignore[arg-type]
    assert caught.value.exit_code == 93
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
def test_this_machine_may_be_loaded_without_being_listed(address: str) -> None:
    cleared = judge(ask("http://localhost:8000", safety=Safety(allow_hosts=())), address)
    assert (cleared.addresses, cleared.port) == ((address,), 8000)


def test_a_unix_socket_is_this_machine_and_nothing_is_resolved_for_it() -> None:
    question = ask("http+unix://%2Frun%2Fprod.sock", safety=Safety(allow_hosts=()))
    consent = Consent({}, TODAY)
    cleared = clear(question, consent, lambda host, port: pytest.fail("nothing to resolve"))
    assert cleared == Clearance(0, (), path="/run/prod.sock")
    with pytest.raises(UnsafeTarget, match="is production"):
        clear(ask("http+unix://%2Frun%2Fprod.sock", "production"), consent)


def test_the_resolved_addresses_are_pinned() -> None:
    question = ask("https://shop.example.com", "staging", Safety(allow_hosts=("shop.example.com",)))
    cleared = judge(question, "203.0.113.7", "203.0.113.8")
    assert cleared.addresses == ("203.0.113.7", "203.0.113.8")
    assert cleared.port == 443


def test_another_host_must_be_listed() -> None:
    error = refused(ask("http://shop.example.com", "staging"), "203.0.113.7")
    assert 'allow_hosts = ["shop.example.com"]' in error.hint
    assert "nothing was sent" in error.message


def test_a_private_address_is_another_host_too() -> None:
    refused(ask("http://10.0.0.5:8000", "staging"), "10.0.0.5")


@pytest.mark.parametrize("allowed", ["*.example.com", "SHOP.example.com.", "203.0.113.7"])
def test_hosts_are_listed_by_name_by_suffix_or_by_address(allowed: str) -> None:
    judge(ask("http://shop.example.com", "staging", Safety(allow_hosts=(allowed,))), "203.0.113.7")


def test_a_suffix_does_not_allow_the_domain_that_merely_ends_alike() -> None:
    question = ask("http://evilexample.com", "staging", Safety(allow_hosts=("*.example.com",)))
    refused(question, "203.0.113.7")


def test_a_listed_address_does_not_allow_a_name_that_also_resolves_elsewhere() -> None:
    question = ask("http://shop.example.com", "staging", Safety(allow_hosts=("203.0.113.7",)))
    refused(question, "203.0.113.7", "203.0.113.9")


def test_localhost_that_resolves_elsewhere_is_not_this_machine() -> None:
    refused(ask("http://localhost:8000", "staging"), "203.0.113.7")


def test_a_name_with_one_loopback_and_one_other_address_is_not_this_machine() -> None:
    refused(ask("http://both.example.com", "staging"), "127.0.0.1", "203.0.113.7")


@pytest.mark.parametrize(
    "address", ["0.0.0.0", "::", "169.254.169.254", "224.0.0.1", "255.255.255.255", "fe80::1"]
)
def test_some_addresses_are_never_loaded(address: str) -> None:
    refused(
        ask("http://shop.example.com", "staging", Safety(allow_hosts=("shop.example.com",))),
        address,
    )


def test_another_host_called_local_is_a_contradiction() -> None:
    error = refused(
        ask("http://shop.example.com", "local", Safety(allow_hosts=("shop.example.com",))),
        "203.0.113.7",
    )
    assert "environment" in error.hint


@pytest.mark.parametrize(
    "host",
    [
        "prod.example.com",
        "api-prod-2.example.com",
        "www.example.com",
        "live.example.com",
        "prd1.example.com",
    ],
)
def test_a_name_that_says_production_must_be_declared_so(host: str) -> None:
    assert looks_like_production(host)
    error = refused(ask(f"http://{host}", "staging", Safety(allow_hosts=(host,))), "203.0.113.7")
    assert 'environment = "production"' in error.hint


@pytest.mark.parametrize(
    "host",
    [
        "products.example.com",
        "www.staging.example.com",
        "preprod.example.com",
        "deliver.example.com",
    ],
)
def test_a_name_that_only_resembles_production_is_left_alone(host: str) -> None:
    assert not looks_like_production(host)


@pytest.mark.parametrize(
    ("host", "part"),
    [
        ("www.shop.dev", "www"),
        ("prod.shop.qa", "prod"),
        ("www.shop.ci", "www"),
        ("www.dev.to", "www"),  # `dev` is what was registered, and no name of a test host
        ("www.test.co.uk", "www"),
        ("shop.prod.svc.cluster.local", "prod"),
        ("prod-1.office.local", "prod"),
    ],
)
def test_an_ending_or_a_registered_name_excuses_no_production_host(host: str, part: str) -> None:
    assert looks_like_production(host) == part
    refused(ask(f"http://{host}", "staging", Safety(allow_hosts=(host,))), "203.0.113.7")


@pytest.mark.parametrize(
    "host",
    [
        "shop.live",  # an ending that anybody can buy
        "staging.shop.live",
        "www.staging.shop.dev",
        "www.uat.shop.co.uk",
        "www.shop.test",
        "www.shop.staging",
        "prod.test.internal",
        "prod-test",
        "dev.to",
    ],
)
def test_a_name_is_not_taken_for_production_by_its_ending_or_against_its_own_word(
    host: str,
) -> None:
    assert not looks_like_production(host)


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("shop.dev", "ends in .dev, which says nothing"),
        ("shop.live", "ends in .live, which says nothing"),
        ("api.shop.qa", "ends in .qa, which says nothing"),
        ("www.staging.example.com", '"www" and "staging" in its name'),
        ("www.shop.test", '"www" and "test" in its name'),
    ],
)
def test_what_was_guessed_from_a_name_is_said(host: str, says: str) -> None:
    question = ask(f"http://{host}", "staging", Safety(allow_hosts=(host,)))
    guess = judge(question, "203.0.113.7").guess
    assert says in guess
    assert '"staging"' in guess


def test_a_refused_name_says_what_its_ending_is_worth() -> None:
    host = "www.shop.dev"
    error = refused(ask(f"http://{host}", "staging", Safety(allow_hosts=(host,))), "203.0.113.7")
    assert ".dev, says nothing" in error.message


def test_nothing_is_guessed_of_this_machine_or_of_a_plain_name() -> None:
    assert judge(ask("http://shop.dev"), "127.0.0.1").guess == ""
    plain = ask("http://shop.example.com", "staging", READY)
    assert judge(plain, "203.0.113.7").guess == ""


def test_production_needs_comms_killswitch_rate_and_duration_said() -> None:
    bare = Safety(allow_hosts=("shop.example.com",), killswitch=Killswitch("", ""))
    error = refused(ask("http://shop.example.com", "production", bare), "203.0.113.7")
    for word in ("comms", "killswitch", "max_rate", "max_duration"):
        assert word in error.hint


def test_production_needs_a_killswitch_that_passed_its_test() -> None:
    error = refused(
        ask("http://shop.example.com", "production", READY), "203.0.113.7", switch="it answered 500"
    )
    assert "it answered 500" in error.message


def test_production_without_anybody_to_ask_needs_the_token_of_the_day() -> None:
    question = ask("http://shop.example.com", "production", READY)
    assert f"{TOKEN}=shop.example.com:2026-03-01" in refused(question, "203.0.113.7").hint
    judge(question, "203.0.113.7", env={TOKEN: "shop.example.com:2026-03-01"})
    for stale in ("shop.example.com:2026-02-28", "other.example.com:2026-03-01", "1", ""):
        refused(question, "203.0.113.7", env={TOKEN: stale})


def test_production_is_confirmed_by_typing_its_name() -> None:
    question = ask("http://shop.example.com", "production", READY)
    judge(question, "203.0.113.7", confirm=lambda prompt: "shop.example.com\n")
    for typed in ("y", "yes", "", "shop.example.org"):
        assert (
            "nothing was sent"
            in refused(question, "203.0.113.7", confirm=lambda prompt, typed=typed: typed).message
        )


def test_production_on_this_machine_is_production_all_the_same() -> None:
    refused(ask("http://127.0.0.1:80", "production", READY), "127.0.0.1")


def test_a_load_to_judge_at_above_the_allowed_rate_is_refused() -> None:
    question = replace(ask("http://127.0.0.1:80"), slo=Slo((), at_load=6000.0))
    assert "max_rate" in refused(question, "127.0.0.1").message


def test_a_host_that_does_not_resolve_is_not_found() -> None:
    with pytest.raises(TargetNotFound, match="does not resolve"):
        resolve("no-such-host.invalid", 80)


def test_without_a_url_there_is_nothing_to_clear() -> None:
    with pytest.raises(UsageError):
        judge(ask(""))


def test_what_a_locustfile_connects_to_is_cleared_with_the_addresses_it_has_now() -> None:
    connects = ("db.internal:5432", "[::1]:6379", "unix:/run/db.sock")
    question = replace(ask("http://127.0.0.1:8000"), locustfile_connects=connects)
    addresses = {"db.internal": ("203.0.113.7", "203.0.113.8"), "::1": ("::1",)}
    cleared = clear(
        question, Consent({}, TODAY), lambda host, port: addresses.get(host, ("127.0.0.1",))
    )
    assert cleared.addresses == ("127.0.0.1",)
    assert cleared.connects == (
        "db.internal:5432",
        "203.0.113.7:5432",
        "203.0.113.8:5432",
        "[::1]:6379",
        "unix:/run/db.sock",
    )


@pytest.mark.parametrize("address", ["169.254.169.254", "0.0.0.0", "224.0.0.1"])
def test_no_locustfile_connects_to_the_clouds_metadata_or_to_everybody(address: str) -> None:
    question = replace(
        ask("http://127.0.0.1:8000"), locustfile_connects=(f"metadata.internal:{80}",)
    )
    with pytest.raises(UnsafeTarget):
        clear(
            question,
            Consent({}, TODAY),
            lambda host, port: (address,) if host == "metadata.internal" else ("127.0.0.1",),
        )


def test_what_a_locustfile_connects_to_and_does_not_resolve_is_named() -> None:
    question = replace(ask("http://127.0.0.1:8000"), locustfile_connects=("gone.invalid:5432",))
    with pytest.raises(TargetNotFound, match=r"locustfile_connects: the host gone\.invalid"):
        clear(question, Consent({}, TODAY))
