// generate: text from a model, streamed; the smallest program that uses the whole runtime.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "runtime/apps/generate_chat.h"
#include "runtime/core/command_line.h"
#include "runtime/core/host.h"
#include "runtime/core/progress.h"
#include "runtime/engine/memory_check.h"
#include "runtime/engine/sampler.h"
#include "runtime/engine/session.h"
#include "runtime/engine/stop_texts.h"
#include "runtime/formats/model_file.h"
#include "runtime/kernels/cpu/table.h"
#include "runtime/model/tokenizer.h"
#include "runtime/registry/locate_here.h"

namespace assay {
namespace {

constexpr int kExitOk = 0, kExitNo = 1, kExitUsage = 2, kExitCould = 3, kExitInterrupted = 130;

volatile std::sig_atomic_t interrupted = 0;
extern "C" void note_interrupt(int) {
  if (interrupted) std::_Exit(kExitInterrupted);  // the second time it is meant at once
  interrupted = 1;
}

struct Arguments {
  std::string model;
  std::string prompt;
  std::string prompt_file;
  std::string ids;
  std::string logits_file;
  std::string image;
  std::string backend = "cpu";
  int gpu_layers = -1;
  std::string kv = "f16";
  std::string load = "map";
  bool lock = false;
  std::string isa;
  int predict = 128;
  std::uint32_t context = 0;
  std::uint32_t batch = 512;
  int threads = 0;
  std::vector<std::string> stops;
  bool print_ids = false;
  bool echo = false;
  bool ignore_eos = false;
  bool no_special = false;
  bool quiet = false;
  PullPolicy pull;
  SamplerOptions sampler;
  ChatArguments chat;
  bool says_predict = false;  // -n was given
};

using Clock = std::chrono::steady_clock;
double ms_since(Clock::time_point start) { return std::chrono::duration<double, std::milli>(Clock::now() - start).count(); }

Result<std::string> read_prompt_file(const std::string& path) {
  if (path == "-") return std::string(std::istreambuf_iterator<char>(std::cin), {});
  std::ifstream in(path, std::ios::binary);
  if (!in) return Error{Code::io, "--file", "cannot read the prompt", path};
  return std::string(std::istreambuf_iterator<char>(in), {});
}

Result<std::vector<TokenId>> parse_ids(const std::string& text) {
  std::vector<TokenId> ids;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    const std::string part = text.substr(at, comma - at);
    char* end = nullptr;
    const long value = std::strtol(part.c_str(), &end, 10);
    if (part.empty() || *end != '\0' || value < 0 || value > INT32_MAX) return Error{Code::usage, "--ids", fmt::format("\"{}\" is not a token id; write them as 1,2,3", part)};
    ids.push_back(static_cast<TokenId>(value));
    at = comma + 1;
  }
  if (ids.empty()) return Error{Code::usage, "--ids", "is empty; write token ids as 1,2,3"};
  return ids;
}

struct Timing {
  double load_ms = 0, prompt_ms = 0, decode_ms = 0;
  std::size_t prompt_tokens = 0, decoded = 0;
};

void print_timing(const Timing& t, const Session& session) {
  const ProcessMemory memory = read_process_memory();
  fmt::print(stderr, "load {:.1f} ms | prompt {} tokens, {:.1f} ms, {:.1f} tok/s | decode {} tokens, {:.1f} ms, {:.1f} tok/s | peak memory {:.1f} MB | {} threads, {}\n",
             t.load_ms, t.prompt_tokens, t.prompt_ms, t.prompt_ms > 0 ? 1e3 * static_cast<double>(t.prompt_tokens) / t.prompt_ms : 0.0, t.decoded, t.decode_ms,
             t.decode_ms > 0 ? 1e3 * static_cast<double>(t.decoded) / t.decode_ms : 0.0, static_cast<double>(memory.peak_bytes) / 1e6,
             session.options().threads, session.isa());
}

Result<> write_logits(const std::string& path, std::span<const float> logits) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(reinterpret_cast<const char*>(logits.data()), static_cast<std::streamsize>(logits.size_bytes()));
  out.close();
  if (!out) return Error{Code::io, "--logits", "cannot write all of the file; is the disk full?", path};
  return success();
}

void show(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

// Tokens that a session continues with. Where the likeliest is wanted the backend chooses, and logits need not leave a device.
class Continuation {
 public:
  Continuation(const SamplerOptions& options, Session& session) : sampler_(options), session_(session), is_greedy_(options.temperature == 0 && options.repetition_penalty == 1.0f) {}

  Result<> feed(std::span<const TokenId> tokens) {
    if (is_greedy_) {
      ASSAY_TRY(chosen_, session_.feed_and_choose(tokens));
    } else {
      ASSAY_TRY(logits_, session_.feed(tokens, LogitsWanted::last));
    }
    return success();
  }
  // After logits that another asked for.
  void take(std::span<const float> logits) {
    logits_ = logits;
    chosen_ = most_likely(logits);
  }
  TokenId next(std::span<const TokenId> history) { return is_greedy_ ? chosen_ : sampler_.next(logits_, history); }

 private:
  Sampler sampler_;
  Session& session_;
  bool is_greedy_;
  TokenId chosen_ = 0;
  std::span<const float> logits_;
};

// Everything after the prompt: one token at a time until an end token, a stop string, the count, the context or Ctrl-C.
Result<> decode(const Arguments& arguments, Session& session, const Tokenizer* tokenizer, std::vector<TokenId>& tokens, Continuation& continuation, Timing& timing) {
  Utf8Stream stream;
  StopTexts watch(arguments.stops);
  const Clock::time_point start = Clock::now();
  const std::size_t first = tokens.size();
  for (int made = 0; arguments.predict < 0 || made < arguments.predict; ++made) {
    const TokenId next = continuation.next(tokens);
    if (tokenizer != nullptr && tokenizer->is_end(next) && !arguments.ignore_eos) break;
    tokens.push_back(next);
    bool stopped = false;
    if (!arguments.print_ids && tokenizer != nullptr) show(watch.push(stream.push(tokenizer->piece(next)), stopped));
    if (stopped || interrupted) break;
    if (session.position() == session.context()) {
      if (!arguments.quiet) fmt::print(stderr, "\ngenerate: the context of {} tokens is full; ask for more with --context\n", session.context());
      break;
    }
    if (arguments.predict >= 0 && made + 1 == arguments.predict) break;
    ASSAY_TRY_VOID(continuation.feed({&tokens.back(), 1}));
  }
  timing.decoded = tokens.size() - first;
  timing.decode_ms = ms_since(start);
  if (arguments.print_ids) {
    std::string list;
    for (std::size_t i = first; i < tokens.size(); ++i) list += (i > first ? "," : "") + std::to_string(tokens[i]);
    show(list + "\n");
  } else if (timing.decoded > 0) {
    bool stopped = false;
    show(watch.push(stream.finish(), stopped) + (stopped ? "" : watch.rest()) + "\n");
  }
  return success();
}

// The prompt of the command line: -p, or what -f names.
Result<std::string> prompt_text(const Arguments& arguments) {
  if (arguments.prompt_file.empty()) return arguments.prompt;
  return read_prompt_file(arguments.prompt_file);
}

Result<std::vector<TokenId>> prompt_tokens(const Arguments& arguments, const Tokenizer* tokenizer) {
  if (!arguments.ids.empty()) return parse_ids(arguments.ids);
  ASSAY_TRY(const std::string text, prompt_text(arguments));
  auto ids = tokenizer->encode(text, {.add_special = !arguments.no_special, .parse_special = !arguments.no_special});
  if (ids.empty()) return Error{Code::usage, "--prompt", "gives no tokens; write something, or token ids with --ids"};
  if (arguments.echo) show(text);
  return ids;
}

// A path, a name of the catalogue or the registry, or ORG/REPO[:QUANT].
Result<std::string> find_model(const Arguments& arguments) {
  const auto environment = [](const char* name) {
    const char* value = std::getenv(name);
    return value ? std::optional<std::string>(value) : std::nullopt;
  };
  const auto say = [&](const std::string& line) {
    if (!arguments.quiet) fmt::print(stderr, "generate: {}\n", line);
    return interrupted == 0;
  };
  std::error_code ignored;
  ASSAY_TRY(const LocatedModel found, locate_here(environment, std::filesystem::read_symlink("/proc/self/exe", ignored), arguments.model, arguments.pull, say));
  return found.path.string();
}

// A conversation before the model is bound: its text in the model's format.
struct ChatPlan {
  Conversation conversation;
  ChatFormat format;
};
Result<ChatPlan> plan_chat(const Arguments& arguments, const ModelFile& file, const Tokenizer& tokenizer) {
  ASSAY_TRY(const std::string prompt, prompt_text(arguments));
  ASSAY_TRY(Conversation conversation, first_conversation(arguments.chat, prompt));
  ASSAY_TRY(ChatFormat format, chat_format(arguments.chat, conversation, file, tokenizer, arguments.quiet));
  return ChatPlan{std::move(conversation), std::move(format)};
}

Loading loading_of(const Arguments& arguments) { return {.copy = arguments.load == "copy", .lock = arguments.lock, .preload = arguments.load == "preload"}; }

// Before anything large is allocated or read.
Result<> check_memory(const Arguments& arguments, const Model& model, KvType kv) {
  const std::uint32_t context = arguments.context > 0 ? arguments.context : std::min(model.config.context, 4096u);
  const MemoryPlan plan = plan_memory(model, {.context = context, .batch = std::min(arguments.batch, context), .kv = kv});
  const Loading loading = loading_of(arguments);
  const auto checked = check_memory(plan, loading.copy || loading.lock ? WeightsAre::kept : WeightsAre::mapped, read_memory_supply());
  if (!checked && !arguments.pull.forces) return Error{Code::memory, arguments.model, checked.error().detail + "; --force tries all the same"};
  const std::string& warning = checked ? *checked : checked.error().detail;
  if (!warning.empty() && !arguments.quiet) fmt::print(stderr, "generate: warning: the model {}\n", warning);
  return success();
}

// Why `auto` computes where it does, unless that was told already.
void tell_note(const Arguments& arguments, const Session& session, const std::string& told) {
  if (session.backend_note() != told && !arguments.quiet) fmt::print(stderr, "generate: auto: {}\n", session.backend_note());
}

Result<Session> open_session(const Arguments& arguments, const Model& model, BackendName backend, KvType kv) {
  SessionOptions options{.backend = backend, .threads = arguments.threads, .context = arguments.context, .batch = arguments.batch, .kv = kv, .isa = arguments.isa};
  if (arguments.gpu_layers >= 0) options.gpu_layers = static_cast<std::uint32_t>(arguments.gpu_layers);
  options.cache_folder = kernel_cache_folder();
  const bool is_terminal = isatty(STDERR_FILENO) != 0;
  ProgressPrinter printer(stderr, {.style = arguments.quiet || !is_terminal ? ProgressStyle::none : ProgressStyle::bar, .with_colour = std::getenv("NO_COLOR") == nullptr});
  const auto show_progress = [&](const ProgressEvent& event) {
    printer.show(event);
    return interrupted == 0;
  };
  options.progress.emplace(show_progress);
  ASSAY_TRY(Session session, Session::open(model, options));
  tell_note(arguments, session, {});
  return session;
}

// For /model NAME: found at once; checked and read while the present model goes on.
Result<std::future<Result<LoadedModel>>> load_next(Arguments arguments, KvType kv, const std::string& name) {
  arguments.model = name;
  ASSAY_TRY(std::string path, find_model(arguments));
  Loading loading = loading_of(arguments);
  loading.preload = !loading.copy;
  return load_in_background(std::move(path), loading, [arguments = std::move(arguments), kv](const Model& model) { return check_memory(arguments, model, kv); });
}

ChatSurroundings chat_surroundings(const Arguments& arguments, KvType kv) {
  return {.arguments = arguments.chat,
          .options = {arguments.sampler, arguments.says_predict ? arguments.predict : -1, arguments.stops, arguments.ignore_eos, !arguments.chat.keeps_all},
          .interrupted = interrupted,
          .is_quiet = arguments.quiet,
          .load_next = [&arguments, kv](const std::string& name) { return load_next(arguments, kv, name); }};
}

// The conversation goes on with another model, the one before being gone.
Result<std::optional<NextModel>> go_on(const Arguments& arguments, NextModel next) {
  return_freed_memory();
  const BackendName backend = *backend_from_name(arguments.backend);
  const KvType kv = *kv_type_from_name(arguments.kv);
  const Tokenizer& tokenizer = *next.model.tokenizer();
  ASSAY_TRY(const ChatFormat format, chat_format(arguments.chat, next.conversation, next.model.file(), tokenizer, arguments.quiet));
  ASSAY_TRY(Session session, open_session(arguments, next.model.model(), backend, kv));
  return run_chat(chat_surroundings(arguments, kv), session, tokenizer, format, std::move(next.conversation), std::move(next.input));
}

// Gives back the model that the user wants next, if any.
Result<std::optional<NextModel>> run(const Arguments& arguments) {
  ASSAY_TRY_VOID(check(arguments.sampler));
  const auto backend = backend_from_name(arguments.backend);
  if (!backend) return Error{Code::usage, "--backend", fmt::format("\"{}\" is unknown; known: {}", arguments.backend, kKnownBackends)};
  const auto kv = kv_type_from_name(arguments.kv);
  if (!kv) return Error{Code::usage, "--kv-type", fmt::format("\"{}\" is unknown; known: f32, f16, q8_0", arguments.kv)};

  ASSAY_TRY(const std::string path, find_model(arguments));
  Timing timing;
  const Clock::time_point start = Clock::now();
  ASSAY_TRY(ModelFile file, open_model(path));
  // Without a tokenizer the model still runs on ids.
  std::optional<Tokenizer> tokenizer;
  auto opened = Tokenizer::open(file);
  if (opened)
    tokenizer.emplace(std::move(*opened));
  else if (arguments.ids.empty())
    return std::move(opened).error();
  if (tokenizer && file.kind == FileKind::gguf && tokenizer->pre_tokenizer().empty() && tokenizer->kind() == "bpe" && !arguments.quiet)
    fmt::print(stderr, "generate: note: the file does not name its pre-tokenizer (tokenizer.ggml.pre); text is split by the default rules, which may not be the model's\n");
  std::optional<ChatPlan> chat;
  if (arguments.chat.is_wanted()) {
    ASSAY_TRY(ChatPlan planned, plan_chat(arguments, file, *tokenizer));
    chat.emplace(std::move(planned));
  }
  if (arguments.chat.shows_prompt) {
    ASSAY_TRY(const std::string text, rendered_prompt(chat->format, chat->conversation));
    show(text);
    return std::optional<NextModel>();
  }
  ASSAY_TRY(Model model, bind_model(file, Copies::planned));
  if (!arguments.image.empty()) return image_refusal(model);
  ASSAY_TRY_VOID(check_memory(arguments, model, *kv));
  make_copies(model);
  ASSAY_TRY_VOID(load_files(file, loading_of(arguments)));
  ASSAY_TRY(Session session, open_session(arguments, model, *backend, *kv));
  timing.load_ms = ms_since(start);
  const std::string told = session.backend_note();
  if (chat) {
    auto next = run_chat(chat_surroundings(arguments, *kv), session, *tokenizer, chat->format, std::move(chat->conversation));
    tell_note(arguments, session, told);
    return next;
  }

  const Clock::time_point prompt_start = Clock::now();
  ASSAY_TRY(std::vector<TokenId> tokens, prompt_tokens(arguments, tokenizer ? &*tokenizer : nullptr));
  if (tokens.size() > session.context())
    return Error{Code::range, "prompt", fmt::format("{} tokens are more than the context of {}; shorten the prompt or ask for more with --context (the model was made for {})", tokens.size(), session.context(), model.config.context)};
  if (arguments.print_ids && arguments.predict == 0) {
    std::string list;
    for (std::size_t i = 0; i < tokens.size(); ++i) list += (i ? "," : "") + std::to_string(tokens[i]);
    show(list + "\n");
  }
  const bool all = !arguments.logits_file.empty();
  Continuation continuation(arguments.sampler, session);
  std::span<const float> logits;
  if (all) {
    ASSAY_TRY(logits, session.feed(tokens, LogitsWanted::all));
    continuation.take(logits.last(model.config.vocabulary));
  } else {
    ASSAY_TRY_VOID(continuation.feed(tokens));
  }
  timing.prompt_tokens = tokens.size();
  timing.prompt_ms = ms_since(prompt_start);
  if (all) ASSAY_TRY_VOID(write_logits(arguments.logits_file, logits));
  if (arguments.predict != 0 && !interrupted) ASSAY_TRY_VOID(decode(arguments, session, tokenizer ? &*tokenizer : nullptr, tokens, continuation, timing));
  tell_note(arguments, session, told);
  if (!arguments.quiet) print_timing(timing, session);
  return std::optional<NextModel>();
}

void add_chat_options(Command app, ChatArguments& a, const Option& ids) {
  const std::vector<Option> options = {
      app.add_flag("--chat", a.is_typed, "A conversation: answers every line of standard input; /help tells the commands"),
      app.add_option("--messages", a.messages_file, "Answer the conversation in a JSON file, [{\"role\": \"user\", \"content\": \"...\"}], with tools beside \"messages\" where there are some; - for standard input").value_name("FILE"),
      app.add_option("--system", a.system, "The system message; -p is then the user's message"),
      app.add_option("--template", a.template_name, "How conversations are written, instead of the model's own template: a file, or one of " + chat_family_names()).value_name("FAMILY|FILE"),
      app.add_flag("--show-prompt", a.shows_prompt, "Print the text that the conversation makes for the model, and end"),
      app.add_flag("--no-shift", a.keeps_all, "End with an error when a conversation outgrows the context, instead of leaving out old turns")};
  for (const Option& option : options) option.excludes(ids);
}

// Gives back -n, so that it can be asked whether it was given.
Option add_options(Command app, Arguments& a) {
  app.add_option("-m,--model,model", a.model, "GGUF file, .safetensors file, model folder, catalogue id, or ORG/REPO[:QUANT]; none: the selected model (assay use)");
  app.add_flag("--pull", a.pull.pulls, "Download a model that is named by catalogue id or ORG/REPO[:QUANT] and not here");
  app.add_flag("--force", a.pull.forces, "Although the machine does not seem to have the disk space or memory for it");
  const Option prompt = app.add_option("-p,--prompt", a.prompt, "The text to continue");
  const Option file = app.add_option("-f,--file", a.prompt_file, "Read the prompt from a file; - for standard input");
  const Option ids = app.add_option("--ids", a.ids, "Token ids as the prompt, 1,2,3; nothing is added");
  prompt.excludes(file).excludes(ids);
  file.excludes(ids);
  add_chat_options(app, a.chat, ids);
  const Option predict = app.add_option("-n,--predict", a.predict, "Tokens to generate; 0: only the prompt, -1: until an end token or the context is full (as conversations do)").shows_default();
  app.add_option("-c,--context", a.context, "Tokens the context holds (default: the model's own, at most 4096)");
  app.add_option("-b,--batch", a.batch, "Prompt tokens computed together").shows_default();
  app.add_option("-t,--threads", a.threads, "Threads (default: all this process may use)");
  app.add_option("--temp", a.sampler.temperature, "Temperature; 0 takes the likeliest token every time").shows_default();
  app.add_option("--top-k", a.sampler.top_k, "Draw from the k likeliest tokens; 0: all").shows_default();
  app.add_option("--top-p", a.sampler.top_p, "Draw from the likeliest tokens that sum up to this share").shows_default();
  app.add_option("--min-p", a.sampler.min_p, "Leave out tokens below this share of the likeliest one").shows_default();
  app.add_option("--repeat-penalty", a.sampler.repetition_penalty, "Make recent tokens less likely; 1: off").shows_default();
  app.add_option("--repeat-last-n", a.sampler.repetition_window, "How many recent tokens that looks at").shows_default();
  app.add_option("-s,--seed", a.sampler.seed, "Seed of the draw; the same seed gives the same text").shows_default();
  app.add_option("--stop,-r,--reverse-prompt", a.stops, "End before this text; may be given several times").one_value_each();
  app.add_option("--backend", a.backend, "cpu; vulkan or vulkan:N (a GPU, see assay hardware); auto: a GPU where that pays; reference (plain float32, slow, the truth)").shows_default();
  app.add_option("--gpu-layers,--ngl", a.gpu_layers, "Layers on the GPU, the others on the CPU (-1: all)").between(-1, 100000).shows_default();
  app.add_option("--kv-type,--kv", a.kv, "Type of cached keys and values: f32, f16, q8_0 (half the memory of f16)").shows_default();
  app.add_option("--load", a.load, "map: use the file where it lies, pages come as they are needed; preload: the same, read before the first token; copy: into memory of its own").one_of({"map", "preload", "copy"}).shows_default();
  app.add_flag("--mlock", a.lock, "Keep the weights in memory, so that the system never drops them");
  app.add_option("--isa", a.isa, "Force kernels: " + kernel_names()).from_environment("ASSAY_ISA");
  app.add_option("--image", a.image, "Not supported: says what the model has of an image encoder");
  app.add_option("--logits", a.logits_file, "Write the logits of every prompt position: float32, little-endian, one row each");
  app.add_flag("--print-ids", a.print_ids, "Print token ids instead of text (with -n 0: those of the prompt)");
  app.add_flag("--echo", a.echo, "Print the prompt before its continuation");
  app.add_flag("--ignore-eos", a.ignore_eos, "Do not end at an end-of-text token");
  app.add_flag("--no-special", a.no_special, "Add no BOS and read special tokens in the prompt as plain text");
  app.add_flag("-q,--quiet", a.quiet, "No timing line on standard error");
  return predict;
}

int main_checked(int argc, char** argv) {
  CommandLine line("generate", "Continues a text or answers a conversation with a local model file. Text goes to standard output as it comes, timing to standard error.");
  const Command app = line.root();
  app.footer(
      "Examples:\n"
      "  generate -m model.gguf -p \"It was on a dreary night\" -n 64\n"
      "  generate -m qwen-3-0.6b --pull -p \"Once upon a time\"\n"
      "  generate -m folder-with-safetensors -f prompt.txt --temp 0.8 --seed 7\n"
      "  generate -m model.gguf --ids 1,2,3 -n 0 --logits logits.bin\n"
      "  generate -m model.gguf --chat --system \"Be brief.\"\n"
      "  generate -m model.gguf --messages conversation.json --template chatml\n"
      "Exit codes: 0 done, 1 the GPU that --backend vulkan means is not there or failed, 2 usage, 3 could not (unreadable, unsupported, does not fit), 130 interrupted.");
  Arguments arguments;
  const Option predict = add_options(app, arguments);
  std::vector<std::string> words(argv, argv + argc);
  for (std::string& word : words)
    if (word == "-ngl") word = "--ngl";  // as others spell it
  if (const auto end = line.parse(words)) return *end;
  arguments.says_predict = predict.was_given();
  if (arguments.prompt.empty() && arguments.prompt_file.empty() && arguments.ids.empty() && arguments.chat.messages_file.empty() && !arguments.chat.is_typed) {
    fmt::print(stderr, "generate: error: nothing to continue: give --prompt, --file, --ids, --messages or --chat (see generate --help)\n");
    return kExitUsage;
  }
  for (const std::string& stop : arguments.stops)
    if (stop.empty()) {
      fmt::print(stderr, "generate: error: --stop: an empty text would end everything at once\n");
      return kExitUsage;
    }
  std::signal(SIGINT, note_interrupt);
  auto result = run(arguments);
  while (result && *result) result = go_on(arguments, std::move(**result));
  if (!result) {
    std::fflush(stdout);
    fmt::print(stderr, "generate: error: {}\n", result.error().message());
    if (is_of_device(result.error())) return kExitNo;
    return result.error().code == Code::usage ? kExitUsage : kExitCould;
  }
  return interrupted ? kExitInterrupted : kExitOk;
}

}  // namespace
}  // namespace assay

int main(int argc, char** argv) {
  try {
    return assay::main_checked(argc, argv);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "generate: error: %s\n", e.what());
    return 3;
  }
}
