import pytest

from local.functions_host.routes import Route, RouteError

CASES = [
    ("runs", "RUNS/", {}),
    ("runs/{id}", "runs/a%20b", {"id": "a b"}),
    ("runs/{id}", "runs", None),
    ("runs/{id}", "runs/a/b", None),
    ("runs/{id:int?}", "runs", {}),
    ("runs/{id:int?}", "runs/7", {"id": "7"}),
    ("runs/{id:int?}", "runs/x", None),
    ("runs/{id=5}", "runs", {"id": "5"}),
    ("files/{*rest}", "files/a/b", {"rest": "a/b"}),
    ("files/{*rest}", "files", {}),
    ("v{n:int}.json", "v12.json", {"n": "12"}),
    ("{a:length(2,3)}", "abcd", None),
    ("{a:guid}", "00000000-0000-0000-0000-000000000000", {"a": "00000000-0000-0000-0000-000000000000"}),
    ("{a:min(1):max(9)}", "10", None),
    ("", "", {}),
    ("", "x", None),
]


@pytest.mark.parametrize(("template", "path", "expected"), CASES)
def test_a_template_matches_as_in_aspnet(template, path, expected):
    assert Route(template).match(path) == expected


@pytest.mark.parametrize("template", ["a/{b", "a/{b:nope}", "{*a}/b", "{a}/{A}", "a?b", "a//b"])
def test_a_bad_template_is_refused(template):
    with pytest.raises(RouteError):
        Route(template)


def test_the_most_specific_route_comes_first():
    routes = [Route("{*all}"), Route("{id}"), Route("{id:int}"), Route("runs")]
    ordered = sorted(routes, key=lambda one: one.precedence)
    assert [one.template for one in ordered] == ["runs", "{id:int}", "{id}", "{*all}"]
