#!/usr/bin/env python3
"""The report in a headless browser: renders without errors, sorts, filters, has a dark side, asks nobody, fears no name."""
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from browser import Browser, find_browser  # noqa: E402

ASSAY = os.environ.get("ASSAY_PROGRAM", "assay")
HOSTILE = "</script><script>window.hacked=1</script><img src=x onerror=\"window.hacked=1\">'\"&\u202egnp.exe"


def record(name, decode, **more):
    rounds = [decode * factor for factor in (0.98, 1, 1.02)]
    metric = {"rounds": rounds, "median": decode, "mad": 1, "mean": decode, "cv": 0.01, "min": rounds[0], "max": rounds[2],
              "low": rounds[0], "high": rounds[2], "drift_percent": 0}
    out = {"schema": "assay.case-run/1", "time": "2026-01-01T00:00:00Z", "run_id": "r", "case": name, "test": "tg64", "status": "ok",
           "engine": {"name": "assay", "commit": "abc1"}, "model": {"name": name, "kind": "GGUF", "bits_per_weight": 4.5},
           "settings": {"generated_tokens": 64}, "key": name, "host_fingerprint": "h", "decode_tps": metric,
           "peak_bytes": dict(metric, median=decode * 1e6), "decode": {"limit": "read_all_gbps", "limit_percent": 50},
           "rounds": [{"decode_ms": [1.0], "token_ms": [1 + i / 100 for i in range(40)], "memory": {"peak_bytes": 5}}] * 3,
           "host": {"cpu_model": "A CPU"}}
    out.update(more)
    return out


def write_report(folder, records):
    results, page = Path(folder, "results.jsonl"), Path(folder, "report.html")
    results.write_text("".join(json.dumps(r) + "\n" for r in records))
    subprocess.run([ASSAY, "report", str(results), "-o", str(page)], check=True, capture_output=True)
    return page


@unittest.skipUnless(find_browser(), "needs chromium (scripts/setup.sh installs it)")
class ReportTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.page = write_report(cls.folder.name, [
            record("beta", 30), record("alpha", 20), record(HOSTILE, 25),
            record("beta", 33, engine={"name": "assay", "commit": "abc2"}, time="2026-01-02T00:00:00Z"),
            record("beta", 28, settings={"generated_tokens": 64, "depth": 512}, test="tg64 @ d512", key="beta-deep"),
            dict(record("broken", 1), status="oom", reason=HOSTILE, decode_tps=None, rounds=[])])
        cls.browser = Browser()

    @classmethod
    def tearDownClass(cls):
        cls.browser.__exit__()
        cls.folder.cleanup()

    def setUp(self):
        self.browser.emulate()
        self.browser.open(self.page)

    def models(self):
        return self.browser.evaluate("[...document.querySelectorAll('tbody tr')].map(r => r.cells[0].textContent)")

    def click(self, title):
        self.browser.evaluate(f"[...document.querySelectorAll('th button')].find(b => b.textContent === {json.dumps(title)}).click()")

    def test_renders_without_errors_or_requests(self):
        self.assertEqual(self.browser.problems(), [])
        self.assertEqual(len(self.models()), 6)
        titles = self.browser.evaluate("[...document.querySelectorAll('.chart h3')].map(h => h.textContent)")
        for title in ("Generation", "Speed and memory", "Time between tokens", "Depth", "History"):
            self.assertIn(title, titles)
        self.assertEqual(len(self.browser.evaluate("[...document.querySelectorAll('.card .value')].map(c => c.textContent)")) > 1, True)

    def test_charts_have_ink(self):
        ink = self.browser.evaluate("""[...document.querySelectorAll('canvas')].map(c => {
            const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let n = 0;
            for (let i = 3; i < d.length; i += 4) n += d[i] > 0; return n; })""")
        self.assertTrue(ink and min(ink) > 500, ink)

    def test_sorting(self):
        self.click("Generation tok/s")
        self.assertEqual(self.models()[0], "beta", "the fastest first")
        self.click("Generation tok/s")
        self.assertEqual(self.models()[0], "alpha")
        self.assertEqual(self.models()[-1], "broken", "what is not known stands last")
        self.assertEqual(self.browser.evaluate("document.querySelector('th[aria-sort]').getAttribute('aria-sort')"), "ascending")
        self.click("Model")
        self.assertEqual([m for m in self.models() if m in ("alpha", "beta", "broken")], ["alpha", "beta", "beta", "beta", "broken"])

    def test_filtering(self):
        self.browser.evaluate("""(async () => { const f = document.getElementById('filter'); f.value = 'ALPH';
            f.dispatchEvent(new Event('input')); await new Promise(r => setTimeout(r, 300)); })()""")
        self.assertEqual(self.models(), ["alpha"])
        self.assertEqual(self.browser.evaluate("document.getElementById('count').textContent"), "1 of 6 cases")
        self.browser.evaluate("""(async () => { document.getElementById('filter').value = ''; const s = document.getElementById('status');
            s.value = 'oom'; s.dispatchEvent(new Event('change')); })()""")
        self.assertEqual(self.models(), ["broken"])

    def test_hostile_names_are_text(self):
        self.assertIsNone(self.browser.evaluate("window.hacked || null"))
        self.assertEqual(self.browser.evaluate("document.querySelectorAll('img').length"), 0)
        shown = [m for m in self.models() if "script" in m]
        self.assertEqual(shown, [HOSTILE.replace("\u202e", "")], "shown as it is, without the mark that turns text around")
        self.assertIn("<img", self.browser.evaluate("document.querySelector('#failures li').textContent"))

    def test_dark_mode(self):
        light = self.browser.evaluate("getComputedStyle(document.body).backgroundColor")
        self.browser.emulate(dark=True)
        self.browser.open(self.page)
        dark = self.browser.evaluate("getComputedStyle(document.body).backgroundColor")
        brightness = [sum(int(v) for v in colour[4:-1].split(",")) for colour in (light, dark)]
        self.assertGreater(brightness[0], 600)
        self.assertLess(brightness[1], 150)
        self.assertEqual(self.browser.problems(), [])

    def test_phone_does_not_scroll_sideways(self):
        self.browser.emulate(width=390, height=800)
        self.browser.open(self.page)
        self.assertLessEqual(self.browser.evaluate("document.documentElement.scrollWidth"), 390)
        self.assertEqual(self.browser.problems(), [])

    def test_prints(self):
        self.browser.emulate(media="print")
        self.assertEqual(self.browser.evaluate("getComputedStyle(document.querySelector('.controls')).display"), "none")
        self.assertGreater(len(self.browser.call("Page.printToPDF")["data"]), 10000)

    def test_five_hundred_rows(self):
        with tempfile.TemporaryDirectory() as folder:
            page = write_report(folder, [record(f"model-{i}", 10 + i) for i in range(500)])
            self.assertLess(page.stat().st_size, 1_500_000)
            self.browser.open(page)
            self.assertEqual(len(self.models()), 500)
            self.assertEqual(self.browser.problems(), [])

    def test_empty_report(self):
        with tempfile.TemporaryDirectory() as folder:
            page = write_report(folder, [dict(record("only", 1), status="timeout", decode_tps=None, rounds=[])])
            self.browser.open(page)
            self.assertEqual(self.browser.problems(), [])
            self.assertFalse(self.browser.evaluate("document.getElementById('failures').hidden"))


if __name__ == "__main__":
    unittest.main(verbosity=1)
