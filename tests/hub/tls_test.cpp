// TLS by a test authority, tokens that stay where they belong, proxies.
#include <gtest/gtest.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>

#include <cstdlib>
#include <thread>

#include "tests/hub/world.h"

namespace assay {
namespace {

using test::HubStub;
using test::kRepository;
using test::ServerReply;
using test::ServerRequest;
using test::World;
namespace fs = std::filesystem;

// A certificate authority and a certificate for localhost, made by openssl once for all tests.
class Authority {
 public:
  Authority() {
    const std::string at = folder_.path().string();
    const std::string key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 ";
    const std::string command = "cd " + at + " && openssl req -x509 " + key +
                                "-keyout ca.key -out ca.pem -subj '/CN=test authority' 2>log && " + "openssl req " +
                                key + "-keyout server.key -out server.csr -subj '/CN=localhost' 2>>log && " +
                                "printf 'subjectAltName=DNS:localhost,IP:127.0.0.1' > extensions && " +
                                "openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 "
                                "-extfile extensions -out server.pem 2>>log && " +
                                "printf 'subjectAltName=DNS:elsewhere.example' > extensions && " +
                                "openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 "
                                "-extfile extensions -out other.pem 2>>log";
    is_made_ = std::system(command.c_str()) == 0;
  }
  std::string path(const char* name) const { return (folder_.path() / name).string(); }
  bool is_made() const { return is_made_; }

 private:
  test::TemporaryFolder folder_;
  bool is_made_ = false;
};

class Tls : public testing::Test {
 protected:
  static void SetUpTestSuite() { authority = new Authority; }
  static void TearDownTestSuite() {
    delete authority;
    unsetenv("SSL_CERT_FILE");
  }
  void SetUp() override {
    ASSERT_TRUE(authority->is_made()) << "openssl cannot make certificates";
    setenv("SSL_CERT_FILE", authority->path("ca.pem").c_str(), 1);
  }
  static std::map<std::string, test::StubRepository> repositories(std::string token = "") {
    return {{kRepository,
             {.files = {{"weights.bin", {.content = test::random_text(20 << 20, 3), .is_large = true}}},
              .token = std::move(token)}}};
  }
  static inline Authority* authority = nullptr;
  const std::string source = std::string(kRepository) + "/weights.bin";
};

TEST_F(Tls, FilesComeOverVerifiedConnections) {
  HubStub stub(repositories(), authority->path("server.pem"), authority->path("server.key"));
  World world;
  world.options.endpoint = stub.endpoint();
  ASSERT_TRUE(world.options.endpoint.starts_with("https://"));
  const auto result = world.pull(source);
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_TRUE(test::read_text(result->model) == test::random_text(20 << 20, 3));
}

TEST_F(Tls, CertificatesOfUnknownAuthoritiesAreRefusedAtOnce) {
  HubStub stub(repositories(), authority->path("server.pem"), authority->path("server.key"));
  World world;
  world.options.endpoint = stub.endpoint();
  unsetenv("SSL_CERT_FILE");
  const auto result = world.pull(source);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::denied);
  EXPECT_NE(result.error().message().find("SSL_CERT_FILE"), std::string::npos) << result.error().message();
  EXPECT_EQ(world.count(PullStep::retrying), 0u);
  EXPECT_EQ(stub.hub().request_count(), 0u) << "nothing was asked before the other side was known";
}

TEST_F(Tls, CertificatesOfOtherHostsAreRefused) {
  HubStub stub(repositories(), authority->path("other.pem"), authority->path("server.key"));
  World world;
  world.options.endpoint = stub.endpoint();
  const auto result = world.pull(source);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::denied);
  EXPECT_NE(result.error().message().find("mismatch"), std::string::npos) << result.error().message();
}

TEST_F(Tls, ConnectionsCutWithoutGoodbyeAreTakenUpAgain) {
  HubStub stub(repositories(), authority->path("server.pem"), authority->path("server.key"));
  std::atomic<int> answers{0};
  stub.spoil_files([&](const ServerRequest&, ServerReply& reply) {
    if (++answers % 2 == 1) reply.drop_after = reply.body.size() / 3, reply.resets = true;
  });
  World world;
  world.options.endpoint = stub.endpoint();
  const auto result = world.pull(source);
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_TRUE(test::read_text(result->model) == test::random_text(20 << 20, 3));
}

TEST_F(Tls, AnHttpsAddressNeverLeadsToAnHttpOne) {
  const std::string content = "secret";
  test::TestServer plain([&](const ServerRequest& request) { return test::serve(request, content, "\"x\""); });
  test::TestServer secure(
      [&](const ServerRequest&) {
        return ServerReply{.status = 302, .headers = {{"Location", plain.url("/x.bin")}}};
      },
      authority->path("server.pem"), authority->path("server.key"));
  World world;
  const auto result = world.pull(secure.url("/x.bin", "localhost"));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::denied);
  EXPECT_EQ(plain.request_count(), 0u);
}

TEST_F(Tls, TokensGoToTheHubAndNotToTheHostOfTheFiles) {
  HubStub stub(repositories("hf_secret"), authority->path("server.pem"), authority->path("server.key"));
  World world;
  world.options.endpoint = stub.endpoint();
  const auto refused = world.pull(source);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::denied);
  EXPECT_NE(refused.error().message().find("HF_TOKEN"), std::string::npos) << refused.error().message();
  world.options.token = "hf_secret";
  const auto result = world.pull(source);
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_GT(stub.files().request_count(), 0u);
  for (const ServerRequest& request : stub.files().requests()) EXPECT_EQ(request.header("Authorization"), "");
}

// A proxy: CONNECT tunnels, and requests with whole addresses.
class Proxy {
 public:
  Proxy() {
    thread_ = std::thread([this] { accept(); });
  }
  ~Proxy() {
    stops_ = true;
    boost::asio::io_context context;
    boost::asio::ip::tcp::socket socket(context);
    boost::system::error_code ignored;
    socket.connect(acceptor_.local_endpoint(), ignored);
    socket.close(ignored);
    thread_.join();
    for (std::thread& thread : threads_) thread.join();
  }
  std::string url(std::string_view user = "") const {
    return "http://" + std::string(user) + "127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port());
  }
  std::vector<std::string> heads() const {
    const std::lock_guard lock(mutex_);
    return heads_;
  }
  std::string refusal;  // answered to everything when set

 private:
  using Tcp = boost::asio::ip::tcp;
  void accept() {
    while (!stops_) {
      Tcp::socket socket(context_);
      boost::system::error_code problem;
      acceptor_.accept(socket, problem);
      if (problem || stops_) return;
      threads_.emplace_back([this, moved = std::move(socket)]() mutable { serve(std::move(moved)); });
    }
  }
  static void copy(Tcp::socket& from, Tcp::socket& to) {
    std::vector<char> buffer(64 << 10);
    boost::system::error_code problem;
    while (!problem) {
      const std::size_t count = from.read_some(boost::asio::buffer(buffer), problem);
      boost::system::error_code unwritten;
      if (count > 0) boost::asio::write(to, boost::asio::buffer(buffer.data(), count), unwritten);
      if (unwritten) break;
    }
    boost::system::error_code ignored;
    to.shutdown(Tcp::socket::shutdown_both, ignored);
    from.shutdown(Tcp::socket::shutdown_both, ignored);
  }
  // One request decides where the connection goes; what follows is copied both ways.
  void serve(Tcp::socket socket) {
    std::string head;
    boost::system::error_code problem;
    boost::asio::read_until(socket, boost::asio::dynamic_buffer(head), "\r\n\r\n", problem);
    if (problem) return;
    {
      const std::lock_guard lock(mutex_);
      heads_.push_back(head);
    }
    if (!refusal.empty()) return void(boost::asio::write(socket, boost::asio::buffer(refusal), problem));
    const bool is_tunnel = head.starts_with("CONNECT ");
    std::string target = head.substr(head.find(' ') + 1);
    target = target.substr(0, target.find(' '));
    if (!is_tunnel) target = target.substr(7, target.find('/', 7) - 7);
    Tcp::socket other(context_);
    Tcp::resolver resolver(context_);
    boost::asio::connect(other, resolver.resolve("127.0.0.1", target.substr(target.find(':') + 1)), problem);
    if (problem) return;
    if (is_tunnel)
      boost::asio::write(socket, boost::asio::buffer(std::string_view("HTTP/1.1 200 Connection established\r\n\r\n")),
                         problem);
    else
      boost::asio::write(other, boost::asio::buffer(rewritten(head)), problem);
    std::thread back([&] { copy(other, socket); });
    copy(socket, other);
    back.join();
  }
  static std::string rewritten(std::string head) {
    const std::size_t begin = head.find("http://"), path = head.find('/', begin + 7);
    return head.erase(begin, path - begin);
  }

  boost::asio::io_context context_;
  Tcp::acceptor acceptor_{context_, Tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0)};
  std::atomic<bool> stops_{false};
  mutable std::mutex mutex_;
  std::vector<std::string> heads_;
  std::vector<std::thread> threads_;
  std::thread thread_;
};

TEST_F(Tls, HttpsGoesThroughProxiesInTunnels) {
  HubStub stub(repositories(), authority->path("server.pem"), authority->path("server.key"));
  Proxy proxy;
  World world;
  world.options.endpoint = stub.endpoint();
  world.options.http.proxies.https = proxy.url("user:pass%20word@");
  const auto result = world.pull(source);
  ASSERT_TRUE(result) << result.error().message();
  ASSERT_FALSE(proxy.heads().empty());
  for (const std::string& head : proxy.heads()) {
    EXPECT_TRUE(head.starts_with("CONNECT ")) << head;
    EXPECT_NE(head.find("Proxy-Authorization: Basic dXNlcjpwYXNzIHdvcmQ="), std::string::npos) << head;
  }
}

TEST_F(Tls, HttpGoesThroughProxiesWithWholeAddresses) {
  const std::string content = "bytes";
  test::TestServer server([&](const ServerRequest& request) {
    ServerReply reply = test::serve(request, content, "\"x\"");
    reply.headers.emplace_back("Connection", "close");
    return reply;
  });
  Proxy proxy;
  World world;
  world.options.http.proxies.http = proxy.url();
  const auto result = world.pull(server.url("/x.bin"));
  ASSERT_TRUE(result) << result.error().message();
  ASSERT_FALSE(proxy.heads().empty());
  EXPECT_TRUE(proxy.heads()[0].starts_with("GET http://127.0.0.1:")) << proxy.heads()[0];
}

TEST_F(Tls, HostsOfNoProxyAreReachedDirectly) {
  const std::string content = "bytes";
  test::TestServer server([&](const ServerRequest& request) { return test::serve(request, content, "\"x\""); });
  Proxy proxy;
  World world;
  world.options.http.proxies.http = proxy.url();
  world.options.http.proxies.none = "example.org, 127.0.0.1";
  ASSERT_TRUE(world.pull(server.url("/x.bin")));
  EXPECT_TRUE(proxy.heads().empty());
}

TEST_F(Tls, AProxyThatWantsAPasswordIsAClearError) {
  HubStub stub(repositories(), authority->path("server.pem"), authority->path("server.key"));
  Proxy proxy;
  proxy.refusal = "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";
  World world;
  world.options.endpoint = stub.endpoint();
  world.options.http.proxies.https = proxy.url();
  const auto result = world.pull(source);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::denied);
  EXPECT_NE(result.error().message().find("407"), std::string::npos) << result.error().message();
}

}  // namespace
}  // namespace assay
