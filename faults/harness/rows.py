"""The list of rows: each a function that begins a round, breaks something and heals it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Callable

BOTH = ("committed", "aborted")


@dataclass
class Row:
    """A row of the matrix, and when a round of it counts."""

    name: str
    title: str
    run: Callable
    # Outcomes of ambiguous transactions that must have occurred in each round.
    unknown: tuple[str, ...] = ()
    # Where they are counted: `server`, for a gateway that resolves them, or `callers`, when it died.
    unknown_from: str = "server"
    # How often each injection must have fired in each round.
    at_least: dict[str, int] = field(default_factory=dict)
    messages_min: int = 20
    # What the row looks at in the end, besides the standard oracles.
    after: Callable | None = None
    # Features of the program without which the row means nothing.
    needs: frozenset[str] = frozenset()
    # Programs or rights that it takes; it is not run where they are missing.
    requires: tuple[str, ...] = ()
    # Rounds of it in the selection that every test run makes.
    selected: int = 0
    # Settings of the server that differ; such rows have a cluster of their own.
    server: dict[str, object] = field(default_factory=dict)


ROWS: dict[str, Row] = {}


def row(name: str, title: str, **options):
    """Enters a function into the list."""

    def enter(function: Callable) -> Callable:
        if name in ROWS:
            raise ValueError(f"{name} is there twice")
        ROWS[name] = Row(name, title, function, **options)
        return function

    return enter
