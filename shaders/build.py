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
COOPERATIVE = 2  # raised when what cooperative() makes changes: a part of what is looked at before compiling again


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


def words_of(text):
    data = text.encode() + b"\0"
    return list(struct.unpack(f"<{(len(data) + 3) // 4}I", data.ljust((len(data) + 3) // 4 * 4, b"\0")))


def cooperative(spirv):
    """SPV_NV_cooperative_matrix as SPV_KHR_cooperative_matrix, which this glslc does not know: other numbers, a layout where the other has
    a boolean, and types that say which operand they are."""
    words = list(struct.unpack(f"<{len(spirv) // 4}I", spirv))
    instructions, at = [], 5
    while at < len(words):
        instructions.append(words[at:at + (words[at] >> 16)])
        at += words[at] >> 16
    bound = words[3]
    layouts_and_uses = {value: bound + value for value in (0, 1, 2)}  # constants of our own
    true = {i[2] for i in instructions if i[0] & 0xffff == 41}
    wide = {i[1] for i in instructions if i[0] & 0xffff == 22 and i[2] == 32}  # float32
    types = {i[1]: i[2:] for i in instructions if i[0] & 0xffff == 5358}
    sums = {(rows, cols) for component, _, rows, cols in types.values() if component in wide}
    assert len(sums) == 1
    (sum_rows, sum_cols), = sums

    def use_of(component, rows, cols):
        if component in wide:
            return 2
        assert (rows == sum_rows) != (cols == sum_cols)
        return 0 if rows == sum_rows else 1

    def layout_of(column_major):
        return layouts_and_uses[1 if column_major in true else 0]

    out = words[:3] + [bound + 3, words[4]]
    for i in instructions:
        code, rest = i[0] & 0xffff, i[1:]
        if code == 17 and rest == [5357]:
            rest = [6022]
        elif code == 10 and rest == words_of("SPV_NV_cooperative_matrix"):
            rest = words_of("SPV_KHR_cooperative_matrix")
        elif code == 5358:
            code, rest = 4456, rest + [layouts_and_uses[use_of(rest[1], rest[3], rest[4])]]
        elif code == 5359:
            code, rest = 4457, rest[:3] + [layout_of(rest[4]), rest[3]] + rest[5:]
        elif code == 5360:
            code, rest = 4458, rest[:2] + [layout_of(rest[3]), rest[2]] + rest[4:]
        elif code == 5361:
            code = 4459
        assert not 5357 <= code <= 5362
        out += [(len(rest) + 1) << 16 | code] + rest
        if code == 21 and rest[1:] == [32, 0]:  # the type of unsigned words
            for value, identity in layouts_and_uses.items():
                out += [4 << 16 | 43, rest[0], identity, value]
    return struct.pack(f"<{len(out)}I", *out)


def run(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else done.stdout + done.stderr


def compile_one(arguments, name, text):
    """The SPIR-V's path, or an error text. Compiled anew only when the source or the compiler changed."""
    is_cooperative = "GL_NV_cooperative_matrix" in text
    digest = hashlib.sha256((arguments.compiler_version + text + (str(COOPERATIVE) if is_cooperative else "")).encode()).hexdigest()[:16]
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
    if is_cooperative:
        fresh.write_bytes(cooperative(fresh.read_bytes()))
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
