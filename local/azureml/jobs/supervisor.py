"""Takes up every open job, each with a carrier of its own; one process runs at a time."""

import threading

from local.azureml.jobs import records, state
from local.azureml.jobs.carrier import JobCarrier, Turns
from local.azureml.services import Services
from local.azureml.simulated import ENGINE as SIMULATED

_POLL_S = 0.1
_SIMULATED_PLACES = 8  # nothing is computed: a larger cluster costs nothing


class JobSupervisor:
    """Idempotency: the job's name. A job is in the hands of one thread only, and there is one supervisor."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._stopping = threading.Event()
        self._turns = Turns(_SIMULATED_PLACES if services.config.engine == SIMULATED else 1)
        self._threads: dict[str, threading.Thread] = {}
        self._watcher = threading.Thread(target=self._watch, name="job-supervisor", daemon=True)

    def start(self) -> None:
        """Go on with every open job, those already running first, and look out for new ones."""
        for name in self._open_jobs():
            job = records.find(self._services, name)
            if job is not None and job.status == "Running":
                self._turns.ask(name)
        self._watcher.start()

    def stop(self) -> None:
        """End the running process and leave every job as it is: the next start goes on from there."""
        self._stopping.set()
        if self._watcher.is_alive():
            self._watcher.join()
        for thread in self._threads.values():
            thread.join()

    def _watch(self) -> None:
        while not self._stopping.wait(_POLL_S):
            self._threads = {name: thread for name, thread in self._threads.items() if thread.is_alive()}
            for name in self._open_jobs():
                if name not in self._threads:
                    thread = threading.Thread(target=self._carry, args=(name,), name=f"job-{name}", daemon=True)
                    self._threads[name] = thread
                    thread.start()

    def _open_jobs(self) -> list[str]:
        return [name for name, _ in self._services.store.list(state.ACTIVE_KIND)]

    def _carry(self, name: str) -> None:
        job = records.find(self._services, name)
        if job is None:  # its PUT has marked it, and writes it next
            return
        records.publish(self._services, job)
        if not job.ended:
            JobCarrier(self._services, name, self._turns, self._stopping).carry()
            job = records.get(self._services, name)
        if job.ended:
            records.publish(self._services, job)
            self._services.store.delete(state.ACTIVE_KIND, name)
            reason = f": {job.error['message']}" if job.error else ""
            print(f"job {name}: {job.status}{reason}", flush=True)
