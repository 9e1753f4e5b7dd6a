// A hub on loopback for people and scripts: serves a folder as one repository until its standard input ends.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/hub/hub_stub.h"

namespace fs = std::filesystem;

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr,
                 "Usage: hub_stub ORG/REPO FOLDER [BYTES_PER_SECOND]\nPrints the address to put into HF_ENDPOINT and "
                 "serves until its input ends.\n");
    return 2;
  }
  assay::test::StubRepository repository;
  for (const auto& entry : fs::recursive_directory_iterator(argv[2])) {
    if (!entry.is_regular_file()) continue;
    std::ifstream in(entry.path(), std::ios::binary);
    std::string content{std::istreambuf_iterator<char>(in), {}};
    const bool is_large = content.size() > 100'000;
    repository.files[fs::relative(entry.path(), argv[2]).generic_string()] = {.content = std::move(content),
                                                                              .is_large = is_large};
  }
  assay::test::HubStub stub({{argv[1], std::move(repository)}});
  if (argc > 3) {
    const std::uint64_t rate = std::stoull(argv[3]);
    stub.spoil_files([rate](const auto&, assay::test::ServerReply& reply) { reply.bytes_per_second = rate; });
  }
  std::printf("%s\n", stub.endpoint().c_str());
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
}
