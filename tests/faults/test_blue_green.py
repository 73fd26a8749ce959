"""A live endpoint under steady clients: not one request of thousands fails, whatever a rollout does."""

from collections.abc import Iterator

import pytest

from shared.errors import RolloutError
from tests.functional.app import conftest as local_azure
from tests.functional.app.driving import App
from tests.functional.app.rollouts import Clients, deployments, new_project, one_live, traffic, trained
from tests.functional.conftest import azurite

pytestmark = pytest.mark.load
OLD, NEW = "The old answer is Tobias Crane.", "The new answer is Tobias Crane."
REQUESTS = 2000

__all__ = ["azurite"]
cloud, app_environment, module_app = local_azure.cloud, local_azure.app_environment, local_azure.module_app


@pytest.fixture
def steady(module_app: App) -> Iterator[App]:
    module_app.clock.offset *= 0
    module_app.cloud.faults()
    yield module_app
    module_app.cloud.stub()


def test_steady_clients_are_answered_through_a_whole_rollout_and_a_rollback(steady: App) -> None:
    app, project = steady, new_project()
    first = one_live(app, project, answer=OLD)
    second = trained(app, project, NEW)
    with Clients(app, first, count=2) as clients:
        clients.until(REQUESTS // 10)
        second = app.until(second, "live", "failed")
        assert second.state == "live", second.failure
        clients.until(clients.asked + REQUESTS // 10)
        # And back: a third one gets half of the traffic, then has to give it back.
        third = app.until(trained(app, project, OLD, canary=[50, 100], bake_minutes=60), "verifying", "failed")
        while "watched until" not in str(app.advance(third).waiting_for):
            pass
        assert traffic(app, first.endpoint) == {"green": 50, "blue": 50}
        clients.until(clients.asked + REQUESTS // 10)
        app.services.store.request_cancel(third.id, reason=RolloutError.reason)
        assert app.until(third, "cancelled").state == "cancelled"
        assert traffic(app, first.endpoint) == {"green": 100}
        clients.until(max(REQUESTS, clients.asked + REQUESTS // 10))
    assert clients.failures == []
    assert clients.asked >= REQUESTS
    assert set(clients.answers) == {OLD, NEW}
    assert min(clients.answers.values()) > REQUESTS // 20
    assert deployments(app, first.endpoint) == {"green": second.id}
    assert app.run(second).state == "live"
