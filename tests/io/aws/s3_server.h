// An S3 server in memory, on loopback: what `aid sync` and its peers need of it, quick enough not to be the limit of
// what is measured against it. A thread for each connection that is open. Signatures are not looked at.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "io/aws/uri.h"

struct ssl_st;
struct ssl_ctx_st;

namespace aid::io::aws::test {

struct StoredObject {
  std::shared_ptr<const std::string> bytes;
  std::string etag;
  std::string crc64nvme;      // base64; empty: the server does not tell
  std::int64_t modified = 0;  // milliseconds since 1970-01-01 UTC
  std::uint64_t size = 0;     // may be more than there are bytes: they are then repeated
};
// With the etag and checksum of its bytes, modified now.
StoredObject stored(std::string bytes);

struct ServerRequest {
  std::string method, bucket, key;
  std::map<std::string, std::string> query;
  Pairs headers;
  std::string body;
};

class S3Server {
 public:
  struct Options {
    std::string certificate, key;  // PEM files: the server then speaks TLS
    int page = 1000;               // keys at most in an answer to a list
    int port = 0;                  // 0: any that is free
  };
  // What to answer instead: a status with an error's code; 0: nothing instead; -1: the connection is closed half-way
  // through the answer; -2: what is asked for is done, and no answer comes.
  struct Fault {
    int status = 0;
    std::string code;
  };

  explicit S3Server(Options options);
  S3Server() : S3Server(Options{}) {}
  ~S3Server();
  S3Server(const S3Server&) = delete;
  S3Server& operator=(const S3Server&) = delete;

  std::string url() const;
  void put(const std::string& bucket, const std::string& key, StoredObject object);
  void put(const std::string& bucket, const std::string& key, std::string bytes);
  void remove(const std::string& bucket, const std::string& key);
  std::map<std::string, StoredObject> objects(const std::string& bucket) const;
  std::size_t uploads() const;  // multipart uploads that were begun and not ended

  // Called before each answer, on the connections' threads, one at a time.
  void set_fault(std::function<Fault(const ServerRequest&)> fault);
  // How many requests of an operation came: "GET", "LIST", "HEAD", "PUT", "PART", "DELETE"...
  int count(const std::string& operation) const;
  void reset_counts();

 private:
  struct Connection;
  struct Upload {
    std::string bucket, key;
    std::map<int, std::string> parts;
  };
  struct Answer {
    int status = 200;
    std::string headers, body;
    StoredObject object;  // whose bytes are the body, where it has any
    std::uint64_t first = 0, count = 0;
  };

  void accept_all();
  void run(int socket);
  void serve(Connection& connection);
  Answer answer(const ServerRequest& request);
  Answer list(const ServerRequest& request);
  Answer list_uploads(const ServerRequest& request) const;
  Answer get(const ServerRequest& request);
  Answer change(const ServerRequest& request);
  static Answer error(int status, const std::string& code);
  bool send(Connection& connection, const ServerRequest& request, const Answer& answer, bool half);

  const Options options_;
  ssl_ctx_st* tls_ = nullptr;
  int listener_ = -1, port_ = 0;
  std::atomic<bool> stopping_{false};
  mutable std::mutex mutex_;
  std::map<std::string, std::map<std::string, StoredObject>> buckets_;
  std::map<std::string, Upload> uploads_;
  std::map<std::string, int> counts_;
  std::function<Fault(const ServerRequest&)> fault_;
  int next_upload_ = 0;
  std::mutex sockets_mutex_;
  std::set<int> sockets_;  // each has a thread, which ends with it
  std::condition_variable ended_;
  std::thread acceptor_;
};

// A certificate for 127.0.0.1 and localhost that signs itself, and its key, as PEM files.
void make_certificate(const std::string& certificate_file, const std::string& key_file);

}  // namespace aid::io::aws::test
