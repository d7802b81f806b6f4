// The S3 server of the tests as a program, for compare_sync.py:
//
//   s3_loopback [--tls CERTIFICATE KEY] [BUCKET PREFIX COUNT SIZE]...
//
// makes the certificate, puts COUNT objects PREFIX00000... of SIZE bytes into each BUCKET, prints its address and
// serves until stdin ends.
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "tests/io/aws/s3_server.h"

int main(int argc, char** argv) {
  using namespace aid::io::aws::test;
  std::vector<std::string> arguments(argv + 1, argv + argc);
  S3Server::Options options;
  if (arguments.size() >= 3 && arguments[0] == "--tls") {
    options.certificate = arguments[1];
    options.key = arguments[2];
    make_certificate(options.certificate, options.key);
    arguments.erase(arguments.begin(), arguments.begin() + 3);
  }
  S3Server server(options);
  std::mt19937_64 random(1);  // NOLINT(cert-msc51-cpp): the same bytes each time
  for (std::size_t at = 0; at + 4 <= arguments.size(); at += 4) {
    const int count = std::stoi(arguments[at + 2]);
    const std::size_t size = std::stoul(arguments[at + 3]);
    // Large objects share their bytes, so that the server stays small.
    StoredObject object;
    for (int i = 0; i < count; ++i) {
      if (i == 0 || size <= 1 << 20) {
        std::string bytes(size, '\0');
        for (char& byte : bytes) byte = static_cast<char>(random());
        object = stored(std::move(bytes));
      }
      char name[32];
      std::snprintf(name, sizeof name, "%02d/%05d.bin", i % 20, i);
      server.put(arguments[at], arguments[at + 1] + name, object);
    }
  }
  std::printf("%s\n", server.url().c_str());
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
}
