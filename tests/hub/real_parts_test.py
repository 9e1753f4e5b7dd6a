#!/usr/bin/env python3
"""assay pull with real parts: nginx over HTTP and TLS, a disk that fills up, and the JavaScript client of the hub."""
import hashlib
import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

BIN = Path(os.environ["ASSAY_BIN_DIR"])
NPM_PACKAGE = "@huggingface/hub@2.17.5"
HOMES = {}  # folders of the program's own, new for each test
COMMIT = "0123456789abcdef0123456789abcdef01234567"  # what hub_stub calls its only commit


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def assay(*arguments, environment=None, prefix=()):
    # Nothing of the machine's own settings: no proxy, no token, no certificates.
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy") and not name.startswith(("HF_", "SSL_CERT"))}
    settings = kept | HOMES | (environment or {})
    return subprocess.run([*prefix, str(BIN / "assay"), *arguments], env=settings, capture_output=True, text=True, timeout=120)


class InFolder(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="assay-real-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        HOMES.update(ASSAY_HOME=str(self.folder / "home"), XDG_CACHE_HOME=str(self.folder / "caches"))

    def assert_pulled(self, outcome, content):
        self.assertEqual(outcome.returncode, 0, outcome.stderr)
        self.assertEqual(Path(outcome.stdout.strip()).read_bytes(), content)


def make_certificates(folder):
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"]
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test authority")
    openssl("req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    (folder / "extensions").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30",
            "-extfile", "extensions", "-out", "server.pem")


@unittest.skipUnless(shutil.which("nginx", path="/usr/sbin:" + os.environ["PATH"]), "needs nginx (scripts/setup.sh)")
class Nginx(InFolder):
    SIZE = 48 << 20

    @classmethod
    def setUpClass(cls):
        cls.home = Path(tempfile.mkdtemp(prefix="assay-nginx-"))
        cls.content = random.Random(1).randbytes(cls.SIZE)
        (cls.home / "www").mkdir()
        (cls.home / "www" / "model.bin").write_bytes(cls.content)
        make_certificates(cls.home)
        cls.plain, cls.secure, cls.slow, cls.rangeless = (free_port() for _ in range(4))
        temporary = " ".join(f"{name}_temp_path {cls.home}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (cls.home / "nginx.conf").write_text(f"""
            {"user root;" if os.geteuid() == 0 else ""}
            daemon off; pid {cls.home}/pid; error_log {cls.home}/log; worker_processes 1;
            events {{ worker_connections 64; }}
            http {{
              access_log off; sendfile on; root {cls.home}/www; {temporary}
              server {{ listen 127.0.0.1:{cls.plain};
                        location /moved/ {{ return 302 https://localhost:{cls.secure}/model.bin; }} }}
              server {{ listen 127.0.0.1:{cls.secure} ssl; ssl_certificate {cls.home}/server.pem; ssl_certificate_key {cls.home}/server.key; }}
              server {{ listen 127.0.0.1:{cls.slow}; limit_rate 4m; }}
              server {{ listen 127.0.0.1:{cls.rangeless}; max_ranges 0; }}
            }}""")
        cls.server = subprocess.Popen(["nginx", "-c", str(cls.home / "nginx.conf"), "-p", str(cls.home)],
                                      env=dict(os.environ, PATH="/usr/sbin:" + os.environ["PATH"]), stderr=subprocess.DEVNULL)
        for _ in range(200):
            try:
                connection = http.client.HTTPConnection("127.0.0.1", cls.plain, timeout=1)
                connection.request("HEAD", "/model.bin")
                connection.getresponse().read()
                connection.close()
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError("nginx does not answer: " + (cls.home / "log").read_text())

    @classmethod
    def tearDownClass(cls):
        cls.server.terminate()
        cls.server.wait()
        shutil.rmtree(cls.home, ignore_errors=True)

    def pull(self, url, *options, **environment):
        return assay("pull", "--quiet", "--local-dir", str(self.folder / "out"), *options, url, environment=environment)

    def test_ranges_over_http(self):
        digest = hashlib.sha256(self.content).hexdigest()
        self.assert_pulled(self.pull(f"http://127.0.0.1:{self.plain}/model.bin", "--sha256", digest), self.content)

    def test_a_server_without_ranges(self):
        self.assert_pulled(self.pull(f"http://127.0.0.1:{self.rangeless}/model.bin"), self.content)

    def test_tls_by_an_authority_that_is_named(self):
        self.assert_pulled(self.pull(f"https://localhost:{self.secure}/model.bin", SSL_CERT_FILE=str(self.home / "ca.pem")), self.content)

    def test_tls_by_an_unknown_authority_is_refused(self):
        outcome = self.pull(f"https://localhost:{self.secure}/model.bin")
        self.assertEqual(outcome.returncode, 3)
        self.assertIn("its certificate is not believed", outcome.stderr)
        self.assertFalse((self.folder / "out" / "model.bin").exists())

    def test_a_redirect_to_a_second_host(self):
        self.assert_pulled(self.pull(f"http://127.0.0.1:{self.plain}/moved/model.bin", SSL_CERT_FILE=str(self.home / "ca.pem")), self.content)

    def test_ctrl_c_keeps_what_is_there(self):
        out = self.folder / "out"
        command = [str(BIN / "assay"), "pull", "--quiet", "--local-dir", str(out), f"http://127.0.0.1:{self.slow}/model.bin"]
        child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | HOMES)
        time.sleep(1.2)
        child.send_signal(signal.SIGINT)
        self.assertEqual(child.wait(timeout=10), 130, child.stderr.read())
        child.stderr.close()
        plan = json.loads(assay("pull", "--dry-run", "--json", "--local-dir", str(out), f"http://127.0.0.1:{self.slow}/model.bin").stdout)
        self.assertGreater(plan["files"][0]["have_bytes"], 8 << 20)
        outcome = assay("pull", "--json", "--local-dir", str(out), f"http://127.0.0.1:{self.slow}/model.bin")
        self.assertEqual(outcome.returncode, 0, outcome.stderr)
        events = [json.loads(line) for line in outcome.stdout.splitlines()]
        self.assertEqual({event["schema"] for event in events}, {"assay.pull.v1"})
        self.assertEqual(events[-1]["event"], "result")
        self.assertLess(events[-1]["files"][0]["transferred_bytes"], self.SIZE - (8 << 20))
        self.assertEqual(Path(events[-1]["model"]).read_bytes(), self.content)

    def test_a_rate_limit_is_kept(self):
        start = time.monotonic()
        self.assert_pulled(self.pull(f"http://127.0.0.1:{self.plain}/model.bin", "--limit-rate", "24M"), self.content)
        self.assertGreater(time.monotonic() - start, self.SIZE / 24e6 * 0.9)


class HubStub:
    """The hub_stub program over a folder."""

    def __init__(self, folder, *options):
        self.process = subprocess.Popen([str(BIN / "hub_stub"), "org/model", str(folder), *options], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.endpoint = self.process.stdout.readline().strip()

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Terminal(InFolder):
    """What a person sees."""

    def test_a_line_for_every_file_and_one_for_all(self):
        (self.folder / "files").mkdir()
        for name in ("a.bin", "b.bin"):
            (self.folder / "files" / name).write_bytes(random.Random(name).randbytes(6 << 20))
        stub = HubStub(self.folder / "files", str(4 << 20))
        self.addCleanup(stub.close)
        leader, follower = os.openpty()
        environment = os.environ | HOMES | {"HF_ENDPOINT": stub.endpoint, "TERM": "xterm", "NO_COLOR": "1"}
        command = [str(BIN / "assay"), "pull", "org/model", "--all", "--local-dir", str(self.folder / "out")]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=follower, env=environment)
        os.close(follower)
        seen = b""
        while True:
            try:
                piece = os.read(leader, 65536)
            except OSError:
                break
            if not piece:
                break
            seen += piece
        os.close(leader)
        path = child.communicate()[0].decode().strip()
        self.assertEqual(child.returncode, 0, seen)
        self.assertEqual(Path(path), self.folder / "out")
        text = seen.decode()
        for name in ("a.bin", "b.bin", "total"):
            self.assertRegex(text, name + r" \[#*\.*\] +\d+% [\d.]+ MB of [\d.]+ MB, [\d.]+ .B/s, 0:0\d left")
        self.assertRegex(text, r"a\.bin: 6\.29 MB in 0:0\d \([\d.]+ MB/s\)")
        self.assertNotIn("\x1b[32m", text)

    def test_quietly_only_the_path_is_printed(self):
        (self.folder / "files").mkdir()
        (self.folder / "files" / "a.bin").write_bytes(b"bytes")
        stub = HubStub(self.folder / "files")
        self.addCleanup(stub.close)
        outcome = assay("pull", "--quiet", "org/model/a.bin", environment={"HF_ENDPOINT": stub.endpoint, "HF_HUB_CACHE": str(self.folder / "hub")})
        self.assertEqual(outcome.stderr, "")
        self.assertEqual(outcome.stdout, f"{self.folder}/hub/models--org--model/snapshots/{COMMIT}/a.bin\n")

    def test_when_everything_fails_the_addresses_are_told(self):
        (self.folder / "files").mkdir()
        (self.folder / "files" / "a.bin").write_bytes(random.Random(4).randbytes(1 << 20))
        stub = HubStub(self.folder / "files", "1000")
        self.addCleanup(stub.close)
        environment = {"HF_ENDPOINT": stub.endpoint, "HF_HUB_CACHE": str(self.folder / "hub"), "HF_HUB_DOWNLOAD_TIMEOUT": "0.1"}
        outcome = assay("pull", "org/model/a.bin", "--retries", "1", "--retry-delay", "0.01", environment=environment)
        self.assertEqual(outcome.returncode, 3)
        self.assertIn("stalled", outcome.stderr)
        self.assertIn(f"  {stub.endpoint}/org/model/resolve/{COMMIT}/a.bin\nand then: assay import a.bin", outcome.stderr)


def can_mount():
    command = ["unshare", "-rm", "sh", "-c", "mount -t tmpfs none ."]
    return shutil.which("unshare") is not None and subprocess.run(command, cwd=tempfile.gettempdir(), capture_output=True).returncode == 0


@unittest.skipUnless(can_mount(), "needs user namespaces")
class FullDisk(InFolder):
    """A small tmpfs in a namespace of its own, which fills up while a download is under way."""

    def setUp(self):
        super().setUp()
        (self.folder / "files").mkdir()
        self.content = random.Random(2).randbytes(40 << 20)
        (self.folder / "files" / "weights.bin").write_bytes(self.content)
        self.stub = HubStub(self.folder / "files", str(8 << 20))
        self.addCleanup(self.stub.close)
        (self.folder / "disk").mkdir()

    def run_script(self, size, script):
        pull = f"{BIN}/assay pull --quiet --force org/model/weights.bin --cache-dir {self.folder}/disk/hub"
        text = f"mount -t tmpfs -o size={size} none {self.folder}/disk && cd {self.folder}/disk && export HF_ENDPOINT={self.stub.endpoint} ASSAY_HOME={self.folder}/home XDG_CACHE_HOME={self.folder}/caches && pull='{pull}'\n" + script
        return subprocess.run(["unshare", "-rm", "bash", "-c", text], capture_output=True, text=True, timeout=120)

    def test_too_small_a_disk_is_said_before_the_first_byte(self):
        outcome = self.run_script("20m", "$pull; echo code $?; find . -name '*.partial' | wc -l")
        self.assertIn("code 3", outcome.stdout, outcome.stderr)
        self.assertIn("are to be downloaded", outcome.stderr)
        self.assertEqual(outcome.stdout.split()[-1], "0")

    def test_a_disk_that_fills_up_stops_the_pull_and_loses_nothing(self):
        outcome = self.run_script("60m", """
            (sleep 0.4; head -c 45m /dev/zero > filler) 2>/dev/null &
            $pull; echo code $?
            wait
            find hub -path '*blobs*' -type f -not -name '*.assay.partial*' | wc -l
            grep -c '"written"' hub/models--org--model/blobs/*.json
            rm filler
            path=$($pull) && sha256sum < "$path" """)
        lines = outcome.stdout.split("\n")
        self.assertEqual(lines[0], "code 3", outcome.stderr)
        self.assertIn("No space left on device", outcome.stderr)
        self.assertEqual(lines[1], "0", "nothing stands under the file's name")
        self.assertGreater(int(lines[2]), 0, "what came is kept")
        self.assertEqual(lines[3].split()[0], hashlib.sha256(self.content).hexdigest(), outcome.stderr)


@unittest.skipUnless(os.environ.get("ASSAY_FULL_DISK"), "a sanitizer's library has to be loaded first")
class FullDiskWithoutNamespaces(InFolder):
    """A write that fails as on a full disk, where no small disk can be mounted."""

    def test_a_write_that_finds_the_disk_full_stops_the_pull_and_loses_nothing(self):
        (self.folder / "files").mkdir()
        content = random.Random(3).randbytes(24 << 20)
        (self.folder / "files" / "weights.bin").write_bytes(content)
        stub = HubStub(self.folder / "files", str(64 << 20))
        self.addCleanup(stub.close)
        environment = {"HF_ENDPOINT": stub.endpoint, "HF_HUB_CACHE": str(self.folder / "hub")}
        full = {**environment, "LD_PRELOAD": os.environ["ASSAY_FULL_DISK"], "ASSAY_TEST_DISK_BYTES": str(9 << 20)}
        outcome = assay("pull", "--quiet", "org/model/weights.bin", environment=full)
        self.assertEqual(outcome.returncode, 3, outcome.stderr)
        self.assertIn("No space left on device", outcome.stderr)
        blobs = self.folder / "hub/models--org--model/blobs"
        self.assertTrue(all(".assay.partial" in path.name for path in blobs.iterdir()), "nothing stands under the file's name")
        outcome = assay("pull", "--quiet", "org/model/weights.bin", environment=environment)
        self.assertEqual(outcome.returncode, 0, outcome.stderr)
        self.assertEqual(Path(outcome.stdout.strip()).read_bytes(), content)


def npm_package():
    """The folder that node finds the hub's client from, or the reason why there is none."""
    if not shutil.which("node") or not shutil.which("npm"):
        return None, "needs node and npm"
    folder = BIN.parent / "npm"
    package = folder / "node_modules" / "@huggingface" / "hub" / "package.json"
    if not package.exists():
        folder.mkdir(exist_ok=True)
        (folder / "package.json").write_text("{}")
        try:
            subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--omit=optional", NPM_PACKAGE], cwd=folder, capture_output=True, timeout=120)
        except subprocess.TimeoutExpired:
            pass
    return (folder, None) if package.exists() else (None, f"npm cannot get {NPM_PACKAGE}")


class JavaScriptClient(InFolder):
    @classmethod
    def setUpClass(cls):
        cls.npm, reason = npm_package()
        if cls.npm is None:
            raise unittest.SkipTest(reason)

    def setUp(self):
        super().setUp()
        files = self.folder / "files"
        files.mkdir()
        self.weights = random.Random(3).randbytes(3 << 20)
        (files / "weights.bin").write_bytes(self.weights)
        (files / "config.json").write_text("{}")
        self.stub = HubStub(files)
        self.addCleanup(self.stub.close)
        self.cache = self.folder / "hub"

    def node(self, script):
        path = self.npm / f"test-{os.getpid()}.mjs"
        path.write_text("import * as hub from '@huggingface/hub';\nconst [cacheDir, hubUrl] = process.argv.slice(2);\n"
                        "console.debug = () => {};\n" + script)
        self.addCleanup(path.unlink, missing_ok=True)
        outcome = subprocess.run(["node", str(path), str(self.cache), self.stub.endpoint], capture_output=True, text=True, timeout=60)
        self.assertEqual(outcome.returncode, 0, outcome.stderr)
        return json.loads(outcome.stdout)

    def pull(self, *options):
        return assay("pull", "org/model", "--all", "--json", "--cache-dir", str(self.cache), *options, environment={"HF_ENDPOINT": self.stub.endpoint})

    def test_it_reads_the_cache_that_assay_wrote(self):
        self.assertEqual(self.pull().returncode, 0)
        found = self.node("const info = await hub.scanCacheDir(cacheDir);\n"
                          "console.log(JSON.stringify({size: info.size, warnings: info.warnings.length, repos: info.repos.map(r => ({name: r.id.name, files: r.filesCount,\n"
                          "  revisions: r.revisions.map(v => ({commit: v.commitOid, refs: v.refs, files: v.files.length}))}))}));")
        self.assertEqual(found, {"size": len(self.weights) + 2, "warnings": 0, "repos": [
            {"name": "org/model", "files": 2, "revisions": [{"commit": COMMIT, "refs": ["main"], "files": 2}]}]})
        path = self.node("const fetch = () => { throw new Error('asked the network'); };\n"
                         f"console.log(JSON.stringify(await hub.downloadFileToCacheDir({{repo: 'org/model', path: 'weights.bin', revision: '{COMMIT}', cacheDir, hubUrl, fetch}})));")
        self.assertEqual(Path(path).read_bytes(), self.weights)

    def test_assay_uses_the_cache_that_it_wrote(self):
        path = self.node("console.log(JSON.stringify(await hub.downloadFileToCacheDir({repo: 'org/model', path: 'weights.bin', cacheDir, hubUrl})));")
        self.assertEqual(Path(path).read_bytes(), self.weights)
        outcome = self.pull()
        self.assertEqual(outcome.returncode, 0, outcome.stderr)
        result = json.loads(outcome.stdout.splitlines()[-1])
        transferred = {file["name"]: file["transferred_bytes"] for file in result["files"]}
        self.assertEqual(transferred, {"config.json": 2, "weights.bin": 0})


if __name__ == "__main__":
    unittest.main(verbosity=2)
