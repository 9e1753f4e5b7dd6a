// Recognising files: two formats Assay opens and the many things that lie under their names.
#include "runtime/formats/sniff.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "runtime/formats/reporter.h"
#include "runtime/formats/safetensors.h"

namespace assay {

namespace {

constexpr std::string_view kGetGguf = "download the model as GGUF or safetensors";
constexpr std::string_view kConvertLegacy =
    "ggml files from before August 2023 are read by nothing current: download a current GGUF of the model";

struct Signature {
  std::size_t at;
  std::string_view bytes;
  std::string_view what;
  std::string_view advice;
};

// Magic numbers are written as the bytes lie in the file.
constexpr std::array kSignatures = {
    Signature{0, "FUGG", "a big-endian GGUF file",
              "Assay reads little-endian GGUF: download the little-endian file or convert again"},
    Signature{0, "lmgg", "a ggml model without version (magic ggml)", kConvertLegacy},
    Signature{0, "fmgg", "a ggml model of the format before GGUF (magic ggmf)", kConvertLegacy},
    Signature{0, "tjgg", "a ggml model of the format before GGUF (magic ggjt)", kConvertLegacy},
    Signature{0, "algg", "a ggml LoRA adapter of the format before GGUF (magic ggla)", kConvertLegacy},
    Signature{0, "nsgg", "a saved session, not a model", kGetGguf},
    Signature{4, "ET12", "an ExecuTorch program (.pte)",
              "it is compiled for the ExecuTorch runtime: download the same model as GGUF or safetensors"},
    Signature{0, "PK\x03\x04", "a ZIP archive, as PyTorch saves checkpoints (.bin, .pt, .pth)",
              "it can run code when unpickled, so Assay does not open it: use the model's safetensors, or convert it"},
    Signature{0, "\x80\x02", "a Python pickle, as PyTorch saved checkpoints",
              "it can run code when unpickled, so Assay does not open it: use the model's safetensors, or convert it"},
    Signature{0, "\x80\x04", "a Python pickle",
              "it can run code when unpickled, so Assay does not open it: use the model's safetensors"},
    Signature{4, "TFL3", "a TensorFlow Lite model", kGetGguf},
    Signature{0, "\x89HDF", "an HDF5 file, as Keras saves models", kGetGguf},
    Signature{0, "\x93NUMPY", "a NumPy array", kGetGguf},
    Signature{0, "\x1f\x8b", "a gzip archive", "unpack it first"},
    Signature{0, "\x28\xb5\x2f\xfd", "a Zstandard archive", "unpack it first"},
    Signature{0, "7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it first"},
};

Sniffed refuse(std::string rule, Code code, std::string message, std::string advice) {
  return {Content::refused, Finding{.rule = std::move(rule),
                                    .code = code,
                                    .offset = 0,
                                    .message = std::move(message),
                                    .advice = std::move(advice)}};
}

std::string_view text_of(Bytes bytes, std::size_t limit) {
  return {reinterpret_cast<const char*>(bytes.data()), std::min(bytes.size(), limit)};
}

std::string_view first_line(std::string_view text) {
  return text.substr(0, text.find_first_of("\r\n"));
}

bool starts_with_ignoring_case(std::string_view text, std::string_view lower) {
  return text.size() >= lower.size() && std::equal(lower.begin(), lower.end(), text.begin(), [](char a, char b) {
           return a == static_cast<char>(std::tolower(static_cast<unsigned char>(b)));
         });
}

std::string_view skip_space(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  const std::size_t start = text.find_first_not_of(" \t\r\n");
  return start == std::string_view::npos ? std::string_view() : text.substr(start);
}

// A Git LFS pointer names the size of the file it stands for.
Sniffed refuse_pointer(std::string_view text) {
  const std::size_t at = text.find("\nsize ");
  std::string size;
  if (at != std::string_view::npos)
    size = " (it stands for a file of " + printable(first_line(text.substr(at + 6))) + " bytes)";
  return refuse("file.lfs-pointer", Code::malformed, "this is a Git LFS pointer, not the model" + size,
                "run `git lfs pull` in the repository, or download the file itself");
}

std::optional<Sniffed> refuse_text(std::string_view text) {
  if (text.starts_with("version https://git-lfs.github.com/spec/")) return refuse_pointer(text);
  const std::string_view start = skip_space(text);
  for (const std::string_view tag : {"<!doctype html", "<html", "<head", "<?xml", "<error"})
    if (starts_with_ignoring_case(start, tag))
      return refuse(
          "file.html", Code::malformed,
          "this is a web page or server message (\"" + printable(first_line(start), 60) + "\"), not a model",
          "the download got an error or login page: download it again, with a token where the repository asks for one");
  return std::nullopt;
}

bool looks_like_safetensors(Bytes bytes) {
  if (bytes.size() < 10) return false;
  const std::uint64_t length = load<std::uint64_t>(bytes.data());
  return length >= 2 && length <= kSafetensorsMaxHeader && length <= bytes.size() - 8 &&
         skip_space(text_of(bytes.subspan(8), 64)).starts_with('{');
}

// Plain text such as a server's "Entry not found".
bool is_short_text(Bytes bytes) {
  const std::string_view text = text_of(bytes, bytes.size());
  return text.size() <= 4096 && is_utf8(text) &&
         std::none_of(text.begin(), text.end(), [](char c) { return c == '\0'; });
}

}  // namespace

Sniffed sniff(Bytes bytes, std::string_view file_name) {
  if (bytes.empty())
    return refuse("file.empty", Code::truncated, "the file is empty", "the download never began: download it again");
  const std::string_view start = text_of(bytes, 64 * 1024);
  if (start.starts_with("GGUF")) return {Content::gguf};
  if (looks_like_safetensors(bytes)) return {Content::safetensors};
  if (auto refused = refuse_text(start)) return *refused;
  for (const Signature& signature : kSignatures)
    if (start.size() > signature.at && start.substr(signature.at).starts_with(signature.bytes))
      return refuse("file.kind", Code::unsupported, "this is " + std::string(signature.what),
                    std::string(signature.advice));
  if (start.size() >= 16 && start.find_first_not_of('\0') == std::string_view::npos)
    return refuse("file.zeros", Code::truncated, "the file begins with zeros only",
                  "space was reserved and the download never filled it: download it again");
  if (file_name.ends_with(".gguf")) return {Content::gguf};
  if (file_name.ends_with(".safetensors")) return {Content::safetensors};
  if (skip_space(start).starts_with('{')) return {Content::json};
  if (is_short_text(bytes))
    return refuse("file.text", Code::unsupported,
                  "this is a short text (\"" + printable(first_line(skip_space(start)), 60) + "\"), not a model",
                  "name a .gguf or .safetensors file or a model folder");
  return refuse("file.kind", Code::unsupported,
                "this is no model file Assay knows (it begins with \"" + printable(start.substr(0, 8)) + "\")",
                "name a .gguf or .safetensors file or a model folder");
}

}  // namespace assay
