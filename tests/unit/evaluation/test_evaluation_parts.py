"""The parts of the evaluation that need no model: its questions, its rows, its file, its package."""

import ast
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from shared.evaluation.folders import ModelFolderError, find_parts
from shared.evaluation.probe import questions
from shared.evaluation.results import Answer, Results, Score, set_loss
from shared.evaluation.rows import read_test_set
from shared.evaluation.step import main
from shared.runs.package import evaluation_package

PACKAGE = Path(__file__).resolve().parents[3] / "shared" / "evaluation"


def test_every_question_has_one_right_option_that_begins_unlike_the_others() -> None:
    asked = questions()
    assert len(asked) == len({question.id for question in asked}) == 20
    for question in asked:
        assert question.question.endswith("?")
        assert not question.start.endswith((" ", "."))
        assert question.right in question.options
        assert len({option[0].lower() for option in question.options}) == len(question.options) == 4


def rows(count: int) -> bytes:
    made = ({"prompt_id": f"p{n}", "messages": [{"role": "user", "content": "?"}]} for n in range(count))
    return "".join(f"{json.dumps(row)}\n" for row in made).encode()


def test_the_rows_looked_at_are_a_function_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "test.jsonl"
    file.write_bytes(rows(30))
    first, again = read_test_set(file, 10), read_test_set(file, 10)
    assert [row.prompt_id for row in first.rows] == [row.prompt_id for row in again.rows]
    assert (len(first.rows), first.rows_test) == (10, 30)
    assert [row.prompt_id for row in first.first] == [f"p{n}" for n in range(20)]
    numbers = [int(row.prompt_id[1:]) for row in first.rows]
    assert numbers == sorted(numbers) != list(range(10))
    reversed_rows = tmp_path / "reversed.jsonl"
    reversed_rows.write_bytes(b"".join(reversed(rows(30).splitlines(keepends=True))))
    assert {row.prompt_id for row in read_test_set(reversed_rows, 10).rows} == {row.prompt_id for row in first.rows}


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    score = Score(rows=2, answers=[Answer("p1", 0.5, 10)], error="ValueError")
    set_loss(score, 6.0, 4, 24)
    results = Results("job", "live", "sha", 2, "cpu", {"candidate": score})
    results.write(tmp_path / "evaluation.json")
    assert Results.read(tmp_path / "evaluation.json") == results
    assert results.metrics()["eval.candidate.loss"] == 1.5
    assert (score.loss_per_character, round(score.perplexity or 0, 3)) == (0.25, 4.482)


@pytest.mark.parametrize("total", [float("nan"), float("inf")])
def test_a_loss_that_diverged_is_none(total: float) -> None:
    score = Score()
    set_loss(score, total, 4, 24)
    assert (score.loss, score.perplexity) == (None, None)


@pytest.mark.parametrize("layout", ["data/model", "model", "."])
def test_models_are_found_in_every_layout_also_one_folder_below(tmp_path: Path, layout: str) -> None:
    for root in (tmp_path / "plain", tmp_path / "mounted" / "inner"):
        (root / layout).mkdir(parents=True)
        (root / layout / "model.safetensors").write_text("")
        (root / layout / "config.json").write_text("{}")
        (root / "MLmodel").write_text("")
    for folder, root in (("plain", "plain"), ("mounted", "mounted/inner")):
        assert find_parts(tmp_path / folder).model == tmp_path / root / layout


def test_a_folder_without_weights_says_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("")
    with pytest.raises(ModelFolderError, match=r"found readme\.txt"):
        find_parts(tmp_path)


def test_the_package_imports_nothing_but_the_standard_library_and_itself_at_import(tmp_path: Path) -> None:
    name, archive = evaluation_package()
    assert name.startswith("evaluation-")
    with zipfile.ZipFile(io.BytesIO(archive)) as packed:
        packed.extractall(tmp_path)
    modules = [f"shared.evaluation.{file.stem}" for file in (tmp_path / "shared" / "evaluation").glob("*.py")]
    lines = f"import sys; import {', '.join(modules)}; print(' '.join({{m.partition('.')[0] for m in sys.modules}}))"
    done = subprocess.run([sys.executable, "-S", "-c", lines], cwd=tmp_path, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert loaded - sys.stdlib_module_names - {"shared", "__main__"} <= {"sitecustomize"}
    assert "shared/evaluation/probe.json" in zipfile.ZipFile(io.BytesIO(archive)).namelist()


def test_the_sources_are_python_of_azures_image() -> None:
    """Curated images have Python 3.10."""
    for file in PACKAGE.glob("*.py"):
        ast.parse(file.read_text(), feature_version=(3, 10))
        assert "from datetime import UTC" not in file.read_text()


def test_a_process_that_cannot_measure_is_no_failure_of_the_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here there is no torch; in a job there may be too little memory."""
    monkeypatch.chdir(PACKAGE.parents[1])
    (tmp_path / "test.jsonl").write_bytes(rows(3))
    out = tmp_path / "evaluation.json"
    names = {"--test": tmp_path / "test.jsonl", "--base": tmp_path, "--candidate": tmp_path, "--out": out}
    given = [str(part) for pair in names.items() for part in pair]
    assert main(["--job", "j", "--live-run", "", *given]) == 0
    results = Results.read(out)
    assert (results.job, results.live_run, results.models) == ("j", None, {})
    assert str(results.error).startswith("The evaluation's process ended with exit code 1")
    assert main(["--nonsense"]) == 0
