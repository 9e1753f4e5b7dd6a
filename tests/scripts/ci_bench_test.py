#!/usr/bin/env python3
"""scripts/ci_bench.sh end to end: an unchanged pair passes, a slowed program fails, mistakes are told."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("ASSAY_BIN_DIR", ROOT / "build/release/bin"))
TINY = "fixtures/models/tiny-frankenstein/gguf/tiny-frankenstein-Q4_K_M.gguf"


class CiBench(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        # A copy of the script's world: it writes to reports/out of the tree it lies in.
        self.tree = self.folder / "tree"
        shutil.copytree(ROOT / "scripts", self.tree / "scripts")
        shutil.copytree(ROOT / "reports/baseline", self.tree / "reports/baseline")
        (self.tree / "fixtures").symlink_to(ROOT / "fixtures")

    def programs(self, name, bench_models):
        folder = self.folder / name
        folder.mkdir()
        (folder / "assay").symlink_to(BIN / "assay")
        (folder / "bench_models").symlink_to(BIN / bench_models)
        return str(folder)

    def run_script(self, *arguments, **environment):
        settings = dict(os.environ, ASSAY_SKIP_SETUP="1", XDG_CACHE_HOME=str(self.folder / "cache"), ASSAY_HOME=str(self.folder / "home"), **environment)
        return subprocess.run([self.tree / "scripts/ci_bench.sh", *arguments], capture_output=True, text=True, env=settings, check=False)

    def test_slowed_kernel_fails_the_gate(self):
        summary = self.folder / "summary.md"
        ran = self.run_script(self.programs("base", "bench_models"), self.programs("new", "bench_models_slow"), TINY, "--", "-p", "64", "-n", "16", "-r", "6", "-t", "1", "--no-cold", "-q",
                              ASSAY_CI_COMPARE="--min-effect 30", GITHUB_STEP_SUMMARY=str(summary))
        self.assertEqual(ran.returncode, 1, ran.stdout + ran.stderr)
        self.assertIn("regression", ran.stdout)
        out = self.tree / "reports/out/ci"
        self.assertIn("<failure", (out / "compare.xml").read_text())
        self.assertIn("worse", summary.read_text())
        self.assertGreater((out / "report.html").stat().st_size, 100_000)

    def test_unchanged_pair_and_baseline_pass(self):
        same = self.programs("same", "bench_models")
        ran = self.run_script(same, same, "--", "-p", "32", "-n", "8", "-r", "8", "--samples", "3", "--no-cold", "-q", ASSAY_CI_COMPARE="--min-effect 60")
        self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)
        self.assertIn("no regression: the facts are the same", ran.stdout)

    def test_changed_fact_fails_against_the_baseline(self):
        baseline = self.tree / "reports/baseline/facts.jsonl"
        baseline.write_text(baseline.read_text().replace('"weights_bytes":', '"weights_bytes":1,"was":'))
        same = self.programs("same", "bench_models")
        ran = self.run_script(same, same, "--", "-p", "32", "-n", "8", "-r", "8", "--samples", "3", "--no-cold", "-q", ASSAY_CI_COMPARE="--min-effect 60")
        self.assertEqual(ran.returncode, 1, ran.stdout + ran.stderr)
        self.assertIn("planned memory", ran.stdout)

    def test_mistakes_are_told(self):
        self.assertEqual(self.run_script().returncode, 2)
        self.assertEqual(self.run_script("--nonsense").returncode, 2)
        self.assertEqual(self.run_script("--help").returncode, 0)
        ran = self.run_script("no-such-commit", "HEAD")
        self.assertEqual(ran.returncode, 2, ran.stderr)
        self.assertIn("neither a commit nor a folder", ran.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=1, argv=sys.argv[:1])
