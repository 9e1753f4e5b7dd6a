#!/usr/bin/env python3
"""What assay does only on a terminal: it asks, and does as it is told."""
import os
import pty
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ASSAY = Path(os.environ["ASSAY_BIN_DIR"]) / "assay"
MODEL = ROOT / "fixtures/models/nano-frankenstein/gguf/nano-frankenstein-Q8_0.gguf"


class Terminal(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.environment = {**os.environ, "ASSAY_HOME": os.path.join(self.folder.name, "assay"), "HF_HOME": os.path.join(self.folder.name, "hub"), "NO_COLOR": "1"}
        self.assert_done("import", str(MODEL), "--as", "mine")

    def assert_done(self, *arguments):
        subprocess.run([ASSAY, *arguments], env=self.environment, check=True, capture_output=True)

    def is_here(self):
        return subprocess.run([ASSAY, "show", "mine"], env=self.environment, capture_output=True).returncode == 0

    def on_terminal(self, answer, *arguments):
        """Runs the command with a terminal as its input and types the answer; returns what it said and its exit code."""
        keyboard, terminal = pty.openpty()
        program = subprocess.Popen([ASSAY, *arguments], env=self.environment, stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        os.close(terminal)
        os.write(keyboard, answer.encode())
        said, _ = program.communicate(timeout=60)
        os.close(keyboard)
        return said.decode(), program.returncode

    def test_rm_keeps_what_the_answer_does_not_give_up(self):
        for answer in ("n\n", "\n", "maybe\n"):
            said, _ = self.on_terminal(answer, "rm", "mine")
            self.assertIn("[y/N]", said)
            self.assertTrue(self.is_here(), said)

    def test_rm_removes_after_yes(self):
        said, code = self.on_terminal("y\n", "rm", "mine")
        self.assertIn("[y/N]", said)
        self.assertEqual(code, 0, said)
        self.assertFalse(self.is_here(), said)


if __name__ == "__main__":
    sys.exit(unittest.main())
