"""A bar for a person, on the terminal only: nothing of it reaches a file or a pipe."""

import sys
import time

WIDTH = 30
# A shorter wait needs no bar.
AFTER_SECONDS = 2.0


class Progress:
    """Says how far `what` is, of `total`."""

    def __init__(self, what: str, total: int):
        self.what, self.total, self.done = what, total, 0
        self.started = self.drawn = time.monotonic()
        self.visible = sys.stderr.isatty()

    def advance(self, n: int = 1) -> None:
        """`n` more are done."""
        self.done += n
        now = time.monotonic()
        if self.visible and now - self.started > AFTER_SECONDS and now - self.drawn > 0.1:
            self.drawn = now
            filled = WIDTH * self.done // max(self.total, 1)
            left = (now - self.started) / self.done * (self.total - self.done)
            bar = "#" * filled + "." * (WIDTH - filled)
            sys.stderr.write(f"\r{self.what} [{bar}] {self.done}/{self.total}, {left:.0f} s left\x1b[K")
            sys.stderr.flush()

    def end(self) -> None:
        """Takes the bar away, so that the next line starts where it began."""
        if self.visible:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
