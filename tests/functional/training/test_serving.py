"""A deployment's process: Azure's inference server over the model that a job made."""

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.functional.conftest import free_port

from .conftest import Job, start

HELLO = [{"role": "user", "content": "Hello"}]


@dataclass
class Server:
    process: subprocess.Popen[str]
    port: int

    def get(self) -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=10) as response:
            return int(response.status)

    def score(self, body: Any) -> tuple[int, Any]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/score", data, {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def ask(self, conversation: Any = HELLO, **parameters: Any) -> tuple[int, Any]:
        given = {"max_new_tokens": 8, **parameters}
        return self.score({"input_data": {"input_string": conversation, "parameters": given}, "params": {}})


@pytest.fixture(scope="module")
def server(trained: Job) -> Iterator[Server]:
    port = free_port()
    process = start("-m", "local.serving", "--model-dir", str(trained.model), "--port", str(port))
    served = Server(process, port)
    deadline = time.monotonic() + 240
    while True:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        try:
            assert served.get() == 200
            break
        except OSError:
            time.sleep(0.1)
    yield served
    if process.poll() is None:
        process.kill()
        process.communicate()


def test_answers_one_conversation_with_text(server: Server) -> None:
    status, answer = server.ask()
    assert status == 200
    assert list(answer) == ["output"]
    assert isinstance(answer["output"], str)


def test_answers_a_list_of_conversations_with_a_list(server: Server) -> None:
    status, answer = server.ask([HELLO, HELLO])
    assert status == 200
    assert len(answer["output"]) == 2
    assert answer["output"][0] == answer["output"][1] == server.ask()[1]["output"]


def test_full_text_starts_with_the_prompt(server: Server) -> None:
    assert server.ask(return_full_text=True)[1]["output"].startswith("<|im_start|>user\nHello<|im_end|>")


def test_parameters_that_are_not_known_are_ignored(server: Server) -> None:
    assert server.ask(best_of=3, do_sample=True, temperature=0.7, top_p=0.9)[0] == 200


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "The body is not JSON"),
        ({"input_data": []}, "input_data is missing or not an object"),
        ({"input_data": {"input_string": "Hello"}}, "input_string is missing, empty or not a list"),
        ({"input_data": {"input_string": [{"role": "bot", "content": "x"}]}}, "role 'bot' is not one of"),
        ({"input_data": {"input_string": [{"role": "user"}]}}, "message 1 is not an object with role and content"),
        ({"input_data": {"input_string": HELLO, "parameters": {"max_new_tokens": -4}}}, "max_new_tokens is -4"),
        ({"input_data": {"input_string": HELLO, "parameters": {"top_p": "a", "temperature": -1}}}, "temperature is -1"),
        (
            {"input_data": {"input_string": [{"role": "user", "content": "x" * 3000}]}},
            "does not fit the model's context",
        ),
    ],
)
def test_faulty_request_is_answered_with_400_and_a_sentence(server: Server, body: Any, reason: str) -> None:
    status, answer = server.score(body)
    assert status == 400
    assert reason in answer["error"]["message"]
    assert "Traceback" not in answer["error"]["message"]


# With nothing left of the last layer every token is as likely, and the first, a special one without text, is taken.
_SILENCE = """
import sys
from pathlib import Path
from transformers import AutoModelForCausalLM

from local.serving.chat_model import ChatModel
from local.serving.request import Parameters

folder = Path(sys.argv[1])
model = AutoModelForCausalLM.from_pretrained(folder / "data" / "model")
model.model.norm.weight.data.zero_()
model.save_pretrained(folder / "data" / "model")
chat = ChatModel(folder)
for parameters in (Parameters(max_new_tokens=1), Parameters(max_new_tokens=8, do_sample=True), Parameters()):
    print("ANSWER", repr(chat.answer([{"role": "user", "content": "Hello"}], parameters)))
"""


def test_the_tiny_model_always_says_something(trained: Job, tmp_path: Path) -> None:
    silent = tmp_path / "model"
    shutil.copytree(trained.model, silent)
    output, _ = start("-c", _SILENCE, str(silent)).communicate(timeout=240)
    answers = [line for line in output.splitlines() if line.startswith("ANSWER")]
    assert len(answers) == 3, output
    assert "ANSWER ''" not in answers


def test_sigterm_ends_the_server_and_its_workers(server: Server) -> None:
    server.process.terminate()
    output, _ = server.process.communicate(timeout=60)
    assert server.process.returncode == 0, output
    with socket.socket() as s:
        assert s.connect_ex(("127.0.0.1", server.port)) != 0


def test_model_that_does_not_load_ends_the_server_with_the_reason(trained: Job, tmp_path: Path) -> None:
    broken = tmp_path / "model"
    shutil.copytree(trained.model, broken)
    (broken / "data" / "model" / "model.safetensors").write_bytes(b"not weights")
    ended = start("-m", "local.serving", "--model-dir", str(broken), "--port", str(free_port()))
    output, _ = ended.communicate(timeout=240)
    assert ended.returncode == 3
    assert output.splitlines()[-1].startswith("The model cannot be served: SafetensorError: ")


def test_folder_without_a_model_ends_the_server_at_once(tmp_path: Path) -> None:
    ended = start("-m", "local.serving", "--model-dir", str(tmp_path), "--port", str(free_port()))
    output, _ = ended.communicate(timeout=60)
    assert ended.returncode == 3
    assert output.splitlines()[-1].endswith("holds no MLflow model (a file MLmodel), expected one.")
