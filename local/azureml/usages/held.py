"""What is held now, by what the store has, and the limits of STATE/quota.json, read whenever it matters."""

import json
import logging
from typing import Any

from local.azureml.computes import state as computes
from local.azureml.deployments import state as deployments
from local.azureml.endpoints import store as endpoints
from local.azureml.jobs import state as jobs
from local.azureml.services import Services
from local.azureml.usages import state
from local.azureml.usages.state import Holding, Use

_LOG = logging.getLogger(__name__)
_CLUSTERS = "compute"
_AT_WORK = frozenset({"Running", "Finalizing", "CancelRequested"})


def uses(services: Services, but: str | None = None) -> list[Use]:
    """Answer all limits and their use; `but`: the key of a deployment that is not counted."""
    held = [*_by_jobs_and_clusters(services), *_by_deployments(services, but)]
    return state.uses(held, _asked(services))


def clusters(services: Services) -> dict[str, dict[str, Any]]:
    now = services.now()
    return {name: doc for name, doc in services.store.list(_CLUSTERS) if computes.exists(doc, now)}


def _by_jobs_and_clusters(services: Services) -> list[Holding]:
    """A job's nodes are its cluster's, which holds at least its least number of them."""
    found, there = [], clusters(services)
    busy: dict[str, list[Holding]] = {}
    for name, _ in services.store.list(jobs.ACTIVE_KIND):
        doc = services.store.get(jobs.KIND, name)
        if doc is not None and doc["status"] in _AT_WORK and doc["started_at"]:
            cluster, holdings = state.of_job(doc["inputs"], there)
            busy.setdefault(cluster, []).extend(holdings) if cluster else found.extend(holdings)
    for name, doc in there.items():
        least, at_work = state.of_cluster(doc), busy.get(name, [])
        found.extend(at_work if _cores(at_work) > _cores(least) else least)
    return found


def _by_deployments(services: Services, but: str | None) -> list[Holding]:
    now, found = services.now(), []
    for key, doc in services.store.list(endpoints.DEPLOYMENT_KIND):
        if key != but and deployments.status_at(doc, now) is not None:
            found += state.of_deployment(doc["properties"]["instanceType"], doc["sku"]["capacity"])
    return found


def _cores(holdings: list[Holding]) -> int:
    return sum(holding.cores for holding in holdings)


def _asked(services: Services) -> dict[str, Any]:
    file = services.config.state_dir / "quota.json"
    try:
        asked = json.loads(file.read_text())
    except FileNotFoundError:
        return {}
    except ValueError:
        asked = None
    if isinstance(asked, dict):
        return asked
    _LOG.warning("%s is not a JSON object: every limit is %d cores", file, state.GENEROUS)
    return {}
