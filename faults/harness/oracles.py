"""The rules that every round is judged by. Each returns the ways in which it is broken."""

from __future__ import annotations

from collections import Counter, defaultdict

from . import model
from .history import Contents, History, Message

# The tables whose rows carry the message that wrote them, and nothing that keeps it from being
# written twice.
PLAIN = {"append": "t_append", "anonymous": "t_append", "dead": "t_dead", "tick": "t_tick"}


def lost(history: History, contents: Contents) -> list[str]:
    """What was answered as committed is there."""
    present = {t: {r.id for r in rows} for t, rows in contents.rows.items()}
    return [
        f"{m.id} was acknowledged and is not in {PLAIN[m.kind]}"
        for m in history.of_kind(*PLAIN)
        if m.is_acked and m.id not in present.get(PLAIN[m.kind], set())
    ]


def twice(history: History, contents: Contents) -> list[str]:
    """Nothing took effect twice."""
    found = []
    for table, rows in contents.rows.items():
        for identity, count in Counter(r.id for r in rows).items():
            if count > 1:
                found.append(f"{identity} is {count} times in {table}")
    applied = Counter(k for k, _ in {(r.key, r.id) for r in contents.rows.get("t_tick", [])})
    for key in applied.keys() | contents.counters.keys():
        if applied[key] != contents.counters.get(key, 0):
            found.append(f"counter {key} is {contents.counters.get(key, 0)}, not {applied[key]}")
    for message in history.messages.values():
        if not message.is_acked:
            continue
        for answer in message.answers:
            is_late = answer.get("again") and answer["t"] > message.first_ok
            if is_late and answer["c"] == "ok" and answer["result"] != "replayed":
                found.append(f"{message.id} was sent again later and answered {answer['result']}")
                break
    return found


def life(history: History, contents: Contents, may_reject: frozenset = frozenset()) -> list[str]:
    """A row that is born, changed and deleted once: no step is refused, and the last one stands."""
    found = []
    last: dict[str, Message] = {}
    for message in history.of_kind("life.insert", "life.patch", "life.delete"):
        if message.has("rejected") and message.kind not in may_reject:
            codes = {a.get("code") for a in message.answers if a["c"] == "rejected"}
            found.append(f"{message.id} ({message.kind}) was refused: {codes}")
        key = message.facts["k"]
        if message.is_acked and (key not in last or last[key].facts["v"] < message.facts["v"]):
            last[key] = message
    for key, message in last.items():
        there = contents.lives.get(key)
        later = any(
            m.facts["k"] == key and m.facts["v"] > message.facts["v"] and m.may_be_written
            for m in history.of_kind("life.patch", "life.delete")
        )
        if later:
            continue
        if message.kind == "life.delete" and there is not None:
            found.append(f"{key} was deleted by {message.id} and is there, from {there[1]}")
        if message.kind != "life.delete" and (there is None or there[1] != message.id):
            found.append(f"{key} should be as {message.id} left it and is {there}")
    return found


def ghost(history: History, contents: Contents) -> list[str]:
    """Nothing is there that nobody sent, and every byte is what its ID says."""
    found = []
    for table, rows in contents.rows.items():
        for row in rows:
            message = history.messages.get(row.id)
            if message is None:
                found.append(f"{row.id} in {table} was never sent")
            elif row.payload != model.payload(row.id):
                found.append(f"{row.id} in {table} has another payload")
            elif (row.key, row.seq) != (message.facts["k"], message.facts["v"]):
                found.append(f"{row.id} in {table} has another key or number")
    for table, rows in (("t_upsert", contents.upserts), ("t_life", contents.lives)):
        for key, (_, identity, payload) in rows.items():
            if identity not in history.messages:
                found.append(f"{identity} in {table} was never sent")
            elif payload != model.payload(identity):
                found.append(f"{identity} in {table} has another payload")
    return found


def aborted(history: History, contents: Contents) -> list[str]:
    """What was refused by every answer is not there."""
    present = {r.id for rows in contents.rows.values() for r in rows}
    found = [
        f"{m.id} was refused by every answer and is there"
        for m in history.of_kind(*PLAIN)
        if m.id in present and not m.may_be_written
    ]
    found += [
        f"{m.id} was rejected ({m.kind}) and is there"
        for m in history.of_kind(*PLAIN)
        if m.id in present and m.has("rejected") and not m.is_acked
    ]
    return found


def agree(history: History, contents: Contents) -> list[str]:
    """One message has one fate, whoever asks, and how often. Of what was rejected nothing is
    remembered: where the table has changed meanwhile, it may be stored when it comes again."""
    found = []
    for message in history.messages.values():
        answers = sorted(message.answers, key=lambda a: a["t"])
        fates = [a["c"] for a in answers if a["c"] in ("ok", "dead", "rejected")]
        while contents.has_changed and fates and fates[0] == "rejected" and len(set(fates)) > 1:
            fates.pop(0)
        if len(set(fates)) > 1:
            codes = {a["code"] for a in answers if "code" in a}
            found.append(f"{message.id} was answered {fates[:6]}; codes: {sorted(codes)}")
        if message.has("odd"):
            odd = next(a for a in message.answers if a["c"] == "odd")
            found.append(f"{message.id} was answered as the contract does not say: {odd}")
    return found


def pairs(history: History, contents: Contents) -> list[str]:
    """Groups: all of their members or none."""
    members: dict[str, list[Message]] = defaultdict(list)
    for message in history.messages.values():
        if "pair" in message.facts:
            members[message.facts["pair"]].append(message)
    present = {r.id for rows in contents.rows.values() for r in rows}
    return [
        f"of group {base} only a part is there"
        for base, group in members.items()
        if len({m.id in present for m in group}) > 1
    ]


def dead(history: History, contents: Contents) -> list[str]:
    """A record that could never be applied is kept once, byte for byte, and nowhere else."""
    found = []
    letters = Counter(identity for identity, *_ in contents.dead)
    raw = {identity: bytes.fromhex(text) for identity, text, *_ in contents.dead}
    present = {r.id for rows in contents.rows.values() for r in rows}
    for message in history.messages.values():
        refused = [a for a in message.answers if a["c"] == "rejected"]
        if message.kind == "dead" and any("sqlstate" in a for a in refused) and not contents.has_changed:
            found.append(f"{message.id} was refused by the database, and not kept: {refused[0]}")
        if message.has("dead") and letters[message.id] != 1:
            found.append(f"{message.id} was answered as dead-lettered; letters: {letters[message.id]}")
    for identity, count in letters.items():
        message = history.messages.get(identity)
        if message is None:
            found.append(f"the dead letter {identity} was never sent")
            continue
        if count > 1:
            found.append(f"{identity} has {count} dead letters")
        if identity in present:
            found.append(f"{identity} is a dead letter and in its table")
        table = PLAIN.get(message.kind)
        if table in ("t_append", "t_dead"):
            record = model.append(
                identity, message.facts["k"], message.facts["v"], message.facts["bad"], table)
            if raw[identity] != record.bytes():
                found.append(f"the dead letter {identity} is not what was sent: {raw[identity][:80]!r}")
        if contents.replay.get(model.replay_id(identity), {}).get("outcome") != 100:
            found.append(f"{identity} is a dead letter without its replay entry")
    for identity, entry in contents.replay.items():
        if entry["outcome"] == 100 and not any(model.replay_id(i) == identity for i in letters):
            found.append(f"the replay entry {identity} says dead letter, and there is none")
    return found


def atomic(history: History, contents: Contents) -> list[str]:
    """Effect and replay entry came from one transaction, whose marker says committed."""
    if not contents.has_replay:
        return []
    found = []
    known = {model.replay_id(m): m for m in history.messages}
    present = set()
    for table, rows in contents.rows.items():
        for row in rows:
            identity = model.replay_id(row.id)
            message = history.messages.get(row.id)
            if message is not None and message.kind == "anonymous":
                continue
            present.add(identity)
            entry = contents.replay.get(identity)
            if entry is None and contents.has_forgotten:
                continue
            if entry is None:
                found.append(f"{row.id} in {table} has no replay entry")
            elif entry["xmin"] != row.xmin and table not in contents.rewritten:
                found.append(f"{row.id} in {table} and its replay entry are of two transactions")
            elif entry["outcome"] == 100:
                found.append(f"{row.id} in {table} is remembered as a dead letter")
    for identity, entry in contents.replay.items():
        message = history.messages.get(known.get(identity, ""))
        if message is None:
            found.append(f"the replay entry {identity} is of no message")
            continue
        if contents.replay_count[identity] > 1:
            found.append(f"{message.id} has entries in both generations")
        if entry["outcome"] != 100 and message.kind in PLAIN and identity not in present:
            found.append(f"{message.id} is remembered as committed and is not there")
        outcome = contents.attempts.get(entry["attempt"])
        if outcome != 0:
            found.append(f"{message.id} is remembered from attempt {entry['attempt']}: {outcome}")
    for message in history.messages.values():
        identity = model.replay_id(message.id)
        if message.kind == "anonymous":
            continue
        is_final = message.is_acked or message.has("dead")
        if is_final and identity not in contents.replay and not contents.has_forgotten:
            found.append(f"{message.id} was acknowledged and is not remembered")
        if message.has("rejected") and not message.is_acked and identity in contents.replay:
            found.append(f"{message.id} was rejected and is remembered")
    return found


def _lost_its_place(message: Message) -> bool:
    """One of many in a request that was told to come again, or one whose caller did not wait."""
    if message.kind == "anonymous":
        return not message.is_acked
    is_many = message.id.rpartition("#")[1] or "pair" in message.facts
    is_late = is_many and message.has("no", "unknown", "refused")
    return is_late or message.has("gave_up", "rejected")


def order(history: History, contents: Contents) -> list[str]:
    """Per key, records took effect in the order in which they were sent: each after the one before
    had its answer, or in one request. A record that was told to come again lost its place."""
    found = []
    for table in ("t_append", "t_dead"):
        highest: dict[str, tuple[int, str]] = {}
        for row in contents.rows.get(table, []):
            message = history.messages.get(row.id)
            before = highest.get(row.key)
            if before is None or row.seq >= before[0]:
                highest[row.key] = (row.seq, row.id)
            elif message is not None and not _lost_its_place(message):
                found.append(f"{row.key}: {row.id} ({row.seq}) took effect after {before}")
    return found


def upsert(history: History, contents: Contents) -> list[str]:
    """No older version has overwritten a newer one."""
    found = []
    acked: dict[str, int] = {}
    possible: dict[str, int] = {}
    for message in history.of_kind("upsert"):
        key, version = message.facts["k"], message.facts["v"]
        if message.is_acked:
            acked[key] = max(version, acked.get(key, 0))
        if message.may_be_written:
            possible[key] = max(version, possible.get(key, 0))
    for key, version in acked.items():
        there = contents.upserts.get(key)
        if there is None or not version <= there[0] <= possible[key]:
            found.append(f"{key} should be at version {version} and is {there and there[:2]}")
    return found


def finished(history: History, contents: Contents) -> list[str]:
    """Every message has a final answer in the end; one without an ID is sent once, and has its luck."""
    return [
        f"{m.id} ({m.kind}) got no final answer; the last: {m.answers[-1] if m.answers else None}"
        for m in history.messages.values()
        if not m.has("ok", "dead", "rejected") and m.kind != "anonymous"
    ]


STANDARD = {
    "LOST": [lost], "TWICE": [twice, life], "GHOST": [ghost], "ABORTED": [aborted],
    "DEAD": [dead], "ATOMIC": [atomic, pairs], "ORDER": [order], "UPSERT": [upsert],
    "RECON": [agree], "LIVE": [finished],
}


def judge(history: History, contents: Contents, may_reject: frozenset = frozenset()) -> list[tuple]:
    """All standard oracles: (name, what is broken)."""
    found = []
    for name, rules in STANDARD.items():
        for rule in rules:
            if rule is life:
                broken = rule(history, contents, may_reject)
            else:
                broken = rule(history, contents)
            found += [(name, text) for text in broken]
    return found
