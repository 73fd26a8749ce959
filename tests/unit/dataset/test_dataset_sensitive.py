"""Conversations with e-mail addresses or secrets are left out when that is asked for, and only then."""

from __future__ import annotations

import time

import pytest

# Put together here, so that no scanner takes this file for a leak.
SECRETS = [
    "AKIA" + "IOSFODNN7EXAMPLE",
    "ghp_" + "a1B2" * 9,
    "github_pat_" + "11ABCDEFG0" * 3,
    "sk-" + "proj-" + "x9" * 20,
    "hf_" + "abcdefghij" * 4,
    "xoxb-" + "123456789012-abcdef",
    "AIza" + "S" * 35,
    "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "dozjgNryP4J3jVmNHl0w5N",
    "AccountKey=" + "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsu" * 2 + "==",
    "https://x.blob.core.windows.net/c?sv=2024&sig=" + "a%2Fb" * 10,
    "-----BEGIN RSA " + "PRIVATE KEY-----",
    "postgres://admin:" + "hunter2@db.example.com/x",
    "password = " + "correct-horse-battery",
    '"api_key": "' + 'abcd1234efgh"',
]
EMAILS = ["ada@example.com", "Write to a.b+c@mail.example.co.uk.", "<X_1@EXAMPLE.ORG>", "mailto:q@a-b.de,"]
HARMLESS = [
    "5 @ 3 euros, see me @home",
    "the password is what you type",
    "user@localhost",
    "a@b",
    "sk-8 is a skill; task-force",
    "git clone https://github.com/a/b",
    "pytest.mark@fixture",
    "Basic tokens: BPE, WordPiece",
]


@pytest.mark.parametrize("text", SECRETS)
def test_secret_is_dropped_with_its_reason(text, prepared, chat, jsonl):
    rows = jsonl([chat("a", "b"), chat("c", "d"), chat("e", f"It is {text} indeed")])

    assert prepared(rows).report.rows_kept == 3
    assert prepared(rows, drop=["secrets"]).reasons == {"secret": 1}


@pytest.mark.parametrize("text", EMAILS)
def test_email_address_is_dropped_with_its_reason(text, prepared, chat, jsonl):
    rows = jsonl([chat("a", "b"), chat("c", "d"), chat(text, "noted", system="Be kind.")])

    assert prepared(rows).report.rows_kept == 3
    assert prepared(rows, drop=["email_addresses"]).reasons == {"email_address": 1}
    assert prepared(rows, drop=["secrets"]).reasons == {}


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_looks_similar_is_kept(text, prepared, chat, jsonl):
    found = prepared(jsonl([chat("a", "b"), chat(text, "d")]), drop=["secrets", "email_addresses"])

    assert found.reasons == {}


@pytest.mark.parametrize(
    "text",
    ["a@" * 150_000, "a." * 150_000 + "@", "x" * 300_000, "eyJ" * 100_000, "a://b:" * 50_000, "password:" * 40_000],
)
def test_no_text_takes_long_to_look_through(text, prepared, chat, jsonl):
    rows = jsonl([chat("a", "b"), chat("c", "d"), chat("e", text)])
    began = time.process_time()

    prepared(rows, drop=["secrets", "email_addresses"])

    assert time.process_time() - began < 5
