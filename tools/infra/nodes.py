"""What a file of Bicep consists of: declarations, and the expressions in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.infra.complaint import Complaint, Where


@dataclass(frozen=True)
class Node:
    """An expression. kind and parts:

    text [str | Node, ...] · number · bool · null · name · object [(key Node, value Node), ...] · array [Node, ...] ·
    member (object, name) · index (object, Node) · call (name, [Node, ...]) · choice [Node, ...] · loop (variables,
    over, body) · if (condition, body) · lambda (variables, body) · other
    """

    kind: str
    parts: Any
    where: Where
    source: str


@dataclass
class Declaration:
    """A declared thing: param, var, resource, module, output, func or import. nested: resources within a resource."""

    kind: str
    name: str
    where: Where
    body: Node | None
    target: str = ""
    existing: bool = False
    nested: list[Declaration] = field(default_factory=list)
    imported: dict[str, str] = field(default_factory=dict)


@dataclass
class File:
    """A parsed file. faults: what the grammar could not read."""

    name: str
    path: Path
    declarations: dict[tuple[str, str], Declaration]
    imports: list[Declaration]
    faults: list[Complaint]

    def of(self, *kinds: str) -> list[Declaration]:
        return [one for (kind, _), one in self.declarations.items() if kind in kinds]
