"""What all tests share."""

import os

# Pictures are drawn in memory, on machines with a screen too.
os.environ["MPLBACKEND"] = "Agg"
