"""Tests of scripts/check_headers.py: a header that leans on another, or bears no second inclusion, is found."""
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

CHECK = Path(__file__).resolve().parents[2] / "scripts" / "check_headers.py"


class Headers(unittest.TestCase):
    def check(self, text, commands=()):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "a.h").write_text(text)
            for source, source_text in commands:
                Path(folder, source).write_text(source_text)
            Path(folder, "part.inl.h").write_text("not C++ at all\n")
            built = [{"directory": folder, "file": source, "command": f"c++ -c {source}"} for source, _ in commands]
            Path(folder, "compile_commands.json").write_text(json.dumps(built))
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

    def test_header_that_a_source_includes_first_is_proven_by_the_build(self):
        run = self.check("#pragma once\nstruct A {};\n", [("a.cpp", '// Text.\n#include "a.h"\n#include <string>\n')])
        self.assertEqual(run.returncode, 0)
        self.assertIn("(1 proven by the build)", run.stdout)

    def test_header_that_a_source_includes_later_is_compiled(self):
        run = self.check("#pragma once\nstruct A { std::string name; };\n", [("a.cpp", '#include <string>\n#include "a.h"\n')])
        self.assertEqual(run.returncode, 1)

    def test_header_without_guard_is_found(self):
        run = self.check("struct Twice {};\n")
        self.assertEqual(run.returncode, 1)
        self.assertIn("a.h: has no #pragma once", run.stdout)


if __name__ == "__main__":
    unittest.main()
