"""Training and serving as if: `--engine simulated`, for tests that let hundreds of runs meet faults.

Nothing is trained and no process is started. A job reports its steps, logs a loss and writes a model that has learnt
one sentence; a deployment answers every question with it. All around it (statuses, events, faults, front door, metrics)
is the emulator's as ever. Command nodes are run as ever, too.
"""

ENGINE = "simulated"
