#!/usr/bin/env python3
"""Measures assay validate: weights beside plain reading, hashes beside openssl, a cold file beside direct reading, headers of growing size."""
import argparse
import json
import mmap
import multiprocessing
import os
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

PIECE = 4 << 20


def text(value):
    return struct.pack("<Q", len(value)) + value.encode()


def header_of_tokens(path, count):
    """A GGUF with a vocabulary of `count` tokens and one tensor."""
    def entry(name, kind, value):
        return text(name) + struct.pack("<I", kind) + value

    def array(kind, values):
        return struct.pack("<IQ", kind, count) + values

    entries = [entry("general.architecture", 8, text("llama")), entry("tokenizer.ggml.model", 8, text("llama")),
               entry("tokenizer.ggml.tokens", 9, array(8, b"".join(text(f"token{i}") for i in range(count)))),
               entry("tokenizer.ggml.scores", 9, array(6, bytes(4 * count))),
               entry("tokenizer.ggml.token_type", 9, array(5, struct.pack("<i", 1) * count))]
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, len(entries)) + b"".join(entries) + text("token_embd.weight") + struct.pack("<IQQIQ", 2, 32, count, 0, 0)
    path.write_bytes(head + bytes(-len(head) % 32))
    os.truncate(path, path.stat().st_size + 128 * count)
    return len(head)


def header_of_tensors(path, count):
    """A safetensors file of `count` tensors."""
    head = json.dumps({f"model.layers.{i}.weight": {"dtype": "F32", "shape": [8], "data_offsets": [32 * i, 32 * i + 32]} for i in range(count)}).encode()
    head += b" " * (-len(head) % 8)
    path.write_bytes(struct.pack("<Q", len(head)) + head)
    os.truncate(path, path.stat().st_size + 32 * count)
    return len(head)


def validate(assay, level, path):
    """What the command says of the file, and the most memory it had resident, in bytes."""
    process = subprocess.Popen([assay, "validate", path, "--level", level, "--json", "--progress", "none"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    output = process.stdout.read()
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    return json.loads(output)["models"][0], usage.ru_maxrss * 1024


def read_all(path, threads, flags=0):
    """Seconds that `threads` readers need for the whole file; with O_DIRECT, from the disk."""
    size = path.stat().st_size
    descriptor = os.open(path, os.O_RDONLY | flags)

    def read(first):
        buffer = mmap.mmap(-1, PIECE)
        for at in range(first * PIECE, size, threads * PIECE):
            os.preadv(descriptor, [buffer], at)

    readers = [threading.Thread(target=read, args=(i,)) for i in range(threads)]
    start = time.perf_counter()
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    seconds = time.perf_counter() - start
    os.close(descriptor)
    return seconds


def forget(path):
    """Takes the file out of the page cache."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def measure_file(assay, path, rounds, threads):
    size = path.stat().st_size
    samples = {"numbers": [], f"reading, {threads} threads": [], "hash": [], "openssl dgst -sha256": [], "numbers, cold": [], "direct reading, 1 thread": []}

    def add(name, seconds):
        samples[name].append(seconds)

    for _ in range(rounds):
        read_all(path, threads)
        add("numbers", validate(assay, "numbers", path)[0]["pass_s"])
        add(f"reading, {threads} threads", read_all(path, threads))
        add("hash", validate(assay, "hash", path)[0]["pass_s"])
        start = time.perf_counter()
        subprocess.run(["openssl", "dgst", "-sha256", path], check=True, stdout=subprocess.DEVNULL)
        add("openssl dgst -sha256", time.perf_counter() - start)
        forget(path)
        add("numbers, cold", validate(assay, "numbers", path)[0]["pass_s"])
        add("direct reading, 1 thread", read_all(path, 1, os.O_DIRECT))
    print(f"\n{path.name}, {size / 1e9:.2f} GB, median of {rounds} rounds in turns\n\n| What | GB/s | least to most |\n|---|---:|---|")
    for name, seconds in samples.items():
        speeds = sorted(size / 1e9 / each for each in seconds)
        print(f"| {name} | {statistics.median(speeds):.2f} | {speeds[0]:.2f} to {speeds[-1]:.2f} |")


def measure_headers(assay, home, rounds):
    print("| Header | Bytes | structure | ns per byte | Peak memory |\n|---|---:|---:|---:|---:|")
    cases = [("GGUF, {} tokens", "gguf", header_of_tokens, (65536, 131072, 262144, 524288, 1048576)),
             ("safetensors, {} tensors", "safetensors", header_of_tensors, (10000, 20000, 40000, 80000))]
    for name, extension, write, counts in cases:
        for count in counts:
            path = home / f"{count}.{extension}"
            # In a process of its own: what this one ever had resident would count as the child's peak.
            with multiprocessing.Pool(1) as writer:
                size = writer.apply(write, (path, count))
            replies = [validate(assay, "structure", path) for _ in range(rounds)]
            path.unlink()
            seconds = statistics.median(reply["structure_s"] for reply, _ in replies)
            print(f"| {name.format(count)} | {size} | {seconds * 1e3:.1f} ms | {seconds * 1e9 / size:.2f} | {max(peak for _, peak in replies) / 1e6:.1f} MB |")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", type=Path, help="model files to measure with, for instance from assay synth")
    parser.add_argument("--assay", type=Path, default=Path(__file__).resolve().parent.parent / "build/release/bin/assay")
    parser.add_argument("--rounds", type=int, default=5, help="rounds in which all take turns (default %(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="readers beside the numbers (default %(default)s)")
    arguments = parser.parse_args()
    for needed in (arguments.assay, *arguments.models):
        if not needed.exists():
            sys.exit(f"bench_validate: error: there is no {needed}")
    home = Path(tempfile.mkdtemp(prefix="assay-bench-"))
    try:
        measure_headers(arguments.assay, home, arguments.rounds)
        for model in arguments.models:
            measure_file(arguments.assay, model, arguments.rounds, arguments.threads)
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
