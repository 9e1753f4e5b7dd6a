// The Vulkan backend's life: opening, the data of a pass, recordings kept and run again, results read back.
#include "runtime/engine/vulkan_backend.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "runtime/core/assert.h"
#include "runtime/kernels/vulkan/tables.h"

namespace assay {

using vulkan::Where;

namespace {

// Recordings kept: a decode step, and passes of the other sizes that were used last.
constexpr std::size_t kMostPrograms = 8;

constexpr std::uint64_t padded(std::uint64_t bytes) { return (bytes + 63) / 64 * 64; }

std::filesystem::path cache_file(const std::string& folder, const vulkan::DeviceFacts& facts) {
  std::string name = facts.name + "-" + facts.driver;
  std::replace_if(name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return std::filesystem::path(folder) / ("pipelines-" + name + ".bin");
}

// Empty where there is none, or one too large to be true.
std::vector<std::byte> read_cache(const std::filesystem::path& path) {
  constexpr std::uintmax_t kMostBytes = 256u << 20;
  std::error_code missing;
  const std::uintmax_t size = std::filesystem::file_size(path, missing);
  if (missing || size > kMostBytes) return {};
  std::vector<std::byte> bytes(size);
  std::ifstream in(path, std::ios::binary);
  in.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<std::size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  return bytes;
}

}  // namespace

VulkanBackend::VulkanBackend(const Model& model, const Options& options, vulkan::Device device)
    : model_(model),
      options_(options),
      device_(std::move(device)),
      memory_(device_),
      rope_(make_rope_table(model, options.context)),
      local_rope_(make_local_rope_table(model.config)) {
  options_.batch = std::max(options.batch, options.sequences);  // a step takes a token of each sequence
}

VulkanBackend::~VulkanBackend() = default;

Result<std::unique_ptr<VulkanBackend>> VulkanBackend::open(const Model& model, const Options& options, ProgressFn progress) {
  ASSAY_TRY_VOID(check_abilities(model, kAbilities, "vulkan"));
  if (options.batch > vulkan::Ops::kMostTokens) return Error{Code::usage, "batch", fmt::format("is {}; a device takes at most {} tokens at once", options.batch, vulkan::Ops::kMostTokens)};
  vulkan::DeviceOptions driver = options.driver;
  std::vector<std::byte> cache;
  if (!options.cache_folder.empty()) {
    ASSAY_TRY(const auto devices, vulkan::list_devices());
    if (options.device < devices.size()) cache = read_cache(cache_file(options.cache_folder, devices[options.device]));
    driver.pipeline_cache = cache;
  }
  ASSAY_TRY(vulkan::Device device, vulkan::Device::open(options.device, driver));
  std::unique_ptr<VulkanBackend> backend(new VulkanBackend(model, options, std::move(device)));
  backend->options_.driver.pipeline_cache = {};
  ASSAY_TRY_VOID(backend->allocate_fixed());
  ASSAY_TRY_VOID(backend->load_and_compile(progress));
  return backend;
}

// Tables, and the data of a pass: what the processor writes before each.
Result<> VulkanBackend::allocate_fixed() {
  const std::vector<std::byte> tables = vulkan::format_tables();
  ASSAY_TRY(const vulkan::Buffer table_buffer, memory_.allocate(tables.size(), Where::device));
  ASSAY_TRY_VOID(memory_.upload(tables, table_buffer));
  ops_.emplace(device_, table_buffer.address);
  const std::uint64_t batch = options_.batch, group = model_.config.heads / model_.config.kv_heads;
  const std::uint64_t pieces = batch * group / vulkan::Ops::kAttentionRows + batch;
  pass_.kept = padded(batch * sizeof(vulkan::TokenFacts));
  pass_.pieces = pass_.kept + padded(batch * sizeof(std::uint32_t));
  pass_.angles = pass_.pieces + padded(pieces * sizeof(vulkan::AttentionPiece));
  pass_.local_angles = pass_.angles + padded(batch * rope_.frequencies.size() * 2 * sizeof(float));
  ASSAY_TRY(pass_.buffer, memory_.allocate(pass_.local_angles + padded(batch * local_rope_.frequencies.size() * 2 * sizeof(float)), Where::host));
  return success();
}

// A decode step is told to the tape once: what it touches is what has to be loaded and compiled.
Result<> VulkanBackend::load_and_compile(ProgressFn progress) {
  const Segment segment{0, 0, 1};
  const std::int32_t token = 0;
  begin({&segment, 1});
  const bool has_embedding = options_.first_layer == 0;
  if (has_embedding)
    forward(model_, *this, {&token, 1}, {&segment, 1}, LogitsWanted::last);
  else
    forward_from(model_, *this, options_.first_layer, LogitsWanted::last);
  std::vector<const Step*> loads;
  std::uint64_t total = 0, done = 0;
  for (const Step& step : steps()) {
    const bool is_known = std::any_of(loads.begin(), loads.end(), [&](const Step* other) { return other->weight == step.weight && other->verb == step.verb && other->layer == step.layer; });
    if (is_known || weight_bytes_of(step) == 0) continue;
    loads.push_back(&step);
    total += weight_bytes_of(step);
  }
  for (const Step* step : loads) {
    if (!progress({"upload", ProgressUnit::bytes, done, total})) return Error{Code::interrupted, "upload", "stopped"};
    ASSAY_TRY_VOID(load_weights_of(*step));
    done += weight_bytes_of(*step);
  }
  progress({"upload", ProgressUnit::bytes, total, total});
  if (!has_embedding) ASSAY_TRY_VOID(rows_for(Slot::residual, model_.config.embedding));
  ASSAY_TRY_VOID(program_for_pass());
  return save_pipelines();
}

// Best effort: a cache that cannot be written costs time at the next start and nothing else.
Result<> VulkanBackend::save_pipelines() const {
  if (options_.cache_folder.empty()) return success();
  const std::vector<std::byte> bytes = device_.pipeline_cache();
  const std::filesystem::path path = cache_file(options_.cache_folder, device_.facts());
  std::error_code ignored;
  if (std::filesystem::file_size(path, ignored) == bytes.size() && !ignored) return success();
  std::filesystem::create_directories(path.parent_path(), ignored);
  const std::filesystem::path fresh = path.string() + fmt::format(".{}", static_cast<const void*>(this));
  std::ofstream out(fresh, std::ios::binary | std::ios::trunc);
  out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  out.close();
  if (out) std::filesystem::rename(fresh, path, ignored);
  std::filesystem::remove(fresh, ignored);
  return success();
}

Result<> VulkanBackend::take_residual(std::span<const float> rows) {
  const std::uint32_t cols = model_.config.embedding;
  is_kept_ = {};
  ASSAY_TRY(const vulkan::Rows to, rows_for(Slot::residual, cols));
  const vulkan::Buffer& buffer = slots_[static_cast<std::size_t>(Slot::residual)].buffer;
  std::vector<float> strided(rows.size() / cols * to.stride);
  for (std::size_t row = 0; row < rows.size() / cols; ++row) std::copy_n(rows.data() + row * cols, cols, strided.data() + row * to.stride);
  return memory_.upload(std::as_bytes(std::span(strided)), buffer);
}

// Tokens, rows to keep, pieces of attention and angles, where the recording reads them.
void VulkanBackend::write_pass() {
  std::byte* const base = pass_.buffer.host;
  auto* tokens = reinterpret_cast<vulkan::TokenFacts*>(base + pass_.tokens);
  auto* kept = reinterpret_cast<std::uint32_t*>(base + pass_.kept);
  auto* pieces = reinterpret_cast<vulkan::AttentionPiece*>(base + pass_.pieces);
  const std::uint32_t group = model_.config.heads / model_.config.kv_heads;
  std::uint32_t token = 0;
  std::vector<float> cosines(std::max(rope_.frequencies.size(), local_rope_.frequencies.size())), sines(cosines.size());
  const auto write_angles = [&](const RopeTable& table, std::uint64_t offset, std::uint32_t position) {
    if (table.frequencies.empty()) return;
    table.angles(position, cosines.data(), sines.data());
    auto* angles = reinterpret_cast<float*>(base + offset) + std::size_t{token} * table.frequencies.size() * 2;
    for (std::size_t pair = 0; pair < table.frequencies.size(); ++pair) {
      angles[2 * pair] = cosines[pair];
      angles[2 * pair + 1] = sines[pair];
    }
  };
  for (const Segment& segment : segments()) {
    for (std::uint32_t row = 0; row < segment.tokens * group; row += vulkan::Ops::kAttentionRows)
      *pieces++ = {token, row, std::min(vulkan::Ops::kAttentionRows, segment.tokens * group - row), segment.sequence, segment.position, {}};
    for (std::uint32_t i = 0; i < segment.tokens; ++i, ++token) {
      const std::uint32_t id = token < ids().size() ? static_cast<std::uint32_t>(ids()[token]) : 0;
      tokens[token] = {id, segment.sequence, segment.position + i, 0};
      write_angles(rope_, pass_.angles, segment.position + i);
      write_angles(local_rope_, pass_.local_angles, segment.position + i);
    }
    *kept++ = token - 1;
  }
}

// The recording of this pass: an earlier one of the same verbs on as many tokens, or a new one.
Result<VulkanBackend::Program*> VulkanBackend::program_for_pass() {
  std::vector<std::uint32_t> tokens;
  for (const Segment& segment : segments()) tokens.push_back(segment.tokens);
  for (Program& program : programs_)
    if (program.tokens == tokens && std::equal(steps().begin(), steps().end(), program.steps.begin(), program.steps.end())) return &program;

  const auto start = std::chrono::steady_clock::now();
  ASSAY_TRY(std::vector<Planned> plan, lower());
  ASSAY_TRY_VOID(memory_.finish_uploads());
  ASSAY_TRY_VOID(device_.build_programs());
  Program program{{steps().begin(), steps().end()}, std::move(tokens), std::move(plan), vulkan::Recording(device_, options_.measures_times), {}, 0, 0, 0};
  const bool chooses = !steps().empty() && steps().back().verb == Verb::choose;
  const bool has_logits = !chooses && std::any_of(steps().begin(), steps().end(), [](const Step& step) { return step.verb == Verb::project && step.to == Slot::logits; });
  if (has_logits) program.logit_rows = rows_now_;
  if (chooses) program.chosen_rows = rows_now_;
  ASSAY_TRY_VOID(program.recording.begin());
  for (const Planned& planned : program.plan) {
    program.recording.dispatch(planned.call.program, {planned.call.push.data(), planned.call.push_bytes}, planned.call.groups, planned.touches);
    program.facts.weight_bytes += planned.call.weight_bytes;
    program.facts.other_bytes += planned.call.other_bytes;
  }
  if (has_logits) program.recording.copy(logits_, logits_host_, std::uint64_t{rows_now_} * vulkan::stride_of(model_.config.vocabulary) * sizeof(float));
  ASSAY_TRY_VOID(program.recording.end());
  program.facts.dispatches = program.recording.dispatches();
  program.facts.barriers = program.recording.barriers();
  program.facts.host_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  if (programs_.size() == kMostPrograms)
    programs_.erase(std::min_element(programs_.begin(), programs_.end(), [](const Program& a, const Program& b) { return a.used < b.used; }));
  programs_.push_back(std::move(program));
  return &programs_.back();
}

Result<> VulkanBackend::finish() {
  const std::size_t before = programs_.size();
  const auto start = std::chrono::steady_clock::now();
  ASSAY_TRY(Program* const program, program_for_pass());
  write_pass();
  facts_ = program->facts;
  facts_.is_replay = program->used > 0 && programs_.size() == before;
  program->used = ++runs_;
  last_program_ = static_cast<std::size_t>(program - programs_.data());
  ASSAY_TRY_VOID(device_.start(program->recording));
  facts_.host_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  ASSAY_TRY_VOID(device_.wait());
  return read_logits(*program);
}

// Rows without a gap between them are read where the device put them.
Result<> VulkanBackend::read_logits(const Program& program) {
  logit_rows_ = program.logit_rows;
  chosen_rows_ = program.chosen_rows;
  const std::size_t vocabulary = model_.config.vocabulary, stride = vulkan::stride_of(model_.config.vocabulary);
  if (logit_rows_ == 0 || vocabulary == stride) return success();
  logits_read_.resize(logit_rows_ * vocabulary);
  const auto* from = reinterpret_cast<const float*>(logits_host_.host);
  for (std::size_t row = 0; row < logit_rows_; ++row) std::copy_n(from + row * stride, vocabulary, logits_read_.data() + row * vocabulary);
  return success();
}

std::span<const float> VulkanBackend::rows(Slot slot) const {
  ASSAY_CHECK(slot == Slot::logits);
  const std::size_t vocabulary = model_.config.vocabulary;
  const bool is_gapless = vocabulary == vulkan::stride_of(model_.config.vocabulary);
  return {is_gapless ? reinterpret_cast<const float*>(logits_host_.host) : logits_read_.data(), logit_rows_ * vocabulary};
}

std::span<const std::int32_t> VulkanBackend::chosen() const { return {reinterpret_cast<const std::int32_t*>(chosen_.host), chosen_rows_}; }

std::uint64_t VulkanBackend::device_bytes() const { return memory_.allocated_bytes() + (logit_memory_ ? logit_memory_->allocated_bytes() : 0); }

void VulkanBackend::measure_kernels() {
  if (!options_.measures_times) programs_.clear();
  options_.measures_times = true;
}

DevicePass VulkanBackend::last_pass() {
  DevicePass pass = facts_;
  if (auto times = kernel_times()) pass.kernels = std::move(*times);
  return pass;
}

Result<std::vector<KernelTime>> VulkanBackend::kernel_times() {
  std::vector<KernelTime> times;
  if (last_program_ >= programs_.size()) return times;
  Program& program = programs_[last_program_];
  ASSAY_TRY(const std::vector<double> each, program.recording.times_ms());
  for (std::size_t i = 0; i < std::min(each.size(), program.plan.size()); ++i) {
    const Planned& planned = program.plan[i];
    const std::string name = planned.format ? vulkan::shader_name(planned.op, *planned.format) : std::string(planned.op);
    auto found = std::find_if(times.begin(), times.end(), [&](const KernelTime& time) { return time.kernel == name; });
    if (found == times.end()) found = times.insert(times.end(), {name, 0, 0});
    ++found->dispatches;
    found->ms += each[i];
  }
  std::sort(times.begin(), times.end(), [](const KernelTime& a, const KernelTime& b) { return a.ms > b.ms; });
  return times;
}

}  // namespace assay
