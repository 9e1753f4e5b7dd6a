#!/usr/bin/env python3
"""Runs the shader tests at every subgroup size and prints how far each format and op is from the scalar truth, then what a decoded token
takes, as Markdown tables."""
import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

OPS = ("gather", "matvec", "matmul", "matmul_half", "matmul_int", "matmul_coop")
WIDTHS = {4: 128, 8: 256, 16: 512}  # subgroup size -> LP_NATIVE_VECTOR_WIDTH of Mesa's software device


def run_tests(binary, width):
    """{format: {op: worst}} and {model: counts} of one run, and whether every test passed."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "tests.json")
        environment = dict(os.environ, LP_NATIVE_VECTOR_WIDTH=str(width))
        done = subprocess.run([binary, "--gtest_filter=All/*:*TokenOf*", f"--gtest_output=json:{out}"], env=environment, stdout=subprocess.DEVNULL, check=False)
        suites = json.loads(out.read_text())["testsuites"]
    worst, tokens = {}, {}
    for suite in suites:
        for test in suite["testsuite"]:
            fmt = test["name"].split("/")[-1]
            if "dispatches" in test:
                tokens[fmt] = test
            for op in OPS:
                if op in test:
                    worst.setdefault(fmt, {})[op] = float(test[op])
    return worst, tokens, done.returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", default="build/release/bin/test_vulkan")
    arguments = parser.parse_args()
    runs = {size: run_tests(arguments.binary, width) for size, width in WIDTHS.items()}
    print("Largest differences from the scalar truth at subgroup sizes 4 / 8 / 16. gather: units in the last place; products: millionths of")
    print("the sum of magnitudes of a row (matmul_half rounds weights and inputs to 11 bits, matmul_int inputs to 8).\n")
    print("| Format | " + " | ".join(OPS) + " |\n|---|" + "---|" * len(OPS))
    for fmt in runs[8][0]:
        cells = []
        for op in OPS:
            values = [worst.get(fmt, {}).get(op) for worst, _, _ in runs.values()]
            cells.append("" if all(value is None for value in values) else " / ".join("-" if value is None else f"{value:.3g}" for value in values))
        print(f"| {fmt} | " + " | ".join(cells) + " |")
    print("\nA decoded token: dispatches, barriers, bytes of weights that its kernels read as counted from their own accesses (what is left to")
    print("the plan is norms, biases and a row of the embedding), bytes of everything else, and microseconds on the processor: finding the")
    print("recording, writing what changes, submitting.\n")
    print("| Model | Dispatches | Barriers | Weights read | Plan | Other bytes | Processor |\n|---|---:|---:|---:|---:|---:|---:|")
    for model, counts in runs[8][1].items():
        row = [counts["dispatches"], counts["barriers"], counts["weight_bytes"], counts["plan_bytes"], counts["other_bytes"], f"{float(counts['host_us']):.0f} us"]
        print(f"| {model} | " + " | ".join(str(cell) for cell in row) + " |")
    if not all(passed for _, _, passed in runs.values()):
        print("vulkan_agreement: some tests failed", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
