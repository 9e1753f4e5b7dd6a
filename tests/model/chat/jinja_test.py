#!/usr/bin/env python3
"""Compares the evaluator with python3-jinja2: our own constructs, and published chat templates where they are there."""
import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
try:
    import reference
except ModuleNotFoundError as missing:
    print(f"skipped: {missing.name} is not installed (python3-jinja2)")
    sys.exit(77)
import conversations

ROOT = Path(__file__).resolve().parents[3]


def render_all(program, requests):
    done = subprocess.run([program], input=json.dumps(requests), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def is_same(expected, got):
    if "text" in expected:
        return got.get("text") == expected["text"]
    if "refused" in expected:
        return expected["refused"] in got.get("error", "")
    # Something that Assay lacks is no error that jinja2 has, too, unless jinja2 lacks it as well.
    lacks = any(name in expected["error"] for name in ("No filter named", "No test named"))
    return "error" in got and (lacks or got["code"] != "unsupported")


def compare(program, requests, names):
    expected = [reference.render(request["template"], request["variables"]) for request in requests]
    return tally(names, expected, render_all(program, requests))


def tally(names, all_expected, all_got):
    """How often text, refusal and error are the same; prints what differs."""
    counts = {"text": 0, "refused": 0, "error": 0, "different": 0}
    rows = {}
    for name, expected, got in zip(names, all_expected, all_got):
        kind = next(iter(expected))
        row = rows.setdefault(name[0], {"text": 0, "refused": 0, "error": 0, "different": 0})
        key = kind if is_same(expected, got) else "different"
        counts[key] += 1
        row[key] += 1
        if key == "different":
            print(f"DIFFERENT {name}\n  expected {str(expected)[-400:]}\n  got      {str(got)[-400:]}")
    return counts, rows


def constructs(program):
    fixture = json.loads((ROOT / "fixtures/chat/constructs.json").read_text())
    requests = [{"template": one["template"], "variables": fixture["variables"]} for one in fixture["cases"]]
    return compare(program, requests, [(one["name"], "") for one in fixture["cases"]])


def own(program):
    """Our own templates in the manner of published ones, on every conversation."""
    return published(program, ROOT / "fixtures/chat/templates")


def published_folder():
    if os.environ.get("ASSAY_CHAT_TEMPLATES"):
        return Path(os.environ["ASSAY_CHAT_TEMPLATES"])
    shared = Path(os.environ.get("ASSAY_SHARED_DATA") or ROOT / "../shared/data") / "chat-templates"
    return shared if shared.is_dir() else None


def published(program, folder):
    requests, names = [], []
    for path in sorted(folder.glob("*.jinja")):
        for name in conversations.CONVERSATIONS:
            requests.append({"template": path.read_text(), "variables": conversations.variables(name)})
            names.append((path.stem, name))
    return compare(program, requests, names)


# Built-in format -> the published template it stands for, and conversations that both have a place for.
PLAIN = ["hello", "turns"]
FAMILIES = {
    "chatml": ("Qwen-Qwen2.5-7B-Instruct", ["system", "system turns", "finished"]),
    "gemma": ("google-gemma-2-2b-it", PLAIN),
    "mistral-tekken": ("mistralai-Mistral-Nemo-Instruct-2407", PLAIN + ["system"]),
    "phi3": ("microsoft-Phi-3.5-mini-instruct", PLAIN + ["system", "system turns"]),
    "granite": ("ibm-granite-granite-4.0", ["system", "system turns"]),
}


def families(program, folder):
    """The rows of the built-in formats against what the published templates print."""
    requests, names, expected = [], [], []
    for family, (template, chosen) in FAMILIES.items():
        path = folder / f"{template}.jinja"
        for name in chosen if path.exists() else []:
            requests.append({"family": family, "variables": conversations.variables(name)})
            names.append((family, name))
            expected.append(reference.render(path.read_text(), conversations.variables(name)))
    return tally(names, expected, render_all(program, requests))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["constructs", "own", "published", "families"])
    parser.add_argument("program", help="render_chat")
    parser.add_argument("--table", action="store_true", help="print a Markdown row for each template")
    options = parser.parse_args()
    if options.what == "constructs":
        counts, rows = constructs(options.program)
    elif options.what == "own":
        counts, rows = own(options.program)
    else:
        folder = published_folder()
        if folder is None:
            print("skipped: needs published chat templates, *.jinja in the folder chat-templates of the shared data or in $ASSAY_CHAT_TEMPLATES")
            return 77
        counts, rows = (published if options.what == "published" else families)(options.program, folder)
        if not rows:
            print(f"skipped: {folder} has none of the templates")
            return 77
    if options.what in ("own", "published") and len(rows) < 10:
        print(f"only {len(rows)} templates: at least ten families are to be compared")
        return 1
    if options.table:
        print("| Template | Same text | Same refusal | Both fail | Different |\n|---|---:|---:|---:|---:|")
        for name, row in rows.items():
            print(f"| {name} | {row['text']} | {row['refused']} | {row['error']} | {row['different']} |")
    print(f"{len(rows)} templates: {counts['text']} same texts, {counts['refused']} same refusals, {counts['error']} errors in both, {counts['different']} different")
    return 1 if counts["different"] else 0


if __name__ == "__main__":
    sys.exit(main())
