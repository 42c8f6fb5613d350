"""Let the tests of estimators use the problems with certified answers."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "linalg"))
