"""Where files need no disk, if there is such a place: harnesses kill processes, and never the power."""

from pathlib import Path

MEMORY = next(iter(Path("/dev").glob("shm")), None)
