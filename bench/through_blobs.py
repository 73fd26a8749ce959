"""Preparation from a blob to two blobs, as the app does it: `python -m bench.through_blobs WHAT BLOB [DIRECTORY]`.

WHAT: `put` the file DIRECTORY/BLOB, `prepare` it (this is what is measured: one process with the SDK and the package),
or `get` the outputs into DIRECTORY. The storage account is the one of the environment's BENCH_STORAGE.
"""

import os
import sys
from pathlib import Path

from shared.dataset import PrepareOptions, prepare
from shared.settings import StorageAddress
from shared.storage import BLOCK_SIZE, Blobs

SOURCE, TARGET = "datasets", "prepared"
OUTPUTS = ("train.jsonl", "test.jsonl")


def main(what: str, blob: str, directory: str = ".") -> None:
    """Do what is asked."""
    connection = os.environ["BENCH_STORAGE"]
    blobs = Blobs(StorageAddress(connection_string=connection))
    if what == "put":
        _create_containers(connection)
        put(blobs, blob, Path(directory) / blob)
    elif what == "prepare":
        through(blobs, blob)
    else:
        get(blobs, blob, Path(directory))


def through(blobs: Blobs, blob: str) -> None:
    """Prepare a blob."""
    info = blobs.describe(SOURCE, blob)
    if info is None:
        raise SystemExit(f"there is no blob {SOURCE}/{blob}")
    train, test = (blobs.writer(TARGET, f"{blob}/{name}") for name in OUTPUTS)
    content = blobs.read(SOURCE, blob, info.etag)
    report = prepare(content, train=train, test=test, options=PrepareOptions(), name=blob)
    train.commit()
    test.commit()
    blobs.write_small(TARGET, f"{blob}/report.json", report.to_json())


def put(blobs: Blobs, blob: str, path: Path) -> None:
    """Upload a file."""
    writer = blobs.writer(SOURCE, blob)
    with path.open("rb") as file:
        while block := file.read(BLOCK_SIZE):
            writer.write(block)
    writer.commit()


def get(blobs: Blobs, blob: str, directory: Path) -> None:
    """Download what was prepared."""
    for name in OUTPUTS:
        info = blobs.describe(TARGET, f"{blob}/{name}")
        if info is None:
            raise SystemExit(f"there is no blob {TARGET}/{blob}/{name}")
        with (directory / name).open("wb") as file:
            file.writelines(blobs.read(TARGET, f"{blob}/{name}", info.etag))


def _create_containers(connection: str) -> None:
    from azure.core.exceptions import ResourceExistsError
    from azure.storage.blob import BlobServiceClient

    service = BlobServiceClient.from_connection_string(connection)
    for container in (SOURCE, TARGET):
        try:
            service.create_container(container)
        except ResourceExistsError:
            continue


if __name__ == "__main__":
    main(*sys.argv[1:])
