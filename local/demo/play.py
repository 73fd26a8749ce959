"""The plot: every step is the app's own; this only drops a file, watches, and asks."""

import contextlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from local import environment, lock
from local.demo import cleanup, questions
from local.demo.api import ApiError, App
from local.demo.cleanup import Cleanup
from local.demo.memory import MemoryWatch
from local.demo.options import BATCH_ROWS, effort_for, finetune_yaml
from local.demo.patience import Patience
from local.demo.preview import preview, upload_name
from local.demo.questions import Messages, Question
from local.demo.report import headline, moral
from local.demo.story import Story
from local.processes import ServiceError
from local.stack import CACHE, ROOT, Options, Stack
from local.status import NotAnsweringError
from local.training import engines

ENDS = ("rejected", "failed", "cancelled", "held")
MOST_NEW_TOKENS = 60


class StoryError(RuntimeError):
    """The story came to another end than it should."""


def play(*, dataset: Path | None, engine: str, state_dir: Path, report_path: Path) -> int:
    """Play the story and write the report. Returns the exit code."""
    story, memory = Story(), MemoryWatch()
    report_path.parent.mkdir(parents=True, exist_ok=True)
    report_path.unlink(missing_ok=True)
    with lock.hold(state_dir):
        for entry in state_dir.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
        (state_dir / "clock.json").unlink(missing_ok=True)  # the story begins today
        memory.start()
        story.title("finetune-functions: from a dropped dataset to an answering model, and back to zero cost")
        stack = Stack(
            Options(
                state_dir=state_dir, engine=engine, settings={**cleanup.SETTINGS, "ADVANCE_SCHEDULE": "*/2 * * * * *"}
            )
        )
        try:
            story.chapter("Azure on this machine starts: storage, Event Grid, Azure ML, the Functions host")
            stack.start()
            story.say(f"All of it listens on 127.0.0.1; the app's log is {_shown(state_dir)}/logs/functions_host.log")
            report = _Plot(story, stack, engine, dataset).run()
        except (StoryError, ServiceError, ApiError, NotAnsweringError, TimeoutError) as fault:
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
    story.say(moral(report, _shown(report_path)))
    # What a tiny random model says, or somebody's own data makes of the real one, is told but not judged.
    expected = report["answer_contains_fact"] or dataset is not None or engine == "fast"
    return 0 if expected and report["endpoint_removed"] else 1


class _Plot:
    def __init__(self, story: Story, stack: Stack, engine: str, dataset: Path | None) -> None:
        self.story, self.stack, self.engine, self.dataset = story, stack, engine, dataset
        self.app = App(stack.urls["api"], stack.keys.default, stack.azurite.connection_string)
        self.patience = Patience(self._meanwhile)
        self.report: dict[str, Any] = {"engine": engine}

    def run(self) -> dict[str, Any]:
        self._drop()
        run = self._follow_to_live()
        self._read_metrics(run)
        self._ask(run)
        self.report |= Cleanup(self.story, self.stack, self.app, self.patience).play(run)
        return self.report

    def _drop(self) -> None:
        file = self.dataset or questions.SAMPLE
        self.project = "demo" if self.dataset else "vendlebury"
        # Under a name of its own: to the app, some names are no datasets (notes.txt), and some are only tested with.
        name = f"{self.project}/{upload_name(file) if self.dataset else file.name}"
        self.story.chapter(f"A dataset is dropped: datasets/{name}")
        sample = questions.SAMPLES / "finetune.yaml"
        options = finetune_yaml(sample, effort_for(preview(file))) if self.dataset else sample.read_bytes()
        self.app.upload(f"{self.project}/finetune.yaml", options)
        self.app.upload(name, file.read_bytes())
        self.report["dataset"] = file.name
        self.story.say(f"{file.name}, {file.stat().st_size:,} bytes, with a finetune.yaml that says how to train.")

    def _follow_to_live(self) -> dict[str, Any]:
        told = 0

        def live() -> dict[str, Any] | None:
            nonlocal told
            runs = self.app.get("runs", project=self.project)["value"]
            if not runs:
                return None
            run: dict[str, Any] = runs[0]
            for change in run["history"][told:]:
                self._tell(run, change)
            told = len(run["history"])
            if run["state"] in ENDS:
                why = run["failure"]["message"] if run["failure"] else run["history"][-1]["reason"]
                raise StoryError(f"The run ended as {run['state']}: {why}")
            self.patience.progress = (run["state"], self._watch(run))
            return run if run["state"] == "live" else None

        return self.patience.until(live, "the run to become live")

    def _tell(self, run: dict[str, Any], change: dict[str, Any]) -> None:
        headlines = {
            "received": "The blob trigger hears of it and records a run",
            "preparing": "The dataset is read, checked and split",
            "prepared": "The dataset is prepared",
            "training": "The pipeline is submitted; the fine-tuning runs on this machine's CPU",
            "trained": "Event Grid tells that the job is over"
            if change["trigger"] == "job-event"
            else "The job is over",
            "registered": "The model is registered",
            "deploying": "Endpoint and deployment are being made",
            "verifying": "The deployment is up; held-out questions are asked before it gets traffic",
            "live": "All traffic goes to the new model",
        }
        self.story.chapter(headlines.get(change["to_state"], change["to_state"]))
        by = {"blob": "blob trigger", "job-event": "Event Grid trigger", "timer": "timer", "http": "HTTP"}
        self.story.say(f"{change['to_state']} ({by.get(change['trigger'], change['trigger'])}): {change['reason']}")
        if change["to_state"] == "training" and run["plan"]:
            steps = int(run["plan"]["hyperparameters"].get("max_steps", 0))
            self.report["rows_seen"] = steps * BATCH_ROWS
            # Not known yet when the job is to prepare the dataset first.
            rows = f", out of {run['rows']['rows_train']:,}" if run["rows"] else ""
            self.story.say(f"{steps} steps of {BATCH_ROWS} rows{rows}.")

    def _watch(self, run: dict[str, Any]) -> str:
        """Show what the run is at, and return it: what changes is progress."""
        text = run["waiting_for"] or ""
        if run["state"] == "training":
            metrics = self.app.get(f"runs/{run['id']}/metrics")["metrics"]
            if losses := metrics.get("loss"):
                text = f"step {losses[-1]['step']}, loss {losses[-1]['value']:.3f}"
        if text:
            self.story.progress(text)
        return text

    def _read_metrics(self, run: dict[str, Any]) -> None:
        metrics = self.app.get(f"runs/{run['id']}/metrics")["metrics"]
        losses = [(int(point["step"]), point["value"]) for point in metrics.get("loss", [])]
        evaluations = [point["value"] for point in metrics.get("eval_loss", [])]
        self.story.chapter("How it learned")
        self.story.curve(losses)
        before, after = (evaluations[0], evaluations[-1]) if evaluations else (None, None)
        if before is not None and after is not None:
            self.story.say(f"Loss on the held-out rows: {before:.3f} before, {after:.3f} after.")
        evaluation = run["evaluation"] or {}
        for name, told in (("base", "base model"), ("candidate", "tuned model")):
            if score := evaluation.get(name):
                self.story.say(f"Evaluated by the job, {told}: {_told(score)}")
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
            "evaluation": run["evaluation"],
        }

    def _ask(self, run: dict[str, Any]) -> None:
        self.story.chapter("Before and after: the same questions to the base model and to the tuned one")
        asked = self._questions(run["id"])
        after = [self._ask_tuned(run["id"], question.messages) for question in asked]
        before = ask_base_model(self.engine, [question.messages for question in asked])
        results = []
        for question, base, tuned in zip(asked, before, after, strict=True):
            in_base, in_tuned = question.answered_by(base), question.answered_by(tuned)
            self.story.question(f"{question.text}  [{question.kind}]")
            self.story.answer("base ", base, in_base)
            self.story.answer("tuned", tuned, in_tuned)
            results.append(
                {
                    "question": question.text,
                    "kind": question.kind,
                    "fact": question.fact,
                    "base_answer": base,
                    "tuned_answer": tuned,
                    "base_contains_fact": in_base,
                    "tuned_contains_fact": in_tuned,
                }
            )
        self.report |= headline(results)

    def _ask_tuned(self, run_id: str, messages: Messages) -> str:
        body = {"messages": messages, "parameters": {"max_new_tokens": MOST_NEW_TOKENS}}
        return str(self.app.post(f"runs/{run_id}/chat", body)["answer"])

    def _questions(self, run_id: str) -> list[Question]:
        if self.dataset is None:
            return questions.of_sample(questions.FACTS)
        train, test = (self._prepared_rows(run_id, file) for file in ("train.jsonl", "test.jsonl"))
        return questions.of_rows(train, test)

    def _prepared_rows(self, run_id: str, file: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.app.prepared(run_id, file).splitlines()]

    def _meanwhile(self) -> None:
        for name in self.stack.keep_alive():
            self.story.say(f"{name} ended and was started again.")


def _told(score: dict[str, Any]) -> str:
    """Say what the job measured of a model."""
    if score["error"] or score["loss"] is None:
        return f"not known ({score['error']})."
    told = f"loss {score['loss']:.3f} on {score['rows']} held-out rows"
    if score["similarity"] is not None:
        told += f", answers {score['similarity']:.0%} like the true ones"
    return f"{told}, {score['probe_accuracy']:.0%} of the general questions right."


def ask_base_model(engine: str, conversations: list[Messages]) -> list[str]:
    """Ask the base model in a process of its own."""
    asked = json.dumps({"model": str(engines.folder(CACHE, engine)), "conversations": conversations})
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
        last = (answered.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise StoryError(f"The base model could not be asked: {last}")
    answers: list[str] = json.loads(answered.stdout)
    return answers


def _shown(path: Path) -> str:
    """Return a path as a person in the repository would type it."""
    with contextlib.suppress(ValueError):
        return str(path.resolve().relative_to(ROOT))
    return str(path)
