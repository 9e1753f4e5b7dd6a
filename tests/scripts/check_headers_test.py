"""Tests of scripts/check_headers.py: a header that leans on another, or bears no second inclusion, is found."""
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

CHECK = Path(__file__).resolve().parents[2] / "scripts" / "check_headers.py"


class Headers(unittest.TestCase):
    def check(self, text):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "a.h").write_text(text)
            Path(folder, "part.inl.h").write_text("not C++ at all\n")
            Path(folder, "compile_commands.json").write_text("[]")
            command = [sys.executable, "-B", str(CHECK), "--root", folder, "--build", folder, "--compiler", os.environ.get("CXX", "c++")]
            return subprocess.run(command, capture_output=True, text=True)

    def test_complete_header_passes(self):
        run = self.check("#pragma once\n#include <string>\ninline std::string name() { return {}; }\n")
        self.assertEqual(run.returncode, 0, run.stdout)
        self.assertIn("0 of 1 headers", run.stdout)

    def test_header_that_leans_on_others_is_found(self):
        run = self.check("#pragma once\ninline std::string name() { return {}; }\n")
        self.assertEqual(run.returncode, 1)
        self.assertIn("a.h: does not compile alone", run.stdout)

    def test_header_without_guard_is_found(self):
        self.assertEqual(self.check("struct Twice {};\n").returncode, 1)


if __name__ == "__main__":
    unittest.main()
