"""Bicep as a tree of expressions: what tree-sitter's grammar finds, with two of its readings put right.

The grammar takes `a ?? b.c` for `(a ?? b).c` and `x => x.y` for `(x => x).y`. Bicep binds a property tighter than any
operator (https://learn.microsoft.com/azure/azure-resource-manager/bicep/operators), so that what follows belongs to the
rightmost operand.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from tools.infra.complaint import Complaint, Where
from tools.infra.nodes import Declaration, File, Node

_LOOSE = ("binary_expression", "lambda_expression", "unary_expression", "ternary_expression")
_ESCAPES = {"\\n": "\n", "\\r": "\r", "\\t": "\t", "\\'": "'", "\\\\": "\\", "\\$": "$"}


def parse(path: Path, name: str) -> File:
    """Read one file. Args: name: how complaints call it."""
    root = _parser().parse(path.read_bytes()).root_node
    reading = _Reading(name)
    file = File(name, path, {}, [], list(_faults(root, name)))
    for node in root.named_children:
        found = reading.declaration(node)
        if found is not None and found.kind == "import":
            file.imports.append(found)
        elif found is not None:
            file.declarations[found.kind, found.name] = found
    return file


@lru_cache(maxsize=1)
def _parser() -> Any:
    import tree_sitter
    import tree_sitter_bicep

    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_bicep.language()))


def _faults(node: Any, name: str) -> Iterator[Complaint]:
    """Say where the grammar gave up; only the first place of a nest, because what follows is its consequence."""
    if node.type == "ERROR" or node.is_missing:
        text = " ".join(node.text.decode().split())[:60]
        yield Complaint(
            Where(name, node.start_point[0] + 1),
            f"this cannot be read: {text!r}" if text else "something is missing here",
            "Bicep that tree-sitter-bicep can parse",
            "Mend it; what Bicep itself allows but the grammar does not (`...spread`, `[^1]`, `$'''`) say another way",
        )
        return
    for child in node.children:
        yield from _faults(child, name)


class _Reading:
    """From tree-sitter's nodes to ours, for one file."""

    def __init__(self, name: str, first_line: int = 1) -> None:
        self._name, self._first_line = name, first_line

    def declaration(self, node: Any) -> Declaration | None:
        match node.type:
            case "parameter_declaration":
                return self._plain("param", node)
            case "variable_declaration":
                return self._plain("var", node)
            case "output_declaration":
                return self._plain("output", node)
            case "resource_declaration":
                return self._resource(node)
            case "module_declaration":
                name, path = _identifiers(node)[0], self._string(node)
                return Declaration("module", name, self._at(node), self._after_equals(node), path)
            case "import_functionality":
                return self._import(node)
            case _:
                return None

    def _plain(self, kind: str, node: Any) -> Declaration:
        return Declaration(kind, _identifiers(node)[0], self._at(node), self._after_equals(node))

    def _resource(self, node: Any) -> Declaration:
        existing = any(child.type == "existing" for child in node.children)
        name, target = _identifiers(node)[0], self._string(node)
        nested = [self._resource(found) for found in _nested(node)]
        return Declaration("resource", name, self._at(node), self._after_equals(node), target, existing, nested)

    def _import(self, node: Any) -> Declaration | None:
        path, pending = self._string(node), ""
        names: dict[str, str] = {}
        children = [c for c in node.children if c.type in ("identifier", "as")]
        for before, child in zip([None, *children], children, strict=False):
            if child.type == "as":
                continue
            text = child.text.decode()
            if before is not None and before.type == "as":
                names[text] = names.pop(pending)
            else:
                names[text] = pending = text
        return Declaration("import", path, self._at(node), None, path, imported=names)

    def _string(self, node: Any) -> str:
        found = next((c for c in node.named_children if c.type == "string"), None)
        return found.text.decode().strip("'") if found is not None else ""

    def _after_equals(self, node: Any) -> Node | None:
        places = [i for i, child in enumerate(node.children) if child.type == "="]
        rest = [c for c in node.children[places[0] + 1 :] if c.is_named and c.type != "comment"] if places else []
        if not rest:
            return None
        value = self.node(rest[0])
        for child in node.children[node.children.index(rest[0]) + 1 :]:
            value = value if child.type == "!" else self._follow(value, child)
        return value

    def _follow(self, value: Node, child: Any) -> Node:
        """Add what the grammar leaves beside the expression: the property after a `!`."""
        if child.type == "property_identifier":
            return Node("member", (value, child.text.decode()), value.where, f"{value.source}.{child.text.decode()}")
        return value

    def _at(self, node: Any) -> Where:
        return Where(self._name, node.start_point[0] + self._first_line)

    def _make(self, kind: str, parts: Any, node: Any) -> Node:
        return Node(kind, parts, self._at(node), " ".join(node.text.decode().split()))

    def node(self, node: Any) -> Node:
        """Return one expression."""
        match node.type:
            case "string":
                return self._make("text", self._text(node), node)
            case "number":
                return self._make("number", int(node.text), node)
            case "boolean" | "true" | "false":
                return self._make("bool", node.text == b"true", node)
            case "null":
                return self._make("null", None, node)
            case "identifier" | "loop_variable" | "property_identifier":
                return self._make("name", node.text.decode(), node)
            case "parenthesized_expression":
                return self.node(node.named_children[0])
            case "object":
                return self._make("object", self._pairs(node), node)
            case "array":
                return self._make("array", self._items(node), node)
            case "member_expression":
                return self._member(node)
            case "subscript_expression":
                return self._subscript(node)
            case "resource_expression":
                owner, child = node.child_by_field_name("object"), node.child_by_field_name("resource")
                return self._make("member", (self.node(owner), f"::{child.text.decode()}"), node)
            case "call_expression":
                return self._call(node)
            case "ternary_expression":
                sides = [node.child_by_field_name(side) for side in ("consequence", "alternative")]
                return self._make("choice", [self.node(side) for side in sides], node)
            case "binary_expression" if node.child_by_field_name("operator").type == "??":
                return self._make("choice", [self.node(node.child_by_field_name(s)) for s in ("left", "right")], node)
            case "for_statement":
                return self._loop(node)
            case "if_statement":
                condition, body = _meant(node)[0], _meant(node)[-1]
                return self._make("if", (self.node(condition), self.node(body)), node)
            case "lambda_expression":
                *names, body = _meant(node)
                variables = [n for one in names for n in (_identifiers(one) or [one.text.decode()])]
                return self._make("lambda", (variables, self.node(body)), node)
            case _:
                parts = [self.node(c) for c in _meant(node)]
                # `x!` only tells the compiler that x is not null.
                return parts[0] if node.text.endswith(b"!") and len(parts) == 1 else self._make("other", parts, node)

    def _text(self, node: Any) -> list[str | Node]:
        parts: list[str | Node] = []
        for child in node.named_children:
            if child.type == "interpolation":
                parts.append(self.node(child.named_children[0]))
            elif child.type == "escape_sequence":
                text = child.text.decode()
                parts.append(_ESCAPES.get(text, text))
            else:
                parts.append(child.text.decode())
        if node.text.startswith(b"'''") and parts and isinstance(parts[0], str):
            parts[0] = parts[0].removeprefix("\r").removeprefix("\n")
        return parts

    def _pairs(self, node: Any) -> list[tuple[Node, Node]]:
        pairs = []
        for child in node.named_children:
            parts = _meant(child) if child.type == "object_property" else []
            if len(parts) >= 2:
                value = self.node(parts[1])
                for after in parts[2:]:
                    value = self._follow(value, after)
                pairs.append((self.node(parts[0]), value))
        return pairs

    def _items(self, node: Any) -> list[Node]:
        """Return an array's items. The grammar takes a call among them for two items, `name` and `(...)`."""
        groups: list[list[Any]] = []
        for child in _meant(node):
            touches = bool(groups) and groups[-1][-1].end_byte == child.start_byte
            groups[-1:] = [[*groups[-1], child]] if touches else [*groups[-1:], [child]]
        return [self.node(group[0]) if len(group) == 1 else self._again(group) for group in groups]

    def _again(self, group: list[Any]) -> Node:
        """Read what belongs together as an expression of its own."""
        text = b"var x = " + b"".join(part.text for part in group) + b"\n"
        reading = _Reading(self._name, group[0].start_point[0] + self._first_line)
        declared = reading.declaration(_parser().parse(text).root_node.named_children[0])
        assert declared is not None and declared.body is not None
        return declared.body

    def _member(self, node: Any) -> Node:
        name = node.child_by_field_name("property").text.decode()
        return self._bound(node.child_by_field_name("object"), node, lambda inner: ("member", (inner, name)))

    def _subscript(self, node: Any) -> Node:
        index = self.node(node.child_by_field_name("index"))
        return self._bound(node.child_by_field_name("object"), node, lambda inner: ("index", (inner, index)))

    def _bound(self, owner: Any, node: Any, make: Any) -> Node:
        """Give a property or an index to the operand right before it."""
        if owner.type not in _LOOSE:
            kind, parts = make(self.node(owner))
            return self._make(kind, parts, node)
        last = _meant(owner)[-1]
        bound = self._bound(last, node, make)
        whole = self.node(owner)
        if whole.kind == "lambda":
            return Node("lambda", (whole.parts[0], bound), whole.where, whole.source)
        return Node(whole.kind, [*whole.parts[:-1], bound], whole.where, whole.source)

    def _call(self, node: Any) -> Node:
        function = node.child_by_field_name("function")
        arguments = node.child_by_field_name("arguments")
        return self._make("call", (function.text.decode(), [self.node(c) for c in _meant(arguments)]), node)

    def _loop(self, node: Any) -> Node:
        marks = [c.type for c in node.children]
        variable = node.children[marks.index("for") + 1]
        over = node.children[marks.index("in") + 1]
        named = [c.text.decode() for c in variable.named_children] or [variable.text.decode()]
        return self._make("loop", (named, self.node(over), self.node(node.child_by_field_name("body"))), node)


def _identifiers(node: Any) -> list[str]:
    return [c.text.decode() for c in node.named_children if c.type == "identifier"]


def _meant(node: Any) -> list[Any]:
    return [c for c in node.named_children if c.type not in ("comment", "decorators", "diagnostic_comment")]


def _nested(node: Any) -> Iterator[Any]:
    """Yield the resources declared in a resource's own body, not those deeper."""
    for child in node.named_children:
        if child.type == "object":
            for prop in child.named_children:
                yield from (c for c in prop.named_children if c.type == "resource_declaration")
        elif child.type in ("if_statement", "for_statement"):
            yield from _nested(child)
