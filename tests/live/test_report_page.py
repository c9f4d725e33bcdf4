"""The report in a browser: no network, no errors, nothing wider than the window, of use by keys and
without scripts. The time to the first picture is told, and nothing rests on it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from perfhunt.analysis.verdict.rerun import compare
from perfhunt.model.profile import Frame, FrameKind, Profile, ProfileMode, Stack
from perfhunt.model.run import Run
from perfhunt.model.trial import Phase
from perfhunt.reports.format import FORMATS, page_of_change
from perfhunt.reports.html.compared import BeforeAfter
from tests.live.browser import BROWSER, Tab, browser
from tests.sample_run import aborted_run, moved, sample_run
from tests.sample_run.load import trial
from tests.unit.reports.test_failures import failing

pytestmark = [
    pytest.mark.live,
    pytest.mark.beside,
    pytest.mark.skipif(BROWSER is None, reason="no chromium is installed"),
]

WIDTHS = (1280, 390)  # of a laptop, and of a phone, in CSS pixels
MOST_WITHOUT_DATA = 400_000  # bytes of a page
NODES = 5000  # of a large profile
MINUTES = 10
# What is wider than the window, and in nothing that scrolls by itself.
WIDER = """
(() => {
  const width = document.documentElement.clientWidth;
  const auto = (e) => getComputedStyle(e).overflowX === 'auto';
  const scrolls = (e) => e && (auto(e) || scrolls(e.parentElement));
  const wide = [...document.querySelectorAll('main *')]
    .filter((e) => e.getBoundingClientRect().right > width + 1 && !scrolls(e))
    .map((e) => e.outerHTML.slice(0, 120));
  return { page: document.documentElement.scrollWidth - width, wide };
})()
"""
OPENED = "document.querySelectorAll('details').forEach((d) => { d.open = true; })"
PAINTED = """
new Promise((done) => new PerformanceObserver((list) => done(list.getEntries()[0].startTime))
  .observe({ type: 'paint', buffered: true }))
"""
INTERACTIVE = "performance.getEntriesByType('navigation')[0].domInteractive"


def large_profile(nodes: int) -> Profile:
    """Of a program with so many nodes in its tree, all wide enough to be drawn or folded away."""
    stacks: dict[Stack, float] = {}
    for leaf in range(nodes // 10):
        path = [f"part_{leaf % 20}", f"step_{leaf % 100}", *(f"f_{leaf}_{n}" for n in range(10))]
        frames = (Frame(name, f"app/{name}.py", 1, FrameKind.PYTHON) for name in path)
        stacks[tuple(frames)] = float(1 + leaf % 7)
    return Profile("py-spy", "0.4.1", ProfileMode.CPU, 100.0, 60.0, stacks, ticks=6000)


def long_run() -> Run:
    """Ten minutes of load, and two large profiles."""
    whole = sample_run()
    seconds = 60 * MINUTES // 10
    trials = []
    for number in range(10):
        one = trial(Phase.PASS, 100.0 + 6 * number, seconds, 70.0 + seconds * number)
        rows = tuple(replace(one.rows[0], second=second) for second in range(seconds))
        trials.append(replace(one, rows=rows))
    holds = tuple(t for t in whole.trials if t.step.phase is Phase.HOLD)
    profiles = {"baseline": large_profile(NODES), "knee": large_profile(NODES)}
    return replace(whole, trials=(*trials, *holds), profiles=profiles)


RUNS = {
    "whole": sample_run(),
    "stopped": aborted_run(),
    "failing": failing(),
    "long": long_run(),
}


PAGES = (*RUNS, "compared")


@pytest.fixture(scope="module")
def tab() -> Iterator[Tab]:
    with browser() as each:
        yield each


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The runs as files."""
    directory = tmp_path_factory.mktemp("pages")
    written = {}
    for name, run in RUNS.items():
        written[name] = directory / f"{name}.html"
        written[name].write_text(FORMATS["html"].render(run), encoding="utf-8")
    before, after = sample_run(), moved(sample_run(), 1.4)
    verdict = compare(before, after, None)
    assert not isinstance(verdict, tuple)
    written["compared"] = directory / "compared.html"
    page = page_of_change(after, BeforeAfter(before, verdict))
    written["compared"].write_text(page, encoding="utf-8")
    return written


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", WIDTHS)
def test_a_page_says_no_error_asks_for_nothing_and_fits(
    tab: Tab, pages: dict[str, Path], name: str, width: int
) -> None:
    tab.open(pages[name], width=width)
    tab.value(OPENED)
    fits = tab.value(WIDER)
    assert fits == {"page": 0, "wide": []}
    assert tab.said("Runtime.exceptionThrown", "Log.entryAdded") == []
    asked = [each["request"]["url"] for each in tab.said("Network.requestWillBeSent")]
    assert asked == [pages[name].resolve().as_uri()]
    print(f"{name} at {width} px: painted after {tab.value(PAINTED):.0f} ms", end=", ")
    print(f"interactive after {tab.value(INTERACTIVE):.0f} ms")


def test_a_long_run_with_large_profiles_is_a_page_that_can_be_sent(
    pages: dict[str, Path],
) -> None:
    without = len(FORMATS["html"].render(replace(RUNS["long"], profiles={})))
    whole = pages["long"].stat().st_size
    assert without < MOST_WITHOUT_DATA
    # A box of a flame graph with its hover text: 2 profiles and their difference.
    assert whole - without < 3 * NODES * 400


def test_without_scripts_the_verdict_the_tables_and_the_pictures_are_there(
    pages: dict[str, Path],
) -> None:
    with browser(scripts=False) as still:
        still.open(pages["whole"], width=1280)
        document = still.call("DOM.getDocument", depth=-1)["root"]
        for selector, least in (("h1", 1), (".strip li", 6), (".chart", 6), (".pf-frame", 10)):
            found = still.call("DOM.querySelectorAll", nodeId=document["nodeId"], selector=selector)
            assert len(found["nodeIds"]) >= least, selector
        tools = still.call("DOM.querySelector", nodeId=document["nodeId"], selector=".pf-tools")
        with pytest.raises(AssertionError, match="box model"):
            still.call("DOM.getBoxModel", nodeId=tools["nodeId"])


def test_the_flame_graph_is_moved_through_and_zoomed_by_keys(
    tab: Tab, pages: dict[str, Path]
) -> None:
    tab.open(pages["whole"], width=1280)
    hidden = "document.querySelectorAll('#flame > .pf-box .pf-gone').length"
    tab.value("document.querySelector('.pf-flame').focus()")
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "ArrowDown"):
        tab.press(key)
    assert "of all" in tab.value("document.querySelector('.pf-about').textContent")
    assert tab.value(hidden) == 0
    widths = "[...document.querySelectorAll('.pf-on rect')].map((r) => +r.getAttribute('width'))"
    (before,) = tab.value(widths)
    tab.press("Enter")
    (after,) = tab.value(widths)
    assert after > before
    tab.press("Escape")
    assert tab.value("document.querySelectorAll('.pf-on').length") == 0


def test_an_inverted_graph_has_the_costliest_leaf_below_its_root(
    tab: Tab, pages: dict[str, Path]
) -> None:
    tab.open(pages["whole"], width=1280)
    tab.value("document.querySelector('[data-pf=invert]').click()")
    seen = """[...document.querySelectorAll('#flame > .pf-box .pf-frame')]
      .filter((g) => g.getClientRects().length)
      .map((g) => [+g.querySelector('rect').getAttribute('y'),
        +g.querySelector('rect').getAttribute('width'),
        g.querySelector('title').textContent.split(' ')[0]])"""
    rows = sorted(tab.value(seen))
    tops = sorted({y for y, _, _ in rows})
    own: dict[str, float] = {}
    for stack, weight in sample_run().profiles["knee"].stacks.items():
        own[stack[-1].function] = own.get(stack[-1].function, 0.0) + weight
    widest = max((width, name) for y, width, name in rows if y == tops[1])
    assert widest[1] == max(own, key=lambda name: own[name])
    tab.value("document.querySelector('[data-pf=fold]').click()")
    assert 0 < len(tab.value(seen)) <= len(rows)


def test_a_graph_is_cut_to_one_worker_and_to_one_state(tab: Tab, tmp_path: Path) -> None:
    def stack(worker: str, *functions: str, wait: str = "") -> Stack:
        root = Frame(worker, kind=FrameKind.THREAD)
        code = (Frame(name, "app/views.py", 1, FrameKind.PYTHON) for name in functions)
        return (root, *code, *((Frame(wait, kind=FrameKind.WAIT),) if wait else ()))

    stacks = {
        stack("worker 1", "view", "render"): 30.0,
        stack("worker 1", "view", "query", wait="[lock]"): 20.0,
        stack("worker 2", "view", "query", wait="[lock]"): 50.0,
    }
    profile = replace(large_profile(NODES), mode=ProfileMode.WALL, stacks=stacks)
    page = tmp_path / "workers.html"
    run = replace(sample_run(), profiles={"knee": profile})
    page.write_text(FORMATS["html"].render(run), encoding="utf-8")
    tab.open(page, width=1280)

    def chosen(what: str, value: str) -> list[str]:
        tab.value(
            f"""(() => {{ const s = document.querySelector('select[data-pf={what}]');
            s.value = {value!r}; s.dispatchEvent(new Event('change')); }})()"""
        )
        shown: list[str] = tab.value(
            """[...document.querySelectorAll('.pf-frame')].filter((g) => g.getClientRects().length)
            .map((g) => g.querySelector('title').textContent.split('\\n')[0].split(' (')[0])"""
        )
        return shown

    options = "[...document.querySelectorAll('select[data-pf={}] option')].map((o) => o.value)"
    assert tab.value(options.format("worker")) == ["", "worker 1", "worker 2"]
    assert tab.value(options.format("state")) == ["", "[lock]", "[runs]"]
    assert chosen("worker", "worker 2") == ["all", "worker 2", "view", "query", "[lock]"]
    assert chosen("worker", "worker 1").count("view") == 1
    assert chosen("state", "[runs]") == ["all", "worker 1", "view", "render"]


def axe() -> Path | None:
    """The accessibility checker of npm, where it is installed or `AXE` names it."""
    if "AXE" in os.environ:
        return Path(os.environ["AXE"])
    npm = shutil.which("npm")
    if npm is None:
        return None
    root = subprocess.run([npm, "root", "--global"], capture_output=True, text=True, check=False)
    script = Path(root.stdout.strip()) / "axe-core" / "axe.min.js"
    return script if script.is_file() else None


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_no_violation(tab: Tab, pages: dict[str, Path], name: str, dark: bool) -> None:
    script = axe()
    if script is None:
        pytest.skip("axe-core is not installed: npm install --global axe-core, or AXE=axe.min.js")
    tab.open(pages[name], width=1280, dark=dark)
    tab.value(OPENED)
    tab.call("Runtime.evaluate", expression=script.read_text(encoding="utf-8"))
    found = tab.value(
        "axe.run(document, { resultTypes: ['violations'] }).then((all) =>"
        " all.violations.map((v) => [v.id, v.nodes.map((n) => n.html.slice(0, 200))]))"
    )
    assert found == [], json.dumps(found, indent=1)
