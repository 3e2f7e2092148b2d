"""Where the figures come from: the machine, its PostgreSQL, and what a commit costs on its disk."""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import subprocess
import time
from pathlib import Path

from private_postgres import PrivatePostgres


def describe(server: PrivatePostgres) -> dict[str, object]:
    """Facts a reader needs before comparing these figures with those of another machine."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "load_average": round(os.getloadavg()[0], 2),
        "postgresql": server.psql("SHOW server_version"),
        "wal_sync_method": server.psql("SHOW wal_sync_method"),
        "fsync": server.psql("SHOW fsync"),
        "synchronous_commit": server.psql("SHOW synchronous_commit"),
        "file_system": _file_system(server.folder),
        "fdatasync_ms": round(_fdatasync_ms(server.folder), 3),
    }


def complaints(machine: dict[str, object]) -> list[str]:
    """Reasons to distrust every figure of this run."""
    found = []
    if machine["load_average"] > 0.5 * machine["cores"]:
        found.append(
            f"load average {machine['load_average']} on {machine['cores']} cores: "
            "something else is running, wait for it to end"
        )
    if machine["file_system"] in ("tmpfs", "ramfs"):
        found.append("the data is in memory, so commits are free: name a folder on disk with --dir")
    return found


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _file_system(folder: Path) -> str:
    if not shutil.which("findmnt"):
        return "an unknown file system"
    command = ["findmnt", "-no", "FSTYPE", "-T", str(folder)]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def _fdatasync_ms(folder: Path, samples: int = 100) -> float:
    """The median time to make 8 KiB durable, which bounds a lone commit from below."""
    path = folder / "fdatasync-probe"
    page = bytes(8192)
    times = []
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, page)
        os.fsync(descriptor)
        for _ in range(samples):
            start = time.perf_counter()
            os.pwrite(descriptor, page, 0)
            os.fdatasync(descriptor)
            times.append(time.perf_counter() - start)
    finally:
        os.close(descriptor)
        path.unlink()
    return statistics.median(times) * 1000
