// The table of named pre-tokenizers. Patterns are those of the models' own tokenizer files.
#include "runtime/model/tokenizer/pretokenizer_names.h"

#include <algorithm>
#include <array>

namespace assay {
namespace {

using Patterns = std::span<const std::string_view>;

#define ASSAY_CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define ASSAY_UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define ASSAY_LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define ASSAY_SPACES "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define ASSAY_ASCII_PUNCTUATION "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~]"
// Not in the syntax of any pattern: stands for DigitGroupStep.
#define ASSAY_DIGIT_GROUPS "<digit groups>"
#define ASSAY_DIGIT_GROUPS_OF_WORDS "<digit groups of words>"

constexpr std::array<std::string_view, 1> kGpt2{"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"};
constexpr std::array<std::string_view, 2> kDigitsThenGpt2{"\\p{N}", kGpt2[0]};
// What llama.cpp applies where a file names none: punctuation first, digits in threes.
constexpr std::array<std::string_view, 4> kDefault{"[\\p{P}\\$\\+<=>\\^~\\|]+", kGpt2[0], "\\p{N}+", "[0-9][0-9][0-9]"};
constexpr std::array<std::string_view, 3> kFalcon{"[\\p{P}\\$\\+<=>\\^~\\|`]+", kGpt2[0], "[0-9][0-9][0-9]"};
constexpr std::array<std::string_view, 1> kLlama3{
    ASSAY_CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" ASSAY_SPACES};
constexpr std::array<std::string_view, 1> kQwen2{
    ASSAY_CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" ASSAY_SPACES};
constexpr std::array<std::string_view, 1> kQwen35{
    ASSAY_CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" ASSAY_SPACES};
constexpr std::array<std::string_view, 1> kSeedCoder{
    ASSAY_CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|" ASSAY_SPACES};
constexpr std::array<std::string_view, 2> kMiniCpm5{
    "\\p{N}{1,3}", ASSAY_CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}+| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" ASSAY_SPACES};
constexpr std::array<std::string_view, 1> kJais2{
    ASSAY_CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s{512}(?!\\S)|"
    "\\s{256}(?!\\S)|\\s{128}(?!\\S)|\\s{64}(?!\\S)|\\s{32}(?!\\S)|\\s{16}(?!\\S)|\\s{8}(?!\\S)|\\s{4}(?!\\S)|\\s{1,2}(?!\\S)|\\s{1}"};
constexpr std::array<std::string_view, 1> kBailing{
    "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"};
constexpr std::array<std::string_view, 1> kExaoneMoe{
    ASSAY_CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?(?:\\p{L}\\p{M}*(?: \\p{L}\\p{M}*)*)+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]?|"
    "\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"};
constexpr std::array<std::string_view, 1> kTekken{
    "[^\\r\\n\\p{L}\\p{N}]?" ASSAY_UPPER "*" ASSAY_LOWER "+|[^\\r\\n\\p{L}\\p{N}]?" ASSAY_UPPER "+" ASSAY_LOWER
    "*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" ASSAY_SPACES};
constexpr std::array<std::string_view, 1> kGpt4o{
    "[^\\r\\n\\p{L}\\p{N}]?" ASSAY_UPPER "*" ASSAY_LOWER "+" ASSAY_CONTRACTIONS "?|[^\\r\\n\\p{L}\\p{N}]?" ASSAY_UPPER "+" ASSAY_LOWER
    "*" ASSAY_CONTRACTIONS "?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" ASSAY_SPACES};
constexpr std::array<std::string_view, 2> kTinyAya{ASSAY_DIGIT_GROUPS_OF_WORDS, kGpt4o[0]};
#define ASSAY_NOT_HAN_UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]"
#define ASSAY_NOT_HAN_LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]"
constexpr std::array<std::string_view, 1> kKimi{
    "[\\p{Han}]+|[^\\r\\n\\p{L}\\p{N}]?" ASSAY_NOT_HAN_UPPER "*" ASSAY_NOT_HAN_LOWER "+" ASSAY_CONTRACTIONS
    "?|[^\\r\\n\\p{L}\\p{N}]?" ASSAY_NOT_HAN_UPPER "+" ASSAY_NOT_HAN_LOWER "*" ASSAY_CONTRACTIONS
    "?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" ASSAY_SPACES};
constexpr std::array<std::string_view, 1> kBloom{" ?[^(\\s|.,!?…。，、।۔،)]+"};
constexpr std::array<std::string_view, 2> kViking{kBloom[0], "\\p{N}"};
constexpr std::array<std::string_view, 2> kSuperBpe{"\\p{N}+", ASSAY_DIGIT_GROUPS};
constexpr std::array<std::string_view, 6> kChameleon{
    "<sentinel:[0-9]+>", "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z", "([\\t\\n]|    |  )", "\\p{N}", "[\\p{P}!-/:-@\\[-`{-~]", kGpt2[0]};

// DeepSeek's letters of cased scripts (Latin, Greek, Cyrillic, Armenian, Georgian, Cherokee and kin), as it lists them.
#define ASSAY_DEEPSEEK_LETTERS \
  "A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-\\x{1F7D}ᾀ-ᾴ" \
  "ᾶ-ᾼ\\x{1FBE}ῂ-ῄῆ-ῌῐ-\\x{1FD3}ῖ-\\x{1FDB}ῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤ\\x{2126}ℨ\\x{212A}-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛ" \
  "Ꜣ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ\\x{10400}-\\x{1044F}\\x{104B0}-\\x{104D3}\\x{104D8}-\\x{104FB}\\x{10C80}-\\x{10CB2}" \
  "\\x{10CC0}-\\x{10CF2}\\x{118A0}-\\x{118DF}\\x{1E900}-\\x{1E943}"
#define ASSAY_DEEPSEEK_CJK "[一-龥ࠀ-一가-\\x{D7FF}]+"
constexpr std::array<std::string_view, 6> kDeepSeekLlm{
    "[\r\n]", "\\s?[" ASSAY_DEEPSEEK_LETTERS "]+", "\\s?[!-/:-~！-／：-～‘-‟　-。]+", "\\s+$", ASSAY_DEEPSEEK_CJK, "\\p{N}+"};
constexpr std::array<std::string_view, 5> kDeepSeekCoder{"[\r\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", ASSAY_DEEPSEEK_CJK, "\\p{N}"};
#define ASSAY_DEEPSEEK3_WORDS ASSAY_ASCII_PUNCTUATION "[A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|" ASSAY_SPACES
constexpr std::array<std::string_view, 3> kDeepSeek3{"\\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", ASSAY_DEEPSEEK3_WORDS};
constexpr std::array<std::string_view, 3> kAfmoe{
    ASSAY_DIGIT_GROUPS, "[一-鿿㐀-䶿豈-\\x{FAFF}぀-ゟ゠-ヿ･-ﾟ⼀-⿟เ-๿຀-໿ក-៿က-႟ꩠ-ꩿꧠ-꧿가-힯ᄀ-ᇿ]+", ASSAY_DEEPSEEK3_WORDS};
constexpr std::array<std::string_view, 2> kYoutu{
    "[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+",
    "[^\\r\\n\\p{L}\\p{N}]?" ASSAY_UPPER "*" ASSAY_LOWER "+" ASSAY_CONTRACTIONS "?|[^\\r\\n\\p{L}\\p{N}]?" ASSAY_UPPER "+" ASSAY_LOWER
    "*" ASSAY_CONTRACTIONS "?|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" ASSAY_SPACES};
constexpr std::array<std::string_view, 1> kNewlines{"[^\\n]+|[\\n]+"};

using Row = NamedPreTokenizer;
constexpr std::array kRows = {
    Row{"default", kDefault},
    Row{"gpt-2", kGpt2}, Row{"phi-2", kGpt2}, Row{"mpt", kGpt2}, Row{"olmo", kGpt2}, Row{"jais", kGpt2}, Row{"trillion", kGpt2},
    Row{"granite-docling", kGpt2}, Row{"exaone4", kGpt2}, Row{"gigachat", kGpt2}, Row{"a.x-4.0", kGpt2}, Row{"mellum", kGpt2},
    Row{"jina-es", kGpt2}, Row{"jina-de", kGpt2}, Row{"jina-v2-es", kGpt2}, Row{"jina-v2-de", kGpt2}, Row{"jina-v1-en", kGpt2},
    Row{"jina-v2-code", kGpt2}, Row{"roberta-bpe", kGpt2}, Row{"modern-bert", kGpt2},
    Row{"starcoder", kDigitsThenGpt2}, Row{"refact", kDigitsThenGpt2}, Row{"command-r", kDigitsThenGpt2},
    Row{"smollm", kDigitsThenGpt2}, Row{"codeshell", kDigitsThenGpt2}, Row{"exaone", kDigitsThenGpt2},
    Row{"minerva-7b", kDigitsThenGpt2}, Row{"mellum2", kDigitsThenGpt2},
    Row{"falcon", kFalcon},
    Row{"llama-bpe", kLlama3, true, true}, Row{"llama3", kLlama3, true, true}, Row{"llama-v3", kLlama3, true, true},
    Row{"falcon3", kLlama3, true, true}, Row{"falcon-h1", kLlama3, true, true}, Row{"pixtral", kLlama3, true, true},
    Row{"midm-2.0", kLlama3, true, true}, Row{"lfm2", kLlama3, true, true}, Row{"jina-v5-nano", kLlama3, true, true},
    Row{"dbrx", kLlama3}, Row{"smaug-bpe", kLlama3}, Row{"glm4", kLlama3}, Row{"chatglm-bpe", kLlama3},
    Row{"jais-2", kJais2}, Row{"minicpm5", kMiniCpm5, true},
    Row{"qwen2", kQwen2}, Row{"deepseek-r1-qwen", kQwen2}, Row{"kormo", kQwen2}, Row{"f2llmv2", kQwen2}, Row{"megrez", kQwen2},
    Row{"stablelm2", kQwen2}, Row{"hunyuan", kQwen2}, Row{"solar-open", kQwen2}, Row{"grok-2", kQwen2}, Row{"qwen35", kQwen35},
    Row{"seed-coder", kSeedCoder}, Row{"bailingmoe", kBailing}, Row{"bailingmoe2", kBailing}, Row{"llada-moe", kBailing},
    Row{"exaone-moe", kExaoneMoe},
    Row{"deepseek-llm", kDeepSeekLlm}, Row{"deepseek-coder", kDeepSeekCoder}, Row{"deepseek-v3", kDeepSeek3},
    Row{"hunyuan-dense", kDeepSeek3}, Row{"joyai-llm", kDeepSeek3}, Row{"afmoe", kAfmoe}, Row{"youtu", kYoutu, true},
    Row{"tekken", kTekken, true, true},
    Row{"gpt-4o", kGpt4o}, Row{"llama4", kGpt4o}, Row{"kanana2", kGpt4o}, Row{"talkie", kGpt4o}, Row{"minimax-m2", kGpt4o},
    Row{"granite-embed-multi-97m", kGpt4o, true}, Row{"tiny_aya", kTinyAya}, Row{"cohere2moe", kTinyAya},
    Row{"kimi-k2", kKimi},
    Row{"bloom", kBloom}, Row{"poro-chat", kBloom}, Row{"gpt3-finnish", kBloom}, Row{"viking", kViking},
    Row{"superbpe", kSuperBpe}, Row{"chameleon", kChameleon, false, true},
    Row{"gemma4", kNewlines, false, true, true}, Row{"granite-embed-multi-311m", kNewlines, false, true, true},
    Row{"sarvam-moe", kNewlines, false, false, true},
};

}  // namespace

std::string_view gpt2_pattern() { return kGpt2[0]; }

Result<const NamedPreTokenizer*> find_pre_tokenizer(std::string_view name) {
  const auto row = std::find_if(kRows.begin(), kRows.end(), [&](const Row& r) { return r.name == name; });
  if (row != kRows.end()) return &*row;
  std::string known;
  for (const Row& each : kRows) known.append(known.empty() ? "" : ", ").append(each.name);
  return Error{Code::unsupported, "tokenizer.ggml.pre",
               std::string("'").append(name) + "' is not a pre-tokenizer Assay knows; feed token ids with --ids, or use a file with one of: " + known};
}

Result<PreTokenizer> make_pre_tokenizer(const NamedPreTokenizer& row) {
  PreTokenizer made;
  for (const std::string_view pattern : row.patterns) {
    if (pattern == ASSAY_DIGIT_GROUPS || pattern == ASSAY_DIGIT_GROUPS_OF_WORDS) {
      made.add(DigitGroupStep{pattern == ASSAY_DIGIT_GROUPS_OF_WORDS});
      continue;
    }
    ASSAY_TRY(Regex regex, Regex::compile(pattern));
    made.add(SplitStep{std::move(regex)});
  }
  return made;
}

}  // namespace assay
