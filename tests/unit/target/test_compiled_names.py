"""Symbols as people write them. What they are spelled from is of the schemes' own texts (RFC 2603,
the Itanium C++ ABI) and of compilers.
"""

from __future__ import annotations

import re
import resource
import shutil
import subprocess

import pytest

from perfhunt.target.binary.demangler import Demangler
from perfhunt.target.binary.names import source_name, spelled
from perfhunt.target.binary.rust_names import rust_name
from tests.property.hostile.programs import DOUBLING

V0 = {
    "_RNvCs4fqI2P2rA04_11rust_stdlib4main": "rust_stdlib::main",
    # RFC 2603: an implementation of a trait, a closure, and generic arguments.
    "_RNvXs_C7mycrateNtB4_3FooNtB4_3Bar3bar": "<mycrate::Foo as mycrate::Bar>::bar",
    "_RNCNvC7mycrate4main0": "mycrate::main",
    "_RINvC7mycrate3foohE": "mycrate::foo",
    "_RNvMC7mycrateSh3len": "<[u8]>::len",
    "_RNCINvNtNtCsjrHSEGnQ3l9_3std6thread7current17with_current_nameNCNCNvNtB8_9panicking12default"
    "_hook00uE0B8_": "std::thread::current::with_current_name",
}
LEGACY = {
    "_ZN7service4shop3pay17hd1814ed0cc6ea00aE": "service::shop::pay",
    "_ZN3tok5serve28_$u7b$$u7b$closure$u7d$$u7d$17h0123456789abcdefE": "tok::serve",
    "_ZN5alloc7raw_vec20RawVecInner$LT$A$GT$7reserve17h7590fbbaaae6b066E": (
        "alloc::raw_vec::RawVecInner<A>::reserve"
    ),
}
CPP = {
    "_ZN4shop5orderERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEEj": "shop::order",
    "_ZZ4mainENKUlvE_clEv": "main",
    "_ZZN1A1fEvENKUliE_clEi": "A::f",
    "_ZNSt6vectorIiSaIiEE9push_backERKi": "std::vector::push_back",
    "_ZlsRSoRK3Foo": "operator<<",
    "_ZN12_GLOBAL__N_14workEi": "(anonymous namespace)::work",
    "_Z3maxIiET_S0_S0_": "max",
    "_ZN3FoocvbEv": "Foo::operator bool",
    "_ZNKSt8functionIFvvEEclEv": "std::function::operator()",
    "_ZN4shop3payEj.cold": "shop::pay",
    "_ZN3fooILb1EE3barEv.part.0.isra.0": "foo::bar",
}


@pytest.mark.parametrize(("symbol", "name"), V0.items())
def test_rusts_newer_symbols_lose_hashes_closures_and_generic_arguments(
    symbol: str, name: str
) -> None:
    assert spelled(symbol) == name


@pytest.mark.parametrize(("symbol", "name"), LEGACY.items())
def test_rusts_older_symbols_lose_their_hash_and_closures(symbol: str, name: str) -> None:
    assert spelled(symbol) == name


@pytest.mark.parametrize(("symbol", "name"), CPP.items())
def test_cpp_names_lose_parameters_templates_and_copies(symbol: str, name: str) -> None:
    assert spelled(symbol) == name


@pytest.mark.parametrize("plain", ["pthread_mutex_lock", "main", "_start", "_Zebra", "_Report"])
def test_what_is_no_symbol_of_either_stays_as_it_is(plain: str) -> None:
    assert spelled(plain) == plain


def test_a_version_of_a_library_is_no_part_of_a_name() -> None:
    assert spelled("pthread_mutex_lock@@GLIBC_2.2.5") == "pthread_mutex_lock"


@pytest.mark.parametrize(
    "hostile",
    ["_RNvB_3foo", "_RB0_", "_R" + "Nv" * 5000, "_RTTTTTT" * 500, "_RNvC9999999a3foo", "_RIC1aKh"],
)
def test_a_symbol_that_leads_nowhere_is_no_name_and_ends(hostile: str) -> None:
    assert rust_name(hostile) == ""
    assert spelled(hostile) == hostile


def test_a_symbol_that_stands_for_a_name_of_gigabytes_keeps_no_other_from_its_name() -> None:
    demangler = Demangler()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert demangler.name(DOUBLING) == ""
    assert demangler.name("_ZN4shop5priceEi") == "shop::price(int)"
    demangler.close()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 3.0


def test_what_names_cost_is_counted_of_who_spells_them_also_once_it_has_ended() -> None:
    demangler = Demangler()
    assert demangler.cpu == 0
    for number in range(20_000):  # Its start takes a tick of the kernel's clock, or these do.
        name = f"f{number}"
        assert demangler.name(f"_Z{len(name)}{name}v") == f"{name}()"
        if demangler.cpu > 0:
            break
    used = demangler.cpu
    demangler.close()
    assert demangler.cpu >= used > 0


def test_newer_symbols_agree_with_binutils() -> None:
    if shutil.which("c++filt") is None:
        pytest.skip("c++filt (binutils) is not installed")
    symbols = [
        "_RNvNtNtCsjrHSEGnQ3l9_3std3sys9backtrace11print_fmt_s",
        "_RNvXsi_NtCsgEmfK2I1SDS_4core3fmteNtB5_7Display3fmt",
        "_RNvXsq_NtCslNYArtu3iFV_5alloc6stringNtB5_6StringNtNtCsgEmfK2I1SDS_4core3fmt7Display3fmt",
    ]
    done = subprocess.run(["c++filt", "-s", "rust", *symbols], capture_output=True, text=True)
    theirs = done.stdout.splitlines()
    if theirs == symbols:
        pytest.skip("this c++filt does not know Rust's newer symbols")
    without_hashes = [_without_hashes(name) for name in theirs]
    assert [spelled(symbol) for symbol in symbols] == without_hashes


def _without_hashes(name: str) -> str:
    return re.sub(r"\[[0-9a-f]+\]", "", name)


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("lock<u64>", "lock"),
        ("operator<< <char>", "operator<<"),
        ("parse", "parse"),
        ("_ZN4shop5priceEjj", "shop::price"),
        ("{closure#0}<shop::serve::{async_fn_env#0}>", ""),
        ("{async_fn#0}", ""),
    ],
)
def test_names_of_debug_information_lose_type_arguments_and_what_no_source_names(
    name: str, plain: str
) -> None:
    assert source_name(name) == plain


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("std::_Function_handler<void (int), main::{lambda(int)#1}>::_M_invoke(int)", "main"),
        (
            "std::thread::_State_impl<std::thread::_Invoker<std::tuple<"
            "shop::Till::open(int, char)::{lambda()#1}> > >::_M_run()",
            "shop::Till::open",
        ),
        ("std::__1::__function::__func<shop::$_0, void ()>::operator()()", "shop"),
        (
            "std::_Function_handler<void (), (anonymous namespace)::pay(int)::{lambda()#2}>"
            "::_M_invoke(std::_Any_data const&)",
            "(anonymous namespace)::pay",
        ),
        ("std::sort<int*, shop::best()::{lambda()#1}>(int*)", "std::sort"),
        ("std::vector<int, std::alloc<int> >::_M_insert(int)", "std::vector::_M_insert"),
    ],
)
def test_what_only_calls_a_lambda_is_called_by_the_function_it_was_written_in(
    name: str, plain: str
) -> None:
    assert source_name(name) == plain
