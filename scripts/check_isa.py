#!/usr/bin/env python3
"""Disassembles the objects of an x86-64 release build: wide instructions stand only in functions named after their set."""
import argparse
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# The program is compiled for baseline x86-64. Whatever needs more lives in functions whose (mangled) name says so, such as
# everything in namespace assay::avx2. A weak std:: function compiled with AVX would be picked by the linker for the
# whole program and stop older processors, so the name of the function decides and not the name of the file.
FUNCTION = re.compile(r"^[0-9a-f]+ <([^>]+)>:$")
# Tables are made on every processor, whatever instruction set their kernels are for.
TABLE_MAKER = re.compile(r"make_table|fill_(?:all_)?levels|fill_floats|5tableEv|10bf16_tableEv")
# "   1f:\tvmovups (%rdi),%ymm0": the mnemonic, with the encoding that is asked for, and its operands.
INSTRUCTION = re.compile(r"^\s*[0-9a-f]+:\t((?:\{\w+\} )?\S+)(.*)$")
NOT_VECTOR = {"verr", "verw", "vmcall", "vmlaunch", "vmresume", "vmxoff", "vmread", "vmwrite"}
# General-purpose instructions that came with AVX2 and its neighbours. Not tzcnt: gcc writes it for a non-zero bsf, and older
# processors run it as that.
BIT_INSTRUCTION = re.compile(r"^(?:andn|bextr|blsi|blsmsk|blsr|bzhi|mulx|pdep|pext|rorx|sarx|shlx|shrx|lzcnt|popcnt|movbe)[lqw]?$")
AVX512_OPERAND = re.compile(r"%zmm|%k[0-7]\b|%[xy]mm(?:1[6-9]|2\d|3[01])\b")


def allowed_level(function):
    """0 baseline, 1 up to AVX2, 2 up to AVX-512, from the function's name."""
    name = function.lower()
    if TABLE_MAKER.search(function):
        return 0
    if "avx512" in name:
        return 2
    return 1 if "avx2" in name or "avxvnni" in name or "avx_vnni" in name else 0


def needed_level(mnemonic, operands):
    if AVX512_OPERAND.search(operands):
        return 2
    # Without {vex} these are AVX-512's: AVX-VNNI came later.
    if mnemonic.startswith("vpdp"):
        return 2
    mnemonic = mnemonic.split("} ")[-1]
    is_vector = mnemonic.startswith("v") and mnemonic not in NOT_VECTOR
    return 1 if is_vector or "%ymm" in operands or BIT_INSTRUCTION.match(mnemonic) else 0


def read_disassembly(lines):
    """(function, instruction) for the first instruction of each function that its name does not allow; wide functions seen."""
    found, wide = [], 0
    function, allowed, done, counted = "", 0, False, False
    for line in lines:
        start = FUNCTION.match(line)
        if start:
            function, done, counted = start.group(1), False, False
            allowed = allowed_level(function)
            continue
        instruction = None if done else INSTRUCTION.match(line)
        if not instruction:
            continue
        needed = needed_level(instruction.group(1), instruction.group(2))
        if needed and not counted:
            wide += 1
            counted = True
        if needed > allowed:
            found.append((function, (instruction.group(1) + instruction.group(2)).strip()))
            done = True
    return found, wide


def check_object(path):
    run = subprocess.run(["objdump", "-d", "--no-show-raw-insn", str(path)], capture_output=True, text=True)
    if run.returncode != 0:
        return path, [("", run.stderr.strip())], 0
    found, wide = read_disassembly(run.stdout.split("\n"))
    return path, found, wide


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, help="folders of object files, searched to the bottom")
    parser.add_argument("--expect-wide", action="store_true", help="fail when no wide function is found at all: nothing was checked")
    arguments = parser.parse_args()

    objects = sorted(path for folder in arguments.folders for path in folder.rglob("*.o"))
    failures, wide_functions = 0, 0
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for path, found, wide in pool.map(check_object, objects):
            wide_functions += wide
            for function, instruction in found:
                failures += 1
                print(f"{path}: {function}: {instruction}")
    print(f"check_isa: {failures} findings in {len(objects)} objects, {wide_functions} functions with wide instructions")
    if not objects:
        print("check_isa: no object files; build first")
    nothing_seen = not objects or (arguments.expect_wide and wide_functions == 0)
    return 1 if failures or nothing_seen else 0


if __name__ == "__main__":
    sys.exit(main())
