"""Tests of scripts/check_isa.py: the name of a function decides which instructions it may use."""
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
import check_isa


def disassembly(function, *instructions):
    lines = [f"0000000000000000 <{function}>:"]
    return lines + [f"   {index:x}:\t{text}" for index, text in enumerate(instructions)]


class Isa(unittest.TestCase):
    def found(self, function, *instructions):
        return check_isa.read_disassembly(disassembly(function, *instructions))[0]

    def test_baseline_function_with_baseline_code_passes(self):
        self.assertEqual(self.found("_ZN5assay3sumEv", "addps  %xmm1,%xmm0", "call   10 <vector>", "ret"), [])

    def test_wide_register_in_baseline_function_is_found(self):
        self.assertEqual(len(self.found("_ZN5assay3sumEv", "vmovups (%rdi),%zmm0")), 1)
        self.assertEqual(len(self.found("_ZNSt6vectorIfE4growEv", "vaddss %xmm1,%xmm0,%xmm0")), 1)

    def test_bit_instruction_in_baseline_function_is_found(self):
        self.assertEqual(len(self.found("_ZN5assay3sumEv", "popcnt %edi,%eax")), 1)
        self.assertEqual(len(self.found("_ZN5assay3sumEv", "shlx   %eax,%edx,%edx")), 1)

    def test_function_named_after_its_set_passes(self):
        self.assertEqual(self.found("_ZN5assay4avx23dotEv", "vaddps %ymm1,%ymm0,%ymm0", "vzeroupper"), [])
        self.assertEqual(self.found("_ZN5assay6avx5123dotEv", "vaddps %zmm1,%zmm0,%zmm0{%k1}"), [])

    def test_avx512_in_avx2_function_is_found(self):
        for operand in ("%zmm0", "%ymm16", "%xmm31", "%ymm0{%k1}"):
            self.assertEqual(len(self.found("_ZN5assay4avx23dotEv", f"vmovups (%rdi),{operand}")), 1, operand)

    def test_prefix_is_not_taken_for_the_mnemonic(self):
        self.assertEqual(len(self.found("_ZN5assay3sumEv", "{vex} vpdpbusd %ymm2,%ymm1,%ymm0")), 1)

    def test_avx_vnni_needs_its_own_encoding(self):
        self.assertEqual(self.found("_ZN5assay8avx_vnni3dotEv", "{vex} vpdpbusd %ymm2,%ymm1,%ymm0"), [])
        self.assertEqual(len(self.found("_ZN5assay8avx_vnni3dotEv", "vpdpbusd %ymm2,%ymm1,%ymm0")), 1)
        self.assertEqual(self.found("_ZN5assay11avx512_vnni3dotEv", "vpdpbusd %zmm2,%zmm1,%zmm0"), [])

    def test_tables_are_made_on_every_processor(self):
        for function in ("_ZN5assay4avx210make_tableESt17basic_string_viewIcSt11char_traitsIcEEj", "_ZN5assay6avx5125tableEv", "_ZN5assay11avx512_vnni10bf16_tableEv"):
            self.assertEqual(len(self.found(function, "vmovdqu %xmm0,0x38(%r8)")), 1, function)

    def test_wide_functions_are_counted(self):
        lines = disassembly("_ZN5assay4avx23dotEv", "vzeroupper", "ret") + disassembly("plain", "ret")
        self.assertEqual(check_isa.read_disassembly(lines)[1], 1)


if __name__ == "__main__":
    unittest.main()
