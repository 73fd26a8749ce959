"""Tokens: issued, checked, expired."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from local import tls
from local.azureml import environment, identity
from local.azureml.http import AzureError
from local.azureml.manners import check_token
from local.azureml.services import Config, Services
from local.azureml.store import Store


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tls.Tls:
    return tls.ensure(tmp_path_factory.mktemp("tls") / "tls")


@pytest.fixture
def services(tmp_path: Path, certificates: tls.Tls, clock: Clock) -> Iterator[Services]:
    config = Config(1, 2, tmp_path, tmp_path, "", "fast", Path("python"), None, 1.0, certificates)
    store = Store(tmp_path / "state.db")
    yield Services(config, store, clock)
    store.close()


ARM, DATA_PLANE = "/subscriptions/s/resourceGroups/g", "/mlflow/v2.0/subscriptions/s"


def refusal(services: Services, header: str | None, path: str = ARM) -> str:
    with pytest.raises(AzureError) as refused:
        check_token(services, header, path)
    assert refused.value.status == 401
    return refused.value.code


def test_an_issued_token_is_accepted_and_carries_its_audience(services: Services) -> None:
    token = identity.issue(services, "https://ml.azure.com", endpointName="e")
    check_token(services, f"Bearer {token}", DATA_PLANE)
    claims = identity.claims_of(services, token)
    assert (claims["aud"], claims["endpointName"]) == ("https://ml.azure.com", "e")


def test_a_token_expires_after_a_day(services: Services, clock: Clock) -> None:
    token = identity.issue(services, services.config.base_url)
    clock.now += timedelta(hours=23, minutes=59)
    check_token(services, f"Bearer {token}", ARM)
    clock.now += timedelta(minutes=2)
    assert refusal(services, f"Bearer {token}") == "ExpiredAuthenticationToken"


@pytest.mark.parametrize("written", ["{}", "{}/", "{}/.default", "{}//.default"])
def test_a_token_for_resource_manager_is_taken_everywhere(services: Services, written: str) -> None:
    token = identity.issue(services, written.format(services.config.base_url))
    for path in (ARM, f"{ARM}/providers/Microsoft.Insights/metrics", DATA_PLANE, "/history/v1.0/subscriptions/s"):
        check_token(services, f"Bearer {token}", path)


def test_a_token_for_somebody_else_is_refused(services: Services) -> None:
    for audience, path in (
        ("https://storage.azure.com", ARM),
        ("https://storage.azure.com", DATA_PLANE),
        ("https://ml.azure.com", ARM),
        ("https://management.azure.com", ARM),
        (f"{services.config.base_url}0", ARM),
    ):
        header = f"Bearer {identity.issue(services, audience)}"
        assert refusal(services, header, path) == "InvalidAuthenticationTokenAudience"


def test_no_token_another_scheme_and_a_changed_token_are_refused(services: Services) -> None:
    token = identity.issue(services, "a")
    head, payload, signature = token.split(".")
    assert refusal(services, None) == "AuthenticationFailed"
    assert refusal(services, f"Basic {token}") == "AuthenticationFailed"
    for changed in ("x", "", "a.b", f"{head}.{payload}x.{signature}", f"{head}.{payload}.{signature}x", f"{token}ü"):
        code = refusal(services, f"Bearer {changed}")
        assert code in ("InvalidAuthenticationToken", "AuthenticationFailed")


def test_the_secret_header_follows_from_the_key_alone(certificates: tls.Tls, tmp_path: Path) -> None:
    assert identity.identity_header(certificates) == identity.identity_header(certificates)
    other = tls.ensure(tmp_path / "other")
    assert identity.identity_header(certificates) != identity.identity_header(other)


def test_certificates_are_made_once_and_hold_the_real_roots_too(tmp_path: Path) -> None:
    first = tls.ensure(tmp_path / "tls")
    made = first.cert.read_bytes()
    assert tls.ensure(tmp_path / "tls").cert.read_bytes() == made
    assert first.ca_bundle.read_text().count("BEGIN CERTIFICATE") > 50
    assert first.key.stat().st_mode & 0o077 == 0
    assert [path.name for path in tmp_path.iterdir()] == ["tls"]


def test_the_cloud_of_every_port_has_a_name_of_its_own() -> None:
    assert environment.cloud_name(1) != environment.cloud_name(2)
    (cloud,) = environment.metadata_endpoints(9443)
    assert cloud["resourceManager"] == environment.cloud_metadata(9443)["resource_manager"] == "https://127.0.0.1:9443"
