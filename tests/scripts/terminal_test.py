#!/usr/bin/env python3
"""What assay does only on a terminal: it asks, and does as it is told."""
import os
import pty
import select
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ASSAY = Path(os.environ["ASSAY_BIN_DIR"]) / "assay"
GENERATE = Path(os.environ["ASSAY_BIN_DIR"]) / "generate"
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


class Chat(unittest.TestCase):
    """generate --chat with keyboard and screen on one terminal; the reference backend is slow enough to be in the middle of an answer."""

    def setUp(self):
        self.keyboard, terminal = pty.openpty()
        self.addCleanup(os.close, self.keyboard)
        arguments = ["-m", str(MODEL), "--chat", "--template", "chatml", "-n", "-1", "--ignore-eos", "--backend", "reference"]
        # The terminal sends Ctrl-C to the session that it belongs to.
        begin = "import fcntl, os, sys, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
        self.program = subprocess.Popen([sys.executable, "-c", begin, str(GENERATE), *arguments], stdin=terminal, stdout=terminal, stderr=terminal)
        os.close(terminal)
        self.addCleanup(self.program.wait)
        self.addCleanup(self.program.kill)
        self.said = b""
        self.wait_for("> ")

    def wait_for(self, text, more=0):
        """Reads until the screen shows the text, and so many bytes behind it; forgets what came before."""
        deadline = time.monotonic() + 60
        while (place := self.said.find(text.encode())) < 0 or len(self.said) < place + len(text) + more:
            ready, _, _ = select.select([self.keyboard], [], [], max(0, deadline - time.monotonic()))
            self.assertTrue(ready, f"{text!r} did not come: {self.said!r}")
            self.said += os.read(self.keyboard, 4096)
        self.said = self.said[place + len(text):]

    def type(self, text):
        os.write(self.keyboard, text.encode())

    def leaves(self):
        """The exit code; the screen is read on, so that nothing waits for room there."""
        deadline = time.monotonic() + 60
        while self.program.poll() is None and time.monotonic() < deadline:
            if select.select([self.keyboard], [], [], 0.05)[0]:
                try:
                    os.read(self.keyboard, 4096)
                except OSError:
                    break  # the other side of the terminal is closed
        return self.program.wait(timeout=10)

    def test_ctrl_c_ends_an_answer_and_at_the_prompt_the_conversation(self):
        self.type("Hello there.\n")
        self.wait_for("Hello there.\r\n", more=10)
        self.type("\x03")
        self.wait_for("note: interrupted")
        self.wait_for("> ")
        self.type("Go on.\n")
        self.wait_for("Go on.\r\n", more=10)
        self.type("\x03")
        self.wait_for("note: interrupted")
        self.wait_for("> ")
        self.type("\x03")
        self.assertEqual(self.leaves(), 130)

    def test_a_second_ctrl_c_leaves_from_within_an_answer(self):
        self.type("Hello there.\n")
        self.wait_for("Hello there.\r\n", more=10)
        # Two at once may arrive as one signal; the second of a slow hand finds the answer, the prompt, or nobody.
        self.type("\x03")
        time.sleep(0.02)
        self.type("\x03")
        self.assertEqual(self.leaves(), 130)

    def test_ctrl_d_ends_the_conversation_well(self):
        self.type("\x04")
        self.assertEqual(self.leaves(), 0)


if __name__ == "__main__":
    sys.exit(unittest.main())
