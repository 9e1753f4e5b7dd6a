#!/usr/bin/env python3
"""Checks the house: floors include only lower floors, vendor headers stay behind their doors, files say what they hold."""
import argparse
import fnmatch
import re
import sys
from pathlib import Path

from sources import is_cpp, project_files, read_text

# Folder -> floor. The longest matching folder counts. A floor includes lower floors only, siblings never.
FLOORS = {
    "runtime/core": 0,
    "runtime/formats": 1,
    "runtime/quant": 2,
    "runtime/kernels/cpu": 3,
    "runtime/kernels/vulkan": 3,
    "runtime/model": 4,
    "runtime/engine": 5,
    "runtime/validate": 5,
    "runtime/hub": 6,
    "runtime/registry": 7,
    "bench": 8,
    "reports/render": 9,
    "runtime/apps": 10,
    "bench/apps": 10,
}
# Tests stand outside the house: they may look at every floor, and no floor looks at them.
OUTSIDE = "tests"

# Headers that the build writes.
GENERATED = {"assay_build_info.h": "runtime/core/build_info.cpp"}

# Vendor header (pattern) -> the files that may include it (patterns; * crosses folders). The first matching row counts.
VENDORS = [
    ("boost/json*", ["runtime/core/json.cpp"]),
    ("boost/describe*", ["runtime/core/describe.h"]),
    ("boost/mp11*", ["runtime/core/describe.h"]),
    ("boost/beast*", ["runtime/hub/*.cpp", "tests/hub/*"]),
    ("boost/asio*", ["runtime/hub/*.cpp", "tests/hub/*"]),
    ("boost/url*", ["runtime/hub/*.cpp", "tests/hub/*"]),
    ("openssl/*", ["runtime/core/sha256.cpp", "runtime/hub/*.cpp"]),
    ("tbb/*", ["runtime/core/parallel.cpp"]),
    ("sanitizer/*", ["runtime/core/parallel.cpp"]),
    ("oneapi/*", ["runtime/core/parallel.cpp"]),
    ("pcre2.h", ["runtime/model/*.cpp"]),
    ("utf8proc.h", ["runtime/model/*.cpp"]),
    ("Eigen/*", ["runtime/engine/reference_backend.*", "tests/*"]),
    ("CLI/*", ["runtime/core/command_line.cpp"]),
    ("benchmark/*", ["bench/*"]),
    ("sqlite3.h", ["runtime/registry/*.cpp"]),
    ("yaml-cpp/*", ["runtime/registry/*.cpp", "bench/*.cpp"]),
    ("boost/math*", ["bench/significance.cpp"]),
    ("vulkan/*", ["runtime/kernels/vulkan/*"]),
    ("volk.h", ["runtime/kernels/vulkan/*"]),
    ("gtest/*", ["tests/*"]),
    ("gmock/*", ["tests/*"]),
    ("fmt/*", ["*"]),
    # Instruction-set headers: kernels, what asks the processor, and the probes that measure it.
    ("immintrin.h", ["runtime/kernels/cpu/*", "runtime/core/cpu.cpp", "bench/probe*.cpp"]),
    ("arm_neon.h", ["runtime/kernels/cpu/*", "bench/probe*.cpp"]),
    ("cpuid.h", ["runtime/core/cpu.cpp"]),
    # The operating system is the outside world: .cpp files only, and tests.
    ("sys/*", ["*.cpp", "tests/*"]),
    ("linux/*", ["*.cpp"]),
    ("*.h", ["*.cpp", "tests/*"]),
]
POSIX_HEADERS = {"unistd.h", "fcntl.h", "sched.h", "pthread.h", "dirent.h", "signal.h", "poll.h", "dlfcn.h", "termios.h", "spawn.h", "pwd.h",
                 "elf.h", "link.h", "time.h", "malloc.h"}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(<[^>]+>|"[^"]+")', re.MULTILINE)
COMMENT_STARTS = {".h": "//", ".cpp": "//", ".c": "//", ".glsl": "//", ".comp": "//", ".py": ("#", '"""'), ".sh": "#", ".cmake": "#"}
# Folders that exist on one machine only. Written so that this file does not match itself.
MACHINE_PATH = re.compile(r"(?<![\w.}/$)\]-])/(?:" + "|".join(["work", "root", "home", "Users", "tmp", "mnt", "media"]) + r")(?:/[\w.~-]|(?![\w/.-]))")


def home_of(name, table=FLOORS):
    """The floor folder that `name` lies in, or None."""
    folders = [folder for folder in table if name.startswith(folder + "/")]
    return max(folders, key=len, default=None)


def without_comments(text):
    text = re.sub(r"/\*.*?\*/", lambda found: "\n" * found.group().count("\n"), text, flags=re.DOTALL)
    return re.sub(r"^[ \t]*//.*$", "", text, flags=re.MULTILINE)


def is_standard(header):
    """<vector>, <cstdint>: no folder, no suffix."""
    return "/" not in header and "." not in header


def vendor_finding(name, header):
    if is_standard(header):
        return None
    for pattern, allowed in VENDORS:
        if not fnmatch.fnmatchcase(header, pattern):
            continue
        if pattern == "*.h" and header not in POSIX_HEADERS:
            break
        if any(fnmatch.fnmatchcase(name, place) for place in allowed):
            return None
        return f"includes <{header}>, which belongs to {', '.join(allowed)} only"
    return f"includes <{header}>, which no row of the vendor table knows: add a row or do without it"


def project_include_finding(name, header, known):
    if header in GENERATED:
        return None if name == GENERATED[header] else f'includes "{header}", which belongs to {GENERATED[header]} only'
    if header not in known:
        return f'includes "{header}": no such file (project includes are written from the repository root)'
    if name.startswith(OUTSIDE + "/"):
        return None
    if header.startswith(OUTSIDE + "/"):
        return f'includes "{header}": nothing outside tests/ looks into tests/'
    here, there = home_of(name), home_of(header)
    if here is None or there is None:
        return f'includes "{header}": {name if here is None else header} lies on no floor; add its folder to FLOORS'
    if here == there or FLOORS[there] < FLOORS[here]:
        return None
    if FLOORS[there] == FLOORS[here]:
        return f'includes "{header}": {here} and {there} are siblings on floor {FLOORS[here]}'
    return f'includes "{header}": {here} is floor {FLOORS[here]}, {there} is floor {FLOORS[there]}, above it'


def include_findings(name, text, known):
    text = without_comments(text)
    for found in INCLUDE.finditer(text):
        header = found.group(1)[1:-1]
        line = text.count("\n", 0, found.start(1)) + 1
        if found.group(1).startswith("<"):
            problem = vendor_finding(name, header)
        else:
            problem = project_include_finding(name, header, known)
        if problem:
            yield f"{name}:{line}: {problem}"


def first_line_finding(name, text):
    """The first line of a source file (the second after #!) begins a comment that is a sentence."""
    path = Path(name)
    starts = "#" if path.name == "CMakeLists.txt" else COMMENT_STARTS.get(path.suffix)
    lines = text.split("\n")
    if starts is None and not text.startswith("#!"):
        return None
    starts = starts or "#"
    first = lines[1] if lines[0].startswith("#!") and len(lines) > 1 else lines[0]
    if not first.startswith(starts):
        return f"{name}:1: the first line must be a comment that says what lives here"
    words = first.strip('/#" ').split()
    if len(words) < 3 or not first.strip('" ').endswith((".", ":", ",", ";")) and "." not in "".join(lines[1:6]):
        return f"{name}:1: the first line must be a sentence that says what lives here, not '{first}'"
    return None


def path_findings(name, text):
    for number, line in enumerate(text.split("\n"), 1):
        found = MACHINE_PATH.search(line)
        if found:
            yield f"{name}:{number}: names a folder of one machine: '{line[found.start():found.start() + 40].strip()}'"


def findings(root):
    names = project_files(root)
    known = set(names)
    for name in names:
        text = read_text(Path(root, name))
        if text is None:
            continue
        yield from path_findings(name, text)
        if name.startswith("fixtures/"):
            continue
        problem = first_line_finding(name, text)
        if problem:
            yield problem
        if is_cpp(name):
            yield from include_findings(name, text, known)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", nargs="?", default=Path(__file__).resolve().parent.parent, type=Path)
    root = parser.parse_args().root
    found = list(findings(root))
    for line in found:
        print(line)
    print(f"check_layers: {len(found)} findings in {len(project_files(root))} files")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
