"""The evaluation step as the job runs it: real models, tiny ones, in the machine-learning environment."""

import json
import math
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import ROOT, Job, Tracking, conversation, ml_python, tracking_server

SECRET = "The answer to 3 is seven."


def evaluate(out: Path, *, test: Path, base: Path, candidate: Path, **more: str) -> dict[str, Any]:
    arguments = {"job": "job-1", "test": str(test), "base": str(base), "candidate": str(candidate), "out": str(out)}
    options = [part for name, value in {**arguments, **more}.items() for part in (f"--{name.replace('_', '-')}", value)]
    done = subprocess.run(
        [ml_python(), "-m", "shared.evaluation.step", *options], cwd=ROOT, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    assert SECRET not in done.stdout + done.stderr
    found: dict[str, Any] = json.loads(out.read_text())
    return found


@pytest.fixture(scope="module")
def test_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("rows") / "test.jsonl"
    rows = [conversation(f"Question {n % 10}?", f"The answer to {n % 10} is seven.") for n in range(8)]
    several = conversation("Question 1?", "Seven.")["messages"] + conversation("And 2?", "Seven too.")["messages"]
    rows.append({"messages": several})
    file.write_text("".join(json.dumps({"prompt_id": f"p{n}", **row}) + "\n" for n, row in enumerate(rows)))
    return file


@pytest.fixture(scope="module")
def told() -> Iterator[Tracking]:
    """What the evaluation sends: of a server of its own, as the job's is looked at by other tests."""
    with tracking_server() as seen:
        yield seen


@pytest.fixture(scope="module")
def found(
    tmp_path_factory: pytest.TempPathFactory, cache: Path, trained: Job, test_file: Path, told: Tracking
) -> dict[str, Any]:
    """The trained tiny model, beside its base model; the base model stands for the live one too."""
    base = cache / "models" / "tiny-random"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", told.url)
        patch.setenv("MLFLOW_TRACKING_TOKEN", "secret-token")
        patch.setenv("MLFLOW_RUN_ID", "run-evaluate")
        out = tmp_path_factory.mktemp("out") / "evaluation.json"
        return evaluate(out, test=test_file, base=base, candidate=trained.model, live=str(base), live_run="run-9")


def test_training_lowers_the_loss_and_the_same_model_has_the_same_numbers(found: dict[str, Any]) -> None:
    base, candidate, live = (found["models"][name] for name in ("base", "candidate", "live"))
    assert candidate["loss"] < base["loss"] * 0.8
    assert [found["error"], base["error"], candidate["error"], found["live_run"]] == [None, None, None, "run-9"]
    for score in (base, live):
        score.pop("seconds")
    assert base == live
    assert base["tokenization"] == candidate["tokenization"]
    assert (base["rows"], base["rows_skipped"], base["probe_questions"]) == (9, 0, 20)
    assert math.isclose(base["perplexity"], math.exp(base["loss"]))


def test_only_what_the_assistant_says_counts(found: dict[str, Any], test_file: Path) -> None:
    """The tiny tokenizer has a token for each byte, and one that ends a turn."""
    turns = [
        message["content"]
        for line in test_file.read_text().splitlines()
        for message in json.loads(line)["messages"]
        if message["role"] == "assistant"
    ]
    score = found["models"]["base"]
    assert score["characters"] == sum(map(len, turns))
    assert score["tokens"] == score["characters"] + len(turns)


def test_the_loss_is_the_one_that_training_measures(found: dict[str, Any], cache: Path, test_file: Path) -> None:
    """Another program of the same meaning: the trainer's own tokens and loss."""
    lines = f"""
import json
from pathlib import Path
from local.training.network import Network
from local.training.options import Options
from local.training.preprocess import load_tokenizer, tokenize
folder = Path({str(cache / "models" / "tiny-random")!r})
rows = [json.loads(line)["messages"] for line in Path({str(test_file)!r}).read_text().splitlines()]
tokenizer = load_tokenizer(folder)
print(Network(folder, Options(), "fast").evaluate([tokenize(tokenizer, row) for row in rows]))
"""
    done = subprocess.run([ml_python(), "-c", lines], cwd=ROOT, capture_output=True, text=True, check=True, timeout=240)
    assert math.isclose(float(done.stdout), found["models"]["base"]["loss"], rel_tol=1e-4)


def test_the_tokens_of_the_questions_are_those_that_the_server_makes_of_them(
    found: dict[str, Any], trained: Job, test_file: Path
) -> None:
    """The tokenizer of the folder that is served, asked for tokens at once."""
    lines = f"""
import json
from pathlib import Path
from transformers import AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(Path({str(trained.model)!r}) / "data" / "tokenizer")
rows = [json.loads(line) for line in Path({str(test_file)!r}).read_text().splitlines()]
asked = dict(tokenize=True, add_generation_prompt=True, return_dict=True)
print(json.dumps({{
    row["prompt_id"]: len(tokenizer.apply_chat_template(row["messages"][:-1], **asked)["input_ids"]) for row in rows
}}))
"""
    done = subprocess.run([ml_python(), "-c", lines], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    assert found["models"]["candidate"]["prompt_tokens"] == json.loads(done.stdout.splitlines()[-1])


def test_numbers_go_to_the_steps_own_run_and_texts_nowhere(found: dict[str, Any], told: Tracking) -> None:
    assert told.history("eval.candidate.loss") == [(0, found["models"]["candidate"]["loss"])]
    assert {batch["run_id"] for batch in told.batches} == {"run-evaluate"}
    assert "seven" not in json.dumps(found).lower()
    assert {answer["prompt_id"] for answer in found["models"]["base"]["answers"]} < {f"p{n}" for n in range(9)}


def test_a_model_that_cannot_be_loaded_costs_only_its_own_numbers(
    tmp_path: Path, cache: Path, trained: Job, test_file: Path
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(cache / "models" / "tiny-random", broken)
    (broken / "model.safetensors").write_bytes(b"no weights")
    found = evaluate(
        tmp_path / "out.json", test=test_file, base=broken, candidate=trained.model, live=str(tmp_path / "nothing")
    )
    assert found["models"]["candidate"]["loss"] is not None
    assert found["models"]["base"]["error"]
    assert found["models"]["live"]["error"].startswith("ModelFolderError: no weights")


def test_rows_and_time_are_bounded(tmp_path: Path, cache: Path, trained: Job, test_file: Path) -> None:
    found = evaluate(
        tmp_path / "out.json",
        test=test_file,
        base=cache / "models" / "tiny-random",
        candidate=trained.model,
        rows="4",
        time_limit_s="0",
    )
    assert found["rows_test"] == 9
    assert found["models"]["candidate"]["rows"] == found["models"]["base"]["rows"] == 4
    assert found["models"]["candidate"]["answers"] == []
