"""Processors of every age run the program: emulated ones, that stop at an instruction they do not have."""
import os
import shutil
import subprocess
import unittest
from pathlib import Path

GENERATE = Path(os.environ["ASSAY_BIN_DIR"]) / "generate"
MODELS = Path(__file__).resolve().parents[2] / "fixtures" / "models" / "nano-frankenstein" / "gguf"
EMULATOR = shutil.which("qemu-x86_64")


def generate(*prefix, model="nano-frankenstein-Q4_K_M.gguf"):
    command = [*prefix, str(GENERATE), "-m", str(MODELS / model), "-p", "The monster", "-n", "6", "-t", "2"]
    environment = {name: value for name, value in os.environ.items() if name != "ASSAY_ISA"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=200, check=False)


@unittest.skipUnless(EMULATOR, "qemu-x86_64 is not there (package qemu-user)")
class OldProcessor(unittest.TestCase):
    def expect_same_text(self, processor, isa):
        for model in ("nano-frankenstein-Q4_K_M.gguf", "nano-frankenstein-Q8_0.gguf"):
            with self.subTest(processor=processor, model=model):
                outcome = generate(EMULATOR, "-cpu", processor, model=model)
                self.assertEqual(outcome.returncode, 0, outcome.stderr)
                self.assertIn(f" {isa}\n", outcome.stderr)
                self.assertEqual(outcome.stdout, generate(model=model).stdout)

    def test_without_avx(self):
        self.expect_same_text("Nehalem", "scalar")

    def test_with_avx_alone(self):
        self.expect_same_text("IvyBridge", "scalar")

    def test_with_avx2(self):
        self.expect_same_text("Haswell", "avx2")


if __name__ == "__main__":
    unittest.main()
