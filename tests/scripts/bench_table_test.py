"""Tests of scripts/bench_table.py: records become rows, and what is missing becomes a dash."""
import json
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
import bench_table


def run(kind, **more):
    record = {
        "schema": "assay.model-run/1", "kind": kind, "status": "ok", "reason": "",
        "model": {"name": "a", "path": "models/a.gguf", "kind": "gguf", "file_bytes": 3000000,
                  "formats": [{"format": "Q4_K", "bytes": 9}, {"format": "F32", "bytes": 1}]},
        "settings": {"threads": 2, "isa": "avx2"},
        "memory": {"peak_bytes": 5000000},
    }
    return {**record, **more}


class Table(unittest.TestCase):
    def cells(self, records):
        lines = bench_table.render(records).split("\n")
        return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[4:] if line.startswith("|")]

    def test_three_cases_of_a_model_make_one_row(self):
        agreement = {"against": "logits.f32.bin", "positions": 64, "top1": 1.0, "rms": 0.0123, "passed": True}
        rows = self.cells([
            run("prefill", tokens_per_s=1234.5, agreement=agreement, memory={"peak_bytes": 7000000}),
            run("decode", tokens_per_s=98.765, limit_percent=81.4),
            run("load", time_ms={"median": 1.234}),
        ])
        self.assertEqual(rows, [["a", "gguf Q4_K", "3.00 MB", "1234", "98.8", "81 %", "1.23 ms", "7.00 MB",
                                 "agrees: top-1 100 % of 64, rms 0.012, golden"]])

    def test_missing_fields_become_dashes(self):
        rows = self.cells([{"schema": "assay.model-run/1", "kind": "decode", "status": "ok"}])
        self.assertEqual(rows, [["-"] * 9])

    def test_wrong_answer_is_said_with_its_reason(self):
        rows = self.cells([run("prefill", status="wrong-answer", reason="top-1 12 % of 64")])
        self.assertEqual(rows[0][3], "-")
        self.assertEqual(rows[0][8], "wrong-answer: top-1 12 % of 64")

    def test_models_keep_their_order(self):
        other = run("decode")
        other["model"] = {**other["model"], "path": "models/b.gguf", "name": "b"}
        self.assertEqual([cells[0] for cells in self.cells([other, run("decode"), run("load")])], ["b", "a"])

    def test_folder_is_named_with_its_parent(self):
        self.assertEqual(bench_table.model_name({"path": "models/nano/mlx-4bit"}), "nano/mlx-4bit")
        self.assertEqual(bench_table.model_name({"path": "models/nano-Q4_K_M.gguf"}), "nano-Q4_K_M")
        self.assertEqual(bench_table.model_name({"name": "nano"}), "nano")

    def test_numbers_keep_three_figures(self):
        shown = [bench_table.number(value) for value in (0.01234, 1.2345, 98.765, 987.65, 12345.6, 0, None)]
        self.assertEqual(shown, ["0.012", "1.23", "98.8", "988", "12346", "0", "-"])

    def test_sizes_have_decimal_units(self):
        shown = [bench_table.size(value) for value in (12, 790336, 2528510, 4000000000, None)]
        self.assertEqual(shown, ["12 B", "790 kB", "2.53 MB", "4.00 GB", "-"])

    def test_headline_names_machine_and_program(self):
        record = run("decode", host={"cpu_model": "CPU X"}, build={"version": "1.0", "commit": "abc", "is_dirty": True}, time="T")
        self.assertEqual(bench_table.headline(record), "CPU X · 2 threads · avx2 · Assay 1.0 abc (modified) · T")

    def test_lines_that_are_no_records_are_told(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "r.jsonl")
            path.write_text(json.dumps(run("decode")) + "\n\nnot json\n{\"schema\": \"other/1\"}\n")
            records, problems = bench_table.read_records(path)
        self.assertEqual(len(records), 1)
        self.assertEqual(len(problems), 2)
        self.assertIn("r.jsonl:3", problems[0])


if __name__ == "__main__":
    unittest.main()
