"""The engines there are: a new one is a module that fills `seam.LoadEngine`, and one line here."""

from __future__ import annotations

from collections.abc import Mapping

from perfhunt.load.locust_engine import LocustEngine
from perfhunt.load.seam import LoadEngine

ENGINES: Mapping[str, type[LoadEngine]] = {engine.name: engine for engine in (LocustEngine,)}
DEFAULT_ENGINE = LocustEngine.name
