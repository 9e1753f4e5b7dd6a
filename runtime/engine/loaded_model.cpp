// File, bound weights and tokenizer in one place that does not move.
#include "runtime/engine/loaded_model.h"

#include <malloc.h>

namespace assay {

struct LoadedModel::Parts {
  ModelFile file;
  Model model;
  Result<Tokenizer> tokenizer;
};

LoadedModel::LoadedModel(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
LoadedModel::LoadedModel(LoadedModel&&) noexcept = default;

LoadedModel& LoadedModel::operator=(LoadedModel&& other) noexcept {
  std::swap(parts_, other.parts_);
  return *this;
}

LoadedModel::~LoadedModel() {
  if (parts_ == nullptr) return;
  parts_.reset();
  return_freed_memory();
}

Result<LoadedModel> LoadedModel::open(const std::filesystem::path& path, const Loading& loading, const BeforeLoad& check) {
  ASSAY_TRY(ModelFile file, open_model(path));
  auto parts = std::make_unique<Parts>(Parts{std::move(file), {}, Error{Code::missing, "tokenizer", "is not opened yet"}});
  ASSAY_TRY(parts->model, bind_model(parts->file, Copies::planned));
  if (check) ASSAY_TRY_VOID(check(parts->model));
  make_copies(parts->model);
  ASSAY_TRY_VOID(load_files(parts->file, loading));
  parts->tokenizer = Tokenizer::open(parts->file);
  return LoadedModel(std::move(parts));
}

const ModelFile& LoadedModel::file() const { return parts_->file; }
const Model& LoadedModel::model() const { return parts_->model; }
const Result<Tokenizer>& LoadedModel::tokenizer() const { return parts_->tokenizer; }

std::future<Result<LoadedModel>> load_in_background(std::filesystem::path path, const Loading& loading, BeforeLoad check) {
  return std::async(std::launch::async, [path = std::move(path), loading, check = std::move(check)] { return LoadedModel::open(path, loading, check); });
}

void return_freed_memory() { ::malloc_trim(0); }

}  // namespace assay
