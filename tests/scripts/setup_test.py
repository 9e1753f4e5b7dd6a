"""Tests of scripts/setup.sh and the options of its neighbours, with stand-ins for dpkg-query, apt-get, sudo and id."""
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEBIAN_12 = 'ID=debian\nVERSION_ID="12"\n'


class Setup(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = Path(self.folder.name)
        self.log = self.path / "log"
        self.log.write_text("")
        self.os_release = self.path / "os-release"
        self.os_release.write_text(DEBIAN_12)
        self.tool("id", "echo 0")
        self.tool("apt-get", f'echo "apt-get $*" >>"{self.log}"')
        self.installed_except()
        # Only what the script may use: with the real folders on PATH a real sudo would be found.
        for name in ("bash", "cat", "grep", "env", "sleep", "uname", "dirname", "mktemp", "rm", "tail"):
            found = subprocess.run(["sh", "-c", f"command -v {name}"], capture_output=True, text=True).stdout.strip()
            (self.path / name).symlink_to(found)

    def tool(self, name, body):
        script = self.path / name
        script.write_text(f"#!/bin/sh\n{body}\n")
        script.chmod(0o755)

    def installed_except(self, *missing):
        """dpkg-query that answers "installed" for every package asked about but these."""
        cases = "".join(f'{name}) echo "dpkg-query: no packages found matching {name}" >&2 ;; ' for name in missing)
        self.tool("dpkg-query", f'shift 3; for name in "$@"; do case "$name" in {cases}*) echo "$name installed" ;; esac; done')

    def run_setup(self, *arguments):
        environment = {"PATH": str(self.path), "ASSAY_OS_RELEASE": str(self.os_release), "ASSAY_RETRY_SECONDS": "0"}
        return subprocess.run(["/bin/bash", str(ROOT / "scripts/setup.sh"), *arguments], env=environment, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL)

    def calls(self):
        return self.log.read_text().splitlines()

    def test_does_nothing_when_nothing_is_missing(self):
        run = self.run_setup()
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("nothing to install", run.stdout)
        self.assertEqual(self.calls(), [])

    def test_installs_exactly_what_is_missing(self):
        self.installed_except("cmake", "libtbb-dev")
        run = self.run_setup()
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("installing 2 packages, which takes a minute or two: cmake libtbb-dev", run.stdout)
        self.assertEqual(len(self.calls()), 2)
        self.assertTrue(self.calls()[0].endswith(" update"))
        self.assertTrue(self.calls()[1].endswith(" install -y --no-install-recommends cmake libtbb-dev"))

    def test_removed_package_counts_as_missing(self):
        self.tool("dpkg-query", 'shift 3; for name in "$@"; do [ "$name" = cmake ] && echo "cmake config-files" || echo "$name installed"; done')
        self.assertIn("missing: cmake", self.run_setup("--check").stdout)

    def test_check_names_what_is_missing_and_installs_nothing(self):
        self.installed_except("cmake")
        run = self.run_setup("--check")
        self.assertEqual(run.returncode, 1)
        self.assertIn("missing: cmake", run.stdout)
        self.assertEqual(self.calls(), [])

    def test_check_is_quiet_success_when_all_is_there(self):
        self.assertEqual(self.run_setup("--check").returncode, 0)

    def test_failed_apt_step_is_tried_once_more(self):
        self.installed_except("cmake")
        flag = self.path / "flag"
        self.tool("apt-get", f'echo "apt-get $*" >>"{self.log}"; [ -e "{flag}" ] || {{ : >"{flag}"; exit 100; }}')
        run = self.run_setup()
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(len(self.calls()), 3)

    def test_apt_that_keeps_failing_is_exit_3(self):
        self.installed_except("cmake")
        self.tool("apt-get", f'echo "apt-get $*" >>"{self.log}"; echo "E: no such mirror"; exit 100')
        run = self.run_setup()
        self.assertEqual(run.returncode, 3)
        self.assertIn("update failed twice", run.stderr)
        self.assertIn("E: no such mirror", run.stderr)
        self.assertEqual(len(self.calls()), 2)

    def test_ordinary_user_goes_through_sudo(self):
        self.installed_except("cmake")
        self.tool("id", "echo 1000")
        self.tool("sudo", f'echo "sudo $*" >>"{self.log}"')
        run = self.run_setup()
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertTrue(all(call.startswith("sudo -n env ") for call in self.calls()), self.calls())

    def test_ordinary_user_without_sudo_is_told_the_command(self):
        self.installed_except("cmake")
        self.tool("id", "echo 1000")
        run = self.run_setup()
        self.assertEqual(run.returncode, 3)
        self.assertIn("Run as root: apt-get install cmake", run.stderr)

    def test_other_system_gets_a_clear_sentence(self):
        self.os_release.write_text('ID=ubuntu\nVERSION_ID="24.04"\n')
        run = self.run_setup()
        self.assertEqual(run.returncode, 3)
        self.assertIn("Debian 12, and this is 'ubuntu 24.04'", run.stderr)
        self.assertIn("ASSAY_SKIP_SETUP=1", run.stderr)
        self.assertEqual(self.calls(), [])


class Options(unittest.TestCase):
    SCRIPTS = ("setup.sh", "test.sh", "bench.sh", "format.sh")

    def run_script(self, script, *arguments):
        environment = dict(os.environ, ASSAY_SKIP_SETUP="1")
        return subprocess.run(["bash", str(ROOT / "scripts" / script), *arguments], env=environment, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL)

    def test_help_is_printed_and_nothing_done(self):
        for script in self.SCRIPTS:
            run = self.run_script(script, "--help")
            self.assertEqual(run.returncode, 0, script)
            self.assertTrue(run.stdout.startswith(f"Usage: scripts/{script}"), script)

    def test_unknown_option_is_usage_error(self):
        for script in self.SCRIPTS:
            run = self.run_script(script, "--no-such-option")
            self.assertEqual(run.returncode, 2, script)
            self.assertIn("--no-such-option", run.stderr)

    def test_unknown_preset_is_usage_error(self):
        self.assertEqual(self.run_script("test.sh", "--preset", "none").returncode, 2)


if __name__ == "__main__":
    unittest.main()
