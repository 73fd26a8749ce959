"""The file of resource types, written from what Azure's own index answers."""

import json
from pathlib import Path

import pytest

from tools.infra.resource_types import FILE, type_of
from tools.infra.resource_types_from import listed

ANSWER = {
    "status": 200,
    "results": {
        "BicepSchemaResult": [
            {
                "$type": "Resource",
                "name": "A.B/things@2024-01-01",
                "bodyType": {
                    "$type": "Object",
                    "name": "A.B/things",
                    "properties": [
                        {"name": "id", "type": "string", "flags": "ReadOnly, DeployTimeConstant"},
                        {"name": "name", "type": "string", "flags": "Required, DeployTimeConstant"},
                        {"name": "rules", "type": "Rule[]", "description": "What it does."},
                        {"name": "tags", "type": "Tags"},
                    ],
                },
            },
            {"$type": "ResourceInstanceFunction", "name": "listKeys"},
            {"$type": "Object", "name": "Unused", "properties": []},
            {"$type": "Object", "name": "Tags", "properties": [], "additionalPropertiesType": "string"},
            {
                "$type": "DiscriminatedObject",
                "name": "Rule",
                "discriminator": "kind",
                "baseProperties": [{"name": "owner", "type": "Owner", "flags": "Required"}],
                "elements": [
                    {
                        "$type": "Object",
                        "name": "Hot",
                        "properties": [
                            {"name": "kind", "type": "Hot", "flags": "Required"},
                            {"name": "degrees", "type": "int"},
                        ],
                    }
                ],
            },
        ]
    },
}


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """What stands for azmcp: it knows one type and complains of every other in words, then in JSON."""
    (tmp_path / "answer.json").write_text(json.dumps(ANSWER, indent=1), "utf-8")
    path = tmp_path / "azmcp"
    path.write_text(
        "#!/bin/sh\n"
        'case "$4" in A.B/things) cat "$(dirname "$0")/answer.json" ;;\n'
        "*) printf 'fail: no such type\\n{\\n \"status\": 500}\\n' ;; esac\n",
        "utf-8",
    )
    path.chmod(0o755)
    return path


def test_a_type_is_written_with_what_it_refers_to_and_nothing_else(program: Path) -> None:
    text = json.loads(listed(program, {"A.B/things", "A.B/others"}))
    assert text["resources"] == {"A.B/others": None, "A.B/things": "A.B@2024-01-01"}
    assert text["types"] == {
        "A.B@2024-01-01": {
            "A.B/things": {"id": "=string", "name": "!string", "rules": "Rule[]", "tags": "Tags"},
            "Rule": {"owner": "!any", "?": "kind", "|": {"Hot": {"kind": "!Hot", "degrees": "int"}}},
            "Tags": {"*": "string"},
        }
    }


def test_a_resource_has_the_type_of_its_name_whatever_its_case() -> None:
    found = type_of("microsoft.storage/storageaccounts")
    assert found is not None and found.text == "Microsoft.Storage/storageAccounts"
    properties = found.step("properties")
    assert properties is not None and properties.step("allowSharedKeyAccess") is not None
    assert properties.step("allowKeys") is None


def test_the_file_is_small_enough_to_be_read_with_every_check() -> None:
    assert FILE.stat().st_size < 300_000
