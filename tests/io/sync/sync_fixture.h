// Folders against the S3 server of the tests.
#pragma once

#include <gtest/gtest.h>

#include <random>

#include "io/file.h"
#include "io/sync/manifest.h"
#include "io/sync/sync.h"
#include "tests/io/aws/s3_server.h"
#include "tests/io/test_files.h"

namespace aid::io::sync {

namespace fs = std::filesystem;
using aws::test::S3Server;
using aws::test::ServerRequest;
using io::test::contains;
using io::test::error_of;
using io::test::TemporaryFolder;

using Tree = std::map<std::string, std::string>;

// Short contents as they are, others by their MD5: what a test prints stays readable.
inline std::string shown(const std::string& bytes) {
  return bytes.size() < 100 ? bytes : std::to_string(bytes.size()) + " bytes, " + aws::test::stored(bytes).etag;
}
inline std::string content_of(const fs::path& file) { return shown(read_text(file)); }

inline Tree tree_of(const fs::path& folder) {
  Tree tree;
  for (fs::recursive_directory_iterator it(folder), end; it != end; ++it) {
    if (it->path().filename() == kStateFolder) {
      it.disable_recursion_pending();
    } else if (it->is_regular_file()) {
      tree[it->path().lexically_relative(folder).string()] = content_of(it->path());
    }
  }
  return tree;
}

inline Tree tree_of(const S3Server& server, const std::string& prefix = "p/") {
  Tree tree;
  for (const auto& [key, object] : server.objects("b")) {
    if (key.starts_with(prefix)) tree[key.substr(prefix.size())] = shown(*object.bytes);
  }
  return tree;
}

inline std::string random_bytes(std::size_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

class Sync : public ::testing::Test {
 protected:
  aws::ClientOptions client_options() const {
    aws::ClientOptions options;
    options.region = "us-east-1";
    options.endpoint_url = server_.url();
    options.signing = aws::Signing::anonymous;
    options.backoff = std::chrono::milliseconds(1);
    options.connections = options_.concurrency;
    return options;
  }
  Report fetch(std::vector<std::string> folders = {"a"}) {
    server_.reset_counts();
    aws::S3Client client(client_options());
    return download(client, {.bucket = "b", .prefix = "p/", .folders = std::move(folders), .target = folder_.path()},
                    options_);
  }
  // Files whose time tells.
  void settle() const {
    for (const auto& entry : fs::recursive_directory_iterator(folder_.path())) {
      if (entry.is_regular_file()) {
        fs::last_write_time(entry.path(), entry.last_write_time() - std::chrono::minutes(1));
      }
    }
  }
  Report send(const std::string& bucket = "b", const std::string& prefix = "p/") {
    server_.reset_counts();
    aws::S3Client client(client_options());
    return upload(client, {.source = folder_.path(), .bucket = bucket, .prefix = prefix}, options_);
  }
  void SetUp() override { server_.put("b", "elsewhere", "x"); }
  void put(const std::string& key, const std::string& bytes) { server_.put("b", "p/" + key, bytes); }
  static std::string problems(const Report& report) {
    std::string text;
    for (const Problem& problem : report.problems) text += problem.path + ": " + problem.why + "\n";
    return text;
  }

  S3Server server_{{.page = 7}};
  TemporaryFolder folder_;
  Options options_{.concurrency = 8, .part_size = 64 << 10};
};

}  // namespace aid::io::sync
