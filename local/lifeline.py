"""Tie a child process to its parent, so that nothing is left running when a supervisor is killed.

Only Linux can do this cheaply (the kernel sends the signal); elsewhere both functions change nothing.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Ask the kernel to send SIGTERM to this process when its parent ends. Call it from the main thread at start."""
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")


def tied(*command: str) -> list[str]:
    """Return the command line that runs `command` tied to this process.

    For programs that are not ours (node). The setting survives execve, and this way needs no `preexec_fn`,
    which is unsafe in a process with threads.
    """
    return [sys.executable, str(Path(__file__).resolve()), str(os.getpid()), *command]


def _main(parent: str, *command: str) -> None:
    end_with_parent()
    if os.getppid() == int(parent):  # else the parent ended before the kernel knew about us
        os.execvp(command[0], command)


if __name__ == "__main__":
    _main(*sys.argv[1:])
