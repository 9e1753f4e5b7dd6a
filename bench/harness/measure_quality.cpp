// Windows, softmax and sums behind measure_quality().
#include "bench/harness/measure_quality.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>

#include "bench/harness/sample_text.h"
#include "bench/statistics.h"
#include "bench/timing.h"
#include "runtime/core/mapped_file.h"
#include "runtime/core/sha256.h"
#include "runtime/engine/sampler.h"
#include "runtime/model/tokenizer.h"

namespace assay {

namespace {

// Scored positions computed at once: bounds the memory of their logits.
constexpr std::uint32_t kScoredAtOnce = 32;

struct Reader {
  std::unique_ptr<ModelFile> file;
  std::unique_ptr<Model> model;
  std::optional<Session> session;

  static Result<Reader> open(const std::string& path, SessionOptions options, std::uint32_t context) {
    Reader out;
    ASSAY_TRY(ModelFile file, open_model(std::filesystem::path(path)));
    out.file = std::make_unique<ModelFile>(std::move(file));
    ASSAY_TRY(Model model, bind_model(*out.file));
    out.model = std::make_unique<Model>(std::move(model));
    if (context > out.model->config.context)
      return Error{Code::usage, "--ctx", fmt::format("{} tokens are more than the {} the model was made for", context, out.model->config.context), path};
    options.context = context;
    ASSAY_TRY(Session session, Session::open(*out.model, options));
    out.session.emplace(std::move(session));
    return out;
  }
};

// Logits turned into log-probabilities.
void log_softmax(std::span<const float> logits, std::vector<double>& out) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - largest);
  const double shift = largest + std::log(sum);
  out.resize(logits.size());
  for (std::size_t i = 0; i < logits.size(); ++i) out[i] = logits[i] - shift;
}

class Scores {
 public:
  void add(std::span<const float> logits, std::int32_t next) {
    log_softmax(logits, own_);
    const double loss = -own_[static_cast<std::size_t>(next)];
    sum_ += loss;
    squares_ += loss * loss;
    ++count_;
  }
  // After add() of the same position: what the reference says there.
  void compare(std::span<const float> own_logits, std::span<const float> reference_logits, std::int32_t next) {
    log_softmax(reference_logits, reference_);
    double divergence = 0;
    for (std::size_t i = 0; i < own_.size(); ++i) divergence += std::exp(reference_[i]) * (reference_[i] - own_[i]);
    kl_.push_back(std::max(0.0, divergence));
    reference_sum_ -= reference_[static_cast<std::size_t>(next)];
    worst_ = std::max(worst_, std::abs(own_[static_cast<std::size_t>(next)] - reference_[static_cast<std::size_t>(next)]));
    if (most_likely(own_logits) == most_likely(reference_logits)) ++same_top_;
  }
  void write(QualityFacts& facts) const {
    const double count = static_cast<double>(count_), mean_loss = sum_ / count;
    facts.scored_tokens = count_;
    facts.perplexity = std::exp(mean_loss);
    const double variance = squares_ / count - mean_loss * mean_loss;
    if (count_ > 1 && variance > 0) facts.perplexity_error = facts.perplexity * std::sqrt(variance / (count - 1));
    if (kl_.empty()) return;
    facts.reference_perplexity = std::exp(reference_sum_ / count);
    facts.kl_mean = mean(kl_);
    facts.kl_median = median(kl_);
    facts.kl_p99 = quantile(kl_, 0.99);
    facts.kl_max = quantile(kl_, 1);
    facts.top1_percent = 100 * static_cast<double>(same_top_) / count;
    facts.worst_token = worst_;
  }

 private:
  std::vector<double> own_, reference_, kl_;
  double sum_ = 0, squares_ = 0, reference_sum_ = 0, worst_ = 0;
  std::uint64_t count_ = 0, same_top_ = 0;
};

Result<> score_window(Reader& model, Reader* reference, std::span<const std::int32_t> window, Scores& scores) {
  const std::uint32_t size = static_cast<std::uint32_t>(window.size()), first = size / 2, vocabulary = model.model->config.vocabulary;
  for (Reader* reader : {&model, reference}) {
    if (reader == nullptr) continue;
    reader->session->rewind();
    ASSAY_TRY([[maybe_unused]] const auto none, reader->session->feed(window.first(first), LogitsWanted::none));
  }
  for (std::uint32_t at = first; at + 1 < size; at += kScoredAtOnce) {
    const auto part = window.subspan(at, std::min(kScoredAtOnce, size - 1 - at));
    ASSAY_TRY(const auto logits, model.session->feed(part, LogitsWanted::all));
    std::span<const float> truth;
    if (reference != nullptr) {
      ASSAY_TRY(truth, reference->session->feed(part, LogitsWanted::all));
    }
    for (std::uint32_t i = 0; i < part.size(); ++i) {
      const std::int32_t next = window[at + i + 1];
      const auto row = logits.subspan(std::size_t{i} * vocabulary, vocabulary);
      scores.add(row, next);
      if (reference != nullptr) scores.compare(row, truth.subspan(std::size_t{i} * vocabulary, vocabulary), next);
    }
  }
  return success();
}

Result<std::string> read_text(const QualityPlan& plan) {
  if (plan.text_file.empty()) return std::string(benchmark_text());
  ASSAY_TRY(const MappedFile file, MappedFile::open(plan.text_file));
  return std::string(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
}

}  // namespace

Result<QualityFacts> measure_quality(const std::string& path, const SessionOptions& options, const QualityPlan& plan) {
  const Stopwatch watch;
  ASSAY_TRY(const std::string text, read_text(plan));
  ASSAY_TRY(Reader model, Reader::open(path, options, plan.context));
  ASSAY_TRY(const Tokenizer tokenizer, Tokenizer::open(*model.file));
  std::vector<std::int32_t> tokens = tokenizer.encode(text, {.add_special = true, .parse_special = false});
  std::optional<Reader> reference;
  if (!plan.reference.empty()) {
    ASSAY_TRY(reference, Reader::open(plan.reference, options, plan.context));
    if (reference->model->config.vocabulary != model.model->config.vocabulary)
      return Error{Code::mismatch, "vocabulary", fmt::format("{} tokens, the model has {}; give the same model in higher precision", reference->model->config.vocabulary, model.model->config.vocabulary), plan.reference};
  }
  for (const std::int32_t token : tokens)
    if (token < 0 || static_cast<std::uint32_t>(token) >= model.model->config.vocabulary)
      return Error{Code::range, "token", fmt::format("the tokenizer gives {}, the model has {} tokens", token, model.model->config.vocabulary), path};

  QualityFacts facts;
  facts.text = plan.text_file.empty() ? "built-in" : std::filesystem::path(plan.text_file).filename().string();
  facts.text_sha256 = sha256_of(std::as_bytes(std::span(text)));
  facts.context = plan.context;
  facts.windows = static_cast<std::uint32_t>(tokens.size() / plan.context);
  if (plan.windows > 0) facts.windows = std::min(facts.windows, plan.windows);
  if (facts.windows == 0) return Error{Code::usage, "--ctx", fmt::format("the text has {} tokens, fewer than one window of {}; give a longer text or a smaller window", tokens.size(), plan.context), plan.text_file};

  Scores scores;
  for (std::uint32_t window = 0; window < facts.windows; ++window) {
    const auto part = std::span(tokens).subspan(std::size_t{window} * plan.context, plan.context);
    if (tokenizer.adds_bos() && tokenizer.bos()) part[0] = *tokenizer.bos();
    ASSAY_TRY_VOID(score_window(model, reference ? &*reference : nullptr, part, scores));
  }
  scores.write(facts);
  if (reference) facts.reference = std::filesystem::path(plan.reference).filename().string();
  facts.seconds = watch.seconds();
  return facts;
}

}  // namespace assay
