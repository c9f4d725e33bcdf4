"""Which function stands for a cost: stacks with their sources, written by hand, whose culprit a
reader of the source would name.
"""

from __future__ import annotations

import pytest

from tests.unit.stacks import SHOP, stands_for


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


def test_stacks_that_were_read_while_they_changed_hide_no_loop() -> None:
    # A fifth of the lines is of the next statement, and a few callees are another function's.
    assert stands_for(
        SHOP,
        (25.0, "view/price_order(", "price_order/base(", "base/"),
        (6.0, "view/price_order(", "price_order/tax(", "base/"),
        (24.0, "view/price_order(", "price_order/tax(", "tax/"),
        (6.0, "view/price_order(", "price_order/discount(", "tax/"),
        (23.0, "view/price_order(", "price_order/discount(", "discount/"),
        (2.0, "view/price_order(", "render_page/"),
        (3.0, "view/render_page(", "base/"),
        (40.0, "view/render_page(", "render_page/"),
        (1.0, "view/price_order(", "price_order/tax(", "load/"),
        (1.0, "view/price_order(", "price_order/tax(", "save/"),
        (20.0, "view/load(", "load/"),
        (20.0, "view/load(", "save/"),
    ) == {"base": "price_order", "tax": "price_order", "discount": "price_order"}
