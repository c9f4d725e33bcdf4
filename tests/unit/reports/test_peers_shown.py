"""Peers in the reports: all where one may be what stops the service, else those with much CPU."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfhunt.model.finding import Bottleneck, BottleneckClass
from perfhunt.reports.format import FORMATS
from tests.sample_run import sample_run
from tests.sample_run.captures import peers


def screen(category: BottleneckClass, cores: float) -> list[str]:
    database, remote = peers()
    run = replace(
        sample_run(),
        bottleneck=Bottleneck(category, 0.9, ("Because.",)),
        peers={"knee": (replace(database, cores=cores, queued=0.4), remote)},
        cautions=(),
    )
    lines = FORMATS["terminal"].render(run).splitlines()
    return [line for line in lines if line.startswith("peer ")]


def test_a_database_that_stops_the_service_has_its_line_and_so_has_what_is_not_known() -> None:
    database, remote = screen(BottleneckClass.DATABASE, 0.81)
    assert database.startswith("peer postgres (127.0.0.1:5432): 0.81 cores, 0.40 more wanted;")
    assert "CPU not known" in remote and "another host" in remote


@pytest.mark.parametrize(("cores", "shown"), [(0.05, 0), (0.81, 1)])
def test_beside_another_bottleneck_only_much_cpu_is_worth_a_line(cores: float, shown: int) -> None:
    assert len(screen(BottleneckClass.LOCK, cores)) == shown


@pytest.mark.parametrize("name", ["html", "markdown"])
def test_the_reports_have_every_peer(name: str) -> None:
    text = FORMATS[name].render(sample_run())
    assert "postgres" in text and "10.0.0.7:8080 is on another host" in text
