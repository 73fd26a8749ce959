"""Types are decoded into by many threads at once, from the first moment of a process on."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from shared import typed
from shared.runs.parts import Removal

ROOT = Path(__file__).resolve().parents[3]
PROCESSES = 30
# Threads change places as often as they can; without the lock some of the processes die of it.
_AT_ONCE = """
import faulthandler, sys, threading
from concurrent.futures import ThreadPoolExecutor
faulthandler.enable()
sys.setswitchinterval(1e-6)
import msgspec
from shared import typed

kinds = [msgspec.defstruct("Kind0", [("text", "str"), ("number", "int")])]
value = {"text": "a", "number": 1}
for depth in range(1, 8):
    fields = [(f"field{number}", kinds[-1]) for number in range(2)] + [("texts", "dict[str, str] | None")]
    kinds.append(msgspec.defstruct(f"Kind{depth}", fields))
    value = {"field0": value, "field1": value, "texts": {"a": "b"}}
data = msgspec.json.encode(value)
barrier = threading.Barrier(12)
def go(_):
    barrier.wait()
    typed.decode(data, kinds[-1])
with ThreadPoolExecutor(12) as pool:
    list(pool.map(go, range(12)))
"""


def test_threads_that_decode_a_type_for_the_first_time_at_once_do_not_crash_the_process() -> None:
    started = [
        subprocess.Popen([sys.executable, "-c", _AT_ONCE], cwd=ROOT, stderr=subprocess.PIPE) for _ in range(PROCESSES)
    ]
    told = [one.communicate()[1].decode() for one in started]
    assert [one.returncode for one in started] == [0] * PROCESSES, max(told)


def test_a_type_is_made_ready_once() -> None:
    assert typed.decoder(Removal) is typed.decoder(Removal)


def test_plain_data_becomes_a_type_and_what_does_not_fit_is_refused() -> None:
    class Point(msgspec.Struct):
        x: int

    assert typed.convert({"x": 1}, Point) == Point(x=1)
    assert typed.convert({"x": "1"}, Point, strict=False) == Point(x=1)
    with pytest.raises(msgspec.ValidationError):
        typed.convert({"x": "1"}, Point)
    with pytest.raises(msgspec.DecodeError):
        typed.decode(b"{", Point)
