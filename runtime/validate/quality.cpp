// Bits by class of tensor, and a class of quality from the bits inside the layers.
#include "runtime/model/weights.h"
#include "runtime/validate/quality.h"

#include <algorithm>
#include <array>

#include "runtime/model/model.h"

namespace assay {

namespace {

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

TensorClass class_of(const TensorView& tensor) {
  const std::string_view name = tensor.name;
  if (tensor.shape.size() < 2) return TensorClass::other;
  if (has(name, "token_embd") || has(name, "embed_tokens")) return TensorClass::embedding;
  if (name == "output.weight" || has(name, "lm_head")) return TensorClass::output;
  if (has(name, "attn") || has(name, "attention")) return TensorClass::attention;
  if (has(name, "ffn") || has(name, "mlp") || has(name, "feed_forward") || has(name, "experts"))
    return TensorClass::feed_forward;
  return TensorClass::other;
}

// Published perplexities of 7B to 70B models at these sizes, in words. Below 1B every step costs more.
struct Step {
  double least_bits;
  std::string_view expected;
};
constexpr std::array kSteps = {
    Step{15.5, "full precision, as trained"},   Step{7.5, "hard to tell from full precision"},
    Step{6.0, "very close to full precision"},  Step{5.0, "close to full precision"},
    Step{4.2, "a little below full precision"}, Step{3.3, "noticeably below full precision"},
    Step{2.5, "far below full precision"},      Step{0, "barely usable, unless trained for so few bits"},
};

}  // namespace

std::string_view name_of(TensorClass kind) {
  constexpr std::array<std::string_view, 5> kNames = {"embedding", "output", "attention", "feed-forward", "other"};
  return kNames[static_cast<std::size_t>(kind)];
}

Quality estimate_quality(const ModelFile& model) {
  std::array<ClassBits, static_cast<std::size_t>(TensorClass::kCount)> classes{};
  Quality quality;
  for (const TensorView& tensor : model.tensors) {
    ClassBits& bits = classes[static_cast<std::size_t>(class_of(tensor))];
    const std::uint64_t parameters = parameters_of(tensor, model);
    bits.parameters += parameters;
    bits.bytes += tensor.stored_bytes();
    quality.parameters += parameters;
    quality.bytes += tensor.stored_bytes();
  }
  for (std::size_t i = 0; i < classes.size(); ++i) {
    classes[i].kind = static_cast<TensorClass>(i);
    if (classes[i].parameters > 0) quality.classes.push_back(classes[i]);
  }
  ClassBits layers = classes[static_cast<std::size_t>(TensorClass::attention)];
  layers.parameters += classes[static_cast<std::size_t>(TensorClass::feed_forward)].parameters;
  layers.bytes += classes[static_cast<std::size_t>(TensorClass::feed_forward)].bytes;
  quality.layer_bits = layers.parameters > 0 ? layers.bits_per_weight() : quality.bits_per_weight();
  if (quality.parameters > 0)
    quality.expected = std::find_if(kSteps.begin(), kSteps.end(), [&](const Step& step) {
                         return quality.layer_bits >= step.least_bits;
                       })->expected;
  if (const auto bound = bind_model(model, Copies::planned)) {
    quality.context = std::min(bound->config.context, 4096u);
    quality.memory = plan_memory(*bound, {.context = quality.context});
  }
  return quality;
}

}  // namespace assay
