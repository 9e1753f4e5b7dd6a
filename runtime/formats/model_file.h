// ModelFile: any openable model, one face: GGUF (single or split), safetensors (single or sharded), HF and MLX folders.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "runtime/core/aligned.h"
#include "runtime/core/json.h"
#include "runtime/core/mapped_file.h"
#include "runtime/formats/finding.h"
#include "runtime/formats/metadata.h"
#include "runtime/formats/tensor.h"

namespace assay {

enum class FileKind : std::uint8_t {
  gguf,                // one GGUF file, or a set of -0000i-of-0000N
  safetensors,         // one .safetensors file
  sharded_safetensors  // several, through model.safetensors.index.json
};
std::string_view name_of(FileKind kind);

struct ModelFile {
  FileKind kind = FileKind::gguf;
  std::filesystem::path path;    // as given
  std::filesystem::path folder;  // where config.json and tokenizer files are looked for (safetensors kinds)
  std::vector<MappedFile> files;
  std::uint32_t gguf_version = 0;
  Metadata metadata;    // GGUF kinds (of the first part)
  Json config;          // config.json, null where there is none
  Json annotations;     // __metadata__ of the (first) safetensors file, null where there is none
  bool is_mlx = false;  // config has MLX `quantization`
  std::vector<TensorView> tensors;
  // Tensors expanded on open (nested NF4 absmax): views above may point in here.
  std::vector<AlignedBuffer<std::byte>> owned;

  const TensorView* find(std::string_view name) const;
  std::uint64_t file_bytes() const;

  // Filled by open_model.
  std::unordered_map<std::string_view, std::size_t> index;
};

// How the bytes of a model come to be in memory.
struct Loading {
  bool copy = false;  // read into memory of our own; else mapped, pages come when they are used and can be dropped again
  bool lock = false;  // kept in memory
  bool preload = false;  // mapped pages are read now and not when they are first used
};
// Before or after anything was bound: views stay valid. Errors: memory, io; the message names the file.
Result<> load_files(ModelFile& model, const Loading& loading);

// Opens a GGUF file (or the first or any part of a split one), a .safetensors file, a model.safetensors.index.json, or
// a folder that holds one of these. What a file is is decided by its content first, then its name. Maps, checks every
// header and every tensor's bounds, touches no weight byte. Stops at the first error; its message names file, field and
// offset.
Result<ModelFile> open_model(const std::filesystem::path& path);

// The same parsers, going on after errors where they can: everything they have to say goes into `sink`. Nothing when no
// usable model is left.
std::optional<ModelFile> open_model(const std::filesystem::path& path, FindingSink& sink);

}  // namespace assay
