// assay tokenize: a text's token ids under a model's tokenizer, and ids back to text.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "bench/apps/assay/commands.h"
#include "bench/apps/assay/library_access.h"
#include "runtime/core/json.h"
#include "runtime/model/tokenizer.h"

namespace assay {
namespace {

struct TokenizeArguments {
  std::string model, text, file;
  bool has_text = false;
  bool decode = false, pieces = false, count = false, json = false;
  bool no_special = false, with_special = false, quiet = false;
};

constexpr const char* kFooter = R"(Examples:
  assay tokenize model.gguf "Once upon a time"         ids, with the BOS token where the model has one
  assay tokenize model.gguf "<s>text" --no-special      nothing added, "<s>" read as plain text
  assay tokenize folder/ -f book.txt --count            how many tokens a file has
  assay tokenize model.gguf "Hello" --pieces            ids beside the text they stand for
  assay tokenize model.gguf --decode "9906 1917"        ids (spaces or commas between) to text
  echo -n text | assay tokenize model.gguf -f -         the text from stdin

PATH is a model, a folder with a tokenizer.json, or a tokenizer.json. A TEXT that begins with '-' goes after '--'.)";

Result<std::string> read_stream(std::FILE* stream, const std::string& name) {
  std::string text;
  char buffer[1 << 16];
  for (std::size_t read = 0; (read = std::fread(buffer, 1, sizeof buffer, stream)) > 0;) text.append(buffer, read);
  if (std::ferror(stream)) return Error{Code::io, name, "cannot be read"};
  return text;
}

// What is to be tokenized: TEXT, a file, or stdin.
Result<std::string> read_input(const TokenizeArguments& arguments) {
  if (arguments.has_text) return arguments.text;
  if (arguments.file == "-") return read_stream(stdin, "stdin");
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(arguments.file.c_str(), "rb"), std::fclose);
  if (!file) return Error{Code::not_found, arguments.file, "cannot be opened; check the path given to -f"};
  return read_stream(file.get(), arguments.file);
}

// A tokenizer and the file it looks into.
struct Opened {
  ModelFile model;
  Tokenizer tokenizer;
};

Result<Opened> open_tokenizer(const std::filesystem::path& path, bool quiet) {
  std::error_code ignored;
  const bool is_json = path.filename() == "tokenizer.json";
  if (is_json || std::filesystem::exists(path / "tokenizer.json", ignored)) {
    ASSAY_TRY(Tokenizer tokenizer, Tokenizer::open_folder(is_json ? path.parent_path() : path));
    return Opened{{}, std::move(tokenizer)};
  }
  ASSAY_TRY(ModelFile model, open_model(path));
  ASSAY_TRY(Tokenizer tokenizer, Tokenizer::open(model));
  if (!quiet && model.kind == FileKind::gguf && tokenizer.kind() == "bpe" && tokenizer.pre_tokenizer().empty())
    std::fprintf(stderr, "assay: note: the file names no pre-tokenizer (tokenizer.ggml.pre); 'default' is assumed, ids may differ from the model's own\n");
  return Opened{std::move(model), std::move(tokenizer)};
}

// "1 2 3", "1,2,3" or "[1, 2, 3]".
Result<std::vector<TokenId>> parse_ids(std::string_view text, const Tokenizer& tokenizer) {
  std::vector<TokenId> ids;
  constexpr std::string_view kBetween = " ,\t\r\n[]";
  for (std::size_t at = text.find_first_not_of(kBetween); at != std::string_view::npos; at = text.find_first_not_of(kBetween, at)) {
    const std::string_view word = text.substr(at, text.find_first_of(kBetween, at) - at);
    TokenId id = -1;
    const auto [end, failure] = std::from_chars(word.data(), word.data() + word.size(), id);
    if (failure != std::errc() || end != word.data() + word.size())
      return Error{Code::usage, "--decode", fmt::format("'{}' is not a token id; give whole numbers with spaces or commas between", word)};
    if (id < 0 || static_cast<std::size_t>(id) >= tokenizer.vocabulary_size())
      return Error{Code::range, "--decode", fmt::format("{} is not an id of this vocabulary of {}", id, tokenizer.vocabulary_size())};
    ids.push_back(id);
    at += word.size();
  }
  return ids;
}

// JSON and terminals take whole characters only.
std::string whole_characters(std::string_view bytes) {
  Utf8Stream stream;
  std::string text = stream.push(bytes);
  return text + stream.finish();
}

std::string shown_piece(const Tokenizer& tokenizer, TokenId id) {
  return tokenizer.is_control(id) ? std::string(tokenizer.vocabulary_text(id)) : tokenizer.piece(id);
}

void print_json(const Tokenizer& tokenizer, const std::vector<TokenId>& ids, const TokenizeArguments& arguments) {
  Json list = Json::Array{}, pieces = Json::Array{}, document;
  for (const TokenId id : ids) {
    list.push(std::int64_t{id});
    if (arguments.pieces) pieces.push(whole_characters(shown_piece(tokenizer, id)));
  }
  document.set("schema", "assay.tokenize.v1").set("tokenizer", tokenizer.kind()).set("pre_tokenizer", tokenizer.pre_tokenizer());
  document.set("count", static_cast<std::uint64_t>(ids.size())).set("ids", std::move(list));
  if (arguments.pieces) document.set("pieces", std::move(pieces));
  if (arguments.decode) document.set("text", whole_characters(tokenizer.decode(ids, arguments.with_special)));
  fmt::print("{}\n", to_text(document));
}

void print_ids(const Tokenizer& tokenizer, const std::vector<TokenId>& ids, const TokenizeArguments& arguments) {
  if (arguments.count) return fmt::print("{}\n", ids.size());
  if (arguments.pieces) {
    for (const TokenId id : ids)
      fmt::print("{:>8}  '{}'{}\n", id, terminal_safe(shown_piece(tokenizer, id)), tokenizer.is_control(id) ? "  control" : "");
    return;
  }
  std::string line;
  for (const TokenId id : ids) line += (line.empty() ? "" : " ") + std::to_string(id);
  fmt::print("{}\n", line);
}

int run_tokenize(const TokenizeArguments& arguments) {
  if (arguments.has_text != arguments.file.empty())
    return report_error({Code::usage, "tokenize", arguments.has_text ? "has both TEXT and -f; give one of them" : "needs TEXT or -f FILE"});
  const auto path = find_model(arguments.model);
  if (!path) return report_error(path.error());
  const auto opened = open_tokenizer(*path, arguments.quiet);
  if (!opened) return report_error(opened.error());
  const Tokenizer& tokenizer = opened->tokenizer;
  const auto input = read_input(arguments);
  if (!input) return report_error(input.error());

  std::vector<TokenId> ids;
  if (arguments.decode) {
    auto parsed = parse_ids(*input, tokenizer);
    if (!parsed) return report_error(parsed.error());
    ids = std::move(parsed).value();
  } else {
    ids = tokenizer.encode(*input, {.add_special = !arguments.no_special, .parse_special = !arguments.no_special});
  }
  if (arguments.json) {
    print_json(tokenizer, ids, arguments);
  } else if (arguments.decode && !arguments.count && !arguments.pieces) {
    const std::string text = tokenizer.decode(ids, arguments.with_special) + "\n";
    std::fwrite(text.data(), 1, text.size(), stdout);
  } else {
    print_ids(tokenizer, ids, arguments);
  }
  return kExitYes;
}

}  // namespace

void add_tokenize(Command app, int& exit_code) {
  const Command command = app.add_command("tokenize", "Show the token ids of a text, or the text of ids");
  const auto arguments = std::make_shared<TokenizeArguments>();
  command.footer(kFooter);
  command.add_option("path", arguments->model, "The model whose tokenizer is used: path, catalogue id or ORG/REPO[:QUANT]").required();
  const Option text = command.add_option("text", arguments->text, "The text, or with --decode the ids");
  command.add_option("-f,--file", arguments->file, "Read the text (or ids) from a file; - is stdin");
  command.add_flag("-d,--decode", arguments->decode, "Ids in, text out");
  command.add_flag("-p,--pieces", arguments->pieces, "One line per token: id and the text it stands for");
  command.add_flag("-c,--count", arguments->count, "Only how many tokens");
  command.add_flag("--no-special", arguments->no_special, "Add no BOS or EOS, and read special tokens in the text as plain text");
  command.add_flag("--with-special", arguments->with_special, "With --decode: write special tokens out too");
  command.add_flag("--json", arguments->json, "Print {\"ids\": [...]} and more as JSON");
  command.add_flag("-q,--quiet", arguments->quiet, "No notes");
  command.when_given([arguments, text, &exit_code] {
    arguments->has_text = text.was_given();
    exit_code = run_tokenize(*arguments);
  });
}

}  // namespace assay
