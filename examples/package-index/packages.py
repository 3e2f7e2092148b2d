"""The package index: from its text to records, and to the rows that the table must hold."""

from __future__ import annotations

import re
import subprocess
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from uuid import UUID

KEY = ("package", "version", "architecture")
INSTALLED = Path("/var/lib/dpkg/status")

# Field of the index -> text column. A field that is missing is left out of the request; one that is
# empty is sent as an empty string.
TEXT_FIELDS = {
    "Package": "package",
    "Version": "version",
    "Architecture": "architecture",
    "Section": "section",
    "Priority": "priority",
    "Maintainer": "maintainer",
    "Multi-Arch": "multi_arch",
    "Homepage": "homepage",
    "Filename": "filename",
}
INTEGER_FIELDS = {"Installed-Size": "installed_kib", "Size": "size"}

# What the table must hold where a record says nothing: schema.sql, said a second time on purpose.
DEFAULTS = {
    "section": "unknown", "priority": "optional", "maintainer": "nobody", "source": None,
    "source_version": "same", "multi_arch": "no", "essential": False, "homepage": None,
    "installed_kib": None, "size": 0, "filename": None, "description_md5": None, "sha256": None,
    "synopsis": "none", "description": "none", "depends": [], "tags": [], "other": {},
    "revision": 1, "ratio": None, "note": "untouched", "edited_by": None,
    **{f"edit_{slot}": 0 for slot in range(10)},
}  # fmt: skip


class NoPackagesError(RuntimeError):
    """There is nothing to load; the text says what to do about it."""


def read_index(file: Path | None) -> tuple[str, str]:
    """The index as text, and where it comes from."""
    if file:
        try:
            return file.read_text("utf-8"), str(file)
        except (OSError, UnicodeDecodeError) as error:
            raise NoPackagesError(f"{file} cannot be read: {error}") from error
    try:
        dump = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        dump = b""
    # Without `apt-get update`, apt knows only what is installed.
    if b"\nFilename: " in dump:
        return dump.decode("utf-8"), "apt-cache dumpavail"
    if INSTALLED.exists():
        return INSTALLED.read_text("utf-8"), (
            f"{INSTALLED}, the installed packages only: apt has no package lists here. "
            "Run `apt-get update` first for the full index, or give a saved one with --file"
        )
    raise NoPackagesError(
        "no package index: run `apt-get update` first, or give a saved one "
        "(the output of `apt-cache dumpavail`) with --file"
    )


def parse(text: str, limit: int | None) -> list[dict]:
    """The index's records as JSON objects, ready to be sent."""
    records = {}
    for stanza in text.split("\n\n"):
        fields = _fields(stanza)
        if "Version" not in fields:
            continue  # the end of the file, or the remains of a removed package
        record = _record(fields)
        records[key_of(record)] = record
        if limit and len(records) == limit:
            break
    if not records:
        raise NoPackagesError("the index holds no packages")
    return list(records.values())


def _fields(stanza: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    name = ""
    for line in stanza.split("\n"):
        if line.startswith((" ", "\t")):
            fields[name] = fields.get(name, "") + "\n" + line
        elif line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
    return fields


def _record(fields: dict[str, str]) -> dict:
    record: dict = {}
    for field, column in TEXT_FIELDS.items():
        if field in fields:
            record[column] = fields.pop(field)
    for field, column in INTEGER_FIELDS.items():
        if value := fields.pop(field, ""):
            record[column] = int(value)
    if "Source" in fields:
        # `name (version)`; the version is empty where it is the package's own.
        name, _, version = fields.pop("Source").partition(" (")
        record |= {"source": name, "source_version": version.removesuffix(")")}
    if "Description" in fields:
        # The long text is empty where apt keeps it in another file.
        synopsis, _, description = fields.pop("Description").partition("\n")
        record |= {"synopsis": synopsis, "description": description}
    if "Depends" in fields:
        # Every one of these, by any of its alternatives.
        groups = fields.pop("Depends").split(",")
        record["depends"] = [[name.strip() for name in group.split("|")] for group in groups]
    if "Tag" in fields:
        record["tags"] = [tag.strip() for tag in fields.pop("Tag").split(",")]
    if "Essential" in fields:
        record["essential"] = fields.pop("Essential") == "yes"
    if value := fields.pop("Description-md5", ""):
        record["description_md5"] = value
    if "SHA256" in fields:
        record["sha256"] = "\\x" + fields.pop("SHA256")
    if fields:
        record["other"] = fields
    return record


def count_gaps(records: list[dict]) -> tuple[int, int]:
    """How many fields of the index are missing from their records, and how many are empty text."""
    columns = DEFAULTS.keys() - {"revision", "ratio", "note", "edited_by"}
    columns = {column for column in columns if not column.startswith("edit_")}
    missing = sum(len(columns - record.keys()) for record in records)
    return missing, sum(value == "" for record in records for value in record.values())


def key_of(record: dict) -> tuple[str, ...]:
    return tuple(record[column] for column in KEY)


def without_key(record: dict) -> dict:
    return {column: value for column, value in record.items() if column not in KEY}


def ratio_of(record: dict) -> str | None:
    """How much larger a package is once installed, to six digits."""
    if not record.get("installed_kib") or not record.get("size"):
        return None
    ratio = Decimal(record["installed_kib"] * 1024) / record["size"]
    return str(min(ratio, Decimal(999_999)).quantize(Decimal("1.000000"), ROUND_HALF_UP))


def row_of(record: dict) -> dict:
    """The row that the table must hold after this record was inserted, as row_to_json has it."""
    row = DEFAULTS | record
    if row["description_md5"]:
        row["description_md5"] = str(UUID(row["description_md5"]))
    mebibytes = Decimal(row["size"]) / Decimal(1024 * 1024)
    row["size_mib"] = str(mebibytes.quantize(Decimal("1.000"), ROUND_HALF_UP))
    return row


def to_text(value: list[str]) -> str:
    """A text[] in PostgreSQL's own form: {"one","two"}."""
    quoted = (re.sub(r'(["\\])', r"\\\1", element) for element in value)
    return "{" + ",".join(f'"{element}"' for element in quoted) + "}"
