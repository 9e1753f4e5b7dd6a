#!/usr/bin/env python3
"""Measures assay pull beside curl and aria2c: a file on a memory disk, nginx on loopback over HTTP, HTTPS and with a limit for each connection."""
import argparse
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PLAIN, SECURE, LIMITED = 8191, 8192, 8193
LIMIT = 50 << 20  # bytes a second of one connection


def run(command, **more):
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True, **more)


def make_site(home, size):
    """The file, a certificate authority and nginx's configuration below `home`."""
    (home / "www").mkdir()
    digest = hashlib.sha256()
    with open(home / "www" / "file.bin", "wb") as out:
        for _ in range(size >> 20):
            piece = os.urandom(1 << 20)
            digest.update(piece)
            out.write(piece)
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"]
    run(["openssl", "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=bench authority"], cwd=home)
    run(["openssl", "req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost"], cwd=home)
    (home / "extensions").write_text("subjectAltName=DNS:localhost")
    run(["openssl", "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30",
         "-extfile", "extensions", "-out", "server.pem"], cwd=home)
    temporary = " ".join(f"{name}_temp_path {home}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (home / "nginx.conf").write_text(f"""
        {"user root;" if os.geteuid() == 0 else ""}
        daemon off; pid {home}/pid; error_log {home}/log; worker_processes 2;
        events {{ worker_connections 64; }}
        http {{ access_log off; sendfile on; tcp_nopush on; root {home}/www; {temporary}
          server {{ listen 127.0.0.1:{PLAIN}; }}
          server {{ listen 127.0.0.1:{SECURE} ssl; ssl_certificate {home}/server.pem; ssl_certificate_key {home}/server.key; }}
          server {{ listen 127.0.0.1:{LIMITED}; limit_rate {LIMIT}; }} }}""")
    return digest.hexdigest()


def measure(command, home, name):
    """Seconds of one download into an empty folder, and the seconds of it that assay spent on bringing bytes to the disk."""
    out = home / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    environment = dict(os.environ, SSL_CERT_FILE=str(home / "ca.pem"), ASSAY_HOME=str(home / "home"), XDG_CACHE_HOME=str(home / "cache"))
    start = time.perf_counter()
    outcome = run(command, cwd=out, env=environment)
    seconds = time.perf_counter() - start
    if os.path.getsize(out / "file.bin") != os.path.getsize(home / "www" / "file.bin"):
        sys.exit(f"bench_pull: error: {name} left an incomplete file")
    synced = 0.0
    if outcome.stdout.startswith("{"):
        synced = json.loads(outcome.stdout.splitlines()[-1])["files"][0]["sync_s"]
    return seconds, synced


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assay", type=Path, default=Path(__file__).resolve().parent.parent / "build/release/bin/assay")
    parser.add_argument("--megabytes", type=int, default=2048, help="size of the file (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds in which all programs take turns (default %(default)s)")
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm"), help="memory disk (default %(default)s)")
    arguments = parser.parse_args()
    missing = [name for name in ("nginx", "curl", "openssl") if not shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")]
    if missing:
        sys.exit(f"bench_pull: error: needs {', '.join(missing)}: apt-get install nginx-light curl openssl")
    home = Path(tempfile.mkdtemp(prefix="assay-bench-", dir=arguments.folder))
    size = arguments.megabytes << 20
    try:
        digest = make_site(home, size)
        server = subprocess.Popen(["nginx", "-c", home / "nginx.conf", "-p", home], env=dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin"),
                                  stderr=subprocess.DEVNULL)
        time.sleep(1)
        try:
            report(arguments, home, size, digest)
        finally:
            server.terminate()
            server.wait()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def report(arguments, home, size, digest):
    pull = [arguments.assay, "pull", "--json", "--progress", "none", "--local-dir", "."]
    curl = ["curl", "-s", "--cacert", home / "ca.pem", "-o", "file.bin"]
    cases = []
    for kind, address in (("HTTP", f"http://localhost:{PLAIN}/file.bin"), ("HTTPS", f"https://localhost:{SECURE}/file.bin")):
        cases += [(f"curl, {kind}", [*curl, address]), (f"assay pull, {kind}", [*pull, address]),
                  (f"assay pull with SHA-256, {kind}", [*pull, address, "--sha256", digest])]
    limited = f"http://localhost:{LIMITED}/file.bin"
    if shutil.which("aria2c"):
        cases.append(("aria2c -x4, limited", ["aria2c", "-q", "-x4", "-s4", "-k1M", "--file-allocation=none", "-o", "file.bin", limited]))
    cases += [("assay pull, limited", [*pull, limited]), ("assay pull with SHA-256, limited", [*pull, limited, "--sha256", digest])]
    samples = {name: [] for name, _ in cases}
    hashing = []
    for _ in range(arguments.rounds):
        for name, command in cases:
            samples[name].append(measure(command, home, name))
        start = time.perf_counter()
        run(["openssl", "dgst", "-sha256", home / "www" / "file.bin"])
        hashing.append(time.perf_counter() - start)
    print(f"{size / 1e9:.2f} GB on {arguments.folder}, nginx on loopback, median of {arguments.rounds} rounds in turns; limited: {LIMIT >> 20} MiB/s for each connection\n")
    print("| Download | Seconds | MB/s | of it fsync |\n|---|---:|---:|---:|")
    for name, _ in cases:
        seconds = statistics.median(sample[0] for sample in samples[name])
        synced = statistics.median(sample[1] for sample in samples[name])
        print(f"| {name} | {seconds:.2f} | {size / 1e6 / seconds:.0f} | {f'{synced * 1000:.1f} ms' if name.startswith('assay') else ''} |")
    seconds = statistics.median(hashing)
    print(f"| SHA-256 by one core (openssl dgst) | {seconds:.2f} | {size / 1e6 / seconds:.0f} | |")


if __name__ == "__main__":
    main()
