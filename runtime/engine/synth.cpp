// synthesize(): checks the target, then streams random blocks through a format's writer, one buffer filled while one is
// written.
#include "runtime/engine/synth.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <future>
#include <span>
#include <system_error>

#include "runtime/core/aligned.h"
#include "runtime/core/parallel.h"
#include "runtime/engine/synth_header.h"
#include "runtime/engine/synth_plan.h"
#include "runtime/formats/gguf_writer.h"
#include "runtime/formats/safetensors_writer.h"

namespace assay {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kChunkBytes = 1u << 20;  // filled by one thread from one seed
constexpr std::size_t kChunksAtOnce = 16;      // one buffer
constexpr std::uint64_t kTokenBytes = 64;      // room for one token in a header, generously

using Sink = std::function<Result<>(Bytes)>;

// Makes the tensors' bytes and hands them to a sink in order.
class Streamer {
 public:
  Streamer(const SynthPlan& plan, const SynthOptions& options, ProgressFn progress)
      : plan_(plan),
        seed_(options.seed),
        threads_(std::max(1, options.threads)),
        progress_(progress),
        total_(plan.bytes()) {
    for (auto& buffer : buffers_) buffer = AlignedBuffer<std::byte>(kChunkBytes * kChunksAtOnce);
  }

  Result<> stream(const SynthTensor& tensor, const Sink& sink) {
    const std::size_t chunk_bytes = kChunkBytes / tensor.fill_block * tensor.fill_block;
    std::future<Result<>> writing;
    for (std::uint64_t at = 0; at < tensor.bytes;) {
      const std::size_t now = std::min<std::uint64_t>(tensor.bytes - at, chunk_bytes * kChunksAtOnce);
      const std::span<std::byte> batch = buffers_[next_buffer_].span().first(now);
      next_buffer_ = 1 - next_buffer_;
      fill(tensor, at / chunk_bytes, chunk_bytes, batch);
      if (writing.valid()) ASSAY_TRY_VOID(writing.get());
      at += now;
      if (at == tensor.bytes) {  // the last piece, for most tensors the only one, is written here
        ASSAY_TRY_VOID(sink(batch));
      } else {
        writing = std::async(std::launch::async, [&sink, batch] { return sink(batch); });
      }
      done_ += now;
      if (!progress_({.task = "writing", .unit = ProgressUnit::bytes, .done = done_, .total = total_}))
        return Error{Code::interrupted, tensor.name, "stopped on request"};
    }
    return success();
  }

 private:
  void fill(const SynthTensor& tensor, std::uint64_t first_chunk, std::size_t chunk_bytes, std::span<std::byte> out) {
    const Fill& make = plan_.fills[tensor.fill];
    threads_.for_chunks((out.size() + chunk_bytes - 1) / chunk_bytes, [&](std::size_t chunk) {
      const std::size_t begin = chunk * chunk_bytes;
      RandomBits bits(seed_ * 0x9e3779b97f4a7c15u ^ tensor.stream << 32 ^ (first_chunk + chunk));
      make(out.subspan(begin, std::min(chunk_bytes, out.size() - begin)), bits);
    });
  }

  const SynthPlan& plan_;
  std::uint64_t seed_;
  Threads threads_;
  ProgressFn progress_;
  std::uint64_t total_, done_ = 0;
  AlignedBuffer<std::byte> buffers_[2];
  std::size_t next_buffer_ = 0;
};

// Files that vanish unless keep() is called: a broken run leaves nothing.
class Unfinished {
 public:
  ~Unfinished() {
    std::error_code ignored;
    for (const fs::path& path : paths_) fs::remove_all(path, ignored);
  }
  void add(fs::path path) { paths_.push_back(std::move(path)); }
  void keep() { paths_.clear(); }

 private:
  std::vector<fs::path> paths_;
};

// Modules cut into `shards` runs of about equal bytes, none empty.
std::vector<std::span<const SynthModule>> cut_shards(const SynthPlan& plan, std::uint32_t shards) {
  const std::span<const SynthModule> modules = plan.modules;
  const std::uint64_t total = plan.bytes();
  std::vector<std::span<const SynthModule>> out;
  std::size_t first = 0;
  std::uint64_t sum = 0;
  for (std::uint32_t shard = 0; shard < shards; ++shard) {
    const std::size_t most = modules.size() - (shards - 1 - shard);  // the others need one each
    const std::uint64_t goal = total / shards * (shard + 1);
    std::size_t last = first;
    do sum += modules[last++].bytes;
    while (last < most && (shard + 1 == shards || sum + modules[last].bytes / 2 <= goal));
    out.push_back(modules.subspan(first, last - first));
    first = last;
  }
  return out;
}

std::string part_suffix(std::uint32_t part, std::uint32_t parts) {
  return fmt::format("-{:05}-of-{:05}", part + 1, parts);
}

fs::path parent_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

Result<> check_space(const fs::path& folder, std::uint64_t needed) {
  std::error_code failure;
  const fs::space_info space = fs::space(folder, failure);
  if (failure)
    return Error{Code::io, "", fmt::format("cannot be asked for its free space: {}", failure.message()),
                 folder.string()};
  if (space.available >= needed) return success();
  return Error{Code::io, "",
               fmt::format("has {} free, {} are needed; choose another folder or a smaller shape",
                           format_bytes(space.available), format_bytes(needed)),
               folder.string()};
}

Error exists_already(const fs::path& path) {
  return Error{Code::io, "", "exists already; give another name, or --force to replace it", path.string()};
}

Result<> check_target(const fs::path& folder, const SynthPlan& plan, const ModelShape& shape) {
  if (!fs::is_directory(folder)) return Error{Code::not_found, "", "no such folder; create it first", folder.string()};
  return check_space(
      folder, plan.bytes() + std::uint64_t{shape.vocabulary} * kTokenBytes + plan.tensors.size() * 128 + (1u << 20));
}

class GgufSynth {
 public:
  GgufSynth(const ModelShape& shape, const SynthPlan& plan, const SynthOptions& options)
      : shape_(shape), plan_(plan), options_(options) {}

  Result<std::vector<fs::path>> write(const fs::path& out, Streamer& streamer) {
    if (fs::is_directory(out))
      return Error{Code::usage, "", "is a folder; give the name of a .gguf file", out.string()};
    ASSAY_TRY_VOID(check_target(parent_of(out), plan_, shape_));
    const std::vector<fs::path> paths = paths_of(out);
    for (const fs::path& path : paths)
      if (fs::exists(path) && !options_.replaces_files) return exists_already(path);

    Unfinished unfinished;
    const auto shards = cut_shards(plan_, options_.shards);
    for (std::uint32_t part = 0; part < options_.shards; ++part) {
      ASSAY_TRY_VOID(write_part(part, shards[part], paths[part], streamer));
      unfinished.add(paths[part]);
    }
    unfinished.keep();
    return paths;
  }

 private:
  std::vector<fs::path> paths_of(const fs::path& out) const {
    if (options_.shards == 1) return {out};
    std::vector<fs::path> paths;
    const std::string stem = out.extension() == ".gguf" ? out.stem().string() : out.filename().string();
    for (std::uint32_t part = 0; part < options_.shards; ++part)
      paths.push_back(out.parent_path() / (stem + part_suffix(part, options_.shards) + ".gguf"));
    return paths;
  }

  Result<> write_part(std::uint32_t part, std::span<const SynthModule> modules, const fs::path& path,
                      Streamer& streamer) {
    GgufWriter writer;
    if (part == 0) {
      ASSAY_TRY(const Vocabulary vocabulary, make_vocabulary(shape_));
      set_gguf_keys(writer, shape_, vocabulary, plan_);
    }
    if (options_.shards > 1) set_split_keys(writer, part, options_.shards, plan_.tensors.size());
    const std::size_t first = modules.front().first, last = modules.back().first + modules.back().count;
    for (std::size_t i = first; i < last; ++i) {
      const SynthTensor& tensor = plan_.tensors[i];
      ASSAY_TRY_VOID(writer.add_tensor(tensor.name, tensor.format, tensor.shape));
    }
    ASSAY_TRY_VOID(writer.begin(path));
    for (std::size_t i = first; i < last; ++i)
      ASSAY_TRY_VOID(streamer.stream(plan_.tensors[i], [&](Bytes bytes) { return writer.write(bytes); }));
    return writer.finish();
  }

  const ModelShape& shape_;
  const SynthPlan& plan_;
  const SynthOptions& options_;
};

Result<> write_text(const fs::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (!file) return Error{Code::io, "", "cannot be written", path.string()};
  return success();
}

// Writes everything into a folder beside the target and moves it there in the end.
class FolderSynth {
 public:
  FolderSynth(const ModelShape& shape, const SynthPlan& plan, const SynthOptions& options)
      : shape_(shape), plan_(plan), options_(options) {}

  Result<std::vector<fs::path>> write(const fs::path& out, Streamer& streamer) {
    if (fs::exists(out) && !fs::is_directory(out))
      return Error{Code::usage, "", "is a file; give the name of a folder", out.string()};
    if (fs::is_directory(out) && !fs::is_empty(out) && !options_.replaces_files) return exists_already(out);
    const fs::path target = out.has_filename() ? out : out.parent_path();
    ASSAY_TRY_VOID(check_target(parent_of(target), plan_, shape_));

    Unfinished unfinished;
    const fs::path folder = parent_of(target) / fmt::format(".{}.partial-{}", target.filename().string(), ::getpid());
    std::error_code failure;
    if (!fs::create_directory(folder, failure))
      return Error{Code::io, "", fmt::format("cannot be created: {}", failure.message()), folder.string()};
    unfinished.add(folder);

    ASSAY_TRY_VOID(write_described(folder));
    ASSAY_TRY_VOID(write_weights(folder, streamer));
    ASSAY_TRY_VOID(move_into(target, folder));
    std::vector<fs::path> paths;
    for (const std::string& name : weight_names()) paths.push_back(target / name);
    return paths;
  }

 private:
  std::vector<std::string> weight_names() const {
    if (options_.shards == 1) return {"model.safetensors"};
    std::vector<std::string> names;
    for (std::uint32_t part = 0; part < options_.shards; ++part)
      names.push_back("model" + part_suffix(part, options_.shards) + ".safetensors");
    return names;
  }

  Result<> write_described(const fs::path& folder) const {
    ASSAY_TRY(const Vocabulary vocabulary, make_vocabulary(shape_));
    ASSAY_TRY_VOID(write_text(folder / "config.json", to_text(hf_config_json(shape_, plan_), 2)));
    ASSAY_TRY_VOID(write_text(folder / "tokenizer_config.json", to_text(tokenizer_config_json(shape_), 2)));
    return write_text(folder / "tokenizer.json", to_text(tokenizer_json(shape_, vocabulary), 1));
  }

  Result<> write_weights(const fs::path& folder, Streamer& streamer) const {
    const auto shards = cut_shards(plan_, options_.shards);
    const std::vector<std::string> names = weight_names();
    std::vector<ShardEntry> entries;
    for (std::uint32_t part = 0; part < options_.shards; ++part) {
      const auto tensors = in_file_order(shards[part]);
      ASSAY_TRY_VOID(write_part(tensors, folder / names[part], streamer));
      for (const SynthTensor* tensor : tensors) entries.push_back({tensor->name, names[part]});
    }
    if (options_.shards == 1) return success();
    return write_shard_index(folder / "model.safetensors.index.json", entries, plan_.bytes());
  }

  // Larger elements first, so that every tensor is aligned to its type.
  std::vector<const SynthTensor*> in_file_order(std::span<const SynthModule> modules) const {
    std::vector<const SynthTensor*> out;
    for (const SynthModule& module : modules)
      for (std::size_t i = 0; i < module.count; ++i) out.push_back(&plan_.tensors[module.first + i]);
    std::ranges::stable_sort(out, std::greater(), [](const SynthTensor* tensor) { return tensor->fill_block; });
    return out;
  }

  static Result<> write_part(const std::vector<const SynthTensor*>& tensors, const fs::path& path, Streamer& streamer) {
    SafetensorsWriter writer;
    writer.set_metadata("format", "pt");
    for (const SynthTensor* tensor : tensors)
      ASSAY_TRY_VOID(writer.add_tensor(tensor->name, tensor->format, tensor->shape));
    ASSAY_TRY_VOID(writer.begin(path));
    for (const SynthTensor* tensor : tensors)
      ASSAY_TRY_VOID(streamer.stream(*tensor, [&](Bytes bytes) { return writer.write(bytes); }));
    return writer.finish();
  }

  // Weight files of an earlier model in the target would be taken for parts of this one: they go.
  static Result<> move_into(const fs::path& target, const fs::path& folder) {
    std::error_code failure;
    fs::create_directory(target, failure);
    for (const auto& entry : fs::directory_iterator(target, failure)) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with("model") && (name.ends_with(".safetensors") || name.ends_with(".safetensors.index.json")))
        fs::remove(entry.path(), failure);
    }
    for (const auto& entry : fs::directory_iterator(folder, failure)) {
      fs::rename(entry.path(), target / entry.path().filename(), failure);
      if (failure)
        return Error{Code::io, "", fmt::format("cannot be moved into place: {}", failure.message()),
                     entry.path().string()};
    }
    return success();
  }

  const ModelShape& shape_;
  const SynthPlan& plan_;
  const SynthOptions& options_;
};

Result<> check_options(const SynthPlan& plan, const SynthOptions& options) {
  const std::size_t most = std::min<std::size_t>(plan.modules.size(), 9999);
  if (options.shards >= 1 && options.shards <= most) return success();
  return Error{
      Code::usage, "shards",
      fmt::format("{} shards cannot be made of {} weights; give 1 to {}", options.shards, plan.modules.size(), most)};
}

}  // namespace

std::string_view name_of(SynthLayout layout) {
  switch (layout) {
    case SynthLayout::gguf:
      return "gguf";
    case SynthLayout::safetensors:
      return "safetensors";
    case SynthLayout::mlx:
      return "mlx";
  }
  return "";
}

SynthLayout layout_for(std::string_view quant) {
  // "4bit" alone is MLX's way of writing too.
  return mlx_bits_of(quant) != 0 ? SynthLayout::mlx : SynthLayout::gguf;
}

Result<SynthSpec> parse_synth_spec(std::string_view text) {
  const std::size_t colon = text.find(':');
  const std::string_view name = text.substr(0, colon);
  const ModelShape* shape = shape_from_name(name);
  if (shape == nullptr)
    return Error{Code::usage, std::string(name), fmt::format("not a known shape; known: {}", known_shapes())};
  std::string quant = colon == std::string_view::npos ? "Q4_K_M" : std::string(text.substr(colon + 1));
  if (quant.empty())
    return Error{Code::usage, std::string(text),
                 "no quantisation after the colon; write for instance llama-3.2-1b:Q4_K_M"};
  return SynthSpec{shape, std::move(quant)};
}

Result<SynthSummary> synthesize(const ModelShape& shape, std::string_view quant, const SynthOptions& options,
                                const fs::path& out, ProgressFn progress) {
  ASSAY_TRY(const SynthPlan plan, plan_synth(shape, quant, options.layout));
  ASSAY_TRY_VOID(check_options(plan, options));
  Streamer streamer(plan, options, progress);
  auto written = options.layout == SynthLayout::gguf ? GgufSynth(shape, plan, options).write(out, streamer)
                                                     : FolderSynth(shape, plan, options).write(out, streamer);
  if (!written) return std::move(written).error();
  SynthSummary summary{.files = std::move(*written),
                       .parameters = parameter_count(shape),
                       .tensors = plan.tensors.size(),
                       .weight_bytes = plan.bytes()};
  summary.bits_per_weight = 8.0 * static_cast<double>(summary.weight_bytes) / static_cast<double>(summary.parameters);
  return summary;
}

}  // namespace assay
