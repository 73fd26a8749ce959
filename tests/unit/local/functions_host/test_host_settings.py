import pytest

from local.functions_host.settings import HostConfig, HostConfigError, SettingError, resolve, timespan_s


def test_settings_are_put_in_place():
    assert resolve("%A%/{name}-%B%", {"A": "x", "B": "y"}) == "x/{name}-y"


def test_a_missing_setting_names_itself():
    with pytest.raises(SettingError, match="'%A%' does not resolve to a value"):
        resolve("%A%", {})


@pytest.mark.parametrize(
    ("text", "seconds"), [("00:05:00", 300), ("1.00:00:01", 86401), ("24:00:00", None), ("x", None)]
)
def test_a_timespan_is_read(text, seconds):
    assert timespan_s(text) == seconds


@pytest.mark.parametrize(
    "content", ["{", "[]", "{}", '{"version": "1.0"}', '{"version": "2.0", "functionTimeout": "x"}']
)
def test_an_unusable_host_json_stops_the_host(tmp_path, content):
    (tmp_path / "host.json").write_text(content)
    with pytest.raises(HostConfigError):
        HostConfig.read(tmp_path)


def test_host_json_is_read(tmp_path):
    (tmp_path / "host.json").write_text(
        '{"version": "2.0", "functionTimeout": "00:10:00", "extensionBundle": {}, "extensions":'
        ' {"http": {"routePrefix": "", "maxOutstandingRequests": 3}, "blobs": {"poisonBlobThreshold": 2}}}'
    )
    assert HostConfig.read(tmp_path) == HostConfig("", 600, 3, 2, 0, True)


def test_without_a_timeout_the_host_gives_half_an_hour(tmp_path):
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    assert HostConfig.read(tmp_path).timeout_s == 1800
