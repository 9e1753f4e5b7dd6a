// The table of what runs, in runtime/model/README.md.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "runtime/engine/forward.h"
#include "runtime/engine/vulkan_backend.h"
#include "tests/engine/wrapped.h"

namespace assay {
using namespace test;
namespace {

// What runs, as runtime/model/README.md tells it. R: the reference backend, C: the CPU backend; both held to the bounds of golden.h.
class Support {
 public:
  void add(const std::string& family, const std::string& column, const std::string& label, const Model& model, const std::vector<GoldenRun>& runs, bool quantised) {
    const bool by_reference = compare_with_golden(model, runs, {.backend = BackendKind::reference}, kReference).is_within(kReference);
    bool by_cpu = compare_with_golden(model, runs, {.threads = 2}, quantised ? kQuantised : kBfloatInputs).is_within(quantised ? kQuantised : kBfloatInputs);
    if (!quantised) by_cpu = by_cpu && compare_with_golden(model, runs, {.threads = 2, .kv = KvType::f32, .isa = "scalar"}, kReference).is_within(kReference);
    std::string& cell = cells_[family][column];
    cell += (cell.empty() ? "" : ", ") + (label.empty() ? "" : label + " ") + (by_reference ? "R" : "wrong in R") + (by_cpu ? " C" : " wrong in C");
    const std::uint32_t lacking = abilities_needed(model) & ~VulkanBackend::kAbilities;
    cells_[family]["Vulkan"] = lacking == 0 ? "V" : "refused: " + ability_names(lacking);
  }

  // Made of golden models by conversion.
  void add_eight_bits(const std::string& family, const std::string& column, const std::string& label, const Model& model, const std::vector<GoldenRun>& runs) {
    std::string& cell = cells_[family][column];
    cell += (cell.empty() ? "" : ", ") + label;
    for (const auto& [backend, letter] : {std::pair{BackendKind::reference, "r"}, std::pair{BackendKind::cpu, "c"}})
      cell += std::string(compare_with_golden(model, runs, {.backend = backend, .threads = 2}, kEightBits).is_within(kEightBits) ? " " : " wrong in ") + letter;
  }

  std::string table() const {
    const std::vector<std::string> columns = {"GGUF F32, F16, BF16", "GGUF quantised", "folder", "MLX folder", "Vulkan"};
    std::string text = "| family |";
    for (const std::string& column : columns) text += " " + column + " |";
    text += "\n|---|---|---|---|---|---|\n";
    for (const auto& [family, cells] : cells_) {
      text += "| " + family + " |";
      for (const std::string& column : columns) text += " " + (cells.contains(column) ? cells.at(column) : "-") + " |";
      text += "\n";
    }
    return text;
  }

 private:
  std::map<std::string, std::map<std::string, std::string>> cells_;
};

std::string run_everything() {
  Support support;
  for (const Case& golden : architecture_cases()) {
    const auto file = open_model(fixture("architectures") / golden.model);
    if (!file) return file.error().message();
    const auto model = bind_model(*file);
    if (!model) return model.error().message();
    const std::string stem = golden.model.substr(golden.model.find('/') + 1);
    if (golden.model.find("mlx") != std::string::npos)
      support.add(golden.family, "MLX folder", stem.substr(4), *model, golden.runs, true);
    else if (golden.model.ends_with("/hf")) {
      support.add(golden.family, "folder", "", *model, golden.runs, false);
      if (const MlxFolder mlx(*file); mlx.model) support.add_eight_bits(golden.family, "MLX folder", "8 bits", *mlx.model, golden.runs);
    } else {
      support.add(golden.family, golden.quantised ? "GGUF quantised" : "GGUF F32, F16, BF16", stem == "model.gguf" ? "" : stem.substr(0, stem.find('.')), *model, golden.runs, golden.quantised);
      if (stem == "model.gguf")
        if (const AsGguf twin(*file, "Q8_0"); twin.model) support.add_eight_bits(golden.family, "GGUF quantised", "Q8_0", *twin.model, golden.runs);
    }
  }
  for (const Wrapped& wrapped : all_wrapped()) {
    const OpenFolder folder(wrapped);
    if (folder.model == nullptr) return wrapped.name + " does not bind";
    if (const MlxFolder mlx(*folder.file); mlx.model) support.add_eight_bits(wrapped.family, "MLX folder", wrapped.name, *mlx.model, runs_of(wrapped));
    support.add(wrapped.family, "folder", wrapped.name, *folder.model, runs_of(wrapped), wrapped.is_quantised());
  }
  return support.table();
}

// ASSAY_WRITE_TABLE=1 writes the table anew.
TEST(Families, TheTableInTheReadmeIsWhatRunsToday) {
  constexpr std::string_view kBegin = "<!-- families: made by test_engine -->\n", kEnd = "<!-- families end -->\n";
  const std::filesystem::path path = std::filesystem::path(ASSAY_SOURCE_DIR) / "runtime/model/README.md";
  const std::string readme = read_text(path);
  const std::size_t begin = readme.find(kBegin), end = readme.find(kEnd);
  ASSERT_TRUE(begin != std::string::npos && end != std::string::npos && begin < end);
  const std::string table = run_everything();
  if (std::getenv("ASSAY_WRITE_TABLE") != nullptr) std::ofstream(path) << readme.substr(0, begin + kBegin.size()) + table + readme.substr(end);
  else EXPECT_EQ(readme.substr(begin + kBegin.size(), end - begin - kBegin.size()), table) << "write it anew: ASSAY_WRITE_TABLE=1";
  EXPECT_EQ(table.find("wrong"), std::string::npos) << table;
}

}  // namespace
}  // namespace assay
