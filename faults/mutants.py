#!/usr/bin/env python3
"""Builds the gateway with one bug at a time, and shows that the rows meant to notice it do.

    python3 faults/mutants.py                 all of faults/mutants
    python3 faults/mutants.py m05 m10
    python3 faults/mutants.py --check         whether the patches apply, and no more

A patch's first line says what it breaks, its second which rows are to notice. The sources are copied
to .build/mutants, where each mutant costs one incremental build. A row that fails without any mutant
proves nothing, so that all of them are run without one first.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PLACE = ROOT / ".build" / "mutants"
COPY = PLACE / "source"
# A mutant that has not been noticed by then has survived.
SECONDS_MAX = 600
ROUNDS_MAX = 20


@dataclass
class Mutant:
    name: str
    breaks: str
    rows: list[str]
    patch: Path

    @classmethod
    def read(cls, path: Path) -> "Mutant":
        first, second = path.read_text().splitlines()[:2]
        if not second.startswith("rows: "):
            raise SystemExit(f"{path}: the second line does not say which rows are to notice it")
        return cls(path.stem, first, second.removeprefix("rows: ").split(","), path)


def copy_sources() -> None:
    """The sources as they are now. Files that are the same keep their times, so that they are not
    compiled again."""
    wanted = set()
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [f for f in folders if not f.startswith(".") and f != "__pycache__"]
        wanted |= {(Path(folder) / name).relative_to(ROOT) for name in names}
    for path in wanted:
        source, target = ROOT / path, COPY / path
        if target.is_file() and target.read_bytes() == source.read_bytes():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    for folder in ("Sources", "Tests"):
        for path in (COPY / folder).rglob("*"):
            if path.is_file() and path.relative_to(COPY) not in wanted:
                path.unlink()


def apply(mutant: Mutant, only_check: bool = False) -> str:
    """Applies the patch to the copy; returns why it does not apply."""
    command = ["git", "apply", "-p1", *(["--check"] if only_check else []), str(mutant.patch)]
    # The copy is no repository, and not a part of ours.
    environment = os.environ | {"GIT_CEILING_DIRECTORIES": str(PLACE)}
    answer = subprocess.run(command, cwd=COPY, env=environment, capture_output=True, text=True)
    return "" if answer.returncode == 0 else (answer.stdout + answer.stderr).strip()


def build() -> Path:
    command = [
        "swift", "build", "--product", "weir", "--package-path", str(COPY), "--scratch-path",
        str(PLACE / "build")]
    answer = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if answer.returncode != 0:
        raise RuntimeError(answer.stdout[-3000:])
    return PLACE / "build" / "debug" / "weir"


def run_row(weir: Path, row: str, rounds: int, seconds: float) -> dict:
    """What came of the row; empty when it took too long."""
    with tempfile.NamedTemporaryFile() as file:
        command = [
            sys.executable, str(HERE / "run.py"), "--weir", str(weir), "--rows", row, "--rounds",
            str(rounds), "--failures", "1", "--tally", file.name]
        try:
            subprocess.run(command, capture_output=True, timeout=seconds)
        except subprocess.TimeoutExpired:
            return {}
        return (json.loads(file.read() or b"[]") or [{}])[0]


def noticed(mutant: Mutant, weir: Path) -> tuple[str, str]:
    """The first row that failed, and the oracles that were broken."""
    deadline = time.monotonic() + SECONDS_MAX
    for row in mutant.rows:
        left = deadline - time.monotonic()
        if left > 0:
            tally = run_row(weir, row, ROUNDS_MAX, left)
            if tally.get("failed"):
                return row, ", ".join(sorted(tally["oracles"]))
    return "", ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="m05 m10; default: all")
    parser.add_argument("--check", action="store_true", help="whether the patches apply, and no more")
    options = parser.parse_args()
    mutants = [Mutant.read(path) for path in sorted((HERE / "mutants").glob("*.patch"))]
    if options.names:
        unknown = set(options.names) - {m.name for m in mutants}
        if unknown:
            raise SystemExit(f"no such mutants: {', '.join(sorted(unknown))}")
        mutants = [m for m in mutants if m.name in options.names]
    copy_sources()
    stale = {m.name: why for m in mutants if (why := apply(m, only_check=True))}
    for name, why in stale.items():
        print(f"{name} does not apply any more: {why}")
    if options.check or stale:
        return 1 if stale else 0
    weir = build()
    for row in sorted({row for m in mutants for row in m.rows}):
        tally = run_row(weir, row, 1, SECONDS_MAX)
        if tally.get("failed") or not tally:
            print(f"{row} fails without any mutant: {tally.get('oracles')}")
            return 1
    survivors = 0
    print(f"{'mutant':<7} {'row':<6} {'oracles that noticed':<28} {'s':>4}  what it breaks", flush=True)
    for mutant in mutants:
        copy_sources()
        apply(mutant)
        begun = time.monotonic()
        row, oracles = noticed(mutant, build())
        survivors += not row
        print(f"{mutant.name:<7} {row or '-':<6} {oracles or 'SURVIVED':<28} "
              f"{time.monotonic() - begun:>4.0f}  {mutant.breaks}", flush=True)
    copy_sources()
    print(f"{len(mutants) - survivors} of {len(mutants)} mutants were noticed")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
