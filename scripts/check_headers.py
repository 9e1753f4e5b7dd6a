#!/usr/bin/env python3
"""Compiles every header alone: it must bring what it needs. One that a source file includes first is proven by the build."""
import argparse
import json
import os
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sources import is_header, project_files, read_text

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wnon-virtual-dtor", "-Wconversion", "-Wno-sign-conversion", "-Werror"]


FIRST_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"][^>"]+[>"])', re.MULTILINE)
GUARD = re.compile(r"^#pragma once$", re.MULTILINE)


def proven_by_build(commands, root):
    """Headers that are the first include of a source file of the build: it would not compile if they leaned on another."""
    proven = set()
    for command in commands:
        source = Path(command["directory"], command["file"])
        text = read_text(source) if source.is_relative_to(root) and source.is_file() else None
        first = FIRST_INCLUDE.search(text or "")
        if first:
            proven.add(first.group(1).strip('"'))
    return proven


def search_paths(commands):
    """The include folders and definitions that the build itself uses."""
    flags = {}
    for command in commands:
        words = shlex.split(command["command"])
        for index, word in enumerate(words):
            if word.startswith(("-I", "-D")) and len(word) > 2:
                flags[(word,)] = None
            elif word == "-isystem":
                flags[("-isystem", words[index + 1])] = None
    return [word for flag in flags for word in flag]


def compile_header(command, header):
    source = f'#include "{header}"\n'
    run = subprocess.run(command, input=source, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return header, run.returncode, run.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", default=Path(__file__).resolve().parent.parent, type=Path)
    parser.add_argument("--build", required=True, type=Path, help="build folder that holds compile_commands.json")
    parser.add_argument("--compiler", default=os.environ.get("CXX", "c++"))
    parser.add_argument("headers", nargs="*", help="only these (default: every header of the project)")
    arguments = parser.parse_args()

    root = arguments.root.resolve()
    commands = json.loads((arguments.build / "compile_commands.json").read_text())
    headers = arguments.headers or [name for name in project_files(root) if is_header(name)]
    unguarded = [name for name in headers if not GUARD.search(read_text(root / name) or "")]
    for header in unguarded:
        print(f"{header}: has no #pragma once")

    alone = headers if arguments.headers else sorted(set(headers) - proven_by_build(commands, root))
    compiler = [arguments.compiler, "-std=c++20", "-fsyntax-only", *WARNINGS, f"-I{root}", *search_paths(commands), "-x", "c++", "-"]
    failures = 0
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for header, status, output in pool.map(lambda name: compile_header(compiler, name), alone):
            if status != 0:
                failures += 1
                print(f"{header}: does not compile alone\n{output}")
    print(f"check_headers: {failures} of {len(headers)} headers do not compile alone ({len(headers) - len(alone)} proven by the build), "
          f"{len(unguarded)} without guard")
    return 1 if failures or unguarded or not headers else 0


if __name__ == "__main__":
    sys.exit(main())
