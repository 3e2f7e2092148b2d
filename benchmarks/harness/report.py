"""What was measured: as text while it runs, then as JSON and as a Markdown table."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .loads import Sample

RELATIONS = {
    ">=": lambda value, bound: value >= bound,
    "<=": lambda value, bound: value <= bound,
    "<": lambda value, bound: value < bound,
    "=": lambda value, bound: value == bound,
}
SIGNS = {">=": "≥", "<=": "≤", "<": "<", "=": "="}


@dataclass
class Side:
    """One side of a comparison: a sample per round."""

    name: str
    samples: list[Sample] = field(default_factory=list)
    memory: dict[str, float] | None = None

    def values(self, measure: str) -> list[float]:
        """One number per round: `per_second`, or a field of Sample."""
        return [value for s in self.samples if (value := getattr(s, measure)) is not None]

    def median(self, measure: str) -> float | None:
        values = self.values(measure)
        return statistics.median(values) if values else None

    def spread_percent(self, measure: str) -> float:
        """How far apart the best and the worst round are, in per cent of the median."""
        values = self.values(measure)
        return (max(values) - min(values)) / statistics.median(values) * 100

    def summary(self) -> dict[str, object]:
        measures = ["per_second", "p50_us", "p99_us", "mean_us", "server_cpu_us", "postgres_cpu_us"]
        medians = {m: self.median(m) for m in measures if self.values(m)}
        rounds = [asdict(s) | {"per_second": s.per_second} for s in self.samples]
        return {"name": self.name, "median": medians, "memory": self.memory, "rounds": rounds}

    def line(self, measure: str) -> str:
        parts = [
            f"{self.name:<11} {shown(self.median(measure), measure)}",
            f"spread {self.spread_percent(measure):.0f} %",
        ]
        for label, other in (("p50", "p50_us"), ("p99", "p99_us")):
            if other != measure and self.values(other):
                parts.append(f"{label} {self.median(other) / 1000:.2f} ms")
        for label, other in (("own", "server_cpu_us"), ("PostgreSQL's", "postgres_cpu_us")):
            if self.values(other):
                parts.append(f"{self.median(other):.1f} µs CPU {label}")
        if self.memory:
            parts.append(f"{self.memory['peak_mib']:.0f} MiB at most")
        return " · ".join(parts)


@dataclass
class Figure:
    """One line of the table: a value and the bound it is held to."""

    name: str
    title: str
    relation: str
    bound: float
    value: float | None
    weir: str = "–"
    peer: str = "–"
    unit: str = ""
    sides: list[Side] = field(default_factory=list)
    notes: dict[str, object] = field(default_factory=dict)
    error: str | None = None

    @property
    def verdict(self) -> str:
        if self.error:
            return "error"
        if self.value is None:
            return "not measured"
        return "pass" if RELATIONS[self.relation](self.value, self.bound) else "MISS"

    @property
    def shown_value(self) -> str:
        return "–" if self.value is None else f"{self.value:.4g}{self.unit}"

    @property
    def shown_bound(self) -> str:
        return "–" if self.error else f"{SIGNS[self.relation]} {self.bound:g}{self.unit}"

    def summary(self) -> dict[str, object]:
        plain = ("name", "title", "value", "unit", "relation", "bound", "notes", "error")
        rest = {"verdict": self.verdict, "sides": [side.summary() for side in self.sides]}
        return {name: getattr(self, name) for name in plain} | rest


def shown(value: float | None, measure: str) -> str:
    """A measured number with its unit."""
    if value is None:
        return "–"
    return f"{value / 1000:.3f} ms" if measure.endswith("_us") else f"{value:,.0f}/s"


def machine_text(machine: dict[str, object]) -> str:
    return (
        f"{machine['cores']} cores of {machine['cpu']}, {machine['memory_gib']} GiB, "
        f"{machine['kernel']}; PostgreSQL {machine['postgresql']}, fsync {machine['fsync']}, "
        f"synchronous_commit {machine['synchronous_commit']}, {machine['wal_sync_method']} "
        f"{machine['fdatasync_ms']} ms on {machine['file_system']}"
    )


def table(figures: list[Figure]) -> list[list[str]]:
    head = [["what", "Weir", "compared with", "measured", "held to", ""]]
    return head + [
        [f.title, f.weir, f.peer, f.shown_value, f.shown_bound, f.verdict] for f in figures
    ]


def text_table(figures: list[Figure]) -> str:
    rows = table(figures)
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows
    )


def write_markdown(path: Path, machine: dict[str, object], figures: list[Figure]) -> None:
    head, *rows = table(figures)
    lines = [machine_text(machine) + ".", ""]
    lines += ["| " + " | ".join(head) + " |", "|---|" + "---:|" * 4 + "---|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    sides = [(f, side) for f in figures for side in f.sides if side.samples]
    if sides:
        lines += ["", "Medians of the rounds, per side; CPU is per record (or edit):", ""]
        columns = ["row", "side", "per second", "spread", "p50", "p99", "own CPU"]
        columns += ["PostgreSQL's CPU", "memory"]
        lines += ["| " + " | ".join(columns) + " |", "|---|---|" + "---:|" * 7]
        lines += [_side_row(figure, side) for figure, side in sides]
    path.write_text("\n".join(lines) + "\n")


def _side_row(figure: Figure, side: Side) -> str:
    def cell(measure: str, text: str, scale: float = 1) -> str:
        value = side.median(measure)
        return "–" if value is None else text.format(value * scale)

    memory = f"{side.memory['peak_mib']:.0f} MiB" if side.memory else "–"
    cells = [
        figure.name, side.name, cell("per_second", "{:,.0f}"),
        f"{side.spread_percent('per_second'):.0f} %", cell("p50_us", "{:.2f} ms", 1e-3),
        cell("p99_us", "{:.2f} ms", 1e-3), cell("server_cpu_us", "{:.1f} µs"),
        cell("postgres_cpu_us", "{:.1f} µs"), memory,
    ]
    return "| " + " | ".join(cells) + " |"


def write_json(
    path: Path, machine: dict[str, object], options: dict[str, object], figures: list[Figure]
) -> None:
    whole = {"machine": machine, "options": options, "figures": [f.summary() for f in figures]}
    path.write_text(json.dumps(whole, indent=2) + "\n")
