"""A process that starts and stops others: what signals do to it."""

import os
import signal

from local.environment import NO_PROXY


class Stop:
    """What signals do: the first one interrupts the start or, after it, is only noted; later ones do nothing."""

    def __init__(self) -> None:
        self.asked, self._starting = False, True

    def __call__(self, _number: int, _frame: object) -> None:
        first, self.asked = not self.asked, True
        if first and self._starting:
            raise KeyboardInterrupt

    def ends_start(self) -> None:
        """Only note signals from now on. Raises: KeyboardInterrupt: one came before, and was lost on its way."""
        self._starting = False
        if self.asked:
            raise KeyboardInterrupt


def prepare() -> Stop:
    """Make this process one that starts and stops others: it takes signals, and no proxy stands before them."""
    os.environ.update(NO_PROXY)
    stop = Stop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # nohup ignores SIGHUP on purpose. SIGINT is taken even where a shell ignores it for a background job.
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)
    return stop
