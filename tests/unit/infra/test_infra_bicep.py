"""Reading Bicep: what expressions can be, across files, as far as the files say it."""

from pathlib import Path

import pytest

from tools.infra.deployment import Deployment


def read(folder: Path, **files: str) -> Deployment:
    (folder / "infra").mkdir()
    for name, text in files.items():
        (folder / "infra" / f"{name}.bicep").write_text(text, "utf-8")
    deployment = Deployment(folder)
    assert deployment.faults() == []
    return deployment


def name_of(folder: Path, expression: str, before: str = "") -> list[str]:
    """Return what an expression can be, as the name of a resource."""
    resource = f"{before}\nresource one 'A.B/things@2024-01-01' = {{\n  name: {expression}\n}}\n"
    return read(folder, main=resource).resources[0].name.texts


@pytest.mark.parametrize(
    ("expression", "before", "texts"),
    [
        ("'a'", "", ["a"]),
        ("'it\\'s ${x}'", "var x = 'here'", ["it's here"]),
        ("'a-${x}'", "param x string", ["a-${x}"]),
        ("x", "param x string = 'y'", ["y"]),
        ("x.name ?? y.name", "param x object\nvar y = { name: 'b' }", ["${x.name}", "b"]),
        ("y ? 'a' : 'b'", "param y bool", ["a", "b"]),
        ("x[0]", "var x = ['a', 'b']", ["a"]),
        ("map(x, i => i.key)[1]", "var x = [{ key: 'a' }, { key: 'b' }]", ["b"]),
        ("union(x, y).b", "var x = { a: '1' }\nvar y = { b: '2' }", ["2"]),
        ("x.?b ?? 'c'", "var x = { b: 'd' }", ["d", "c"]),
        ("'''a'''", "", ["a"]),
        ("toLower('AB')", "", ["ab"]),
        ("format('{0}-{1}', 'a', x)", "var x = 'b'", ["a-b"]),
        ("[resourceGroup().id][0]", "", ["${resourceGroup().id}"]),
        ("x!", "param x string?", ["${x}"]),
        ("subscriptionResourceId('A/b', 'c')", "", ["/A/b/c"]),
    ],
)
def test_an_expression_is_what_it_can_be(tmp_path: Path, expression: str, before: str, texts: list[str]) -> None:
    assert name_of(tmp_path, expression, before) == texts


def test_a_loop_makes_a_resource_of_each_item(tmp_path: Path) -> None:
    text = "resource each 'A.B/things@2024-01-01' = [for (name, i) in ['a', 'b']: {\n  name: '${name}${i}'\n}]\n"
    assert [one.name.texts for one in read(tmp_path, main=text).resources] == [["a0"], ["b1"]]


def test_a_nested_resource_has_its_owners_type(tmp_path: Path) -> None:
    text = (
        "resource owner 'A.B/things@2024-01-01' = {\n  name: 'a'\n\n"
        "  resource inner 'parts' = if (true) {\n    name: 'b'\n  }\n}\n"
    )
    inner = read(tmp_path, main=text).resources[1]
    assert (inner.kind, inner.names, inner.where.line) == ("A.B/things/parts", ["b"], 4)


def test_a_value_keeps_where_it_is_written_through_modules(tmp_path: Path) -> None:
    main = "param size string = 'large'\n\nmodule part 'part.bicep' = {\n  params: { size: size }\n}\n"
    part = "param size string\nresource one 'A.B/things@2024-01-01' = {\n  name: size\n}\n"
    (one,) = read(tmp_path, main=main, part=part).resources
    assert (one.name.data, str(one.name.where)) == ("large", "infra/main.bicep:1")


def test_a_modules_output_is_the_resource_it_comes_from(tmp_path: Path) -> None:
    main = (
        "module part 'part.bicep' = {}\n"
        "resource two 'A.B/others@2024-01-01' = {\n  name: part.outputs.name\n  scope: part.outputs.thing\n}\n"
    )
    part = (
        "resource one 'A.B/things@2024-01-01' = {\n  name: 'a'\n}\n"
        "output name string = one.name\noutput thing string = one.id\n"
    )
    two, one = read(tmp_path, main=main, part=part).resources
    assert two.name.texts == ["a"]
    assert two.scopes == [one]


def test_what_another_file_exports_can_be_imported(tmp_path: Path) -> None:
    main = "import { kind as sort } from 'names.bicep'\nresource one 'A.B/things@2024-01-01' = {\n  name: sort\n}\n"
    names = "@export()\nvar kind = 'exported'\n"
    assert read(tmp_path, main=main, names=names).resources[0].name.texts == ["exported"]


def test_what_azd_gives_wins_over_a_default(tmp_path: Path) -> None:
    text = "param size string = 'small'\nresource one 'A.B/things@2024-01-01' = {\n  name: size\n}\n"
    deployment = read(tmp_path, main=text)
    (tmp_path / "infra" / "main.parameters.json").write_text('{"parameters": {"size": {"value": "${SIZE=large}"}}}')
    assert deployment.resources[0].name.texts == ["large"]
