#!/usr/bin/env python3
"""Builds mistakes into the simulated world, one at a time, and shows that some seed notices each.

    python3 faults/simulation_mutants.py                 all of them
    python3 faults/simulation_mutants.py m05 stale
    python3 faults/simulation_mutants.py --check         whether the patches apply, and no more

Mistakes in the batch protocol are switches of the world's own gateway (`Mutation.swift`), since that
is not the one that is shipped; the others are patches of the sources, the same that faults/mutants.py
uses and those in faults/mutants/simulation, built in a copy under .build/mutants.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PATCHES = HERE / "mutants" / "simulation"
PLACE = ROOT / ".build" / "mutants"
COPY = PLACE / "simulation"
# A mistake that has not been noticed by then has survived.
SECONDS_MAX = 60
SEEDS = 2_000

# Of the patches in faults/mutants, those whose sources a world has in it.
SHARED = ["m05", "m08", "m12"]
# What the list of mutants calls a switch.
SWITCHES = {
    "m01": "rollbackIsSuccess",
    "m02": "answerBeforeCommit",
    "m03": "entriesApart",
    "m04": "blindRewrite",
    "m09": "letterApart",
    "m10": "memoryOnly",
    "m11": "oldLook",
    "stale": "staleGeneration",
}


def copy_sources() -> None:
    """What is under version control, as it is now. Files that are the same keep their times, so that
    they are not compiled again."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True,
        capture_output=True)
    wanted = {Path(name) for name in listed.stdout.decode().split("\0") if name}
    wanted = {path for path in wanted if (ROOT / path).is_file()}
    for path in wanted:
        source, target = ROOT / path, COPY / path
        if target.is_file() and target.read_bytes() == source.read_bytes():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def apply(patch: Path, only_check: bool = False) -> str:
    """Applies the patch to the copy; returns why it does not apply."""
    command = ["git", "apply", "-p1", *(["--check"] if only_check else []), str(patch)]
    # The copy is no repository, and not a part of ours.
    environment = os.environ | {"GIT_CEILING_DIRECTORIES": str(PLACE)}
    answer = subprocess.run(command, cwd=COPY, env=environment, capture_output=True, text=True)
    return "" if answer.returncode == 0 else (answer.stdout + answer.stderr).strip()


def build() -> Path:
    command = [
        "swift", "build", "-c", "release", "--product", "simulate", "--package-path", str(COPY),
        "--scratch-path", str(PLACE / "simulation-build")]
    answer = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if answer.returncode != 0:
        raise RuntimeError(answer.stdout[-3000:])
    return PLACE / "simulation-build" / "release" / "simulate"


def run(program: Path, *arguments: str) -> tuple[bool, str]:
    """Whether some seed failed, and how."""
    command = [str(program), "--worlds", "--seeds", str(SEEDS), *arguments]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MAX)
    except subprocess.TimeoutExpired:
        return False, f"nothing within {SECONDS_MAX} s"
    failures = [line for line in answer.stdout.splitlines() if line.startswith("seed ")]
    if failures:
        return True, failures[0]
    # A trap is a failure too: an assertion of the core's.
    trapped = answer.returncode not in (0, 1)
    return trapped, (answer.stderr.strip().splitlines() or ["nothing"])[0]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="m05 stale; default: all")
    parser.add_argument("--check", action="store_true", help="whether the patches apply, and no more")
    options = parser.parse_args()
    patches = {name: HERE / "mutants" / f"{name}.patch" for name in SHARED}
    patches |= {path.stem: path for path in sorted(PATCHES.glob("*.patch"))}
    names = options.names or sorted(SWITCHES) + sorted(patches)
    unknown = set(names) - set(SWITCHES) - set(patches)
    if unknown:
        raise SystemExit(f"no such mutants: {', '.join(sorted(unknown))}")
    copy_sources()
    stale = {n: why for n in names if n in patches and (why := apply(patches[n], only_check=True))}
    for name, why in stale.items():
        print(f"{name} does not apply: {why}")
    if options.check or stale:
        return 1 if stale else 0
    program = build()
    is_noticed, how = run(program)
    if is_noticed:
        print(f"the worlds fail without any mistake: {how}")
        return 1
    survivors = []
    for name in names:
        if name in patches:
            copy_sources()
            apply(patches[name])
            program = build()
        begun = time.monotonic()
        switch = ["--mutation", SWITCHES[name]] if name in SWITCHES else []
        is_noticed, how = run(program, *switch)
        seconds = time.monotonic() - begun
        print(f"{name:<10} {'noticed' if is_noticed else 'SURVIVED'} in {seconds:.1f} s: {how}", flush=True)
        if not is_noticed:
            survivors.append(name)
        if name in patches:
            copy_sources()
            program = PLACE / "simulation-build" / "release" / "simulate"
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
