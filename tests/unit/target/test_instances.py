"""What generic functions of a Rust program were made for, and what was inlined into them: of a
program that is compiled here, without debug information.
"""

from __future__ import annotations

import shutil
import subprocess

import pytest

from perfhunt.analysis.blame.frames import hides_application
from perfhunt.target.binary.elf import CompiledFunction, Elf
from perfhunt.target.binary.instances import RustInstances

SOURCE = """
trait Handler { fn call(&self, n: usize) -> usize; }
impl<F: Fn(usize) -> usize> Handler for F {
    fn call(&self, n: usize) -> usize { self(n) }
}
fn shelf(prices: Vec<usize>) -> Box<dyn Handler> {
    Box::new(move |n| prices[n])
}
fn main() {
    let prices: Vec<usize> = std::env::args().map(|word| word.len()).collect();
    std::process::exit(std::hint::black_box(shelf(prices)).call(0) as i32);
}
"""
LINE = 7  # where a closure may panic, whose index is too large


@pytest.fixture(scope="module")
def generic(tmp_path_factory: pytest.TempPathFactory) -> tuple[RustInstances, CompiledFunction]:
    """The file, and its method of any type of which it has one only."""
    if shutil.which("rustc") is None:
        pytest.skip("rustc is not installed")
    source = tmp_path_factory.mktemp("rust") / "shop.rs"
    source.write_text(SOURCE)
    program = source.with_suffix("")
    command = ["rustc", "-O", "--edition", "2021", "-o", str(program), source.name]
    subprocess.run(command, cwd=source.parent, check=True, timeout=60)
    elf = Elf(str(program))
    found = [f for f in elf.containing("Handler", 100) if f.name.endswith(">::call")]
    if not found or not hides_application(found[0].name):
        pytest.skip(f"this rustc names what a method was made for itself: {found}")
    return RustInstances(elf), found[0]


def test_a_method_of_any_type_is_called_by_the_type_in_whose_table_it_stands(
    generic: tuple[RustInstances, CompiledFunction],
) -> None:
    instances, call = generic
    assert call.name == "<F as shop::Handler>::call"
    made = instances.made_for(call)
    assert made == "<shop::shelf::{{closure}} as shop::Handler>::call"
    assert not hides_application(made)


def test_lines_of_the_application_within_a_function_are_told_and_the_languages_own_are_not(
    generic: tuple[RustInstances, CompiledFunction],
) -> None:
    instances, call = generic
    within = instances.within(call)
    assert within == f"{call.name} (shop.rs:{LINE} inlined)"
    assert hides_application(within)


def test_what_is_in_no_table_and_panics_nowhere_keeps_its_name(
    generic: tuple[RustInstances, CompiledFunction],
) -> None:
    instances, _ = generic
    nothing = CompiledFunction("<T as core::any::Any>::type_id", 0x10, 0x20)
    assert instances.made_for(nothing) == instances.within(nothing) == nothing.name
