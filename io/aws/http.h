// HTTP transfers over libcurl's multi interface: a few threads drive all of them by epoll, with connections kept alive
// and HTTP/2 where the server offers it. Knows nothing of AWS: no retries, no signatures, no redirects.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "io/aws/uri.h"

namespace aid::io::aws {

// A request's body, read front to back.
class BodyReader {
 public:
  virtual ~BodyReader() = default;
  virtual std::uint64_t size() const = 0;
  virtual std::size_t read(std::span<std::byte> bytes) = 0;  // how many were read; 0 only at the end
  virtual void rewind() = 0;                                 // to the front
};

struct HttpRequest {
  std::string method = "GET";
  std::string url;  // encoded
  Pairs headers;
  std::shared_ptr<BodyReader> body;  // null: none
  std::chrono::milliseconds connect_timeout{5'000};
  std::chrono::milliseconds total_timeout{0};       // 0: none
  std::chrono::milliseconds stall_timeout{30'000};  // slower than `slowest` for so long
  long slowest = 1;                                 // bytes a second
};

// Takes an answer's body piece by piece. What it throws ends the transfer with failure `receiver`.
class HttpReceiver {
 public:
  virtual ~HttpReceiver() = default;
  // Headers' names are in lower case. False: this body is collected in HttpAnswer::body instead.
  virtual bool begin(int status, const Pairs& headers) = 0;
  virtual void write(std::span<const std::byte> bytes) = 0;
};

enum class HttpFailure { none, connection, timeout, tls, receiver, cancelled };

struct HttpAnswer {
  int status = 0;
  Pairs headers;     // names in lower case
  std::string body;  // what no receiver took; at most 64 MiB, else the failure is `connection`
  std::uint64_t received = 0;
  HttpFailure failure = HttpFailure::none;
  std::string failure_text;
};
using HttpDone = std::function<void(HttpAnswer)>;

// Transfers are spread over the driver's own thread and a few others, so that receiving, decrypting and what receivers
// do with the bytes take more than one core; what they end in all comes to the driver's own.
class HttpDriver {
 public:
  struct Options {
    std::string ca_bundle;  // PEM file; empty: the system's
    int connections = 64;   // kept open at most, by each thread
  };
  explicit HttpDriver(const Options& options);
  ~HttpDriver();  // cancels what is under way; `done` of all of it is called first
  HttpDriver(const HttpDriver&) = delete;
  HttpDriver& operator=(const HttpDriver&) = delete;

  // From any thread. The receiver and the body are called on the transfer's thread; then `done`, on the driver's.
  void start(HttpRequest request, std::shared_ptr<HttpReceiver> receiver, HttpDone done);
  // Runs `task` on the driver's thread, after a while if asked to. Tasks that wait when the driver ends are run then.
  void post(std::function<void()> task, std::chrono::milliseconds delay = std::chrono::milliseconds(0));
  void cancel_all();
  bool on_driver_thread() const;

  // Blocks; not on the driver's thread.
  HttpAnswer fetch(HttpRequest request);

 private:
  class Loop;
  Loop& least_busy();

  std::unique_ptr<Loop> own_;
  std::vector<std::unique_ptr<Loop>> others_;  // belong to the driver's thread
};

}  // namespace aid::io::aws
