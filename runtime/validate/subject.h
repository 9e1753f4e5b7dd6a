// What the checks of this folder share: the model under test, and a way to report that takes the severity from the
// table.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "runtime/formats/model_file.h"
#include "runtime/formats/reporter.h"

namespace assay::validation {

// What a check has to say. `file` empty: the model's own file (the first of several).
struct Remark {
  std::string_view rule;
  Code code = Code::malformed;
  std::string subject{};
  std::string message{};
  std::string_view advice{};
  std::optional<std::uint64_t> offset{};
  std::string file{};
};

class Subject {
 public:
  Subject(const ModelFile& model, FindingSink& sink) : model_(model), report_(sink, main_file(model)) {}

  const ModelFile& model() const { return model_; }
  // Whether somebody still listens. The rule must stand in the table.
  bool remark(Remark remark);
  bool stopped() const { return report_.stopped(); }
  std::size_t errors() const { return errors_; }  // reported through this object

  bool is_gguf() const { return model_.kind == FileKind::gguf; }
  std::string config_path() const { return (model_.folder / "config.json").string(); }

 private:
  static std::string main_file(const ModelFile& model) {
    return model.files.empty() ? model.path.string() : model.files.front().path().string();
  }
  const ModelFile& model_;
  Reporter report_;
  std::size_t errors_ = 0;
};

inline constexpr std::string_view kConvertAgain =
    "convert the model again with a current converter, or download another copy";
inline constexpr std::string_view kOneRevision =
    "download weights, config.json and tokenizer again, from one revision of the repository";

// The checks of level `structure` beyond what the parsers say.
void check_keys(Subject& subject);       // hyper-parameters of GGUF keys or config.json
void check_tensors(Subject& subject);    // tensors against hyper-parameters
void check_tokenizer(Subject& subject);  // tokenizer against itself and against the embedding
void check_folder(Subject& subject);     // what lies beside the weights

}  // namespace assay::validation
