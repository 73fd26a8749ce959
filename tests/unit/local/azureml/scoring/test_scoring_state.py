"""Who may ask, and which deployment answers."""

import pytest

from local.azureml.scoring import state


@pytest.mark.parametrize(
    ("header", "key"),
    [("Bearer abc", "abc"), ("bearer  abc ", "abc"), ("abc", None), ("Basic abc", None), (None, None)],
)
def test_the_bearer_of_a_header(header: str | None, key: str | None) -> None:
    assert state.bearer(header) == key


@pytest.mark.parametrize(("draw", "chosen"), [(0, "blue"), (69.9, "blue"), (70, "green"), (99.9, "green")])
def test_shares_decide(draw: float, chosen: str) -> None:
    assert state.choose({"blue": 70, "green": 30}, draw) == chosen


def test_without_a_share_nobody_is_chosen() -> None:
    assert state.choose({}, 0) is None
    assert state.choose({"blue": 0}, 0) is None
