"""Serve one model: `python -m local.serving --model-dir DIR --port N`.

Ready when GET / answers 200. Ends on SIGTERM with 0; when the model cannot be loaded with 3, and the reason as the last
line of its output.
"""

import argparse
import os
import signal
import sys
import tempfile
from pathlib import Path

from local.serving.chat_model import ModelFolderError, find_model
from local.training.parent import end_with_parent

_HERE = Path(__file__).resolve().parent
_INIT_FAILED = 3  # the inference server's own exit code for it


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m local.serving")
    parser.add_argument("--model-dir", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    args = parser.parse_args()
    try:
        find_model(args.model_dir)
    except ModelFolderError as error:
        return _failed(str(error))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # until gunicorn sets its own
    end_with_parent(lambda: os.kill(os.getpid(), signal.SIGTERM))
    with tempfile.TemporaryDirectory(prefix="local-serving-") as scratch:
        reason = Path(scratch) / "reason.txt"
        _prepare_environment(reason)
        code = _serve(_mount(args.model_dir.resolve(), Path(scratch)), args.port)
        if code:
            return _failed(reason.read_text(encoding="utf-8") if reason.is_file() else f"the server ended with {code}")
    return 0


def _mount(model_dir: Path, scratch: Path) -> Path:
    """Show the model as a deployment on Azure does: AZUREML_MODEL_DIR is .../azureml-models/NAME/VERSION."""
    mounted = scratch / "azureml-models" / "model" / "1"
    mounted.mkdir(parents=True)
    (mounted / "mlflow_model_folder").symlink_to(model_dir, target_is_directory=True)
    return mounted


def _serve(model_dir: Path, port: int) -> int:
    """Run Azure's inference server in this process, as its own command does, but on the loopback address only."""
    from azureml_inference_server_http import amlserver, amlserver_linux

    script = str(_HERE / "score.py")
    sys.argv = [sys.argv[0], "--entry_script", script, "--model_dir", str(model_dir), "--port", str(port)]
    amlserver.load_logging_config(amlserver.PACKAGE_ROOT)
    amlserver.merge_configuration(amlserver.parse_arguments())
    amlserver.validate_environment_variables()
    master = os.getpid()
    try:
        amlserver_linux.run("127.0.0.1", port, 1)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if os.getpid() != master:
            os._exit(code)  # a worker, forked below: what follows is the master's
        return code
    return 0


def _prepare_environment(reason: Path) -> None:
    os.environ.update(
        {
            "LOCAL_SERVING_REASON": str(reason),
            # Not the working directory: the server takes a config.json there for its own.
            "AML_APP_ROOT": str(_HERE),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(_HERE.parent.parent), os.environ.get("PYTHONPATH")])),
            # A stop does not wait for a long answer. A control socket would lie in the user's home, one for all.
            "GUNICORN_CMD_ARGS": "--graceful-timeout 2 --no-control-socket",
            "HF_HUB_OFFLINE": "1",
            "TQDM_DISABLE": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "TRANSFORMERS_VERBOSITY": "error",
        }
    )
    sys.path.insert(0, str(_HERE.parent.parent))


def _failed(reason: str) -> int:
    print(f"The model cannot be served: {reason}", flush=True)
    return _INIT_FAILED


if __name__ == "__main__":
    sys.exit(main())
