"""Which crates were linked into a program, by what its panics name."""

from __future__ import annotations

from pathlib import Path

from perfhunt.target.binary.crates import linked_crates


def test_a_crate_that_is_a_part_of_another_tells_of_that_one_too(tmp_path: Path) -> None:
    registry = b"/root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f"
    program = tmp_path / "shop"
    program.write_bytes(
        b"\0" + registry + b"/parking_lot_core-0.9.12/src/parking_lot.rs\0src/main.rs\0"
        b"/home/me/.cargo/git/checkouts/store-client-0123456789abcdef/a1b2c3d/src/lib.rs\0"
    )
    assert linked_crates(str(program)) == ("parking_lot::", "parking_lot_core::", "store_client::")
