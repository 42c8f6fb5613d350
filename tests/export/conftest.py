"""Let the tests of exports use the small models."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
