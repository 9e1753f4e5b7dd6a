// What the tokenizer tests share: GGUF metadata made in memory, and folders with a tokenizer.json.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <fstream>
#include <string>
#include <vector>

#include "runtime/model/tokenizer.h"
#include "tests/support/data.h"

namespace assay::test {

using Ids = std::vector<TokenId>;

// A GGUF model's metadata without a file. Keeps the bytes that its arrays point to.
class MetadataMaker {
 public:
  MetadataMaker& text(std::string_view key, std::string_view value) { return add(key, MetaType::string, kept(std::string(value))); }
  MetadataMaker& number(std::string_view key, std::uint64_t value) { return add(key, MetaType::u32, value); }
  MetadataMaker& flag(std::string_view key, bool value) { return add(key, MetaType::boolean, value); }
  MetadataMaker& texts(std::string_view key, const std::vector<std::string>& values) {
    std::string bytes;
    for (const std::string& value : values) {
      const std::uint64_t size = value.size();
      bytes.append(reinterpret_cast<const char*>(&size), sizeof size).append(value);
    }
    return array(key, MetaType::string, values.size(), std::move(bytes));
  }
  MetadataMaker& floats(std::string_view key, const std::vector<float>& values) {
    return array(key, MetaType::f32, values.size(), {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)});
  }
  MetadataMaker& integers(std::string_view key, const std::vector<std::int32_t>& values) {
    return array(key, MetaType::i32, values.size(), {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(std::int32_t)});
  }

  const ModelFile& file() const { return file_; }
  Result<Tokenizer> open() const { return Tokenizer::open(file_); }
  // The message of the error that opening gives, "" when it opens.
  std::string failure() const {
    const auto tokenizer = open();
    return tokenizer ? std::string() : tokenizer.error().message();
  }

 private:
  std::string_view kept(std::string text) { return kept_.emplace_back(std::move(text)); }
  MetadataMaker& add(std::string_view key, MetaType type, MetaValue value) {
    file_.metadata.add({kept(std::string(key)), type, value, 0});
    return *this;
  }
  MetadataMaker& array(std::string_view key, MetaType element, std::size_t count, std::string bytes) {
    const std::string_view view = kept(std::move(bytes));
    return add(key, MetaType::array, MetaArray{element, count, std::as_bytes(std::span(view))});
  }

  ModelFile file_;
  std::deque<std::string> kept_;
};

// Writes `json` as tokenizer.json (and `config` as tokenizer_config.json) into a fresh folder and opens it.
inline Result<Tokenizer> open_json(const std::string& json, const std::string& config = "") {
  const TemporaryFolder folder;
  std::ofstream(folder.path() / "tokenizer.json") << json;
  if (!config.empty()) std::ofstream(folder.path() / "tokenizer_config.json") << config;
  return Tokenizer::open_folder(folder.path());
}

inline Ids ids_of(const Json& list) {
  Ids ids;
  for (const Json& id : *list.array()) ids.push_back(static_cast<TokenId>(id.integer().value_or(-1)));
  return ids;
}

// Text, none of it added or parsed as special.
inline constexpr EncodeOptions kPlain{.add_special = false, .parse_special = false};

}  // namespace assay::test
