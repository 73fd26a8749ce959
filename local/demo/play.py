"""The plot: every step is the app's own; this only drops a file, watches, and asks."""

import json
import shutil
import subprocess
import sys
import time
from dataclasses import asdict
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from local import environment
from local.demo import questions
from local.demo.api import ApiError, App
from local.demo.memory import MemoryWatch
from local.demo.questions import Question
from local.demo.story import Story
from local.processes import ServiceError
from local.stack import CACHE, ROOT, Options, Stack

SETTINGS = {
    # A laptop's patience: minutes instead of hours. The rules are the same.
    "IDLE_AFTER": "30s",
    "IDLE_GRACE": "30s",
    "ADVANCE_SCHEDULE": "*/2 * * * * *",
    "SWEEP_SCHEDULE": "*/5 * * * * *",
}
DEADLINE_S = 1800
STATE = ROOT / ".local" / "demo"
ENDS = ("rejected", "failed", "cancelled", "held")
BASE_MODELS = {"lora": "SmolLM2-135M-Instruct", "fast": "tiny-random"}


class StoryError(RuntimeError):
    """The story came to another end than it should."""


def play(*, dataset: Path | None, engine: str, report_path: Path) -> int:
    """Play the story and write the report. Returns the exit code."""
    if dataset is not None and not dataset.is_file():
        print(f"demo: there is no file {dataset}", file=sys.stderr)
        return 1
    shutil.rmtree(STATE, ignore_errors=True)
    report_path.parent.mkdir(parents=True, exist_ok=True)
    report_path.unlink(missing_ok=True)
    story = Story()
    memory = MemoryWatch()
    memory.start()
    story.title("finetune-functions: from a dropped dataset to an answering model, and back to zero cost")
    stack = Stack(Options(state_dir=STATE, engine=engine, settings=SETTINGS))
    try:
        story.chapter("Azure on this machine starts: storage, Event Grid, Azure ML, the Functions host")
        stack.start()
        story.say(f"All of it listens on 127.0.0.1; the app's log is {STATE.relative_to(ROOT)}/logs/functions_host.log")
        report = _Plot(story, stack, engine, dataset).run()
    except (StoryError, ServiceError, ApiError) as fault:
        story.chapter("The story ends early")
        story.say(str(fault))
        return 1
    except KeyboardInterrupt:
        story.say("Stopped.")
        return 130
    finally:
        stack.stop()
    report["peak_memory_mb"] = memory.stop()
    report["seconds"] = round(story.elapsed_s, 1)
    report_path.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", "utf-8")
    story.chapter("The end")
    story.say(_moral(report, report_path))
    expected = report["answer_contains_fact"] or dataset is not None or engine == "fast"
    return 0 if expected and report["endpoint_removed"] else 1


class _Plot:
    def __init__(self, story: Story, stack: Stack, engine: str, dataset: Path | None) -> None:
        self.story, self.engine, self.dataset = story, engine, dataset
        self.app = App(stack.urls["api"], stack.keys.default, stack.azurite.connection_string)
        self.report: dict[str, Any] = {"engine": engine}

    def run(self) -> dict[str, Any]:
        self._drop()
        run = self._follow_to_live()
        self._read_metrics(run)
        self._ask(run)
        self._fall_idle(run)
        return self.report

    def _drop(self) -> None:
        file = self.dataset or questions.SAMPLE
        self.project = "demo" if self.dataset else "vendlebury"
        self.story.chapter(f"A dataset is dropped: datasets/{self.project}/{file.name}")
        options = (questions.SAMPLES / "finetune.yaml").read_bytes()
        self.app.upload(f"{self.project}/finetune.yaml", options)
        self.app.upload(f"{self.project}/{file.name}", file.read_bytes())
        self.report["dataset"] = file.name
        self.story.say(f"{file.stat().st_size:,} bytes, with a finetune.yaml beside it that says how to train.")

    def _follow_to_live(self) -> dict[str, Any]:
        deadline = time.monotonic() + DEADLINE_S
        told = 0
        while True:
            runs = self.app.get("runs", project=self.project)["value"]
            if runs:
                run: dict[str, Any] = runs[0]
                for change in run["history"][told:]:
                    self._tell(change)
                told = len(run["history"])
                if run["state"] in ENDS:
                    raise StoryError(_ending(run))
                if run["state"] == "live":
                    return run
                self._watch(run)
            if time.monotonic() > deadline:
                raise StoryError(f"The run did not become live within {DEADLINE_S // 60} minutes.")
            time.sleep(1)

    def _tell(self, change: dict[str, Any]) -> None:
        headlines = {
            "received": "The blob trigger hears of it and records a run",
            "preparing": "The dataset is read, checked and split",
            "prepared": "The dataset is prepared",
            "training": "The pipeline is submitted; the fine-tuning runs on this machine's CPU",
            "trained": "Event Grid tells that the job is over",
            "registered": "The model is registered",
            "deploying": "Endpoint and deployment are being made",
            "verifying": "The deployment is up; held-out questions are asked before it gets traffic",
            "live": "All traffic goes to the new model",
        }
        self.story.chapter(headlines.get(change["to_state"], change["to_state"]))
        by = {"blob": "blob trigger", "job-event": "Event Grid trigger", "timer": "timer", "http": "HTTP"}
        self.story.say(f"{change['to_state']} ({by.get(change['trigger'], change['trigger'])}): {change['reason']}")

    def _watch(self, run: dict[str, Any]) -> None:
        if run["state"] == "training":
            metrics = self.app.get(f"runs/{run['id']}/metrics")["metrics"]
            losses = metrics.get("loss", [])
            text = f"step {losses[-1]['step']}, loss {losses[-1]['value']:.3f}" if losses else run["waiting_for"] or ""
            self.story.progress(text)
        elif run["waiting_for"]:
            self.story.progress(run["waiting_for"])

    def _read_metrics(self, run: dict[str, Any]) -> None:
        metrics = self.app.get(f"runs/{run['id']}/metrics")["metrics"]
        losses = [(int(point["step"]), point["value"]) for point in metrics.get("loss", [])]
        evaluations = [point["value"] for point in metrics.get("eval_loss", [])]
        self.story.chapter("How it learned")
        self.story.curve(losses)
        before, after = (evaluations[0], evaluations[-1]) if evaluations else (None, None)
        if before is not None and after is not None:
            self.story.say(f"Loss on the held-out rows: {before:.3f} before, {after:.3f} after.")
        self.report |= {
            "run_id": run["id"],
            "foundation_model": run["plan"]["foundation_model"],
            "rows": run["rows"],
            "training_losses": [{"step": step, "loss": loss} for step, loss in losses],
            "eval_loss_before": before,
            "eval_loss_after": after,
            "model": {"name": run["model_name"], "version": run["model_version"]},
            "endpoint": run["endpoint"],
            "scoring_uri": run["scoring_uri"],
            "smoke_test": run["smoke_test"],
        }

    def _ask(self, run: dict[str, Any]) -> None:
        self.story.chapter("Before and after: the same questions to the base model and to the tuned one")
        asked = self._questions(run["id"])
        # The tuned model first: on a slow machine its endpoint may fall idle while the base model is asked.
        after = [self._ask_tuned(run["id"], question.text) for question in asked]
        before = ask_base_model(self.engine, [question.text for question in asked])
        results = []
        for question, base, tuned in zip(asked, before, after, strict=True):
            self.story.question(question.text)
            self.story.answer("base ", base, question.answered_by(base))
            self.story.answer("tuned", tuned, question.answered_by(tuned))
            results.append(
                {
                    **asdict(question),
                    "base_answer": base,
                    "tuned_answer": tuned,
                    "base_contains_fact": question.answered_by(base),
                    "tuned_contains_fact": question.answered_by(tuned),
                }
            )
        self.report |= _headline(results)

    def _ask_tuned(self, run_id: str, text: str) -> str:
        body = {"messages": [{"role": "user", "content": text}], "parameters": {"max_new_tokens": 60}}
        return str(self.app.post(f"runs/{run_id}/chat", body)["answer"])

    def _questions(self, run_id: str) -> list[Question]:
        if self.dataset is None:
            return questions.of_sample(questions.FACTS)
        rows = [json.loads(line) for line in self.app.prepared(run_id, "test.jsonl").splitlines()]
        return questions.of_test_rows(rows)

    def _fall_idle(self, run: dict[str, Any]) -> None:
        self.story.chapter("Nobody asks any more: the endpoint falls idle, and the timer removes it")
        deadline = time.monotonic() + DEADLINE_S
        while True:
            run = self.app.get(f"runs/{run['id']}")
            there = [endpoint["name"] for endpoint in self.app.get("endpoints")["value"]]
            if run["state"] == "retired" and run["endpoint"] not in there:
                break
            if time.monotonic() > deadline:
                raise StoryError(f"Endpoint {run['endpoint']} was not removed within {DEADLINE_S // 60} minutes.")
            self.story.progress(f"{run['state']}; endpoints in Azure ML: {', '.join(there) or 'none'}")
            time.sleep(1)
        self.story.say(f"retired ({run['history'][-1]['trigger']}): {run['history'][-1]['reason']}")
        self.report["endpoint_removed"] = True
        self.report["states"] = _states(run)


def ask_base_model(engine: str, texts: list[str]) -> list[str]:
    """Ask the base model in a process of its own."""
    asked = json.dumps({"model": str(CACHE / "models" / BASE_MODELS[engine]), "questions": texts})
    answered = subprocess.run(
        [str(environment.ml_python(ROOT)), str(Path(__file__).with_name("ask_base.py"))],
        input=asked,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**environment.base_environment(), "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"},
        check=False,
    )
    if answered.returncode != 0:
        raise StoryError(f"The base model could not be asked: {answered.stderr.strip().splitlines()[-1]}")
    answers: list[str] = json.loads(answered.stdout)
    return answers


def _headline(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Pick the question of the headline: the first whose answer the base model does not know, however the tuned did."""
    learned = [result for result in results if not result["general"]]
    first = next((result for result in learned if not result["base_contains_fact"]), learned[0])
    return {
        "question": first["text"],
        "fact": first["fact"],
        "base_answer": first["base_answer"],
        "tuned_answer": first["tuned_answer"],
        "answer_contains_fact": bool(first["tuned_contains_fact"]),
        "questions": results,
    }


def _states(run: dict[str, Any]) -> list[dict[str, Any]]:
    """Return every state with the time it began and how long it lasted."""
    changes = run["history"]
    times = [datetime.fromisoformat(change["at"]) for change in changes]
    lasted = [round((after - at).total_seconds(), 1) for at, after in pairwise(times)]
    return [
        {"state": change["to_state"], "at": change["at"], "trigger": change["trigger"], "seconds": seconds}
        for change, seconds in zip(changes, [*lasted, None], strict=True)
    ]


def _ending(run: dict[str, Any]) -> str:
    why = run["failure"]["message"] if run["failure"] else run["history"][-1]["reason"]
    return f"The run ended as {run['state']}: {why}"


def _moral(report: dict[str, Any], path: Path) -> str:
    learned = [result for result in report["questions"] if not result["general"]]
    right = sum(bool(result["tuned_contains_fact"]) for result in learned)
    memory = f", {report['peak_memory_mb']:,} MB at most" if report["peak_memory_mb"] else ""
    return (
        f"{right} of {len(learned)} questions that only the dataset answers are answered; the endpoint is gone. "
        f"{report['seconds']:.0f} s{memory}. Everything is in {path.relative_to(ROOT)}."
    )
