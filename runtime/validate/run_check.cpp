// Logits that are not finite, all alike, the same at every position, or not those of the first backend.
#include "runtime/validate/run_check.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "runtime/model/tokenizer.h"
#include "runtime/validate/subject.h"

namespace assay::validation {

namespace {

constexpr std::size_t kTokens = 16;
constexpr std::string_view kText =
    "The quick brown fox jumps over the lazy dog. In the beginning there was nothing but water and sky, and then";
// Logits of one position closer together than this are all alike: a model that ranks tokens spreads them by whole
// units.
constexpr double kUniform = 1e-6;

// A fixed text in the model's own tokens; ids spread over the vocabulary where it has no tokenizer.
std::vector<std::int32_t> prompt(const Model& model) {
  std::vector<std::int32_t> ids;
  if (const auto tokenizer = Tokenizer::open(*model.file)) ids = tokenizer->encode(kText);
  const std::int32_t limit = static_cast<std::int32_t>(std::min<std::uint32_t>(model.config.vocabulary, 1u << 30));
  const bool fits = std::all_of(ids.begin(), ids.end(), [&](std::int32_t id) { return id >= 0 && id < limit; });
  if (!fits || ids.size() < 2) ids.clear();
  for (std::uint32_t i = 1; ids.size() < 8; ++i)
    ids.push_back(static_cast<std::int32_t>(i * 2654435761u % static_cast<std::uint32_t>(limit)));
  ids.resize(std::min({ids.size(), kTokens, static_cast<std::size_t>(model.config.context)}));
  return ids;
}

double deviation(std::span<const float> values) {
  double sum = 0, squares = 0;
  for (const float value : values) sum += value;
  const double mean = sum / static_cast<double>(values.size());
  for (const float value : values) squares += (value - mean) * (value - mean);
  return std::sqrt(squares / static_cast<double>(values.size()));
}

class RunCheck {
 public:
  RunCheck(Subject& subject, const Model& model)
      : subject_(subject), model_(model), vocabulary_(model.config.vocabulary) {}

  void run(std::span<const RunBackend> backends) {
    const std::vector<std::int32_t> tokens = prompt(model_);
    std::vector<float> truth;
    for (const RunBackend& backend : backends) {
      auto logits = backend.logits(model_, tokens);
      if (!logits) {
        wrong("run.load", logits.error().code, backend, "the model does not run: " + logits.error().message(),
              "see the message; other backends may run it");
        continue;
      }
      if (logits->size() != tokens.size() * vocabulary_ || !judge(backend, *logits)) continue;
      if (truth.empty())
        truth = std::move(*logits);
      else
        compare(backend, truth, *logits, backends.front().name);
    }
  }

 private:
  void wrong(std::string_view rule, Code code, const RunBackend& backend, std::string message,
             std::string_view advice) {
    subject_.remark({rule, code, backend.name, std::move(message), advice});
  }
  std::span<const float> row(const std::vector<float>& logits, std::size_t token) const {
    return std::span(logits).subspan(token * vocabulary_, vocabulary_);
  }

  bool judge(const RunBackend& backend, const std::vector<float>& logits) {
    const auto bad = std::find_if(logits.begin(), logits.end(), [](float value) { return !std::isfinite(value); });
    if (bad != logits.end()) {
      wrong("run.not-finite", Code::range, backend,
            "the logits of position " + std::to_string(static_cast<std::size_t>(bad - logits.begin()) / vocabulary_) +
                " hold NaN or infinity",
            "weights or scales are too large somewhere: see the findings on numbers");
      return false;
    }
    const std::size_t positions = logits.size() / vocabulary_;
    std::size_t uniform = 0, repeated = 0;
    for (std::size_t i = 0; i < positions; ++i) {
      uniform += vocabulary_ > 1 && deviation(row(logits, i)) < kUniform;
      repeated +=
          i > 0 && std::memcmp(row(logits, i).data(), row(logits, i - 1).data(), vocabulary_ * sizeof(float)) == 0;
    }
    if (uniform > 0)
      wrong("run.uniform", Code::range, backend,
            "the logits of " + std::to_string(uniform) + " of " + std::to_string(positions) +
                " positions are all alike: every token would be as likely as any other",
            "weights are missing or zero: see the findings on numbers");
    else if (repeated > 0)
      wrong("run.repeats", Code::range, backend,
            std::to_string(repeated) + " positions answer exactly as the one before, whatever the prompt says",
            "the model does not see its input: the embedding or the attention is damaged");
    return true;
  }

  void compare(const RunBackend& backend, const std::vector<float>& truth, const std::vector<float>& answer,
               std::string_view name) {
    double squares = 0, spread = 0;
    for (std::size_t i = 0; i < truth.size(); ++i)
      squares += (static_cast<double>(truth[i]) - answer[i]) * (static_cast<double>(truth[i]) - answer[i]);
    const std::size_t positions = truth.size() / vocabulary_;
    for (std::size_t i = 0; i < positions; ++i) spread += deviation(row(truth, i)) / static_cast<double>(positions);
    const double rms = std::sqrt(squares / static_cast<double>(truth.size()));
    if (spread < kUniform || rms <= backend.rms_bound * spread) return;
    char share[32];
    std::snprintf(share, sizeof share, "%.3f", rms / spread);
    wrong("run.disagree", Code::mismatch, backend,
          "its logits differ from " + std::string(name) + "'s by " + share + " of their spread, more than " +
              std::to_string(backend.rms_bound).substr(0, 4),
          "one of the two computes this model wrongly: report it, with the file's hash");
  }

  Subject& subject_;
  const Model& model_;
  std::size_t vocabulary_;
};

}  // namespace

void check_run(Subject& subject, std::span<const RunBackend> backends) {
  const auto model = bind_model(subject.model());
  if (!model) {
    subject.remark({"run.load", model.error().code, model.error().subject,
                    "the model cannot be run: " + model.error().detail, "see the other findings",
                    model.error().offset});
    return;
  }
  RunCheck(subject, *model).run(backends);
}

}  // namespace assay::validation
