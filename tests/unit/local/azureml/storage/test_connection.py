"""The storage connection string."""

import pytest

from local.azureml.storage import connection

TEXT = "AccountName=dev;AccountKey=a2V5PT0=;BlobEndpoint=http://127.0.0.1:1/dev/;"


def test_its_parts_are_found_and_the_key_is_not_shown() -> None:
    account = connection.parse(TEXT)
    assert (account.name, account.key, account.blob_endpoint) == ("dev", "a2V5PT0=", "http://127.0.0.1:1/dev")
    assert "a2V5" not in repr(account)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(ValueError, match="no AccountKey, BlobEndpoint"):
        connection.parse("AccountName=dev")
