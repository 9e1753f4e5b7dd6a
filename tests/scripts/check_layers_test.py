"""Tests of scripts/check_layers.py: each rule finds its violation and leaves the honest file alone."""
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
import check_layers


class Layers(unittest.TestCase):
    def findings(self, files):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return list(check_layers.findings(folder))

    def one_include(self, name, include, others=()):
        files = {other: "// A header that others include.\n" for other in others}
        files[name] = f"// A file under test, nothing else.\n#include {include}\n"
        return self.findings(files)

    def test_lower_floor_is_allowed(self):
        self.assertEqual(self.one_include("runtime/model/a.cpp", '"runtime/core/b.h"', ["runtime/core/b.h"]), [])

    def test_own_folder_is_allowed(self):
        self.assertEqual(self.one_include("runtime/model/a.cpp", '"runtime/model/b.h"', ["runtime/model/b.h"]), [])

    def test_upper_floor_is_found(self):
        found = self.one_include("runtime/core/a.h", '"runtime/model/b.h"', ["runtime/model/b.h"])
        self.assertEqual(len(found), 1)
        self.assertIn("runtime/core/a.h:2", found[0])
        self.assertIn("above it", found[0])

    def test_sibling_is_found(self):
        found = self.one_include("runtime/kernels/cpu/a.h", '"runtime/kernels/vulkan/b.h"', ["runtime/kernels/vulkan/b.h"])
        self.assertIn("siblings", found[0])

    def test_longest_folder_decides(self):
        found = self.one_include("bench/a.cpp", '"bench/apps/assay/b.h"', ["bench/apps/assay/b.h"])
        self.assertIn("above it", found[0])

    def test_missing_file_is_found(self):
        self.assertIn("no such file", self.one_include("runtime/core/a.cpp", '"b.h"', ["runtime/core/b.h"])[0])

    def test_tests_may_look_everywhere(self):
        self.assertEqual(self.one_include("tests/core/a.cpp", '"bench/b.h"', ["bench/b.h"]), [])

    def test_nothing_looks_into_tests(self):
        found = self.one_include("runtime/core/a.cpp", '"tests/support/b.h"', ["tests/support/b.h"])
        self.assertIn("nothing outside tests/", found[0])

    def test_vendor_header_outside_its_door_is_found(self):
        self.assertIn("belongs to", self.one_include("runtime/core/a.cpp", "<boost/json.hpp>")[0])
        self.assertIn("belongs to", self.one_include("runtime/engine/a.cpp", "<tbb/parallel_for.h>")[0])
        self.assertIn("belongs to", self.one_include("runtime/engine/cpu_backend.cpp", "<Eigen/Dense>")[0])

    def test_vendor_header_at_its_door_is_allowed(self):
        self.assertEqual(self.one_include("runtime/core/json.cpp", "<boost/json.hpp>"), [])
        self.assertEqual(self.one_include("runtime/core/parallel.cpp", "<tbb/parallel_for.h>"), [])

    def test_unknown_vendor_is_found(self):
        self.assertIn("no row", self.one_include("runtime/core/a.cpp", "<zlib.h>")[0])
        self.assertIn("no row", self.one_include("runtime/core/a.cpp", "<vendor/thing.hpp>")[0])

    def test_operating_system_stays_out_of_headers(self):
        self.assertEqual(self.one_include("runtime/core/a.cpp", "<sys/mman.h>"), [])
        self.assertEqual(len(self.one_include("runtime/core/a.h", "<sys/mman.h>")), 1)
        self.assertEqual(len(self.one_include("runtime/core/a.h", "<unistd.h>")), 1)

    def test_standard_headers_are_allowed(self):
        self.assertEqual(self.one_include("runtime/core/a.h", "<vector>"), [])

    def test_commented_include_is_ignored(self):
        text = "// A file under test, nothing else.\n// #include <zlib.h>\n/*\n#include <zlib.h>\n*/\n"
        self.assertEqual(self.findings({"runtime/core/a.h": text}), [])

    def test_file_without_opening_comment_is_found(self):
        self.assertIn("first line", self.findings({"runtime/core/a.h": "#pragma once\n"})[0])
        self.assertIn("first line", self.findings({"CMakeLists.txt": "project(x)\n"})[0])
        self.assertIn("first line", self.findings({"scripts/a.sh": "#!/bin/sh\nset -e\n"})[0])

    def test_folder_of_one_machine_is_found(self):
        for folder in ("work", "root", "home", "tmp"):
            text = f"See the file /{folder}/somebody/x.txt here.\n"
            self.assertIn("one machine", self.findings({"README.md": text})[0])

    def test_harmless_paths_are_left_alone(self):
        text = "See https://example.org/home/page, runtime/tmp/x, $ROOT/home/x and /etc/os-release.\n"
        self.assertEqual(self.findings({"README.md": text}), [])


if __name__ == "__main__":
    unittest.main()
