// The steps of prepare, and which failure takes the next fallback.
#include "runtime/registry/prepare.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>

#include "runtime/core/host.h"
#include "runtime/core/parallel.h"
#include "runtime/hub/disk.h"
#include "runtime/registry/prepare_run.h"
#include "runtime/validate/validate.h"

namespace assay {

namespace fs = std::filesystem;

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMostFindings = 10;

// What an attempt is about: files that are here, or a request to a hub.
struct Wanted {
  std::string name;  // as a user would say it
  std::optional<LocatedModel> here;
  HubRequest request;
  std::optional<PullPlan> plan;  // when it is not here
};

// Whether something smaller may do.
bool may_fall_back(const Error& error) {
  return error.code == Code::memory || error.code == Code::space || error.code == Code::unsupported ||
         error.code == Code::range;
}

std::string base_name(const PrepareConfig& config, const Attempt& attempt) {
  if (!attempt.model.empty()) return attempt.model;
  return config.model.empty() ? config.repository : config.model;
}

// Any answer will do.
Result<> reach(const HubOptions& options) {
  ASSAY_TRY(const Url url, parse_url(options.endpoint));
  const TlsTrust trust;
  const std::atomic<bool> stop{false};
  HttpClient client(options.http, trust, stop);
  ASSAY_TRY([[maybe_unused]] const HttpHead head, client.open({.method = "HEAD", .url = url}));
  return success();
}

class Preparation {
 public:
  Preparation(const PrepareConfig& config, PrepareContext& context, PrepareReport& report)
      : config_(config), context_(context), report_(report) {}

  void run();

  // Times the body, and writes down what it found. A failure is the step's.
  template <class Facts, class Body>
  Result<> step(PrepareStep which, Facts& facts, Body&& body) {
    StepResult result{.step = which, .attempt = attempt_number_, .detail = {}, .facts = {}};
    context_.tell(result, false);
    const Clock::time_point start = Clock::now();
    Result<> done = body(result);
    result.ms = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
    result.facts = to_json(facts);
    if (!done) {
      result.error = done.error();
      result.detail = done.error().message();
      result.status = next_change_ && may_fall_back(done.error()) && which != PrepareStep::config ? StepStatus::retried
                                                                                                  : StepStatus::failed;
      if (result.status == StepStatus::retried) result.detail += "; next: " + *next_change_;
    }
    report_.steps.push_back(result);
    context_.tell(result, true);
    return done;
  }

 private:
  Result<Wanted> find_wanted(const Attempt& attempt);
  Result<> run_attempt(const Attempt& attempt);
  Result<> check_machine(const Attempt& attempt, Wanted& wanted, HardwareFacts& facts, StepResult& result);
  Result<> fetch(Wanted& wanted, PullFacts& facts, StepResult& result);
  Result<> verify(const Wanted& wanted, VerifyFacts& facts, StepResult& result);
  Result<> load_and_try(const Wanted& wanted, const Attempt& attempt);
  std::uint64_t memory_bound() const;

  const PrepareConfig& config_;
  PrepareContext& context_;
  PrepareReport& report_;
  std::uint32_t attempt_number_ = 1;
  std::optional<std::string> next_change_;  // what the next fallback would change
  std::string verified_;                    // path of the model that was found good
  HardwareState machine_;
};

Result<Wanted> Preparation::find_wanted(const Attempt& attempt) {
  Wanted out{.name = base_name(config_, attempt), .here = {}, .request = {}, .plan = {}};
  Library& library = context_.library;
  const std::string& quantization = attempt.load.quantization;
  std::error_code ignored;
  const CatalogueRow* row = library.catalogue().find(out.name);
  const bool is_path = fs::exists(out.name, ignored) || is_path_like(out.name);
  if (!quantization.empty() && (is_path || (row && row->repository.empty())))
    return Error{Code::usage, "quantization",
                 "chooses among the files of a repository, and " + out.name +
                     " is one model; name another model in the fallback"};
  if (is_path) {
    ASSAY_TRY(out.here, library.find(out.name));
    return out;
  }
  if (row && (quantization.empty() || quantization == row->quantization)) {
    auto found = library.find(row->id);
    if (!found && (found.error().code != Code::not_found || row->repository.empty())) return std::move(found).error();
    if (found) {
      out.here = std::move(*found);
      return out;
    }
    ASSAY_TRY(out.request, hub_request(library.catalogue(), row->id));
    return out;
  }
  ASSAY_TRY(const auto recorded, library.registry().find(out.name));
  if (recorded && recorded->is_here() && quantization.empty()) {
    out.here = LocatedModel{recorded->path, recorded->name};
    return out;
  }
  ASSAY_TRY(out.request.source, parse_source(row ? row->repository : out.name, context_.hub.options().endpoint));
  if (!quantization.empty()) out.request.source.quant = quantization;
  if (!config_.revision.empty() && attempt.model.empty()) out.request.source.revision = config_.revision;
  if (attempt.model.empty()) out.request.choice.include = config_.files;
  out.name = out.request.source.text();
  if (out.request.source.kind == SourceKind::url || !out.request.choice.include.empty()) return out;
  if (auto found = library.find(out.name)) out.here = std::move(*found);
  return out;
}

Result<> Preparation::check_machine(const Attempt& attempt, Wanted& wanted, HardwareFacts& facts, StepResult& result) {
  ASSAY_TRY(wanted, find_wanted(attempt));
  const HubOptions& hub = context_.hub.options();
  facts.state = machine_ = read_hardware(hub.cache_folder);
  facts.threads = static_cast<std::uint32_t>(available_threads());
  facts.temp_folder = context_.temp_folder.string();
  facts.temp_free_bytes = free_bytes(context_.temp_folder);
  if (!wanted.here) {
    auto plan = context_.hub.plan(wanted.request.source, wanted.request.choice, context_.pull_events);
    facts.network = plan ? !plan->is_offline : plan.error().code != Code::network;
    if (!plan) return std::move(plan).error();
    facts.download_bytes = plan->missing_bytes;
    facts.verdict = check_before_pull(context_.library.catalogue(), *plan, hub.cache_folder);
    if (config_.bounds.memory_bytes > 0 && plan->is_model && plan->total_bytes > config_.bounds.memory_bytes)
      return Error{Code::memory, wanted.name,
                   fmt::format("its files have {}, and bounds.memory allows {}", format_bytes(plan->total_bytes),
                               format_bytes(config_.bounds.memory_bytes))};
    wanted.plan = std::move(*plan);
  } else if (config_.hardware.network) {
    facts.network = !hub.is_offline && reach(hub).has_value();
  }
  const HardwareLimits& limits = config_.hardware;
  std::vector<std::string> lacking;
  const auto demand = [&](std::uint64_t wants, std::uint64_t has, const char* what) {
    if (wants > has)
      lacking.push_back(fmt::format("wants {} {}, and there are {}", format_bytes(wants), what, format_bytes(has)));
  };
  demand(limits.memory_bytes, facts.state.memory_bytes, "of memory");
  demand(limits.free_memory_bytes, facts.state.memory_available_bytes, "of free memory");
  demand(limits.disk_bytes, facts.state.disk_free_bytes.value_or(limits.disk_bytes), "of disk space");
  demand(limits.temp_bytes, facts.temp_free_bytes, "in the temporary folder");
  if (limits.threads > facts.threads)
    lacking.push_back(fmt::format("wants {} threads, and there are {}", limits.threads, facts.threads));
  if (limits.gpu == GpuNeed::required && facts.state.gpus.empty()) lacking.push_back("wants a GPU, and none was found");
  if (limits.network && facts.network == false) lacking.push_back("wants the hub, and it does not answer");
  facts.verdict.refusals.insert(facts.verdict.refusals.begin(), lacking.begin(), lacking.end());
  if (limits.gpu == GpuNeed::recommended && facts.state.gpus.empty())
    facts.verdict.warnings.push_back("is meant for a GPU, and none was found");
  result.detail =
      fmt::format("{} of memory, {} of disk free, {} threads, {}", format_bytes(facts.state.memory_bytes),
                  format_bytes(facts.state.disk_free_bytes.value_or(0)), facts.threads,
                  facts.state.gpus.empty() ? "no GPU" : fmt::format("{}", fmt::join(facts.state.gpus, ", ")));
  if (!facts.verdict.is_fine()) result.status = StepStatus::warned;
  for (const auto* list : {&facts.verdict.refusals, &facts.verdict.warnings})
    for (const std::string& text : *list) result.detail += "; " + text;
  if (context_.forces) return success();
  // What the file wants of the machine no fallback changes.
  if (!lacking.empty())
    return Error{Code::denied, "hardware", fmt::format("{}; --force tries all the same", fmt::join(lacking, "; "))};
  return refuse(facts.verdict, wanted.name);
}

Result<> Preparation::fetch(Wanted& wanted, PullFacts& facts, StepResult& result) {
  if (!wanted.here) {
    ASSAY_TRY(const PullResult pulled,
              pull_and_record(context_.library, context_.hub, *wanted.plan, context_.pull_events));
    wanted.here = LocatedModel{pulled.model, registry_name(context_.library, *wanted.plan)};
    facts.repository = wanted.plan->repository;
    facts.commit = wanted.plan->commit;
    facts.files = pulled.files.size();
    for (const PulledFile& file : pulled.files)
      facts.bytes += file.size, facts.transferred_bytes += file.transferred_bytes;
    result.detail = fmt::format("{} files, {}, {} over the network", facts.files, format_bytes(facts.bytes),
                                format_bytes(facts.transferred_bytes));
  } else {
    result.status = StepStatus::skipped;
    result.detail = "is here";
  }
  facts.name = wanted.here->name.empty() ? wanted.name : wanted.here->name;
  facts.path = wanted.here->path.string();
  return success();
}

Result<> Preparation::verify(const Wanted& wanted, VerifyFacts& facts, StepResult& result) {
  const std::string path = wanted.here->path.string();
  if (path == verified_) {
    result.status = StepStatus::skipped;
    result.detail = "was verified before";
    return success();
  }
  ValidateOptions options{.numbers = false, .hash = true};
  ASSAY_TRY(const auto record, context_.library.registry().find(wanted.here->name));
  if (record)
    for (const RegistryFile& file : record->files)
      if (file.has_sha256()) options.known[fs::path(file.path).filename().string()] = file.hash;
  ASSAY_TRY(const Validation validation, validate(wanted.here->path, options, context_.progress));
  facts.errors = validation.count(Severity::error);
  facts.warnings = validation.count(Severity::warning);
  for (const FileHash& hash : validation.hashes) facts.hashed_files += hash.expected == hash.sha256;
  const Finding* worst = nullptr;
  for (const Finding& finding : validation.findings) {
    if (finding.severity == Severity::note) continue;
    if (worst == nullptr || (finding.severity == Severity::error && worst->severity != Severity::error))
      worst = &finding;
    if (facts.findings.size() < kMostFindings)
      facts.findings.push_back(finding.rule + ": " + finding.subject + ": " + finding.message);
  }
  if (facts.errors > 0)
    return Error{worst->rule == "hash.mismatch" ? Code::mismatch : Code::malformed, worst->subject,
                 worst->message + "; assay verify --repair fetches it again", worst->file};
  if (facts.warnings > 0) result.status = StepStatus::warned;
  const auto recorded = std::count_if(validation.hashes.begin(), validation.hashes.end(),
                                      [](const FileHash& hash) { return !hash.expected.empty(); });
  result.detail = fmt::format(
      "structure is good{}; {}", facts.warnings > 0 ? fmt::format(" ({} warnings)", facts.warnings) : "",
      recorded == 0
          ? "no hash is recorded to compare with"
          : fmt::format("{} of {} files have the recorded hash", facts.hashed_files, validation.hashes.size()));
  verified_ = path;
  return success();
}

std::uint64_t Preparation::memory_bound() const {
  const std::uint64_t machine = context_.forces ? 0 : machine_.memory_available_bytes;
  const std::uint64_t wanted = config_.bounds.memory_bytes;
  return machine == 0 ? wanted : wanted == 0 ? machine : std::min(machine, wanted);
}

Result<> Preparation::load_and_try(const Wanted& wanted, const Attempt& attempt) {
  std::unique_ptr<LoadedModel> loaded;
  LoadFacts load;
  (void)reset_peak_memory();
  const auto load_it = [&](StepResult& result) -> Result<> {
    ASSAY_TRY(loaded, LoadedModel::open(wanted.here->path.string(), attempt.load, memory_bound(), load));
    result.detail = fmt::format("{}, context {}, {} planned, {}", load.architecture, load.context,
                                format_bytes(load.planned_bytes), load.isa);
    return success();
  };
  ASSAY_TRY_VOID(step(PrepareStep::load, load, load_it));
  OptimiseFacts optimise;
  const auto optimise_it = [&](StepResult& result) -> Result<> {
    if (attempt.load.threads > 0) {
      optimise.threads = attempt.load.threads;
      result.status = StepStatus::skipped;
      result.detail = fmt::format("{} threads, as the file says", optimise.threads);
      return success();
    }
    ASSAY_TRY_VOID(loaded->choose_threads(optimise));
    result.detail = fmt::format("{} threads are fastest", optimise.threads);
    return success();
  };
  ASSAY_TRY_VOID(step(PrepareStep::optimise, optimise, optimise_it));
  HealthFacts health;
  const auto look_after_it = [&](StepResult& result) -> Result<> {
    ASSAY_TRY_VOID(loaded->check_health(config_, health));
    result.detail = fmt::format("{} tokens, {:.1f} tok/s, peak memory {}", health.tokens, health.decode_tps,
                                format_bytes(health.peak_bytes));
    return success();
  };
  ASSAY_TRY_VOID(step(PrepareStep::health, health, look_after_it));
  report_.is_ready = true;
  report_.path = wanted.here->path.string();
  report_.settings = loaded->settings();
  return success();
}

Result<> Preparation::run_attempt(const Attempt& attempt) {
  Wanted wanted;
  HardwareFacts hardware;
  PullFacts pull;
  VerifyFacts verified;
  ASSAY_TRY_VOID(step(PrepareStep::hardware, hardware,
                      [&](StepResult& result) { return check_machine(attempt, wanted, hardware, result); }));
  ASSAY_TRY_VOID(step(PrepareStep::pull, pull, [&](StepResult& result) { return fetch(wanted, pull, result); }));
  ASSAY_TRY_VOID(
      step(PrepareStep::verify, verified, [&](StepResult& result) { return verify(wanted, verified, result); }));
  return load_and_try(wanted, attempt);
}

void Preparation::run() {
  const std::vector<Attempt> attempts = attempts_of(config_);
  for (std::size_t i = 0; i < attempts.size(); ++i) {
    attempt_number_ = static_cast<std::uint32_t>(i + 1);
    next_change_ = i + 1 < attempts.size() ? std::optional(attempts[i + 1].change) : std::nullopt;
    const auto done = run_attempt(attempts[i]);
    if (done || !may_fall_back(done.error())) return;
  }
}

}  // namespace

Json PrepareReport::json(const fs::path& file) const {
  Json list{Json::Array{}}, out{Json::Object{}};
  for (const StepResult& step : steps) {
    Json row{Json::Object{}};
    row.set("step", to_json(step.step))
        .set("attempt", std::uint64_t{step.attempt})
        .set("status", to_json(step.status))
        .set("ms", step.ms)
        .set("detail", step.detail);
    row.set("error", step.error ? Json(name_of(step.error->code)) : Json()).set("facts", step.facts);
    list.push(std::move(row));
  }
  out.set("schema", "assay.prepare/1")
      .set("file", file.string())
      .set("ready", is_ready)
      .set("path", is_ready ? Json(path) : Json());
  out.set("settings", is_ready ? to_json(settings) : Json()).set("steps", std::move(list));
  return out;
}

PrepareReport prepare(const fs::path& file, PrepareContext& context) {
  PrepareReport report;
  ConfigFacts facts;
  PrepareConfig config;
  Preparation preparation(config, context, report);
  const auto done = preparation.step(PrepareStep::config, facts, [&](StepResult& result) -> Result<> {
    ASSAY_TRY(ReadConfig read, read_prepare_config(file));
    config = std::move(read.config);
    facts.problems = std::move(read.problems);
    facts.model = config.model.empty() ? config.repository : config.model;
    facts.fallbacks = static_cast<std::uint32_t>(config.fallbacks.size());
    result.detail = fmt::format("{}, {} fallbacks", facts.model, facts.fallbacks);
    if (facts.problems.empty()) return success();
    std::string text;
    for (const YamlProblem& problem : facts.problems)
      text += (text.empty() ? "" : "\n") + describe(problem, file.string());
    return Error{Code::usage, "", text};
  });
  if (done) preparation.run();
  return report;
}

}  // namespace assay
