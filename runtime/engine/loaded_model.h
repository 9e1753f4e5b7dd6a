// LoadedModel: a model in this process with everything that belongs to it; several may be there, and each gives its memory back.
#pragma once

#include <filesystem>
#include <functional>
#include <future>
#include <memory>

#include "runtime/engine/session.h"
#include "runtime/formats/model_file.h"
#include "runtime/model/tokenizer.h"

namespace assay {

// Asked when the model is known and before its weights are read: a check of memory.
using BeforeLoad = std::function<Result<>(const Model&)>;

// Weights are mapped once, whatever the number of sessions. Sessions must be gone before it; what it then gives back to the system is
// all it took, so that another model finds the room.
class LoadedModel {
 public:
  // Errors: those of open_model, bind_model, `check` and load_files.
  static Result<LoadedModel> open(const std::filesystem::path& path, const Loading& loading = {}, const BeforeLoad& check = {});

  LoadedModel(LoadedModel&&) noexcept;
  LoadedModel& operator=(LoadedModel&&) noexcept;
  ~LoadedModel();

  const ModelFile& file() const;
  const Model& model() const;
  // Errors: why the model has none.
  const Result<Tokenizer>& tokenizer() const;

 private:
  struct Parts;
  explicit LoadedModel(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

// The next model is made ready while another one works: with Loading::preload its pages are in memory when it is taken.
std::future<Result<LoadedModel>> load_in_background(std::filesystem::path path, const Loading& loading, BeforeLoad check = {});

// Hands free pages of the heap back to the system, which the allocator keeps otherwise.
void return_freed_memory();

}  // namespace assay
