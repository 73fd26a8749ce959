"""What the shell has must lead neither local processes nor plain scripts to the real Azure."""

from pathlib import Path

import pytest

from local import environment, tls
from local.functions_host import keys
from local.ports import Ports

SHELL = {
    "AZURE_TOKEN_CREDENTIALS": "dev",
    "AZURE_AUTHORITY_HOST": "https://login.chinacloudapi.cn",
    "AZURE_CLIENT_ID": "somebody",
    "AZURE_CLIENT_SECRET": "secret",
    "AZURE_TENANT_ID": "somewhere",
    "HTTPS_PROXY": "http://proxy.example:3128",
    "no_proxy": "intranet.example",
}
PORTS = Ports(1, 2, 3, 4, 5, 6, 7)


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SHELL.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("shell")
def test_children_get_neither_login_nor_proxy_of_the_shell() -> None:
    given = environment.base_environment()
    assert {name: given[name] for name in SHELL if name in given} == {"no_proxy": "127.0.0.1,localhost"}
    assert given["NO_PROXY"] == "127.0.0.1,localhost"


@pytest.mark.usefixtures("shell")
def test_the_printed_environment_chooses_the_managed_identity_and_no_proxy(tmp_path: Path) -> None:
    printed = environment.script_environment(PORTS, tls.ensure(tmp_path / "tls"), keys.load(tmp_path))
    assert printed["AZURE_TOKEN_CREDENTIALS"] == "ManagedIdentityCredential"
    assert printed["NO_PROXY"] == printed["no_proxy"] == "127.0.0.1,localhost"
    assert "AZURE_CLIENT_SECRET" not in printed
