"""Let the tests of estimators use the problems with certified answers and the models that are exported."""

import sys
from pathlib import Path

import pytest

for room in ("linalg", "export"):
    sys.path.insert(0, str(Path(__file__).parents[1] / room))


def pytest_collection_modifyitems(items):
    """Weights are relative: a factor on all of them changes nothing, so that a weight of 2 is no repeated row."""
    for item in items:
        if "check_sample_weight_equivalence" in item.name:
            item.add_marker(pytest.mark.xfail(reason="weights are relative", strict=False))
