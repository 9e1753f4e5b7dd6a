// Preparation, interleaving, the journal and the records behind Runner.
#include "bench/harness/runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>

#include "bench/harness/peer.h"
#include "bench/harness/process.h"
#include "bench/harness/sweep.h"
#include "runtime/core/progress.h"

namespace assay {

namespace {

constexpr std::string_view kJournalSchema = "assay.bench-journal/1";

// A line of the journal after the first.
struct JournalLine {
  std::uint64_t index = 0;
  TaskReply reply;

  static constexpr void fields(auto visit) {
    visit("case", "", Better::none, &JournalLine::index);
    visit("reply", "", Better::none, &JournalLine::reply);
  }
};
struct JournalHead {
  std::string schema{kJournalSchema}, time;
  BenchPlan plan;

  static constexpr void fields(auto visit) {
    visit("schema", "", Better::none, &JournalHead::schema);
    visit("time", "", Better::none, &JournalHead::time);
    visit("plan", "", Better::none, &JournalHead::plan);
  }
};

TaskReply failed(Status status, std::string reason) {
  TaskReply out;
  out.status = status;
  out.reason = std::move(reason);
  return out;
}

// The settings that change the answer; the rest of a case's settings only change its speed.
std::string arithmetic_of(const CaseSettings& s) { return fmt::format("{} {} {} {}", s.backend, s.isa, s.kv_keys, s.kv_values); }

}  // namespace

struct Runner::CaseState {
  std::vector<Round> rounds;
  Status status = Status::ok;
  std::string reason;
  bool is_finished = false;
  Resolved resolved;
  PlannedMemory planned;
  CaseFigures figures;
  EngineFacts engine;
  BuildFacts build = build_facts();  // of the program that measured
  std::optional<Agreement> agreement;
  std::optional<std::string> output_hash;
  std::optional<QualityFacts> quality;

  void fail(Status why, std::string text) {
    status = why;
    reason = std::move(text);
    is_finished = true;
  }
};

struct Runner::ModelState {
  TaskReply inspected;
};

Runner::Runner(BenchPlan plan, RunnerOptions options) : plan_(std::move(plan)), options_(std::move(options)), cases_(plan_.cases.size()), models_(plan_.models.size()) {
  time_ = utc_time();
  std::vector<CaseSettings> settings;
  for (const PlannedCase& which : plan_.cases) settings.push_back(which.settings);
  variants_ = name_variants(settings);
}
Runner::~Runner() = default;

Error Runner::interrupted() const { return Error{Code::interrupted, "", "stopped"}; }

std::string Runner::label(std::size_t index) const {
  const PlannedCase& which = plan_.cases[index];
  std::string out = plan_.models[which.model].name + " " + test_name(which.settings);
  if (!variants_[index].empty()) out += ", " + variants_[index];
  if (which.engine != "assay") out += " (" + which.engine + ")";
  return out;
}

void Runner::show(const std::string& doing, std::uint64_t certain_rounds) {
  RunProgress progress{.doing = doing, .done = steps_, .total = steps_ + certain_rounds + 1, .elapsed_s = watch_.seconds(), .left_s = {}};
  if (round_count_ > 0) progress.left_s = round_seconds_ / static_cast<double>(round_count_) * static_cast<double>(certain_rounds);
  options_.progress(progress);
}

TaskRequest Runner::request_for(const PlannedCase& which, TaskKind task) const {
  TaskRequest out;
  out.task = task;
  out.path = plan_.models[which.model].path;
  out.settings = which.settings;
  out.samples = plan_.samples;
  out.memory_limit_bytes = plan_.memory_limit_bytes;
  out.with_cold = plan_.with_cold;
  out.quality = plan_.quality;
  out.cache_folder = options_.cache_folder.string();
  out.model_sha256 = models_[which.model].inspected.model_sha256;
  return out;
}

std::filesystem::path Runner::program_of(const std::string& arm) const {
  for (const PlannedPeer& program : plan_.programs)
    if (program.name == arm) return program.path;
  return options_.program;
}

Result<TaskReply> Runner::ask(const TaskRequest& request, const std::string& arm) {
  ProcessRequest process{.program = program_of(arm), .arguments = {"--task", to_text(to_json(request))}, .cpu_mask = request.settings.cpu_mask, .timeout_s = plan_.timeout_s, .stop_requested = options_.stop_requested};
  if (request.task == TaskKind::round) process.memory_limit_bytes = request.memory_limit_bytes;
  ASSAY_TRY(const ProcessOutcome outcome, run_process(process));
  ++steps_;
  const std::string limit = request.memory_limit_bytes > 0 ? fmt::format(" under a limit of {} ({})", format_bytes(request.memory_limit_bytes), outcome.memory_limit) : "";
  switch (outcome.end) {
    case ProcessEnd::stopped: return interrupted();
    case ProcessEnd::timed_out: return failed(Status::timeout, fmt::format("took longer than {:g} s and was ended; --timeout gives it more", plan_.timeout_s));
    case ProcessEnd::out_of_memory: return failed(Status::oom, "was killed (signal 9), as the system does when memory runs out" + limit);
    case ProcessEnd::signalled: return failed(Status::crash, fmt::format("ended by signal {} ({})", outcome.signal, strsignal(outcome.signal)) + limit);
    case ProcessEnd::exited: break;
  }
  const auto json = parse_json(outcome.output);
  auto reply = json ? from_json<TaskReply>(*json) : Result<TaskReply>(json.error());
  if (!reply) return failed(Status::failed, fmt::format("gave no result (exit code {}): {}", outcome.exit_code, outcome.errors));
  reply->resolved.memory_limit = outcome.memory_limit;
  // A limit of the data of a process shows as a call that fails.
  if (!limit.empty() && reply->status != Status::ok && reply->reason.find(std::strerror(ENOMEM)) != std::string::npos) reply->status = Status::oom;
  if (reply->status == Status::oom) reply->reason += limit;
  return std::move(*reply);
}

Result<TaskReply> Runner::run_round(const PlannedCase& which) {
  if (which.engine == "assay") return ask(request_for(which, TaskKind::round), which.arm);
  ++steps_;
  const auto peer = std::find_if(plan_.peers.begin(), plan_.peers.end(), [&](const PlannedPeer& p) { return p.name == which.engine; });
  if (peer == plan_.peers.end()) return failed(Status::failed, "the peer is not in the plan");
  const TaskReply& inspected = models_[which.model].inspected;
  auto reply = run_peer_round({.program = peer->path, .model = plan_.models[which.model].path, .kind = inspected.model ? inspected.model->kind : "", .settings = which.settings,
                         .samples = plan_.samples, .timeout_s = plan_.timeout_s, .memory_limit_bytes = plan_.memory_limit_bytes, .stop_requested = options_.stop_requested});
  if (reply) reply->engine.name = which.engine;
  return reply;
}

Result<BenchPlan> Runner::read_plan(const std::filesystem::path& journal) {
  ASSAY_TRY(const JsonLines lines, read_json_lines(journal));
  if (lines.lines.empty()) return Error{Code::malformed, "--resume", "holds nothing to go on from", journal.string()};
  auto head = from_json<JournalHead>(lines.lines.front().json);
  if (!head || head->schema != kJournalSchema) return Error{Code::malformed, "--resume", "is no journal of this version of assay bench", journal.string()};
  return std::move(head->plan);
}

Result<> Runner::open_journal() {
  if (options_.journal.empty() || journal_) return success();
  std::vector<JsonLine> done;
  if (options_.resumes) {
    ASSAY_TRY(JsonLines lines, read_json_lines(options_.journal));
    done = std::move(lines.lines);
  } else {
    std::error_code ignored;
    std::filesystem::remove(options_.journal, ignored);
  }
  ASSAY_TRY(journal_, LinesFile::open(options_.journal));
  if (!options_.resumes) return journal_->append(to_text(to_json(JournalHead{.time = time_, .plan = plan_})));
  for (std::size_t i = 1; i < done.size(); ++i) {
    auto line = from_json<JournalLine>(done[i].json);
    if (line && line->index < cases_.size()) ASSAY_TRY_VOID(take(line->index, std::move(line->reply), false));
  }
  return success();
}

Result<> Runner::take(std::size_t which, TaskReply reply, bool is_new) {
  if (is_new && journal_) ASSAY_TRY_VOID(journal_->append(to_text(to_json(JournalLine{which, reply}))));
  CaseState& state = cases_[which];
  if (reply.status != Status::ok || !reply.round) {
    state.fail(reply.status == Status::ok ? Status::failed : reply.status, std::move(reply.reason));
    return success();
  }
  state.rounds.push_back(std::move(*reply.round));
  state.resolved = reply.resolved;
  state.planned = reply.planned;
  state.figures = reply.figures;
  state.engine = reply.engine;
  if (!reply.build.version.empty()) state.build = reply.build;
  return success();
}

Result<> Runner::inspect_models() {
  for (std::size_t i = 0; i < models_.size(); ++i) {
    const auto first = std::find_if(plan_.cases.begin(), plan_.cases.end(), [&](const PlannedCase& c) { return c.model == i; });
    if (first == plan_.cases.end()) continue;
    show("opening " + plan_.models[i].name, plan_.cases.size() * plan_.min_rounds);
    TaskRequest request = request_for(*first, TaskKind::inspect);
    request.settings.cpu_mask.clear();
    ASSAY_TRY(models_[i].inspected, ask(request, first->arm));
    if (models_[i].inspected.model) models_[i].inspected.model->name = plan_.models[i].name;
    const TaskReply& reply = models_[i].inspected;
    if (reply.status == Status::ok) continue;
    for (std::size_t c = 0; c < cases_.size(); ++c)
      if (plan_.cases[c].model == i && (plan_.cases[c].engine == "assay" || !reply.model)) cases_[c].fail(reply.status, reply.reason);
  }
  return success();
}

Result<> Runner::check_answers() {
  std::map<std::string, TaskReply> checked;
  for (std::size_t c = 0; c < cases_.size() && plan_.with_check; ++c) {
    const PlannedCase& which = plan_.cases[c];
    CaseState& state = cases_[c];
    if (state.is_finished || which.engine != "assay") continue;
    const std::string key = fmt::format("{} {} {}", which.arm, which.model, arithmetic_of(which.settings));
    auto found = checked.find(key);
    if (found == checked.end()) {
      show("checking " + plan_.models[which.model].name, plan_.cases.size() * plan_.min_rounds);
      TaskRequest request = request_for(which, TaskKind::check);
      request.settings.cpu_mask.clear();
      request.settings.sequences = 1;
      ASSAY_TRY(TaskReply reply, ask(request, which.arm));
      found = checked.emplace(key, std::move(reply)).first;
    }
    state.agreement = found->second.agreement;
    state.output_hash = found->second.output_hash;
    if (found->second.status != Status::ok) state.fail(found->second.status, found->second.reason);
  }
  return success();
}

Result<> Runner::measure_limits() {
  for (std::size_t c = 0; c < cases_.size(); ++c) {
    const PlannedCase& which = plan_.cases[c];
    if (cases_[c].is_finished || limits_.contains(which.settings.threads)) continue;
    show("measuring the machine's limits", plan_.cases.size() * plan_.min_rounds);
    ASSAY_TRY(const TaskReply reply, ask(request_for(which, TaskKind::limits), which.arm));
    limits_[which.settings.threads] = reply.limits.value_or(MachineLimits{});
  }
  return success();
}

Result<> Runner::prepare() {
  host_ = read_host_facts();
  before_ = after_ = read_host_state(host_);
  ASSAY_TRY_VOID(open_journal());
  ASSAY_TRY_VOID(inspect_models());
  ASSAY_TRY_VOID(check_answers());
  return measure_limits();
}

bool Runner::wants_more(const CaseState& state) const {
  if (state.is_finished || state.rounds.size() >= plan_.max_rounds) return false;
  if (state.rounds.size() < plan_.min_rounds) return true;
  CaseRun run;
  run.rounds = state.rounds;
  run.settings = plan_.cases[static_cast<std::size_t>(&state - cases_.data())].settings;
  finish_case(run, {}, plan_.target_percent);
  return run.noise.interval_percent > plan_.target_percent;
}

// One round of each, forwards and backwards in turn, so that a drift meets the first and the last alike.
Result<> Runner::pass(const std::vector<std::size_t>& cases) {
  std::vector<std::size_t> order = cases;
  if (passes_++ % 2 == 1) std::reverse(order.begin(), order.end());
  for (std::size_t done = 0; done < order.size(); ++done) {
    const std::size_t which = order[done];
    if (options_.stop_requested()) return interrupted();
    std::uint64_t certain = 0;
    for (const CaseState& state : cases_)
      if (!state.is_finished) certain += plan_.min_rounds - std::min<std::uint64_t>(plan_.min_rounds, state.rounds.size());
    show(fmt::format("round {}: {}", cases_[which].rounds.size() + 1, label(which)), std::max<std::uint64_t>(certain, order.size() - done));
    for (const Stopwatch pause; pause.seconds() < plan_.delay_s && !options_.stop_requested();) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    const Stopwatch watch;
    ASSAY_TRY(TaskReply reply, run_round(plan_.cases[which]));
    round_seconds_ += watch.seconds();
    ++round_count_;
    if (reply.round) reply.round->at_s = watch_.seconds();
    ASSAY_TRY_VOID(take(which, std::move(reply), true));
  }
  return success();
}

Result<> Runner::measure() {
  const Stopwatch budget;
  for (;;) {
    std::vector<std::size_t> wanting;
    bool is_certain = false;
    for (std::size_t c = 0; c < cases_.size(); ++c) {
      if (!wants_more(cases_[c])) continue;
      wanting.push_back(c);
      is_certain |= cases_[c].rounds.size() < plan_.min_rounds;
    }
    if (wanting.empty() || (!is_certain && budget.seconds() > plan_.budget_s)) break;
    const Result<> done = pass(wanting);
    after_ = read_host_state(host_);
    if (!done) return done;
  }
  for (CaseState& state : cases_) state.is_finished = true;
  return measure_quality();
}

Result<> Runner::measure_quality() {
  std::map<std::string, TaskReply> measured;
  for (std::size_t c = 0; c < cases_.size() && plan_.quality.is_wanted; ++c) {
    const PlannedCase& which = plan_.cases[c];
    if (cases_[c].status != Status::ok || which.engine != "assay") continue;
    const std::string key = fmt::format("{} {} {}", which.arm, which.model, arithmetic_of(which.settings));
    auto found = measured.find(key);
    if (found == measured.end()) {
      show("quality of " + plan_.models[which.model].name, 0);
      TaskRequest request = request_for(which, TaskKind::quality);
      request.settings.sequences = 1;
      ASSAY_TRY(TaskReply reply, ask(request, which.arm));
      found = measured.emplace(key, std::move(reply)).first;
    }
    cases_[c].quality = found->second.quality;
    if (found->second.status != Status::ok) cases_[c].reason = "quality: " + found->second.reason;
  }
  return success();
}

void Runner::restart() {
  for (std::size_t c = 0; c < cases_.size(); ++c) {
    if (cases_[c].status == Status::ok) cases_[c].is_finished = false;
    cases_[c].rounds.clear();
  }
}

std::vector<CaseRun> Runner::records() const {
  std::vector<CaseRun> out;
  for (std::size_t c = 0; c < cases_.size(); ++c) {
    const PlannedCase& which = plan_.cases[c];
    const CaseState& state = cases_[c];
    const ModelState& model = models_[which.model];
    CaseRun& run = out.emplace_back();
    run.time = time_;
    run.run_id = plan_.run_id;
    run.tag = plan_.programs.empty() ? plan_.tag : which.arm;
    run.test = test_name(which.settings);
    run.case_name = label(c);
    run.status = state.status;
    run.reason = state.reason;
    run.settings = which.settings;
    run.build = state.build;
    run.engine = which.engine == "assay" ? EngineFacts{"assay", run.build.version, run.build.commit} : state.engine;
    run.engine.name = which.engine;
    run.model.name = plan_.models[which.model].name;
    run.model.path = plan_.models[which.model].path;
    if (model.inspected.model) run.model = *model.inspected.model;
    run.model_sha256 = model.inspected.model_sha256;
    run.resolved = state.resolved;
    run.host = host_;
    run.host_fingerprint = make_fingerprint(host_);
    run.host_before = before_;
    run.host_after = after_;
    run.agreement = state.agreement;
    run.output_hash = state.output_hash;
    run.planned = state.planned;
    run.quality = state.quality;
    run.rounds = state.rounds;
    if (which.engine == "assay") run.start = model.inspected.start;
    if (const auto found = limits_.find(which.settings.threads); found != limits_.end()) run.limits = found->second;
    run.is_interrupted = !state.is_finished;
    if (state.rounds.empty() && run.status == Status::ok) {
      run.status = Status::skipped;
      run.reason = "stopped before its first round";
    }
    finish_case(run, state.figures, plan_.target_percent);
  }
  return out;
}

}  // namespace assay
