"""What only calls the thing to fix, or is called by others too, stands for nothing: decorators,
dispatchers, servers, attempts; and what is known where the source is not.
"""

from __future__ import annotations

import pytest

from perfhunt.analysis.blame.culprits.culprits import culprits, standing_functions
from perfhunt.analysis.blame.culprits.source_lines import source_lines
from tests.unit.stacks import APP, SHOP, parsed, stack, stands_for, trail


def test_a_helper_of_two_routes_stands_for_itself() -> None:
    source = """
        def buy(request):
            for item in request.items:
                convert(item)
                reserve(item)

        def sell(request):
            for item in request.items:
                convert(item)
                offer(item)
    """
    assert stands_for(
        source,
        (30.0, "buy/convert(item)\n".strip(), "convert/"),
        (20.0, "buy/reserve(", "reserve/"),
        (30.0, "sell/convert(item)", "convert/"),
        (20.0, "sell/offer(", "offer/"),
    ) == {"reserve": "buy", "offer": "sell"}


def test_a_decorator_is_on_the_way_to_what_it_decorates() -> None:
    source = SHOP + "\ndef traced(f):\n    def wrapper(*given):\n        return f(*given)\n"
    wrapper = "traced.<locals>.wrapper/return f("
    assert stands_for(
        source,
        (25.0, wrapper, "view/price_order(", "price_order/base(", wrapper, "base/"),
        (24.0, wrapper, "view/price_order(", "price_order/tax(", wrapper, "tax/"),
        (23.0, wrapper, "view/price_order(", "price_order/discount(", wrapper, "discount/"),
        (40.0, wrapper, "view/render_page(", wrapper, "render_page/"),
        (30.0, wrapper, "view/load(", wrapper, "load/"),
    ) == {"base": "price_order", "tax": "price_order", "discount": "price_order"}


@pytest.mark.parametrize(
    "loop",
    [
        "for attempt in range(3):\n        try:\n            return answer(request)\n"
        "        except OSError:\n            continue",
        "while True:\n        answer(request)",
    ],
)
def test_an_attempt_that_may_be_made_again_is_no_loop(loop: str) -> None:
    source = f"""
def view(request):
    return retried(request)

def retried(request):
    {loop}

def answer(request):
    return price(request) + render(request)
"""
    call = "return answer(" if "return" in loop else "        answer("
    assert not stands_for(
        source,
        (10.0, "view/retried(", f"retried/{call}", "answer/price(", "price/"),
        (10.0, "view/retried(", f"retried/{call}", "answer/price(", "render/"),
    )


def test_the_while_of_the_outermost_function_is_a_servers() -> None:
    source = """
        def serve(self):
            while self.running:
                request = read(self)
                respond(request)
    """
    assert not stands_for(
        source, (10.0, "serve/read(", "read/"), (10.0, "serve/respond(", "respond/")
    )


def test_a_function_of_the_idle_service_stands_for_nothing() -> None:
    source = """
        def consume(queue):
            for job in queue:
                load(job)
                store(job)
    """
    trails = [
        trail(stack(source, "consume/load(", "load/"), 10.0),
        trail(stack(source, "consume/store(", "store/"), 10.0),
    ]
    assert culprits(trails, parsed(source))
    waiting = standing_functions([(("consume", APP), ("get", "/usr/lib/python3.11/queue.py"))])
    assert not culprits(trails, parsed(source), waiting)


def test_a_script_stands_for_nothing() -> None:
    source = "for job in jobs:\n    load(job)\n    store(job)\n"
    assert not stands_for(
        source, (10.0, "<module>/load(", "load/"), (10.0, "<module>/store(", "store/")
    )


def test_a_loop_that_dispatches_calls_each_of_several_things_once() -> None:
    source = """
        def run(request):
            for step in STEPS:
                step(request)
            for part in PARTS:
                part.apply(request)
    """
    assert not stands_for(
        source,
        (10.0, "run/step(", "check/"),
        (10.0, "run/step(", "price/"),
        (10.0, "run/apply(", "Header.apply/"),
        (10.0, "run/apply(", "Footer.apply/"),
    )


def test_without_its_source_a_loop_is_known_by_what_the_calls_themselves_cost() -> None:
    assert stands_for(
        SHOP,
        (25.0, "view/price_order(", "price_order/base(", "base/"),
        (1.5, "view/price_order(", "price_order/base("),
        (25.0, "view/price_order(", "price_order/tax(", "tax/"),
        (1.5, "view/price_order(", "price_order/tax("),
        (40.0, "view/render_page(", "render_page/"),
        known=False,
    ) == {"base": "price_order", "tax": "price_order"}


def test_without_its_source_and_without_that_cost_nothing_is_taken_for_a_loop() -> None:
    assert not stands_for(
        SHOP,
        (25.0, "view/price_order(", "price_order/base(", "base/"),
        (25.0, "view/price_order(", "price_order/tax(", "tax/"),
        # What a library does for it on that line is not what a call costs.
        (9.0, "view/price_order(", "price_order/base(", "library"),
        (9.0, "view/price_order(", "price_order/tax(", "library"),
        (40.0, "view/render_page(", "render_page/"),
        known=False,
    )


def test_a_handful_of_samples_names_nobody() -> None:
    assert not stands_for(
        SHOP,
        (0.3, "view/price_order(", "price_order/base(", "base/"),
        (0.3, "view/price_order(", "price_order/tax(", "tax/"),
    )


def test_source_of_another_language_says_nothing() -> None:
    assert source_lines("func main() { for {} }") is None


def test_a_helper_that_every_call_of_a_loop_ends_in_stands_for_itself() -> None:
    source = """
        def view(order):
            for line in order:
                base(line)
                tax(line)
                discount(line)

        def base(line):
            return rounded(line)

        def tax(line):
            return rounded(line.tax)

        def discount(line):
            return rounded(line.less)
    """
    assert not stands_for(
        source,
        (10.0, "view/base(line)", "base/rounded(line)", "rounded/"),
        (10.0, "view/tax(line)", "tax/rounded(line.tax", "rounded/"),
        (10.0, "view/discount(line)", "discount/rounded(line.less", "rounded/"),
    )


def test_one_that_spends_nearly_all_itself_stands_for_itself() -> None:
    # A stack that was read while it changed shows a function beneath one that it called.
    assert not stands_for(
        SHOP,
        (90.0, "view/price_order(", "price_order/for line"),
        (1.0, "view/price_order(", "price_order/base(", "view/load("),
    )
