"""Which function stands for a cost: stacks with their sources, written by hand, whose culprit a
reader of the source would name.
"""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import dedent

import pytest

from perfhunt.analysis.blame.culprits.culprits import culprits, standing_functions
from perfhunt.analysis.blame.culprits.source_lines import SourceLines, source_lines
from perfhunt.analysis.blame.culprits.trails import Trail, way_of
from perfhunt.analysis.blame.frames import Code
from perfhunt.model.profile import Frame, Stack

APP = "/srv/shop/app.py"
HEAPQ = "/usr/lib/python3.11/heapq.py"

SHOP = """
def view(request):
    order = load(request)
    total = price_order(order)
    return render_page(order, total)

def price_order(order):
    total = 0
    for line in order:
        total += base(line)
        total += tax(line)
        total -= discount(line)
    return total
"""


def frame_at(source: str, place: str, file: str = APP) -> Frame:
    """`price_order/base(line)`: the function, and text that only the line it has reached holds."""
    function, _, text = place.partition("/")
    lines = dedent(source).splitlines()
    return Frame(function, file, next(n for n, line in enumerate(lines, 1) if text in line))


def stack(source: str, *places: str) -> Stack:
    return tuple(
        Frame(place, HEAPQ, 1) if place == "library" else frame_at(source, place)
        for place in places
    )


def trail(stack: Stack, weight: float, waits: bool = False) -> Trail:
    way = way_of(stack, Code())
    assert way is not None
    return Trail(calls=way.calls, inner=way.inner, samples=weight * 10, weight=weight, waits=waits)


def parsed(source: str) -> Mapping[str, SourceLines]:
    lines = source_lines(dedent(source))
    assert lines is not None
    return {APP: lines}


def stands_for(
    source: str, *weighted: tuple[float, *tuple[str, ...]], known: bool = True, waits: str = ""
) -> dict[str, str]:
    """Leaf -> culprit, by name, of stacks with their weights; `waits` are leaves that wait."""
    trails = [
        trail(s := stack(source, *places), weight, s[-1].function in waits.split())
        for weight, *places in weighted
    ]
    found = culprits(trails, parsed(source) if known else {})
    return {leaf[0]: culprit[0] for leaf, culprit in found.items()}


def test_a_loop_over_small_functions_stands_for_them_and_its_caller_for_nobody() -> None:
    assert stands_for(
        SHOP,
        (25.0, "view/price_order(", "price_order/base(", "base/"),
        (24.0, "view/price_order(", "price_order/tax(", "tax/"),
        (23.0, "view/price_order(", "price_order/discount(", "discount/"),
        (8.0, "view/price_order(", "price_order/for line"),
        (40.0, "view/render_page(", "render_page/"),
        (10.0, "view/load(", "load/"),
    ) == {"base": "price_order", "tax": "price_order", "discount": "price_order"}


def test_a_handler_that_calls_big_things_once_each_stands_for_none_of_them() -> None:
    assert not stands_for(
        SHOP,
        (40.0, "view/load(", "load/"),
        (40.0, "view/price_order(", "price_order/total = 0"),
        (40.0, "view/render_page(", "render_page/"),
        (15.0, "view/return render"),  # work of its own, between the calls
    )


def test_a_loop_with_one_costly_call_leaves_it_to_that_one() -> None:
    assert not stands_for(
        SHOP,
        (75.0, "view/price_order(", "price_order/base(", "base/"),
        (15.0, "view/price_order(", "price_order/tax(", "tax/"),
        (8.0, "view/price_order(", "price_order/for line"),
    )


def test_a_handler_whose_own_loop_it_is_stands_for_what_is_in_it_and_for_nothing_else() -> None:
    source = """
        def view(request):
            page = render_page(request)
            for row in rows(request):
                left(row)
                right(row)
            return page
    """
    assert stands_for(
        source,
        (30.0, "view/left(", "left/"),
        (30.0, "view/right(", "right/"),
        (25.0, "view/render_page(", "render_page/"),
        (20.0, "view/rows(", "rows/"),
    ) == {"left": "view", "right": "view"}


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


def test_a_culprit_of_two_routes_stands_for_its_leaves_on_both() -> None:
    source = SHOP + "\ndef quote(request):\n    return price_order(request.body)\n"
    each = [
        (10.0, *up, f"price_order/{name}(", f"{name}/")
        for up in (("view/price_order(order)",), ("quote/price_order(request",))
        for name in ("base", "tax", "discount")
    ]
    assert set(stands_for(source, *each).values()) == {"price_order"}


@pytest.mark.parametrize("looped", ["for item in order:", "while order.more():"])
def test_what_a_looped_function_calls_once_is_called_again_and_again(looped: str) -> None:
    source = f"""
        def view(request):
            return price_all(request.order)

        def price_all(order):
            {looped}
                price(order.next())

        def price(item):
            return base(item) - discount(item)
    """
    assert stands_for(
        source,
        (10.0, "view/price_all(", "price_all/price(", "price/base(", "base/"),
        (10.0, "view/price_all(", "price_all/price(", "price/base(", "discount/"),
        (3.0, "view/price_all(", "price_all/price(", "price/base("),
    ) == {"base": "price", "discount": "price"}


def test_one_that_recurs_stands_for_what_it_calls_on_the_way() -> None:
    source = """
        def view(request):
            return walk(request.tree)

        def walk(node):
            enter(node)
            leave(node)
            return node and walk(node.next)
    """
    down = ("walk/and walk(",) * 3
    assert stands_for(
        source,
        (10.0, "view/walk(", *down, "walk/enter(", "enter/"),
        (10.0, "view/walk(", *down[:1], "walk/leave(", "leave/"),
        (2.0, "view/walk(", "walk/enter(", "enter/"),
    ) == {"enter": "walk", "leave": "walk"}


def test_functions_that_call_each_other_in_a_circle_recur() -> None:
    source = """
        def view(request):
            return evaluate(request.tree)

        def evaluate(node):
            kind(node)
            return binary(node) if node.two else number(node)

        def binary(node):
            return evaluate(node.left) + evaluate(node.right)
    """
    circle = ("evaluate/binary(", "binary/evaluate(node.left") * 2
    assert stands_for(
        source,
        (10.0, "view/evaluate(", *circle, "evaluate/kind(", "kind/"),
        (10.0, "view/evaluate(", *circle, "evaluate/number(", "number/"),
        (4.0, "view/evaluate(", *circle, "evaluate/kind("),
    ) == {"kind": "evaluate", "number": "evaluate"}


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


def test_a_comprehension_is_a_loop_of_the_function_that_wrote_it() -> None:
    source = """
        def view(request):
            return [base(row) + tax(row) for row in load(request)]

        def totals(rows):
            return sum(base(row) + tax(row) for row in rows)
    """
    for name, text in (("view", "[base("), ("totals", "sum(base(")):
        inner = f"{name}.<locals>.<listcomp>/{text}"
        assert stands_for(
            source,
            (10.0, f"{name}/{text}", inner, "base/"),
            (10.0, f"{name}/{text}", inner, "tax/"),
        ) == {"base": name, "tax": name}
    # From Python 3.12 on there is no frame of its own, and what is looped over is on the same line.
    assert stands_for(
        source,
        (10.0, "view/[base(", "base/"),
        (10.0, "view/[base(", "tax/"),
        (15.0, "view/[base(", "load/"),
    ) == {"base": "view", "tax": "view"}


def test_a_generator_is_called_for_each_thing_it_yields() -> None:
    source = """
        def view(request):
            for row in rows(request):
                price(row)

        def rows(request):
            for line in request:
                yield line.split()
    """
    assert stands_for(
        source,
        (10.0, "view/rows(request):\n".strip(), "rows/yield"),
        (10.0, "view/price(", "price/"),
    ) == {"rows": "view", "price": "view"}


@pytest.mark.parametrize(
    "call",
    [
        "list(map(price, rows))",
        "sorted(rows, key=price)",
        "sorted(rows, key=lambda row: price(row))",
    ],
)
def test_a_function_that_is_handed_to_be_applied_is_called_again_and_again(call: str) -> None:
    source = f"""
        def view(rows):
            return {call}

        def price(row):
            return base(row) - discount(row)
    """
    assert stands_for(
        source,
        (10.0, "view/return", "price/base(", "base/"),
        (10.0, "view/return", "price/base(", "discount/"),
    ) == {"base": "price", "discount": "price"}


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


def test_waits_in_a_loop_are_that_loops_and_not_counted_with_what_it_computes() -> None:
    source = """
        def view(orders):
            for order in orders:
                get_customer(order)
                get_stock(order)
                score(order)
                weigh(order)
    """
    assert stands_for(
        source,
        (30.0, "view/get_customer(", "get_customer/"),
        (30.0, "view/get_stock(", "get_stock/"),
        (30.0, "view/score(", "score/"),
        waits="get_customer get_stock",
    ) == {"get_customer": "view", "get_stock": "view"}
    assert not stands_for(
        source,
        (30.0, "view/get_customer(", "get_customer/"),
        (30.0, "view/score(", "score/"),
        waits="get_customer",
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
