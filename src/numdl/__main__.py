"""What ``python -m numdl`` runs: the command ``numdl``."""

import sys

from numdl.cli import main

if __name__ == "__main__":
    sys.exit(main())
