#!/usr/bin/env python3
"""Does `weir bench` find knees that are known? Twenty runs each, on a real server.

    benchmarks/knees.py --weir .build/release/weir [--runs 20] [--seconds 15] [--only lock,limit]

What is known is put into the scratch tables by an event trigger: a trigger before each statement that
inserts, which sleeps for itself or while it holds a lock. Sleeping takes no processor, and nothing waits for
a disk (fsync = off), so that the truth follows from the sleeps alone, whatever the machine is.

    delay    8 ms for oneself, then 2 ms under a lock: 10 / 2 = 5 connections keep the lock busy, 4 reach
             80 %. The least number at 95 % is 5.
    lock     10 ms under a lock, and some 0.3 ms outside: one connection reaches 97 %. The least is 1.
    limit    20 ms for oneself: throughput rises with every connection, and the role may have 12. Two look
             on, half of the rest is the budget: 5, and the output says that it is an end, not a knee.

Counts how often the recommendation is within one step of the truth (of 1, 2, 3, 4, 5, 6, 8, 10, 12, 16 …)
and how often the printed interval holds it. Fails below 19 and 18 of 20.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
from private_postgres import PrivatePostgres  # noqa: E402

LADDER = [1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32]
KNEES = {
    "delay": ("PERFORM pg_sleep(0.008), pg_advisory_xact_lock(77), pg_sleep(0.002);", 5, False, 16),
    "lock": ("PERFORM pg_advisory_xact_lock(77), pg_sleep(0.01);", 1, False, 8),
    "limit": ("PERFORM pg_sleep(0.02);", 5, True, 32),
}
SETUP = """
CREATE ROLE limited LOGIN CONNECTION LIMIT 12;
GRANT CREATE ON SCHEMA public TO limited, public;
CREATE FUNCTION inject() RETURNS event_trigger LANGUAGE plpgsql AS $body$
  DECLARE made record;
  BEGIN
    FOR made IN SELECT DISTINCT object_identity FROM pg_event_trigger_ddl_commands()
      WHERE object_type = 'table' AND object_identity ~ 'weir_bench_'
    LOOP
      EXECUTE format('CREATE TRIGGER slow BEFORE INSERT ON %s FOR EACH STATEMENT EXECUTE FUNCTION slow()',
                     made.object_identity);
    END LOOP;
  END $body$;
"""
EVENT = "CREATE EVENT TRIGGER inject ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION inject();"


def slow(statements: str) -> str:
    return (
        "CREATE OR REPLACE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $body$ "
        f"BEGIN {statements} RETURN NULL; END $body$;"
    )


def bench(weir: str, conninfo: str, seconds: int, seed: int, most: int) -> dict:
    """One run; its JSON, whatever the verdict."""
    run = subprocess.run(
        [weir, "bench", "--quiet", "--db", conninfo, "-z", f"{seconds}s", "--max-rows", "20", "--max-connections",
         str(most), "--seed", str(seed), "--json", "-"],
        capture_output=True, text=True, check=False,
    )
    if run.returncode not in (0, 3):
        raise SystemExit(f"weir bench ended with {run.returncode}: {run.stderr}")
    return json.loads(run.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weir", default=".build/release/weir")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seconds", type=int, default=15)
    parser.add_argument("--only", default=",".join(KNEES))
    arguments = parser.parse_args()
    is_good = True
    with PrivatePostgres(settings={"max_connections": 60, "autovacuum": "off", "fsync": "off"}) as server:
        server.psql(SETUP + slow("") + EVENT)
        for name in arguments.only.split(","):
            statements, truth, is_end, most = KNEES[name]
            server.psql(slow(statements))
            role = "limited" if name == "limit" else None
            conninfo = server.conninfo + (f" user={role}" if role else "")
            near = covered = ends = 0
            for seed in range(1, arguments.runs + 1):
                result = bench(arguments.weir, conninfo, arguments.seconds, seed, most)
                told = result["recommendation"]
                if told is None:
                    print(f"{name} {seed}: {result['verdict']}: {'; '.join(result['reasons'])}", flush=True)
                    continue
                steps = abs(LADDER.index(told["connections"]) - LADDER.index(truth))
                near += steps <= 1
                covered += told["connections_low"] <= truth <= told["connections_high"]
                ends += told["at_end"] == is_end
                print(
                    f"{name} {seed}: {told['connections']} ({told['connections_low']} to {told['connections_high']}),"
                    f" {result['seconds']:.0f} s", flush=True,
                )
            runs = arguments.runs
            print(
                f"{name}: the truth is {truth}; within one step in {near} of {runs}, covered in {covered},"
                f" end or knee told in {ends}", flush=True,
            )
            is_good = is_good and near * 20 >= 19 * runs and covered * 20 >= 18 * runs
    raise SystemExit(0 if is_good else 1)


if __name__ == "__main__":
    main()
