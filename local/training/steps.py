"""The five steps of the component, each under the name of its node in chat_completion_pipeline 0.0.82."""

import json
import shutil
from collections.abc import Callable
from typing import Any

from local.training import validation
from local.training.errors import StepError
from local.training.job import Job
from local.training.metrics import open_metrics
from local.training.options import Options, parse_options
from local.training.preprocess import TokenizedData
from local.training.progress import log


class Pipeline:
    """What one step leaves for the next is kept here."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._options: Options
        self._conversations: dict[str, list[validation.Messages]] = {}
        self._tokenizer: Any
        self._data: TokenizedData

    @property
    def steps(self) -> dict[str, Callable[[], None]]:
        return {
            "ft_nlp_common_validation": self.validate,
            "chat_completion_model_import": self.import_model,
            "chat_completion_datapreprocess": self.preprocess,
            "chat_completion_finetune": self.finetune,
            "ft_nlp_model_converter": self.convert,
        }

    def validate(self) -> None:
        self._options = parse_options(self._job.inputs)
        validation.say_what_is_ignored(self._options)
        for name, path in validation.data_files(self._job.inputs).items():
            self._conversations[name] = validation.read_conversations(path, name)
            validation.describe(self._conversations[name], name)

    def import_model(self) -> None:
        """Look at the base model's files; the weights are loaded where they are trained."""
        folder = self._job.base_model_dir
        missing = [
            name for name in ("config.json", "model.safetensors", "tokenizer.json") if not (folder / name).is_file()
        ]
        if missing:
            raise StepError(
                f"The base model {folder.name} is not complete in {folder.parent} ({', '.join(missing)} missing). "
                f"Make it with: python -m local.training.base_model --engine {self._job.engine}"
            )
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        log.info(
            "requested model %s; trained here: %s (%s, %d layers of width %d)",
            self._job.requested_model,
            folder.name,
            config["model_type"],
            config["num_hidden_layers"],
            config["hidden_size"],
        )

    def preprocess(self) -> None:
        from local.training.preprocess import load_tokenizer, preprocess

        self._tokenizer = load_tokenizer(self._job.base_model_dir)
        self._data = preprocess(
            self._tokenizer,
            self._conversations["train_file_path"],
            self._conversations.get("validation_file_path"),
            self._options.max_seq_length,
            self._options.seed,
        )

    def finetune(self) -> None:
        from local.training.finetune import Finetuning
        from local.training.network import Network

        metrics = open_metrics(self._job, self._job.run_ids.get("chat_completion_finetune"))
        metrics.parameters(
            {**vars(self._options), "base_model": self._job.base_model_dir.name, "engine": self._job.engine}
        )
        network = Network(self._job.base_model_dir, self._options, self._job.engine)
        Finetuning(network, self._data, self._options, metrics.log).run()
        shutil.rmtree(self._job.checkpoint, ignore_errors=True)
        network.save(self._job.checkpoint, merge=self._options.merge_lora_weights)
        self._tokenizer.save_pretrained(self._job.checkpoint)
        metrics.close()

    def convert(self) -> None:
        from local.training.convert import convert

        convert(self._job, self._job.base_model_dir.name)
