#!/usr/bin/env python3
"""Compiles every op x format with glslc, checks each with spirv-val, and writes one pack that the program takes in as data."""
import argparse
import hashlib
import re
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
PARTS = ("sixbit", "codebook", "grids", "mlx")  # what formats share, no formats themselves
# Ops on weights: one shader for each format. matmul_int multiplies levels, which element formats and code tables do not have.
WEIGHT_OPS = {"gather": [], "matvec": [], "matmul": [], "matmul_half": ["USE_HALF"], "matmul_int": [], "matmul_coop": []}
NAME_BYTES = 56


def formats():
    return sorted(path.stem for path in (HERE / "fmt").glob("*.glsl") if path.stem not in PARTS)


def expand(path, table):
    """The text with its includes put in: what is compiled, and what decides whether to compile again."""
    text = []
    for line in path.read_text().splitlines():
        found = re.match(r'\s*#include "([^"]+)"', line)
        if found:
            name = found.group(1)
            target = table.get(name) or next(place for place in (path.parent / name, HERE / name) if place.exists())
            text.append(expand(target, table))
        else:
            text.append(line)
    return "\n".join(text)


def sources():
    """(name, GLSL) of every shader."""
    head = '#version 450\n'
    bind = expand(HERE / "bind.glsl", {})
    for fmt in formats():
        weights = expand(HERE / "weights.glsl", {"format.glsl": HERE / "fmt" / f"{fmt}.glsl"})
        for op, defines in WEIGHT_OPS.items():
            if op == "matmul_int" and re.search(r"^#define F_VALUES$", weights, re.MULTILINE):
                continue
            file = HERE / "op" / f"{'matmul' if op == 'matmul_half' else op}.glsl"
            yield f"{op}.{fmt}", head + "".join(f"#define {d}\n" for d in defines) + bind + "\n" + weights + "\n" + expand(file, {})
    for file in sorted((HERE / "op").glob("*.glsl")):
        if file.stem not in WEIGHT_OPS:
            yield file.stem, head + bind + "\n" + expand(file, {})


def run(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else done.stdout + done.stderr


def compile_one(arguments, name, text):
    """The SPIR-V's path, or an error text. Compiled anew only when the source or the compiler changed."""
    digest = hashlib.sha256((arguments.compiler_version + text).encode()).hexdigest()[:16]
    spirv = arguments.work / f"{name}.{digest}.spv"
    if spirv.exists():
        return spirv, None
    source = arguments.work / f"{name}.comp"
    source.write_text(text)
    fresh = spirv.with_suffix(".new")
    # Drivers optimise by themselves: -O takes half as long again and makes larger files.
    problem = run([arguments.glslc, "--target-env=vulkan1.2", "-O0", "-o", fresh, source]) or run(
        [arguments.spirv_val, "--target-env", "vulkan1.2", "--scalar-block-layout", fresh])
    if problem:
        return None, f"{name}: {problem}"
    for old in arguments.work.glob(f"{name}.????????????????.spv"):
        old.unlink()
    fresh.rename(spirv)
    return spirv, None


def write_pack(path, shaders):
    """Count, rows sorted by name, then the words; see runtime/kernels/vulkan/shader_pack.cpp."""
    start = 16 + len(shaders) * (NAME_BYTES + 8)
    rows, words = b"", b""
    for name, spirv in sorted(shaders.items(), key=lambda item: item[0].encode()):
        data = spirv.read_bytes()
        assert len(name) < NAME_BYTES and len(data) % 4 == 0
        rows += name.encode().ljust(NAME_BYTES, b"\0") + struct.pack("<II", (start + len(words)) // 4, len(data) // 4)
        words += data
    path.write_bytes(struct.pack("<4I", len(shaders), 0, 0, 0) + rows + words)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--glslc", required=True)
    parser.add_argument("--spirv-val", required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder for what is compiled")
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=0)
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    arguments.compiler_version = subprocess.run([arguments.glslc, "--version"], capture_output=True, text=True, check=True).stdout
    with ThreadPoolExecutor(arguments.jobs or None) as pool:
        jobs = {name: pool.submit(compile_one, arguments, name, text) for name, text in sources()}
        done = {name: job.result() for name, job in jobs.items()}
    problems = [problem for _, problem in done.values() if problem]
    if problems:
        print("\n".join(problems), file=sys.stderr)
        return 1
    write_pack(arguments.pack, {name: spirv for name, (spirv, _) in done.items()})
    return 0


if __name__ == "__main__":
    sys.exit(main())
