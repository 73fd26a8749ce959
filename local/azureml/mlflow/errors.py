"""MLflow's refusals: its error codes and the status each one travels with."""

_STATUS = {
    "RESOURCE_DOES_NOT_EXIST": 404,
    "RESOURCE_ALREADY_EXISTS": 400,
    "INVALID_PARAMETER_VALUE": 400,
    "INVALID_STATE": 400,
}


class MlflowError(Exception):
    """A refusal as the MLflow REST API gives it. `code` is one of MLflow's own error codes."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = _STATUS[code]
