// Running both sides of a check and comparing their logits.
#include "bench/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>

#include "runtime/core/mapped_file.h"
#include "runtime/model/tokenizer.h"

namespace assay {

namespace {

constexpr std::string_view kSampleText =
    "The bench stands by the window, and on it lie the tools in the order in which they are used: a rule, a square, two planes "
    "and a saw. Every morning she measures first and cuts afterwards. \"A board has no opinion,\" she likes to say, \"it is as "
    "long as it is.\" Twelve feet and 3 inches, 47 pounds, 0.5 percent of moisture more than yesterday: all of it goes into the "
    "book, together with the weather and the name of whoever held the other end. When a table wobbles she does not argue with "
    "it; she opens the book, finds the day, and knows which leg to blame.\n\n"
    "People bring her things that others have promised. Is it really oak? Will it carry the piano? She weighs, taps, listens, "
    "and writes down what she finds, the good and the bad in the same hand. Some are pleased and some are not; nobody has yet "
    "come back to say that a number was wrong.\n";

bool is_float_format(FormatId format) {
  return format == FormatId::F32 || format == FormatId::F16 || format == FormatId::BF16 || format == FormatId::F64;
}

std::size_t index_of_largest(std::span<const float> row) {
  return static_cast<std::size_t>(std::max_element(row.begin(), row.end()) - row.begin());
}

bool all_finite(std::span<const float> values) {
  return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
}

// The variance of each row around its own mean, averaged over the rows.
double spread_of(std::span<const float> logits, std::size_t vocabulary) {
  double sum = 0;
  for (std::size_t at = 0; at < logits.size(); at += vocabulary) {
    double mean_value = 0;
    for (const float v : logits.subspan(at, vocabulary)) mean_value += v;
    mean_value /= static_cast<double>(vocabulary);
    for (const float v : logits.subspan(at, vocabulary)) sum += (v - mean_value) * (v - mean_value);
  }
  return std::sqrt(sum / static_cast<double>(logits.size()));
}

// Logits of every token, computed in one batch but for the last `singles` tokens.
Result<std::vector<float>> run_logits(const Model& model, const SessionOptions& options, std::span<const std::int32_t> tokens, std::size_t singles) {
  ASSAY_TRY(Session session, Session::open(model, options));
  std::vector<float> out;
  out.reserve(tokens.size() * model.config.vocabulary);
  const std::size_t batched = tokens.size() > singles ? tokens.size() - singles : 0;
  for (std::size_t at = 0; at < tokens.size();) {
    const std::size_t count = at < batched ? batched - at : 1;
    ASSAY_TRY(auto logits, session.feed(tokens.subspan(at, count), LogitsWanted::all));
    out.insert(out.end(), logits.begin(), logits.end());
    at += count;
  }
  return out;
}

struct Sequence {
  std::vector<std::int32_t> ids;
  std::uint64_t first_row = 0;
  std::uint64_t rows = 0;

  static constexpr void fields(auto visit) {
    visit("ids", "", Better::none, &Sequence::ids);
    visit("first_row", "", Better::none, &Sequence::first_row);
    visit("rows", "", Better::none, &Sequence::rows);
  }
};
struct GoldenIndex {
  std::uint64_t vocab = 0;
  std::vector<Sequence> sequences;

  static constexpr void fields(auto visit) {
    visit("vocab", "", Better::none, &GoldenIndex::vocab);
    visit("sequences", "", Better::none, &GoldenIndex::sequences);
  }
};

Result<GoldenIndex> read_golden_index(const std::filesystem::path& path) {
  const auto name_file = [&](Error error) {
    error.file = path.string();
    return error;
  };
  auto file = MappedFile::open(path);
  if (!file) return std::move(file).error();
  const Bytes bytes = file->bytes();
  auto json = parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  if (!json) return name_file(std::move(json).error());
  auto index = from_json<GoldenIndex>(*json);
  if (!index) return name_file(std::move(index).error());
  if (index->sequences.empty()) return name_file(Error{Code::missing, "sequences", "the list is empty; nothing could be checked"});
  return index;
}

}  // namespace

std::string_view sample_text() { return kSampleText; }

AgreementBounds agreement_bounds(const Model& model, const SessionOptions& options) {
  bool is_float = options.kv != KvType::q8_0;
  for (const TensorView& tensor : model.file->tensors)
    if (tensor.rows() > 1 && !is_float_format(tensor.format)) is_float = false;
  return {.rms_relative = is_float ? 0.01 : 0.06};
}

Agreement compare_logits(std::span<const float> truth, std::span<const float> answer, std::size_t vocabulary, const AgreementBounds& bounds) {
  Agreement out;
  out.bound = bounds.rms_relative;
  if (vocabulary == 0 || truth.empty() || truth.size() != answer.size() || truth.size() % vocabulary != 0) {
    out.reason = fmt::format("{} logits where {} were expected", answer.size(), truth.size());
    return out;
  }
  out.positions = static_cast<std::uint32_t>(truth.size() / vocabulary);
  if (!all_finite(truth)) return out.reason = "the true logits are not finite; validate the file's weights", out;
  if (!all_finite(answer)) return out.reason = "logits that are not finite", out;

  const double spread = spread_of(truth, vocabulary);
  double squares = 0;
  std::uint32_t same = 0;
  for (std::size_t at = 0; at < truth.size(); at += vocabulary) {
    const auto want = truth.subspan(at, vocabulary), got = answer.subspan(at, vocabulary);
    for (std::size_t i = 0; i < vocabulary; ++i) {
      const double difference = std::abs(static_cast<double>(want[i]) - got[i]);
      squares += difference * difference;
      out.max = std::max(out.max, difference);
    }
    const double lost = static_cast<double>(want[index_of_largest(want)]) - want[index_of_largest(got)];
    if (lost <= bounds.rms_relative * spread) ++same;
  }
  out.top1 = static_cast<double>(same) / out.positions;
  out.rms = std::sqrt(squares / static_cast<double>(truth.size()));
  out.rms_relative = spread > 0 ? out.rms / spread : (out.rms > 0 ? INFINITY : 0);

  const double allowed_max = 10 * bounds.rms_relative * spread;
  const bool top1_passes = out.top1 >= bounds.top1 || same + 1 >= out.positions;
  if (out.rms_relative > bounds.rms_relative)
    out.reason = fmt::format("logits differ by {:.3g} (rms), {:.3g} of their spread; at most {:.3g} is right", out.rms, out.rms_relative, bounds.rms_relative);
  else if (out.max > allowed_max)
    out.reason = fmt::format("one logit differs by {:.3g}; at most {:.3g} is right", out.max, allowed_max);
  else if (!top1_passes)
    out.reason = fmt::format("the most likely token is the same at {:.1f} % of {} positions; at least {:.0f} % is right", 100 * out.top1, out.positions, 100 * bounds.top1);
  out.passed = out.reason.empty();
  return out;
}

std::vector<std::int32_t> sample_tokens(const Model& model, std::size_t count, std::string_view text) {
  std::vector<std::int32_t> out;
  out.reserve(count);
  if (auto tokenizer = Tokenizer::open(*model.file)) {
    const auto ids = tokenizer->encode(text);
    for (std::size_t i = 0; !ids.empty() && out.size() < count; ++i) out.push_back(ids[i % ids.size()]);
  }
  // Knuth's MMIX generator; the low bits are the weak ones.
  for (std::uint64_t state = 1; out.size() < count;) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    out.push_back(static_cast<std::int32_t>((state >> 33) % std::max<std::uint32_t>(1, model.config.vocabulary)));
  }
  for (std::int32_t& id : out)  // a tokenizer may know more ids than the model has rows
    if (id < 0 || static_cast<std::uint32_t>(id) >= model.config.vocabulary) id = 0;
  return out;
}

std::uint32_t check_positions(const Model& model) {
  const std::uint64_t bytes = model.file->file_bytes();
  const std::uint32_t wanted = bytes < (64u << 20) ? 128 : bytes < 1'000'000'000 ? 40 : 20;
  return std::min(wanted, model.config.context);
}

Result<Agreement> check_against_reference(const Model& model, const SessionOptions& options) {
  const std::vector<std::int32_t> tokens = sample_tokens(model, check_positions(model));
  SessionOptions checked = options, reference = options;
  checked.context = reference.context = static_cast<std::uint32_t>(tokens.size());
  reference.backend = BackendKind::reference;
  ASSAY_TRY(const auto answer, run_logits(model, checked, tokens, 4));
  ASSAY_TRY(const auto truth, run_logits(model, reference, tokens, 0));
  Agreement out = compare_logits(truth, answer, model.config.vocabulary, agreement_bounds(model, options));
  out.against = "reference";
  return out;
}

Result<Agreement> check_against_golden(const Model& model, const SessionOptions& options, const std::filesystem::path& file) {
  ASSAY_TRY(const GoldenIndex index, read_golden_index(file.parent_path() / "logits.json"));
  ASSAY_TRY(const MappedFile stored, MappedFile::open(file));
  if (index.vocab != model.config.vocabulary)
    return Error{Code::mismatch, "vocab", fmt::format("golden logits have {}, the model has {}; they belong to another model", index.vocab, model.config.vocabulary), file.string()};

  std::vector<float> truth, answer;
  for (const Sequence& sequence : index.sequences) {
    const auto first = checked_multiply(sequence.first_row, index.vocab * sizeof(float));
    const auto size = checked_multiply(sequence.rows, index.vocab * sizeof(float));
    const auto end = first && size ? checked_add(*first, *size) : std::nullopt;
    if (!end || *end > stored.bytes().size() || sequence.rows != sequence.ids.size())
      return Error{Code::truncated, "sequences", fmt::format("rows {} to {} are not all in the file", sequence.first_row, sequence.first_row + sequence.rows), file.string()};
    SessionOptions checked = options;
    checked.context = static_cast<std::uint32_t>(std::max<std::uint64_t>(1, sequence.rows));
    ASSAY_TRY(const auto logits, run_logits(model, checked, sequence.ids, 4));
    answer.insert(answer.end(), logits.begin(), logits.end());
    for (std::uint64_t at = *first; at < *end; at += sizeof(float)) truth.push_back(load<float>(stored.bytes().data() + at));
  }
  Agreement out = compare_logits(truth, answer, index.vocab, agreement_bounds(model, options));
  out.against = file.filename().string();
  return out;
}

}  // namespace assay
