// Internal: one call to a service, from its parts to an answer that can be trusted: endpoint, credentials, signature,
// and the AWS SDKs' standard retry mode (botocore's retries/standard.py): a token bucket shared by the client, full
// jitter, Retry-After, clock-skew correction, one redirect to a bucket's region, and a window of calls in flight that
// throttling narrows for all of them.
#pragma once

#include <deque>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>

#include "io/aws/credentials.h"
#include "io/aws/endpoint.h"
#include "io/aws/error.h"
#include "io/aws/http.h"
#include "io/aws/options.h"
#include "io/aws/s3.h"
#include "io/aws/signer.h"

namespace aid::io::aws {

struct ServiceError {
  std::string code, message, request_id;
  std::string region;  // where the bucket is, if it says so
};

struct Service {
  std::string name;      // in signatures: "s3"
  std::string variable;  // in AWS_ENDPOINT_URL_<...>: "S3"
  PathRule path_rule = PathRule::normalised;
  int throttle_factor = 1;  // how much longer than a fault throttling makes a call wait
  Endpoint (*endpoint)(const EndpointQuery& query) = nullptr;
  ServiceError (*error)(const HttpAnswer& answer) = nullptr;
};

struct Call {
  std::string what;  // "GetObject s3://bucket/key": for messages
  std::string method = "GET";
  std::string bucket;
  std::string path = "/";  // below the endpoint's, encoded
  Pairs query, headers;    // names of headers in lower case
  std::shared_ptr<const BodySource> body;
  Payload payload = Payload::automatic;
  std::optional<ChecksumAlgorithm> checksum;
  std::shared_ptr<HttpReceiver> receiver;
  long slowest = 1;  // bytes a second, as in HttpRequest
  // Whether an answer with a 2xx status is what it should be: empty, or why it is to be asked for again.
  std::function<std::string(const HttpAnswer&)> fault;
};

class Caller {
 public:
  Caller(const ClientOptions& options, Service service);
  ~Caller();
  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;

  // From any thread; `done` comes on the driver's. Hashes the body on the calling thread where the signature needs it.
  void start(Call call, Done<HttpAnswer> done);
  void cancel();
  Statistics statistics() const;

 private:
  struct Job;
  using JobPtr = std::shared_ptr<Job>;
  enum class Kind { fatal, transient, timeout, throttle, skew, expired, redirect };

  void pump();
  bool have_credentials();
  void renew_credentials();
  void attempt(const JobPtr& job);
  HttpRequest build(Job& job);
  void on_answer(const JobPtr& job, HttpAnswer answer);
  Kind classify(Job& job, const HttpAnswer& answer, const ServiceError& error);
  bool follow_redirect(Job& job, const HttpAnswer& answer, const ServiceError& error);
  void again(const JobPtr& job, Kind kind, const HttpAnswer& answer);
  void fail(const JobPtr& job, const std::string& code, const std::string& why, int status = 0,
            const std::string& request_id = "");
  std::int64_t now() const;

  const Service service_;
  Configuration configuration_;
  const ClientOptions options_;
  std::string region_, custom_url_;
  int max_attempts_;
  Signer signer_;

  // What follows belongs to the driver's thread, but for the statistics.
  std::deque<JobPtr> queue_;
  int in_flight_ = 0;
  double window_;
  long long started_ = 0, last_cut_ = 0;  // attempts, to cut the window once for all that were in flight together
  int retry_tokens_;
  std::int64_t clock_offset_ = 0;  // seconds that the service is ahead
  std::optional<Credentials> credentials_;
  int generation_ = 0;             // of the credentials
  std::int64_t last_renewal_ = 0;  // when it ended, well or not
  bool renewing_ = false, cancelled_ = false;
  std::map<std::string, std::string> bucket_regions_;
  std::mt19937_64 random_{std::random_device{}()};
  mutable std::mutex statistics_mutex_;
  Statistics statistics_;

  std::thread renewal_;
  HttpDriver driver_;  // last: its thread ends before what it uses goes
};

}  // namespace aid::io::aws
