"""How good the ranker is, beside a gradient-boosted one: the same rows, the same number of trials, one look at test."""

import os

# A thread that waits would otherwise spin, and take the other's core: six times slower on a busy machine.
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"

# Before numpy, since it sets the number of threads.
import freshrank_training  # noqa: F401
