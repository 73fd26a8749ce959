"""What the metrics APIs understand, and refuse as Azure Monitor does."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local import names
from local.azureml.metrics import questions, state

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
ENDPOINT = f"{names.WORKSPACE_ID}/onlineEndpoints/bot"
DEPLOYMENT = f"{ENDPOINT}/deployments/blue"
QUERY = {"metricnamespace": state.ENDPOINTS, "metricnames": "RequestsPerMinute"}


def batch(ids: Any = (ENDPOINT,), **query: str) -> tuple[questions.Question, list[questions.Resource]]:
    return questions.of_batch({**QUERY, **query}, {"resourceids": list(ids)}, NOON)


def test_a_batch_of_endpoints_is_understood() -> None:
    question, (resource,) = batch(
        [ENDPOINT.upper()],
        starttime="2026-11-24T10:00:00.000Z",
        endtime="2026-11-24T11:00:00.000Z",
        aggregation="Average,Total",
        filter="deployment eq '*'",
        top="1000",
    )
    assert (resource.endpoint, resource.deployment) == ("BOT", None)
    assert (question.start, question.end) == (NOON - timedelta(hours=2), NOON - timedelta(hours=1))
    ((metric, aggregations),) = question.metrics
    assert (metric.name, aggregations, question.top) == ("RequestsPerMinute", ["average", "total"], 1000)


def test_a_batch_of_deployments_is_understood() -> None:
    question, (resource,) = batch(
        [DEPLOYMENT], metricnamespace=state.DEPLOYMENTS.lower(), metricnames="CpuUtilizationPercentage"
    )
    assert (resource.endpoint, resource.deployment, question.namespace) == ("bot", "blue", state.DEPLOYMENTS)
    assert (question.start, question.end, question.top) == (NOON - timedelta(hours=1), NOON, None)


def test_a_split_answer_has_ten_series_unless_said() -> None:
    assert batch(filter="deployment eq '*'")[0].top == 10
    assert batch()[0].top is None


@pytest.mark.parametrize(
    ("ids", "query", "fault"),
    [
        ([f"{ENDPOINT}{i}" for i in range(51)], {}, r"\(51\) exceeds the limit of 50"),
        ([], {}, "resourceids"),
        ([ENDPOINT, DEPLOYMENT], {}, "is not that of the resource, which is .*/deployments"),
        ([DEPLOYMENT], {}, "is not that of the resource"),
        (["/subscriptions/x/resourceGroups/y"], {}, "is not the id of an online endpoint"),
        ([ENDPOINT], {"metricnamespace": "Microsoft.Compute/virtualMachines"}, "is not supported"),
        ([ENDPOINT], {"metricnamespace": ""}, "metricnamespace is required"),
        ([ENDPOINT], {"metricnames": ""}, "metricnames is required"),
        ([ENDPOINT], {"metricnames": "CpuUtilizationPercentage"}, "Failed to find metric configuration"),
        ([ENDPOINT], {"filter": "colour eq '*'"}, "colour is not a dimension"),
        ([ENDPOINT], {"metricnames": "ConnectionsActive", "filter": "deployment eq '*'"}, "dimension combination"),
        ([ENDPOINT], {"metricnames": "RequestsPerMinute,ConnectionsActive", "filter": "deployment eq '*'"}, "Active"),
        ([ENDPOINT], {"interval": "PT2M"}, "is not one of PT1M"),
        ([ENDPOINT], {"endtime": "2026-11-24T11:00:00Z"}, "starttime is required"),
        ([ENDPOINT], {"filter": "deployment eq '*'", "top": "2147483648"}, "invalid TopN"),
        ([ENDPOINT], {"aggregation": "median"}, "aggregation 'median'"),
    ],
)
def test_what_azure_refuses_is_refused(ids: list[str], query: dict[str, str], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        batch(ids, **query)


def test_an_instance_reports_every_minute_since_its_creation() -> None:
    reported = list(state.utilization(NOON - timedelta(minutes=3), NOON, NOON - timedelta(hours=1)))
    assert [sample.minute for sample in reported] == [NOON - timedelta(minutes=ago) for ago in (3, 2, 1)]
    (last,) = state.utilization(NOON - timedelta(days=9), NOON, NOON - timedelta(minutes=1))
    assert last.dimensions == {"instanceId": "instance-0"}
