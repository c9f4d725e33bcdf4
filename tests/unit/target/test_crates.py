"""Which crates were linked into a program, by what its panics name."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfhunt.target.binary.crates import linked_crates
from tests.property.hostile.programs import program


def test_a_crate_that_is_a_part_of_another_tells_of_that_one_too(tmp_path: Path) -> None:
    registry = b"/root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f"
    program = tmp_path / "shop"
    program.write_bytes(
        b"\0" + registry + b"/parking_lot_core-0.9.12/src/parking_lot.rs\0src/main.rs\0"
        b"/home/me/.cargo/git/checkouts/store-client-0123456789abcdef/a1b2c3d/src/lib.rs\0"
    )
    assert linked_crates(str(program)) == ("parking_lot::", "parking_lot_core::", "store_client::")


def symbol(*parts: str) -> bytes:
    """Of the older scheme, with its hash."""
    return "".join(["_ZN", *(f"{len(p)}{p}" for p in parts), "17h0123456789abcdefE\0"]).encode()


@pytest.mark.parametrize(
    ("source", "linked"),
    [
        (b"src/main.rs", ("itoa::", "shop_pricing::", "tokio::")),
        # The folder has most of the crate's name.
        (b"pricing/src/lib.rs", ("itoa::", "tokio::")),
        # Any of those that no panic names may be the one in that folder.
        (b"engine/src/lib.rs", ("tokio::",)),
    ],
)
def test_a_crate_that_cannot_panic_is_anothers_where_the_applications_are_known(
    source: bytes, linked: tuple[str, ...], tmp_path: Path
) -> None:
    names = symbol("shop", "main") + symbol("itoa", "fmt") + symbol("shop_pricing", "price")
    names += symbol("tokio", "spawn") + symbol("core", "fmt", "write")
    file = tmp_path / "shop"
    file.write_bytes(program(source, names) + b"\0/registry/src/x/tokio-1.0.0/src/lib.rs\0")
    assert linked_crates(str(file)) == linked
