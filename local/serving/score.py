"""The scoring script of azureml-inference-server-http: init() once per process, run() per request.

Answers as Azure's chat-completion models do: {"output": "text"}, or a list of texts for a list of conversations.
"""

import logging
import os
import time
from pathlib import Path
from typing import Any

from azureml_inference_server_http.api.aml_response import AMLResponse

from local.serving.chat_model import ChatModel, find_model
from local.serving.request import BadRequestError, Parameters, parse_request
from local.training.parent import end_with_parent

log = logging.getLogger("azmlinfsrv.score")
_model: ChatModel


def init() -> None:
    """Load the model and let it say a first word, so that the first request is not the slow one."""
    global _model
    end_with_parent(lambda: os._exit(0))
    try:
        _model = ChatModel(find_model(Path(os.environ["AZUREML_MODEL_DIR"])))
        _model.answer([{"role": "user", "content": "Hello"}], Parameters(max_new_tokens=2))
    except BaseException as error:
        Path(os.environ["LOCAL_SERVING_REASON"]).write_text(f"{type(error).__name__}: {error}", encoding="utf-8")
        raise


def run(body: str) -> Any:
    try:
        request = parse_request(body)
        if request.ignored:
            log.warning("ignoring unsupported parameters: %s", ", ".join(request.ignored))
        started = time.monotonic()
        answers = [_model.answer(messages, request.parameters) for messages in request.conversations]
        log.info("answered %d conversations in %.2f s", len(answers), time.monotonic() - started)
    except BadRequestError as error:
        return AMLResponse({"error": {"code": "BadRequest", "message": str(error)}}, 400, json_str=True)
    except Exception as error:
        # The caller gets a sentence, the log gets the traceback.
        log.exception("run")
        message = f"The model could not answer: {type(error).__name__}."
        return AMLResponse({"error": {"code": "InternalServerError", "message": message}}, 500, json_str=True)
    return {"output": answers if request.many else answers[0]}
