// The parts of the hub's client by themselves: addresses, references, ranges, answers, options, choices.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "runtime/hub/api.h"
#include "runtime/hub/cache_layout.h"
#include "runtime/hub/context.h"
#include "runtime/hub/digest.h"
#include "runtime/hub/ranges.h"
#include "runtime/hub/select.h"
#include "runtime/hub/transfer.h"
#include "runtime/hub/url.h"

namespace assay {
namespace {

TEST(Url, IsTakenApart) {
  const auto url = parse_url("HTTPS://User:p%40ss@Example.ORG:8443/a b/%41?q=1|2#fragment");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->scheme, "https");
  EXPECT_EQ(url->user_info, "User:p@ss");
  EXPECT_EQ(url->host, "example.org");
  EXPECT_EQ(url->port, 8443);
  EXPECT_EQ(url->target, "/a%20b/%41?q=1%7C2");
  EXPECT_EQ(url->text(), "https://example.org:8443/a%20b/%41?q=1%7C2") << "no password in messages";
  EXPECT_EQ(url->file_name(), "A");
  EXPECT_EQ(parse_url("http://[::1]/x")->authority(), "[::1]");
  EXPECT_EQ(parse_url("http://host")->target, "/");
}

TEST(Url, RefusesWhatItCannotFetch) {
  for (const char* text : {"", "host/path", "ftp://host/x", "https://", "https://host:0/", "https://host:99999/",
                           "https://ho st/", "https://[::1/x", "https://a\r\nb/"})
    EXPECT_FALSE(parse_url(text)) << text;
}

// RFC 3986, 5.4: the reference examples that an http client meets.
TEST(Url, ResolvesReferencesAsTheStandardDoes) {
  const Url base = *parse_url("http://a/b/c/d;p?q");
  const std::map<std::string, std::string> examples = {
      {"g", "/b/c/g"},      {"./g", "/b/c/g"},    {"g/", "/b/c/g/"},    {"/g", "/g"},
      {"?y", "/b/c/d;p?y"}, {"g?y", "/b/c/g?y"},  {"", "/b/c/d;p?q"},   {".", "/b/c/"},
      {"..", "/b/"},        {"../g", "/b/g"},     {"../..", "/"},       {"../../g", "/g"},
      {"../../../g", "/g"}, {"/./g", "/g"},       {"/../g", "/g"},      {"g.", "/b/c/g."},
      {"..g", "/b/c/..g"},  {"./g/.", "/b/c/g/"}, {"g/../h", "/b/c/h"}, {"g?y/../x", "/b/c/g?y/../x"}};
  for (const auto& [reference, target] : examples) EXPECT_EQ(resolve_url(base, reference)->target, target) << reference;
  EXPECT_EQ(resolve_url(base, "//g")->host, "g");
  EXPECT_EQ(resolve_url(base, "https://h/x")->text(), "https://h/x");
  EXPECT_FALSE(resolve_url(base, "file:///etc/passwd"));
}

TEST(Source, KnowsEveryForm) {
  const auto repository = parse_source("org/repo:Q4_K_M");
  EXPECT_EQ(repository->repository, "org/repo");
  EXPECT_EQ(repository->quant, "Q4_K_M");
  EXPECT_EQ(parse_source("hf:org/repo@v1.0")->revision, "v1.0");
  EXPECT_EQ(parse_source("hf://org/repo@main/sub/file.gguf")->file, "sub/file.gguf");
  EXPECT_EQ(parse_source("hf:gpt2")->repository, "gpt2");
  EXPECT_EQ(parse_source("org/repo/sub/file.gguf")->kind, SourceKind::file);
  const auto page = parse_source("https://huggingface.co/org/repo/blob/main/a%20b.gguf");
  EXPECT_EQ(page->kind, SourceKind::file);
  EXPECT_EQ(page->file, "a b.gguf");
  EXPECT_EQ(page->revision, "main");
  EXPECT_EQ(parse_source("https://huggingface.co/org/repo")->kind, SourceKind::repository);
  EXPECT_EQ(parse_source("https://huggingface.co/org/repo/tree/v2")->revision, "v2");
  EXPECT_EQ(parse_source("https://example.org/org/repo")->kind, SourceKind::url);
  EXPECT_EQ(parse_source("http://mirror:8080/hf/org/repo/resolve/main/x.gguf", "http://mirror:8080/hf")->file,
            "x.gguf");
}

TEST(Source, RefusesWhatIsNone) {
  for (const char* text : {"", "model", "org/", "/repo", "org/repo:", "org/repo@", "org/re po", "../etc/passwd",
                           "org/..", "org/repo:Q4/x.gguf", "a--b/c", "org/repo/"})
    EXPECT_FALSE(parse_source(text)) << text;
  EXPECT_TRUE(is_repository_name("org/repo:Q8_0"));
  EXPECT_FALSE(is_repository_name("./org/repo"));
}

TEST(Source, TextIsReadBackAsItself) {
  for (const char* text :
       {"org/repo", "org/repo:Q8_0", "org/repo@v1", "org/repo/a/b.gguf", "https://example.org/x.gguf"})
    EXPECT_EQ(parse_source(text)->text(), text);
}

TEST(Globs, MatchAsPythonsDo) {
  EXPECT_TRUE(matches_glob("*.json", "sub/config.json")) << "a star crosses folders";
  EXPECT_TRUE(matches_glob("model-0000[1-3]*", "model-00002-of-00005.safetensors"));
  EXPECT_FALSE(matches_glob("model-0000[!1-3]*", "model-00002-of-00005.safetensors"));
  EXPECT_TRUE(matches_glob("?onfig*", "config.json"));
  EXPECT_FALSE(matches_glob("*.gguf", "model.gguf.bak"));
  EXPECT_TRUE(matches_glob("[", "[")) << "a bracket that does not end stands for itself";
  EXPECT_TRUE(matches_glob("*", ""));
  // No pattern takes for ever.
  EXPECT_FALSE(matches_glob("*a*a*a*a*a*a*a*a*a*a*b", std::string(20000, 'a')));
}

// Against a plain array of bits.
TEST(Ranges, AgreeWithAnArrayOfBits) {
  std::uint64_t state = 1;
  const auto next = [&](std::uint64_t below) {
    return (state = state * 6364136223846793005u + 1442695040888963407u, (state >> 33) % below);
  };
  RangeSet set;
  std::vector<bool> bits(200);
  for (int step = 0; step < 3000; ++step) {
    const std::uint64_t begin = next(200), end = std::min<std::uint64_t>(200, begin + next(30));
    const bool adds = next(3) != 0;
    adds ? set.add({begin, end}) : set.remove({begin, end});
    for (std::uint64_t i = begin; i < end; ++i) bits[i] = adds;
    ASSERT_EQ(set.bytes(), static_cast<std::uint64_t>(std::count(bits.begin(), bits.end(), true)));
    const auto gap = set.first_gap(50, 150);
    std::uint64_t first = 50;
    while (first < 150 && bits[first]) ++first;
    ASSERT_EQ(gap.has_value(), first < 150);
    if (!gap) continue;
    std::uint64_t last = first;
    while (last < 150 && !bits[last]) ++last;
    ASSERT_EQ(*gap, (Range{first, last}));
  }
  RangeSet prefix;
  prefix.add({0, 5});
  prefix.add({6, 9});
  EXPECT_EQ(prefix.prefix(), 5u);
  prefix.add({5, 6});
  EXPECT_EQ(prefix.prefix(), 9u);
}

TEST(Answers, ContentRangesAreReadStrictly) {
  EXPECT_EQ(parse_content_range("bytes 5-9/100")->range, (Range{5, 10}));
  EXPECT_EQ(parse_content_range("bytes 5-9/100")->total, 100u);
  EXPECT_FALSE(parse_content_range("bytes 0-0/*")->total);
  for (const char* text : {"", "bytes */5", "bytes 9-5/100", "bytes -5/100", "bytes 5-/100",
                           "bytes 0-18446744073709551615/1", "items 0-1/2", "bytes 0-1/x", "bytes 0-1"})
    EXPECT_FALSE(parse_content_range(text)) << text;
}

TEST(Answers, WaitsAreReadFromEveryHeader) {
  const auto head = [](unsigned status, const char* name, const std::string& value) {
    return HttpHead{.status = status, .headers = {{name, value}}};
  };
  EXPECT_EQ(asked_wait(head(503, "Retry-After", "7"))->count(), 7000);
  EXPECT_EQ(asked_wait(head(429, "RateLimit", "\"api\";r=0;t=55"))->count(), 55000);
  EXPECT_EQ(asked_wait(head(503, "Retry-After", "Wed, 21 Oct 2015 07:28:00 GMT"))->count(), 0) << "long ago";
  EXPECT_GT(asked_wait(head(503, "retry-after", "Fri, 21 Oct 2095 07:28:00 GMT"))->count(), 1000);
  EXPECT_FALSE(asked_wait(head(503, "Retry-After", "soon")));
}

TEST(Answers, StatusesSayWhatToDo) {
  const auto message = [](unsigned status, HttpHeaders headers) {
    return status_error({.status = status,
                         .headers = std::move(headers),
                         .length = {},
                         .url = *parse_url("https://hub.example/api")},
                        "org/repo")
        .message();
  };
  EXPECT_NE(
      message(401, {{"X-Error-Code", "GatedRepo"}}).find("open https://hub.example/org/repo in a browser, accept"),
      std::string::npos);
  EXPECT_NE(message(401, {{"X-Error-Code", "RepoNotFound"}}).find("does not exist, or needs a token"),
            std::string::npos);
  EXPECT_NE(message(404, {{"X-Error-Code", "RevisionNotFound"}}).find("--revision"), std::string::npos);
  EXPECT_NE(message(403, {}).find("may not be read"), std::string::npos);
  EXPECT_NE(message(500, {{"X-Error-Message", "out of order"}}).find("the server says: out of order"),
            std::string::npos);
}

TEST(Retries, WaitLongerEachTimeAndGiveUp) {
  Retry retry(
      {.tries = 3, .first_wait = std::chrono::milliseconds(100), .longest_wait = std::chrono::milliseconds(250)});
  for (const auto& [least, most] : {std::pair{50, 100}, {100, 200}, {125, 250}}) {
    const auto wait = retry.next();
    ASSERT_TRUE(wait);
    EXPECT_GE(wait->count(), least);
    EXPECT_LE(wait->count(), most);
  }
  EXPECT_FALSE(retry.next());
  retry.made_progress();
  EXPECT_EQ(retry.next(std::chrono::milliseconds(5000))->count(), 5000) << "the server's wish counts";
}

TEST(Pieces, GrowWithTheNetworkAndShrinkTowardsTheEnd) {
  constexpr std::uint64_t kMega = 1 << 20;
  EXPECT_EQ(piece_bytes(0, 0, 1000 * kMega, 4), 8 * kMega) << "nothing is known yet";
  EXPECT_EQ(piece_bytes(1e9, 0.0001, 1000 * kMega, 4), 20'000'000u) << "20 ms on loopback";
  EXPECT_EQ(piece_bytes(30e6, 0.1, 1000 * kMega, 4), 60'000'000u) << "two seconds where an answer takes a tenth";
  EXPECT_EQ(piece_bytes(1e9, 0.1, 100 * kMega, 4), 25 * kMega) << "a fair share of what is left";
  EXPECT_EQ(piece_bytes(1e9, 10, 100'000 * kMega, 4), 256 * kMega);
}

TEST(Options, ComeFromTheEnvironmentOfHubClients) {
  const auto options_of = [](std::map<std::string, std::string> values) {
    return hub_options([&](const char* name) {
      return values.contains(name) ? std::optional<std::string>(values[name]) : std::nullopt;
    });
  };
  EXPECT_EQ(options_of({{"HOME", "/h"}})->cache_folder, "/h/.cache/huggingface/hub");
  EXPECT_TRUE(options_of({})->cache_folder.is_absolute()) << "without HOME, too";
  EXPECT_EQ(options_of({{"HOME", "/h"}, {"XDG_CACHE_HOME", "/c"}})->cache_folder, "/c/huggingface/hub");
  EXPECT_EQ(options_of({{"HOME", "/h"}, {"HF_HOME", "~/hf"}})->cache_folder, "/h/hf/hub");
  EXPECT_EQ(options_of({{"HF_HOME", "/x"}, {"HF_HUB_CACHE", "/y"}})->cache_folder, "/y");
  EXPECT_EQ(options_of({{"HF_TOKEN", "hf_a"}})->token, "hf_a");
  EXPECT_EQ(options_of({{"HF_ENDPOINT", "http://mirror:81/"}})->endpoint, "http://mirror:81");
  EXPECT_TRUE(options_of({{"HF_HUB_OFFLINE", "yes"}})->is_offline);
  EXPECT_FALSE(options_of({{"HF_HUB_OFFLINE", "0"}})->is_offline);
  EXPECT_EQ(options_of({{"HF_HUB_DOWNLOAD_TIMEOUT", "2.5"}})->http.stall_timeout.count(), 2500);
  EXPECT_EQ(options_of({{"all_proxy", "http://p"}, {"https_proxy", "http://q"}})->http.proxies.https, "http://q");
  EXPECT_FALSE(options_of({{"HF_HUB_DOWNLOAD_TIMEOUT", "soon"}}));
  EXPECT_FALSE(options_of({{"HF_ENDPOINT", "mirror"}}));
}

TEST(Proxies, ExceptionsAreHostsSuffixesAndPorts) {
  const auto is_direct = [](const char* none, const char* url) {
    return !proxy_for(*parse_url(url), {.http = "p:1", .https = "p:1", .none = none})->has_value();
  };
  EXPECT_TRUE(is_direct("*", "http://a/"));
  EXPECT_TRUE(is_direct("example.org", "https://files.example.org/"));
  EXPECT_TRUE(is_direct(" .example.org ", "https://files.example.org/"));
  EXPECT_FALSE(is_direct("example.org", "https://badexample.org/"));
  EXPECT_TRUE(is_direct("a,b:8080", "http://b:8080/"));
  EXPECT_FALSE(is_direct("b:8080", "http://b/"));
  EXPECT_FALSE(is_direct("", "http://b/"));
  EXPECT_FALSE(proxy_for(*parse_url("http://b/"), {.http = "socks5://p:1", .https = "", .none = ""}));
  EXPECT_EQ(base64("user:pass"), "dXNlcjpwYXNz");
  EXPECT_EQ(base64("ab"), "YWI=");
  EXPECT_EQ(base64("a"), "YQ==");
}

TEST(Names, FromTheNetworkStayInTheirFolder) {
  for (const char* name : {"../x", "a/../../x", "/etc/passwd", "a//b", "", ".", "a/.", "C:/x", "a\\b",
                           "\\\\host\\share", "con", "sub/NUL.txt", "com1", "a:b", "a\nb", "a/"})
    EXPECT_FALSE(safe_path(name)) << name;
  EXPECT_FALSE(safe_path(std::string_view("a\0b", 3)));
  EXPECT_FALSE(safe_path(std::string(300, 'a')));
  for (const char* name :
       {"config.json", "sub/dir/model.gguf", "..a", "a..b", "console.txt", ".gitattributes", "modèle.gguf"})
    EXPECT_TRUE(safe_path(name)) << name;
  EXPECT_EQ(etag_name("W/\"abc\""), "abc");
  EXPECT_EQ(etag_name("\"../x\"").size(), 64u) << "what is no plain name is hashed";
  EXPECT_EQ(CacheLayout::folder_of("org/re-po"), "models--org--re-po");
  EXPECT_EQ(CacheLayout::name_of_folder("models--org--re-po"), "org/re-po");
}

TEST(Digests, GitsHashIsGits) {
  Hasher hasher(DigestKind::git_sha1, 6);
  hasher.update(std::as_bytes(std::span("hello\n", 6)));
  EXPECT_EQ(hasher.finish(), "ce013625030ba8dba906f756967f9e9ca394464a");  // git hash-object
  EXPECT_FALSE(digest_of_etag("abc"));
  EXPECT_EQ(digest_of_etag(std::string(64, 'A'))->hex, std::string(64, 'a'));
}

HubListing listing(std::vector<std::string> names) {
  HubListing out{.repository = "org/repo", .commit = std::string(40, 'c'), .files = {}};
  for (const std::string& name : names)
    out.files.push_back({name, name.ends_with(".json") ? 100u : 10'000'000u, std::string(64, 'e')});
  return out;
}

std::vector<std::string> chosen(const Result<FileSelection>& selection) {
  std::vector<std::string> names;
  if (selection)
    for (const HubFile& file : selection->files) names.push_back(file.path);
  else
    names.push_back("error: " + selection.error().message());
  return names;
}
using Names = std::vector<std::string>;

TEST(Selection, TakesOneQuantisationWithAllItsParts) {
  const HubListing repository =
      listing({"README.md", "config.json", "m-Q4_K_M.gguf", "m-Q8_0.gguf", "m-Q4_K_S.gguf", "mmproj-F16.gguf",
               "big/m-BF16-00001-of-00002.gguf", "big/m-BF16-00002-of-00002.gguf"});
  const HubSource source{.repository = "org/repo"};
  EXPECT_EQ(chosen(select_files(repository, source, {})), (Names{"config.json", "m-Q4_K_M.gguf"}));
  HubSource named = source;
  named.quant = "q8_0";
  EXPECT_EQ(chosen(select_files(repository, named, {})), (Names{"config.json", "m-Q8_0.gguf"}));
  named.quant = "BF16";
  const auto split = select_files(repository, named, {});
  EXPECT_EQ(chosen(split), (Names{"config.json", "big/m-BF16-00001-of-00002.gguf", "big/m-BF16-00002-of-00002.gguf"}));
  EXPECT_EQ(split->model, "big/m-BF16-00001-of-00002.gguf");
  named.quant = "Q4_K";
  const auto missing = select_files(repository, named, {});
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message().find("it has Q4_K_M, Q8_0, Q4_K_S, BF16"), std::string::npos)
      << missing.error().message();
}

TEST(Selection, FallsBackToQ8AndThenToTheOnlyOne) {
  const HubSource source{.repository = "org/repo"};
  EXPECT_EQ(chosen(select_files(listing({"m.Q8_0.gguf", "m.F16.gguf"}), source, {})), (Names{"m.Q8_0.gguf"}));
  EXPECT_EQ(chosen(select_files(listing({"m.F16.gguf"}), source, {})), (Names{"m.F16.gguf"}));
  EXPECT_FALSE(select_files(listing({"m.F16.gguf", "m.F32.gguf"}), source, {}));
}

TEST(Selection, ReadsTheIndexOfShardsFirstAndTakesExactlyThose) {
  const HubListing repository =
      listing({"config.json", "model.safetensors.index.json", "model-00001-of-00002.safetensors",
               "model-00002-of-00002.safetensors", "model-old.safetensors", "tokenizer.json", "pytorch_model.bin"});
  auto selection = select_files(repository, {.repository = "org/repo"}, {});
  ASSERT_TRUE(selection) << selection.error().message();
  EXPECT_EQ(selection->index, "model.safetensors.index.json");
  ASSERT_TRUE(add_shards(
      repository,
      R"({"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors","c":"model-00001-of-00002.safetensors"}})",
      *selection));
  EXPECT_EQ(chosen(selection), (Names{"config.json", "tokenizer.json", "model.safetensors.index.json",
                                      "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"}));
  EXPECT_FALSE(add_shards(repository, R"({"weight_map":{"a":"model-00003-of-00003.safetensors"}})", *selection));
  EXPECT_FALSE(add_shards(repository, R"({"weight_map":{"a":"../../etc/passwd"}})", *selection));
  EXPECT_FALSE(add_shards(repository, "{}", *selection));
}

TEST(Selection, TakesFoldersOfMlxWithWhatBelongsToThem) {
  const HubSource source{.repository = "org/repo"};
  EXPECT_EQ(
      chosen(select_files(listing({".gitattributes", "config.json", "model.safetensors", "special_tokens_map.json",
                                   "tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "notes.txt"}),
                          source, {})),
      (Names{"config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja",
             "model.safetensors"}));
  EXPECT_FALSE(select_files(listing({"model.safetensors"}), source, {})) << "no config.json";
  EXPECT_EQ(chosen(select_files(listing({"config.json", "weights.safetensors"}), source, {})),
            (Names{"config.json", "weights.safetensors"}));
}

TEST(Selection, NamesWhatIsNearWhenAFileIsMissing) {
  const auto missing =
      select_files(listing({"model-Q4_K_M.gguf", "config.json"}),
                   {.kind = SourceKind::file, .repository = "org/repo", .file = "model-q4_k_n.gguf"}, {});
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message().find("did you mean model-Q4_K_M.gguf"), std::string::npos)
      << missing.error().message();
}

TEST(Selection, OfProgramsForPhonesSaysWhatToTake) {
  const auto refused = select_files(listing({"llama.pte", "tokenizer.json"}), {.repository = "org/repo"}, {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::unsupported);
  EXPECT_NE(refused.error().message().find("GGUF"), std::string::npos);
}

TEST(Selection, GoesByGlobsAndTakesEverythingOnRequest) {
  const HubListing repository = listing({"a.json", "sub/b.json", "c.bin"});
  const HubSource source{.repository = "org/repo"};
  EXPECT_EQ(chosen(select_files(repository, source, {.include = {"*.json"}})), (Names{"a.json", "sub/b.json"}));
  EXPECT_EQ(chosen(select_files(repository, source, {.include = {"*.json"}, .exclude = {"sub/"}})), (Names{"a.json"}));
  EXPECT_EQ(chosen(select_files(repository, source, {.all = true})).size(), 3u);
}

TEST(Selection, RefusesNamesThatLeadElsewhere) {
  const auto refused = select_files(listing({"../../x.json"}), {.repository = "org/repo"}, {.all = true});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::denied);
}

TEST(Api, AnswersAreNotTrusted) {
  EXPECT_EQ(
      parse_revision(R"({"id":"new/name","sha":"0123456789abcdef0123456789abcdef01234567"})", "old/name")->repository,
      "new/name");
  for (const char* text : {"", "[]", "{}", R"({"sha":5})", R"({"sha":"../../x"})", R"({"sha":""})"})
    EXPECT_FALSE(parse_revision(text, "a/b")) << text;
  std::vector<HubFile> files;
  EXPECT_TRUE(parse_tree_page(R"([{"type":"directory","path":"sub","oid":"x","size":0}])", files));
  EXPECT_TRUE(files.empty());
  for (const char* text :
       {"{}", "[5]", R"([{"type":"file"}])",
        R"([{"type":"file","path":"a","size":-1,"oid":"0123456789abcdef0123456789abcdef01234567"}])",
        R"([{"type":"file","path":"a","size":5,"oid":"../x"}])",
        R"([{"type":"file","path":"a","size":18446744073709551615,"oid":"0123456789abcdef0123456789abcdef01234567"}])",
        R"([{"type":"file","path":"a","size":5,"lfs":{}}])"})
    EXPECT_FALSE(parse_tree_page(text, files)) << text;
  EXPECT_EQ(next_link(R"(<https://h/a?x=1>; rel="prev", <https://h/b?x=2>; rel="next")"), "https://h/b?x=2");
  EXPECT_EQ(next_link("nonsense"), "");
}

}  // namespace
}  // namespace assay
