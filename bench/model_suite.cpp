// Loading, checking, measuring and recording behind ModelSuite.
#include "bench/model_suite.h"

#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>
#include <set>

#include "bench/check_process.h"
#include "bench/timing.h"
#include "runtime/core/assert.h"

namespace assay {

namespace fs = std::filesystem;

struct ModelSuite::Loaded {
  std::size_t model = 0;
  std::unique_ptr<ModelFile> file;  // stays where it is: the Model points into it
  std::unique_ptr<Model> bound;
  std::optional<Session> session;
  std::set<std::string> warm;       // cases that have had their warm-up

  static Result<std::unique_ptr<Loaded>> open(const std::string& path, const Loading& loading) {
    auto out = std::make_unique<Loaded>();
    ASSAY_TRY(ModelFile file, open_model(fs::path(path)));
    out->file = std::make_unique<ModelFile>(std::move(file));
    ASSAY_TRY_VOID(load_files(*out->file, loading));
    ASSAY_TRY(Model bound, bind_model(*out->file));
    out->bound = std::make_unique<Model>(std::move(bound));
    return out;
  }
};

struct ModelSuite::Entry {
  std::string path;
  std::string name;
  std::optional<Error> error;   // of opening or checking; nothing is measured then
  ModelFacts facts;
  MacCount macs;
  PeakProbe peak = PeakProbe::int8_dot;  // what bounds its prefill
  bool is_checked = false;
  std::optional<Agreement> agreement;
  std::vector<std::int32_t> tokens;
  MemoryPlan plan;              // of its session, once it was loaded
  std::uint32_t prefill_tokens = 0, decode_tokens = 0;
};

namespace {


Status status_of(const Error& error) {
  switch (error.code) {
    case Code::mismatch: return Status::wrong_answer;
    case Code::unsupported: return Status::unsupported;
    case Code::usage: return Status::skipped;
    case Code::memory: return Status::failed;
    default: return Status::invalid_file;
  }
}

std::string_view kind_name(CaseKind kind) {
  constexpr std::string_view kNames[] = {"prefill", "decode", "load"};
  return kNames[static_cast<std::size_t>(kind)];
}

}  // namespace

PeakProbe bounding_peak(const ModelFacts& facts) {
  const std::string& format = facts.formats.front().format;
  const bool is_half = format == name_of(FormatId::F16) || format == name_of(FormatId::BF16);
  if (is_half && !peak_isa(PeakProbe::bf16_dot).empty()) return PeakProbe::bf16_dot;
  const bool is_float = is_half || format == name_of(FormatId::F32) || format == name_of(FormatId::F64);
  return is_float ? PeakProbe::f32_fma : PeakProbe::int8_dot;
}

std::vector<std::string> name_models(const std::vector<std::string>& paths) {
  std::vector<std::vector<std::string>> parts;  // last first
  for (const std::string& path : paths) {
    std::error_code ignored;
    fs::path whole = fs::absolute(path, ignored).lexically_normal();
    if (!whole.has_filename()) whole = whole.parent_path();
    const bool is_named_file = whole.extension() == ".gguf" || whole.extension() == ".safetensors";
    std::vector<std::string>& own = parts.emplace_back();
    own.push_back(is_named_file ? whole.stem().string() : whole.filename().string());
    for (fs::path up = whole.parent_path(); up.has_filename(); up = up.parent_path()) own.push_back(up.filename().string());
  }
  const auto name_with = [&](std::size_t i, std::size_t depth) {
    std::string name;
    for (std::size_t k = std::min(depth, parts[i].size()); k-- > 0;) name += parts[i][k] + (k ? "/" : "");
    return name;
  };
  std::vector<std::string> names;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    std::size_t depth = 1;
    const auto is_shared = [&] {
      for (std::size_t k = 0; k < paths.size(); ++k)
        if (k != i && name_with(k, depth) == name_with(i, depth)) return true;
      return false;
    };
    while (depth < parts[i].size() && is_shared()) ++depth;
    std::string name = name_with(i, depth);
    if (is_shared()) name += "#" + std::to_string(i + 1);  // the same file twice
    names.push_back(std::move(name));
  }
  return names;
}

ModelSuite::ModelSuite(SuiteOptions options) : options_(std::move(options)), host_(read_host_facts()) {
  const std::vector<std::string> names = name_models(options_.models);
  for (std::size_t i = 0; i < options_.models.size(); ++i) {
    Entry& entry = entries_.emplace_back();
    entry.path = options_.models[i];
    entry.name = entry.facts.name = names[i];
    entry.facts.path = entry.path;
    entry.prefill_tokens = options_.prompt;
    entry.decode_tokens = options_.generate;
    if (auto opened = Loaded::open(entry.path, options_.loading); !opened) {
      entry.error = std::move(opened).error();
      unreadable_.emplace_back(entry.path, *entry.error);
    } else {
      const Model& model = *(*opened)->bound;
      entry.facts = describe_model(model, entry.name);
      entry.peak = bounding_peak(entry.facts);
      entry.macs = count_macs(model);
      const std::uint32_t most = options_.session.context > 0 ? std::min(options_.session.context, model.config.context) : model.config.context;
      const std::uint32_t left = most > options_.depth ? most - options_.depth : 0;
      entry.prefill_tokens = std::min(entry.prefill_tokens, left);
      entry.decode_tokens = std::min(entry.decode_tokens, left);
      if (left == 0)
        entry.error = Error{Code::usage, "--depth", fmt::format("{} does not leave room in a context of {}; choose a smaller one", options_.depth, most), entry.path};
    }
    const std::string suffix = options_.depth > 0 ? fmt::format("/d{}", options_.depth) : "";
    if (options_.prompt > 0) cases_.push_back({fmt::format("{}/prefill/{}{}", entry.name, entry.prefill_tokens, suffix), CaseKind::prefill, i, entry.prefill_tokens});
    if (options_.generate > 0) cases_.push_back({fmt::format("{}/decode/{}{}", entry.name, entry.decode_tokens, suffix), CaseKind::decode, i, entry.decode_tokens});
    cases_.push_back({entry.name + "/load", CaseKind::load, i, 0});
  }
}

ModelSuite::~ModelSuite() = default;

SessionOptions ModelSuite::session_options(const Entry& entry) const {
  SessionOptions out = options_.session;
  out.context = out.context > 0 ? std::min(out.context, entry.facts.context) : options_.depth + std::max(entry.prefill_tokens, entry.decode_tokens);
  return out;
}

Result<> ModelSuite::check(Entry& entry) {
  if (entry.is_checked) return success();
  entry.is_checked = true;
  const std::uint32_t count = options_.depth + std::max(entry.prefill_tokens, entry.decode_tokens);
  auto reply = check_in_child({.path = entry.path, .session = options_.session, .golden = options_.golden, .tokens = count});
  if (!reply) {
    entry.error = std::move(reply).error();
    return *entry.error;
  }
  entry.agreement = std::move(reply->agreement);
  entry.tokens = std::move(reply->tokens);
  if (!entry.agreement || entry.agreement->passed) return success();
  entry.error = Error{Code::mismatch, "", fmt::format("wrong answer against {}: {}", entry.agreement->against, entry.agreement->reason), entry.path};
  return *entry.error;
}

void ModelSuite::measure_limits_for(const Entry& entry) {
  const int threads = options_.session.threads > 0 ? options_.session.threads : host_.allowed_threads;
  limits_.threads = threads;
  const ProbeOptions probe{.threads = threads, .seconds = 0.15};
  if (!limits_.read_all_gbps)
    if (const Rate rate = measure_bandwidth(MemoryProbe::read, probe); rate.passes > 0) limits_.read_all_gbps = rate.best / 1e9;
  const auto measure = [&](PeakProbe which, std::optional<double>& gmacs, std::string& isa) {
    if (entry.peak != which || gmacs) return;
    if (const auto rate = measure_peak(which, probe)) gmacs = rate->best / 1e9;
    isa = peak_isa(which);
  };
  measure(PeakProbe::int8_dot, limits_.int8_dot_all_gmacs, limits_.int8_dot_isa);
  measure(PeakProbe::bf16_dot, limits_.bf16_dot_all_gmacs, limits_.bf16_dot_isa);
  measure(PeakProbe::f32_fma, limits_.f32_fma_all_gmacs, limits_.f32_fma_isa);
}

void ModelSuite::unload() {
  if (!loaded_) return;
  loaded_.reset();
  ::malloc_trim(0);
}

Result<> ModelSuite::load(Entry& entry, std::size_t index) {
  if (loaded_ && loaded_->model == index) return success();
  unload();
  ASSAY_TRY(auto opened, Loaded::open(entry.path, options_.loading));
  ASSAY_TRY(Session session, Session::open(*opened->bound, session_options(entry)));
  opened->session.emplace(std::move(session));
  opened->model = index;
  entry.plan = opened->session->plan();
  loaded_ = std::move(opened);
  return success();
}

Result<> ModelSuite::feed(const Case& which, bool is_warmup) {
  Session& session = *loaded_->session;
  const std::span<const std::int32_t> tokens(entries_[which.model].tokens);
  session.rewind(options_.depth);
  const auto own = tokens.subspan(options_.depth, which.tokens);
  if (which.kind == CaseKind::prefill) {
    ASSAY_TRY([[maybe_unused]] const auto logits, session.feed(own, LogitsWanted::last));
    return success();
  }
  for (const std::int32_t token : own.first(is_warmup ? std::min<std::size_t>(own.size(), 8) : own.size())) {
    const Stopwatch watch;
    ASSAY_TRY([[maybe_unused]] const std::int32_t chosen, session.feed_and_choose({&token, 1}));
    token_ms_.push_back(watch.milliseconds());
  }
  return success();
}

ModelRun ModelSuite::start_record(const Case& which) const {
  const Entry& entry = entries_[which.model];
  ModelRun run;
  run.time = utc_time();
  run.case_name = which.name;
  run.kind = kind_name(which.kind);
  run.model = entry.facts;
  run.agreement = entry.agreement;
  run.time_ms = summarize({});
  run.limits = limits_;
  run.host = host_;
  run.build = build_facts();
  const SessionOptions options = session_options(entry);
  run.settings = {.backend = std::string(name_of(options.backend)),
                  .isa = "",
                  .threads = options.threads > 0 ? options.threads : host_.allowed_threads,
                  .context = options.context,
                  .batch = options.batch,
                  .kv = std::string(name_of(options.kv)),
                  .depth = options_.depth};
  if (which.kind == CaseKind::prefill) run.settings.prompt_tokens = which.tokens;
  if (which.kind == CaseKind::decode) run.settings.generated_tokens = which.tokens;
  return run;
}

Result<> ModelSuite::begin(const Case& which) {
  Entry& entry = entries_[which.model];
  const auto prepare = [&]() -> Result<> {
    if (entry.error) return *entry.error;
    ASSAY_TRY_VOID(check(entry));
    if (which.kind == CaseKind::load) return unload(), success();
    if (!loaded_ || loaded_->model != which.model) unload();  // limits are measured with nothing else in memory
    measure_limits_for(entry);
    return load(entry, which.model);
  };
  const Result<> prepared = prepare();
  ModelRun& run = drafts_[which.name].emplace_back(start_record(which));
  if (!prepared) {
    run.status = status_of(prepared.error());
    run.reason = prepared.error().message();
    (run.status == Status::wrong_answer ? has_wrong_answer_ : has_failure_) = true;
    return prepared;
  }
  run.peak_is_case = reset_peak_memory();
  run.warmups = 1;
  if (which.kind == CaseKind::load) {
    ASSAY_TRY_VOID(iterate(which));
    run.samples_ms.clear();
    unload();
  } else if (loaded_->warm.insert(which.name).second) {
    loaded_->session->rewind();
    const std::span<const std::int32_t> tokens(entry.tokens);
    if (options_.depth > 0) ASSAY_TRY_VOID([&]() -> Result<> {
      ASSAY_TRY([[maybe_unused]] const auto logits, loaded_->session->feed(tokens.first(options_.depth), LogitsWanted::none));
      return success();
    }());
    ASSAY_TRY_VOID(feed(which, true));
  }
  token_ms_.clear();
  return success();
}

Result<> ModelSuite::iterate(const Case& which) {
  const Stopwatch watch;
  if (which.kind == CaseKind::load) ASSAY_TRY_VOID(load(entries_[which.model], which.model));
  else ASSAY_TRY_VOID(feed(which, false));
  drafts_[which.name].back().samples_ms.push_back(watch.milliseconds());
  return success();
}

void ModelSuite::sample_more(const Case& which) {
  const std::vector<double>& samples = drafts_[which.name].back().samples_ms;
  const Stopwatch total;
  while (samples.size() < 3 && samples.back() > 100 && total.seconds() < 20) {
    if (which.kind == CaseKind::load) unload();
    if (!iterate(which)) return;
  }
}

const ModelRun& ModelSuite::end(const Case& which) {
  ModelRun& run = drafts_[which.name].back();
  const Entry& entry = entries_[which.model];
  if (which.kind == CaseKind::load && !loaded_) (void)load(entries_[which.model], which.model);
  run.memory = read_process_memory();
  run.planned = {.weights_bytes = entry.plan.weights_bytes, .kv_bytes = entry.plan.kv_bytes, .activation_bytes = entry.plan.activation_bytes};
  if (loaded_) {
    run.settings.isa = loaded_->session->isa();
    run.settings.threads = loaded_->session->options().threads;
    run.settings.context = loaded_->session->context();
  }
  if (which.kind == CaseKind::decode && !token_ms_.empty()) {
    std::sort(token_ms_.begin(), token_ms_.end());
    run.token_p50_ms = quantile_of_sorted(token_ms_, 0.5);
    run.token_p90_ms = quantile_of_sorted(token_ms_, 0.9);
    run.token_p99_ms = quantile_of_sorted(token_ms_, 0.99);
    run.token_max_ms = token_ms_.back();
  }
  fill_rates(which, entry, run);
  return run;
}

void ModelSuite::fill_rates(const Case& which, const Entry& entry, ModelRun& run) const {
  run.time_ms = summarize(run.samples_ms);
  if (which.kind == CaseKind::load || which.tokens == 0 || !(run.time_ms.median > 0)) return;
  const MemoryPlan& plan = entry.plan;
  const double tokens = which.tokens, seconds = run.time_ms.median / 1e3;
  run.tokens_per_s = tokens / seconds;
  run.ms_per_token = run.time_ms.median / tokens;
  if (which.kind == CaseKind::prefill) {
    // Weights are read once a batch; what attention reads again and again stays in the caches and is not counted.
    const double batches = std::ceil(tokens / std::max<std::uint32_t>(1, options_.session.batch));
    run.bytes_per_token = static_cast<double>(plan.bytes_per_token) * batches / tokens;
    run.gmacs = entry.macs.of_prompt(tokens) / seconds / 1e9;
  } else {
    // The token at position p reads p + 1 positions of the cache.
    run.bytes_per_token = static_cast<double>(plan.bytes_per_token) + plan.kv_read_bytes(options_.depth + (tokens + 1) / 2);
    run.gmacs = (entry.macs.layers + entry.macs.head) * tokens / seconds / 1e9;
  }
  run.gbps = *run.bytes_per_token * tokens / seconds / 1e9;

  const auto set_limit = [&](const char* name, double reached, const std::optional<double>& limit) {
    if (!limit || *limit <= 0) return;
    run.limit = name;
    run.limit_percent = 100 * reached / *limit;
  };
  if (which.kind == CaseKind::decode) return set_limit("read_all_gbps", *run.gbps, limits_.read_all_gbps);
  switch (entry.peak) {
    case PeakProbe::int8_dot: return set_limit("int8_dot_all_gmacs", *run.gmacs, limits_.int8_dot_all_gmacs);
    case PeakProbe::bf16_dot: return set_limit("bf16_dot_all_gmacs", *run.gmacs, limits_.bf16_dot_all_gmacs);
    case PeakProbe::f32_fma: return set_limit("f32_fma_all_gmacs", *run.gmacs, limits_.f32_fma_all_gmacs);
  }
}

ModelRun ModelSuite::finish(const std::string& case_name, std::size_t repetitions, const std::string& error) {
  std::vector<ModelRun>& drafts = drafts_[case_name];
  ASSAY_CHECK(!drafts.empty());
  ModelRun out = std::move(drafts.back());
  const std::size_t kept = std::min(std::max<std::size_t>(repetitions, 1), drafts.size());
  std::vector<double> samples;
  for (std::size_t i = drafts.size() - kept; i + 1 < drafts.size(); ++i)
    samples.insert(samples.end(), drafts[i].samples_ms.begin(), drafts[i].samples_ms.end());
  drafts.clear();
  if (!error.empty() && out.status == Status::ok) {
    out.status = Status::failed;
    out.reason = error;
    has_failure_ = true;
  }
  const auto which = std::find_if(cases_.begin(), cases_.end(), [&](const Case& c) { return c.name == case_name; });
  if (!samples.empty() && which != cases_.end() && out.status == Status::ok) {
    samples.insert(samples.end(), out.samples_ms.begin(), out.samples_ms.end());
    out.samples_ms = std::move(samples);
    fill_rates(*which, entries_[which->model], out);
  }
  if (out.status != Status::ok) out.samples_ms.clear();
  return out;
}

}  // namespace assay
