"""The host's keys: made once per state directory, the same after every restart."""

import hmac
import json
import os
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

EVENT_GRID_KEY = "eventgrid_extension"
BLOBS_KEY = "blobs_extension"


@dataclass(frozen=True)
class Keys:
    """`functions`: further keys of single functions, by function name. Secrets stay out of the repr."""

    master: str = field(repr=False)
    default: str = field(repr=False)
    system: Mapping[str, str] = field(repr=False)
    functions: Mapping[str, str] = field(repr=False, default_factory=dict)

    def level(self, key: str, function: str | None = None) -> str | None:
        """Return the level that a key gives: admin, system, function; None for an unknown key.

        The order is the real host's: master, system keys, host keys, the function's own key.
        """
        if _same(key, self.master):
            return "admin"
        if any(_same(key, one) for one in self.system.values()):
            return "system"
        own = self.functions.get(function or "", "")
        if _same(key, self.default) or (own and _same(key, own)):
            return "function"
        return None

    def opens_webhook(self, key: str, extension: str) -> bool:
        """Tell whether a key opens an extension's webhook: its system key or the master key."""
        return _same(key, self.master) or _same(key, self.system[extension])


def load(state_dir: Path) -> Keys:
    """Return the keys of a state directory, making them at first use.

    Idempotency: whoever writes the file first wins; a second process reads what the first one wrote.
    """
    path = state_dir / "functions" / "keys.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_once(path, _generate())
    return Keys(**json.loads(path.read_text()))


def _generate() -> Keys:
    return Keys(_key(), _key(), {EVENT_GRID_KEY: _key(), BLOBS_KEY: _key()})


def _key() -> str:
    return secrets.token_urlsafe(40)


def _write_once(path: Path, keys: Keys) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "w") as file:
        json.dump(asdict(keys), file, indent=2)
    try:
        os.link(name, path)
    except FileExistsError:
        return
    finally:
        Path(name).unlink()


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
