"""``python -m hierlearn``: what is done from a shell."""

import sys

from hierlearn.reporting.command import main

if __name__ == "__main__":
    sys.exit(main())
