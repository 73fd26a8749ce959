"""Why a step of a job failed, in the two kinds that a run's history knows."""


class StepError(Exception):
    """A step of the job cannot be done. The message is shown to the user as the job's failure reason."""

    code = "SystemError"


class UserInputError(StepError):
    """The job's data or inputs are at fault: running it again changes nothing."""

    code = "UserError"


class RequestedFailureError(StepError):
    """A failure somebody asked for (`fail` in job.json), to try out how it is shown."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
