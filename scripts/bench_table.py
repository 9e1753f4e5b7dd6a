#!/usr/bin/env python3
"""Renders the records of bench_models (JSON lines) as one Markdown table, a row per model."""
import argparse
import json
import sys
from pathlib import Path

SCHEMA = "assay.model-run/"
COLUMNS = ["Model", "Format", "Size", "Prefill tok/s", "Decode tok/s", "of limit", "Load", "Peak RSS", "Answer"]
ABSENT = "-"
NOTE = """Tokens a second are from the median iteration. "of limit": bytes of weights and cache read for a decoded token, as a share of the
measured memory read bandwidth; models that fit in the processor's caches may pass 100 %. Answer: logits against the golden or the
reference backend, checked before anything was timed."""


def pick(record, path):
    """The value at "model.kind", or None where a step is missing."""
    for name in path.split("."):
        record = record.get(name) if isinstance(record, dict) else None
    return record


def number(value):
    """Three figures, more only where they are whole: 0.012, 1.23, 45.6, 789, 12346."""
    if not isinstance(value, (int, float)):
        return ABSENT
    size_of = abs(value)
    digits = 0 if size_of == 0 or size_of >= 100 else 1 if size_of >= 10 else 2 if size_of >= 1 else 3
    return f"{value:.{digits}f}"


def size(value):
    """Decimal units, as the programs print them: 12 B, 791 kB, 2.53 MB."""
    if not isinstance(value, (int, float)):
        return ABSENT
    for unit, step in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= step:
            return f"{number(value / step)} {unit}"
    return f"{value} B"


def percent(value):
    return f"{value:.0f} %" if isinstance(value, (int, float)) else ABSENT


def weight_format(model):
    """"gguf Q4_K": the container and the format most bytes are in."""
    shares = pick(model, "formats") or []
    main = pick(shares[0], "format") if shares else None
    return " ".join(text for text in (pick(model, "kind"), main) if text) or ABSENT


def answer(records):
    """What the check before the measurement said, from whichever record carries it."""
    for record in records:
        status = pick(record, "status") or "failed"
        if status != "ok":
            reason = pick(record, "reason") or pick(record, "agreement.reason")
            return f"{status}: {reason}" if reason else status
    agreements = [found for found in (pick(record, "agreement") for record in records) if found]
    return describe_agreement(agreements[0]) if agreements else ABSENT


def describe_agreement(agreement):
    """"agrees: top-1 100 % of 176, rms 0.012, golden"."""
    top1, positions, rms = (pick(agreement, name) for name in ("top1", "positions", "rms"))
    against = pick(agreement, "against") or ""
    facts = []
    if isinstance(top1, (int, float)):
        facts.append(f"top-1 {top1 * 100:.0f} %" + (f" of {positions}" if positions else ""))
    if isinstance(rms, (int, float)):
        facts.append(f"rms {rms:.2g}")
    if against:
        facts.append("golden" if against.endswith(".bin") else against)
    verdict = "agrees" if pick(agreement, "passed") else "differs"
    return f"{verdict}: {', '.join(facts)}" if facts else verdict


def model_name(model):
    """A file's name; for a folder its parent too, as "mlx-4bit" alone says little."""
    path = Path(pick(model, "path") or pick(model, "name") or ABSENT)
    is_file = path.suffix in (".gguf", ".safetensors", ".json")
    return path.stem if is_file or not path.parent.name else f"{path.parent.name}/{path.name}"


def row(records):
    by_kind = {pick(record, "kind"): record for record in records}
    prefill, decode, load = (by_kind.get(kind, {}) for kind in ("prefill", "decode", "load"))
    model = pick(records[0], "model") or {}
    peaks = [peak for peak in (pick(record, "memory.peak_bytes") for record in records) if peak]
    load_ms = pick(load, "time_ms.median")
    return [
        model_name(model),
        weight_format(model),
        size(pick(model, "file_bytes") or pick(model, "weight_bytes")),
        number(pick(prefill, "tokens_per_s")),
        number(pick(decode, "tokens_per_s")),
        percent(pick(decode, "limit_percent")),
        f"{number(load_ms)} ms" if load_ms is not None else ABSENT,
        size(max(peaks)) if peaks else ABSENT,
        answer(records),
    ]


def group_by_model(records):
    models = {}
    for record in records:
        key = pick(record, "model.path") or pick(record, "model.name") or ABSENT
        models.setdefault(key, []).append(record)
    return list(models.values())


def headline(record):
    """The machine and the program in one line."""
    facts = [pick(record, "host.cpu_model")]
    threads = pick(record, "settings.threads")
    facts.append(f"{threads} thread{'s' if threads != 1 else ''}" if threads else None)
    facts.append(pick(record, "settings.isa"))
    commit = pick(record, "build.commit")
    changed = " (modified)" if pick(record, "build.is_dirty") else ""
    facts.append(f"Assay {pick(record, 'build.version') or ''} {commit}{changed}".replace("  ", " ") if commit else None)
    facts.append(pick(record, "time"))
    return " · ".join(fact for fact in facts if fact)


def render(records):
    rows = [row(group) for group in group_by_model(records)]
    cells = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in line] for line in [COLUMNS, *rows]]
    widths = [max(len(line[i]) for line in cells) for i in range(len(COLUMNS))]
    # Text to the left, numbers to the right.
    is_number = [name not in ("Model", "Format", "Answer") for name in COLUMNS]

    def line_of(line):
        parts = [cell.rjust(width) if right else cell.ljust(width) for cell, width, right in zip(line, widths, is_number)]
        return "| " + " | ".join(parts) + " |"

    rule = "|" + "|".join("-" * (width + 1) + (":" if right else "-") for width, right in zip(widths, is_number)) + "|"
    return "\n".join([headline(records[0]), "", line_of(cells[0]), rule, *map(line_of, cells[1:]), "", NOTE])


def read_records(path):
    """(records, problems): lines that are no model run are told, not swallowed."""
    records, problems = [], []
    for count, line in enumerate(Path(path).read_text().splitlines(), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as problem:
            problems.append(f"{path}:{count}: not JSON: {problem}")
            continue
        if isinstance(record, dict) and str(pick(record, "schema") or "").startswith(SCHEMA):
            records.append(record)
        else:
            problems.append(f"{path}:{count}: not a record of schema {SCHEMA}*")
    return records, problems


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("records", type=Path)
    path = parser.parse_args().records
    try:
        records, problems = read_records(path)
    except OSError as problem:
        print(f"bench_table: error: {problem}", file=sys.stderr)
        return 3
    for problem in problems:
        print(f"bench_table: {problem}", file=sys.stderr)
    if not records:
        print(f"bench_table: error: {path} holds no records", file=sys.stderr)
        return 3
    print(render(records))
    return 0


if __name__ == "__main__":
    sys.exit(main())
