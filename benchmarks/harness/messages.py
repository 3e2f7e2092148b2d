"""The rows about message IDs and refused records: what once and isolation cost."""

from __future__ import annotations

from . import loads
from .loads import Ids, Sample
from .processes import BenchmarkError
from .report import Figure
from .sides import Bench, Gateway

CALLERS = 100
# Fewer than the gateway remembers in memory by default (65,536), and more than callers at once.
REPEATED = 20_000
STORING_ATTEMPTS_MAX = 5


def keyed(bench: Bench, alternate, ratio_figure) -> list[Figure]:
    """New records with a message ID, against the same without."""
    title = "records/s with a message ID, against the same without"
    ids = Ids()
    with bench.gateway() as gateway:
        if gateway is None:
            return [Figure("ids", title, ">=", 0.65, None, unit=" ×")]
        ours, theirs = alternate(
            bench, inserts(bench, ids, gateway, "keyed"), inserts(bench, ids, gateway, "plain"),
            "no ID",
        )
    return [ratio_figure("ids", title, ">=", 0.65, ours, theirs)]


def repetitions(bench: Bench, alternate, ratio_figure) -> list[Figure]:
    """Nothing but repetitions, answered from memory and from the database, against new records."""
    ids = Ids()
    memory = against_new(
        bench, ids, alternate, ratio_figure, "replays", 1.5,
        "repetitions/s answered from memory, against new records with a message ID",
        # So that new records do not push the repeated ones out.
        "WEIR_REPLAY_MEMORY_RECORDS=8000000",
    )
    database = against_new(
        bench, ids, alternate, ratio_figure, "replays-database", 0.9,
        "repetitions/s answered by the database, against new records with a message ID",
        "WEIR_REPLAY_MEMORY_RECORDS=0",
    )
    return [memory, database]


def against_new(
    bench: Bench, ids: Ids, alternate, ratio_figure, name: str, bound: float, title: str,
    *settings: str,
) -> Figure:
    with bench.gateway(*settings) as gateway:
        if gateway is None:
            return Figure(name, title, ">=", bound, None, unit=" ×")
        first = ids.next_range()
        store_repeated(bench, gateway, first)
        ours, theirs = alternate(
            bench, repeats(bench, gateway, first), inserts(bench, ids, gateway, "keyed"),
            "new records",
        )
    return ratio_figure(name, title, ">=", bound, ours, theirs)


def inserts(bench: Bench, ids: Ids, gateway: Gateway, mode: str):
    def take(seconds: float, is_warm_up: bool) -> Sample:
        sample = loads.wrk(
            gateway.service, gateway.records_url, "insert.lua", ids.next_range(), CALLERS, seconds,
            bench.postgres, is_warm_up, mode=(mode,),
        )
        bench.check_stored(sample.count, CALLERS)
        return sample

    return take


def store_repeated(bench: Bench, gateway: Gateway, first: int) -> None:
    """Sends every record that is repeated later for the first time."""
    bench.prepare()
    for attempt in range(STORING_ATTEMPTS_MAX):
        # Each begins with the first record, so that it has to get further than the one before.
        again(bench, gateway, first, 2 << attempt, attempt == 0)
        count = stored(bench)
        if count == REPEATED - 1:
            return
    raise BenchmarkError(f"{count} records were stored, and not {REPEATED - 1}")


def stored(bench: Bench) -> int:
    return int(bench.postgres.psql("SELECT count(*) FROM bench"))


def again(bench: Bench, gateway: Gateway, first: int, seconds: float, is_warm_up: bool) -> Sample:
    return loads.wrk(
        gateway.service, gateway.records_url, "insert.lua", first, CALLERS, seconds,
        bench.postgres, is_warm_up, mode=("again", str(REPEATED)),
    )


def repeats(bench: Bench, gateway: Gateway, first: int):
    """A round of repetitions: the table was emptied before it and has to stay so."""

    def take(seconds: float, is_warm_up: bool) -> Sample:
        sample = again(bench, gateway, first, seconds, is_warm_up)
        if written := stored(bench):
            raise BenchmarkError(f"{written} repetitions were written again")
        return sample

    return take


def poison(bench: Bench, alternate, ratio_figure) -> list[Figure]:
    """Good records beside one in a hundred that a CHECK refuses, against none."""
    title = "good records/s with 1 % that the table refuses, against none"
    ids = Ids()

    def take_with(mode: str):
        def take(seconds: float, is_warm_up: bool) -> Sample:
            sample = loads.wrk(
                gateway.service, gateway.checked_url, "insert.lua", ids.next_range(), CALLERS,
                seconds, bench.postgres, is_warm_up, mode=(mode,), may_refuse=mode == "poison",
            )
            bench.check_stored(sample.count, CALLERS, table="checked")
            return sample

        return take

    with bench.gateway() as gateway:
        if gateway is None:
            return [Figure("poison", title, ">=", 0.7, None, unit=" ×")]
        ours, theirs = alternate(bench, take_with("poison"), take_with("plain"), "no poison")
    return [ratio_figure("poison", title, ">=", 0.7, ours, theirs)]
