#!/usr/bin/env python3
"""Compiles every header alone, twice in one file: it must bring what it needs and bear being included again."""
import argparse
import json
import os
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sources import is_header, project_files

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wnon-virtual-dtor", "-Wconversion", "-Wno-sign-conversion", "-Werror"]


def search_paths(build):
    """The include folders and definitions that the build itself uses, from compile_commands.json."""
    commands = json.loads((build / "compile_commands.json").read_text())
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
    source = f'#include "{header}"\n#include "{header}"\nint main() {{}}\n'
    run = subprocess.run(command, input=source, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return header, run.returncode, run.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", default=Path(__file__).resolve().parent.parent, type=Path)
    parser.add_argument("--build", required=True, type=Path, help="build folder that holds compile_commands.json")
    parser.add_argument("--compiler", default=os.environ.get("CXX", "c++"))
    parser.add_argument("headers", nargs="*", help="only these (default: every header of the project)")
    arguments = parser.parse_args()

    headers = arguments.headers or [name for name in project_files(arguments.root) if is_header(name)]
    command = [arguments.compiler, "-std=c++20", "-fsyntax-only", *WARNINGS, f"-I{arguments.root}",
               *search_paths(arguments.build), "-x", "c++", "-"]
    failures = 0
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for header, status, output in pool.map(lambda name: compile_header(command, name), headers):
            if status != 0:
                failures += 1
                print(f"{header}: does not compile alone\n{output}")
    print(f"check_headers: {failures} of {len(headers)} headers do not compile alone")
    return 1 if failures or not headers else 0


if __name__ == "__main__":
    sys.exit(main())
