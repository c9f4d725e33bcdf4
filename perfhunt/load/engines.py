"""The engines there are: a new one is a module that fills `seam.LoadEngine`, a name in
`model.question`, and one line here.
"""

from __future__ import annotations

from collections.abc import Mapping

from perfhunt.load.locust_engine import LocustEngine
from perfhunt.load.programs.engine import K6Engine, VegetaEngine
from perfhunt.load.seam import LoadEngine
from perfhunt.model.question import EngineName

ENGINES: Mapping[EngineName, type[LoadEngine]] = {
    EngineName(engine.name): engine for engine in (LocustEngine, K6Engine, VegetaEngine)
}
