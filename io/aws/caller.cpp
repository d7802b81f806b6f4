#include "io/aws/caller.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "io/aws/chunked_body.h"
#include "io/aws/times.h"

namespace aid::io::aws {
namespace {

using std::chrono::milliseconds;

constexpr int kRetryTokens = 500, kRetryCost = 5, kTimeoutCost = 10;
constexpr milliseconds kLongestWait{20'000}, kLongestRetryAfter{60'000};
constexpr std::int64_t kSkew = 4 * 60;  // seconds; AWS accepts 5 minutes
constexpr int kUsualAttempts = 8;
// Seconds between two renewals of credentials that are still good: some sources give none that last longer, or fail.
constexpr std::int64_t kRenewalPause = 60;

template <std::size_t N>
bool is_one_of(const std::string& code, const std::array<std::string_view, N>& codes) {
  return std::find(codes.begin(), codes.end(), code) != codes.end();
}

constexpr auto kThrottles = std::to_array<std::string_view>(
    {"Throttling", "ThrottlingException", "ThrottledException", "RequestThrottledException", "RequestThrottled",
     "TooManyRequestsException", "ProvisionedThroughputExceededException", "TransactionInProgressException",
     "RequestLimitExceeded", "BandwidthLimitExceeded", "SlowDown", "PriorRequestNotComplete", "EC2ThrottledException"});
constexpr auto kTransients = std::to_array<std::string_view>(
    {"RequestTimeout", "RequestTimeoutException", "InternalError", "InternalServerError", "ServiceUnavailable",
     "BadDigest", "IncompleteBody", "OperationAborted"});
constexpr auto kSkews =
    std::to_array<std::string_view>({"RequestTimeTooSkewed", "SignatureDoesNotMatch", "AuthFailure", "RequestExpired",
                                     "InvalidSignatureException", "RequestInTheFuture"});
constexpr auto kExpired = std::to_array<std::string_view>(
    {"ExpiredToken", "ExpiredTokenException", "InvalidToken", "TokenRefreshRequired", "UnrecognizedClientException"});

int attempts_of(const ClientOptions& options, const Configuration& configuration) {
  if (options.max_attempts > 0) return options.max_attempts;
  const std::string text =
      configuration.variable("AWS_MAX_ATTEMPTS").value_or(configuration.value("max_attempts").value_or(""));
  int attempts = 0;
  std::from_chars(text.data(), text.data() + text.size(), attempts);
  return attempts > 0 ? attempts : kUsualAttempts;
}

std::string bundle_of(const ClientOptions& options, const Configuration& configuration) {
  if (!options.ca_bundle.empty()) return options.ca_bundle;
  return configuration.variable("AWS_CA_BUNDLE").value_or(configuration.value("ca_bundle").value_or(""));
}

bool is_on(const std::optional<std::string>& value) { return lower_case(value.value_or("")) == "true"; }

// With what the environment and the profile say of how the service is addressed.
ClientOptions completed(ClientOptions options, const Service& service, const Configuration& configuration) {
  const auto either = [&](const char* variable, const char* key) {
    const auto value = configuration.variable(variable);
    return is_on(value ? value : configuration.value(key));
  };
  options.dual_stack = options.dual_stack || either("AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint");
  options.fips = options.fips || either("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint");
  if (service.name == "s3") {
    options.accelerate = options.accelerate || is_on(configuration.value("s3.use_accelerate_endpoint"));
  }
  if (options.addressing == Addressing::automatic) {
    const std::string style = lower_case(configuration.value("s3.addressing_style").value_or(""));
    if (style == "path") options.addressing = Addressing::path;
    if (style == "virtual") options.addressing = Addressing::virtual_host;
  }
  return options;
}

// What the service asks to wait: seconds, or milliseconds in its own header.
milliseconds retry_after(const HttpAnswer& answer) {
  const auto number = [&](const char* name) -> long long {
    const std::string* text = find_header(answer.headers, name);
    long long value = 0;
    if (text != nullptr) std::from_chars(text->data(), text->data() + text->size(), value);
    return std::clamp<long long>(value, 0, kLongestRetryAfter.count());
  };
  return std::min(kLongestRetryAfter,
                  std::max(milliseconds(number("x-amz-retry-after")), milliseconds(1'000 * number("retry-after"))));
}

std::string hash_of(const BodySource& body, ChecksumAlgorithm algorithm, bool hexadecimal) {
  Checksum checksum(algorithm);
  std::string buffer(256 << 10, '\0');
  for (std::uint64_t at = 0; at < body.size();) {
    const std::size_t count = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), body.size() - at));
    const auto bytes = std::as_writable_bytes(std::span(buffer)).first(count);
    body.read(at, bytes);
    checksum.update(bytes);
    at += count;
  }
  return hexadecimal ? checksum.hex() : checksum.base64();
}

bool is_chunked(Payload payload) {
  return payload == Payload::signed_chunks || payload == Payload::unsigned_trailer ||
         payload == Payload::signed_trailer;
}

}  // namespace

struct Caller::Job {
  Call call;
  Done<HttpAnswer> done;
  std::string payload_hash;
  int attempts = 0;
  long long number = 0;  // of the attempt, among all
  int generation = 0;    // of the credentials that signed it
  bool redirected = false, renewed = false, unskewed = false;
  int cost = 0;  // tokens that the last retry took
};

Caller::Caller(const ClientOptions& options, Service service)
    : service_(std::move(service)),
      configuration_(options.profile),
      options_(completed(options, service_, configuration_)),
      region_(options.region.empty() ? configuration_.region() : options.region),
      custom_url_(options.endpoint_url.empty() ? configuration_.endpoint_url(service_.variable) : options.endpoint_url),
      max_attempts_(attempts_of(options, configuration_)),
      window_(std::max(1, options.connections)),
      retry_tokens_(kRetryTokens),
      driver_(
          HttpDriver::Options{.ca_bundle = bundle_of(options, configuration_), .connections = options.connections}) {
  if (region_.empty()) region_ = "us-east-1";  // S3 redirects to where a bucket is
}

Caller::~Caller() {
  cancel();
  // A renewal waits for its transfers, which the cancelling ends.
  std::promise<void> idle;
  driver_.post([this, &idle] {
    if (renewal_.joinable()) driver_.cancel_all();
    idle.set_value();
  });
  idle.get_future().wait();
  if (renewal_.joinable()) renewal_.join();
}

std::int64_t Caller::now() const { return unix_now() + clock_offset_; }

void Caller::start(Call call, Done<HttpAnswer> done) {
  auto job = std::make_shared<Job>();
  job->call = std::move(call);
  job->done = std::move(done);
  Call& made = job->call;
  try {
    if (made.payload == Payload::automatic) {
      const bool tls = custom_url_.empty() || parse_url(custom_url_).is_tls();
      const bool signed_hash = made.body == nullptr || !tls || service_.path_rule == PathRule::normalised;
      made.payload = signed_hash ? Payload::signed_hash : Payload::unsigned_body;
    }
    if (options_.signing == Signing::anonymous) made.payload = Payload::unsigned_body;
    switch (made.payload) {
      case Payload::signed_chunks:
        job->payload_hash = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
        break;
      case Payload::signed_trailer:
        job->payload_hash = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
        break;
      case Payload::unsigned_trailer:
        job->payload_hash = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
        break;
      case Payload::unsigned_body:
        job->payload_hash = kUnsignedPayload;
        break;
      default:
        job->payload_hash =
            made.body == nullptr ? std::string(kEmptySha256) : hash_of(*made.body, ChecksumAlgorithm::sha256, true);
    }
    const bool trailer = made.payload == Payload::unsigned_trailer || made.payload == Payload::signed_trailer;
    if (trailer && !made.checksum) made.checksum = ChecksumAlgorithm::crc64nvme;
    if (made.checksum) {
      const std::string name = "x-amz-checksum-" + std::string(name_of(*made.checksum));
      if (trailer) {
        made.headers.emplace_back("x-amz-trailer", name);
      } else {
        made.headers.emplace_back(name, hash_of(*made.body, *made.checksum, false));
      }
    }
    if (is_chunked(made.payload)) {
      made.headers.emplace_back("content-encoding", "aws-chunked");
      made.headers.emplace_back("x-amz-decoded-content-length", std::to_string(made.body->size()));
    }
  } catch (const std::exception& error) {
    driver_.post([this, job, why = std::string(error.what())] { fail(job, "Body", why); });
    return;
  }
  driver_.post([this, job] {
    {
      const std::lock_guard lock(statistics_mutex_);
      ++statistics_.calls;
    }
    queue_.push_back(job);
    pump();
  });
}

void Caller::cancel() {
  driver_.post([this] {
    cancelled_ = true;
    driver_.cancel_all();
    pump();
  });
}

Statistics Caller::statistics() const {
  const std::lock_guard lock(statistics_mutex_);
  return statistics_;
}

// Starts what the window allows.
void Caller::pump() {
  while (!queue_.empty() && cancelled_) {
    const JobPtr job = queue_.front();
    queue_.pop_front();
    fail(job, "Cancelled", "cancelled");
  }
  while (!queue_.empty() && in_flight_ < static_cast<int>(window_) && have_credentials()) {
    const JobPtr job = queue_.front();
    queue_.pop_front();
    attempt(job);
  }
}

bool Caller::have_credentials() {
  if (options_.signing == Signing::anonymous) return true;
  const Freshness freshness = credentials_ ? freshness_of(*credentials_, now()) : Freshness::expired;
  const bool wanted =
      freshness == Freshness::expired || (freshness == Freshness::due && now() >= last_renewal_ + kRenewalPause);
  if (wanted && !renewing_) renew_credentials();
  // While the new ones come, the old ones are used as long as they are good.
  return freshness != Freshness::expired;
}

// The chain blocks, so it has a thread of its own; in the meantime calls wait in the queue.
void Caller::renew_credentials() {
  renewing_ = true;
  if (renewal_.joinable()) renewal_.join();
  renewal_ = std::thread([this] {
    std::optional<Credentials> found;
    std::string why;
    try {
      found = CredentialChain(configuration_, driver_).resolve();
    } catch (const std::exception& error) {
      why = error.what();
    }
    driver_.post([this, found, why]() mutable {
      renewing_ = false;
      last_renewal_ = now();
      if (found && freshness_of(*found, now()) == Freshness::expired) {
        why = found->source + ": the credentials had expired before they came; is this machine's clock right?";
        found.reset();
      }
      if (found) {
        credentials_ = found;
        ++generation_;
      } else if (!credentials_ || freshness_of(*credentials_, now()) == Freshness::expired) {
        credentials_.reset();
        auto waiting = std::move(queue_);
        queue_.clear();
        for (const JobPtr& job : waiting) fail(job, "Credentials", why);
      }
      pump();
    });
  });
}

HttpRequest Caller::build(Job& job) {
  const Call& call = job.call;
  EndpointQuery query{.region = region_, .bucket = call.bucket, .custom_url = custom_url_};
  const auto known = bucket_regions_.find(call.bucket);
  if (known != bucket_regions_.end()) query.region = known->second;
  // An access point has no path of its own.
  query.path_style =
      options_.addressing == Addressing::path ||
      (options_.addressing == Addressing::automatic && !custom_url_.empty() && !call.bucket.starts_with("arn:"));
  query.dual_stack = options_.dual_stack;
  query.fips = options_.fips;
  query.accelerate = options_.accelerate;
  const Endpoint endpoint = service_.endpoint(query);

  SignableRequest signable{.method = call.method,
                           .path = endpoint.url.path + call.path,
                           .query = call.query,
                           .headers = call.headers,
                           .payload_hash = job.payload_hash};
  signable.headers.emplace_back("host", endpoint.url.authority());
  HttpRequest request;
  request.method = call.method;
  request.connect_timeout = options_.connect_timeout;
  request.stall_timeout = options_.stall_timeout;
  request.slowest = call.slowest;
  const SigningScope scope{
      .region = endpoint.signing_region, .service = service_.name, .path_rule = service_.path_rule};
  const std::int64_t time = now();
  std::string seed;
  if (options_.signing == Signing::credentials) {
    if (service_.path_rule == PathRule::as_sent) {
      signable.headers.emplace_back("x-amz-content-sha256", job.payload_hash);
    }
    const Signature signature = signer_.sign(signable, *credentials_, scope, time);
    signable.headers.insert(signable.headers.end(), signature.additions.begin(), signature.additions.end());
    seed = signature.hex;
  }
  request.headers = std::move(signable.headers);
  request.headers.emplace_back("user-agent", "aid");
  request.url = endpoint.url.scheme + "://" + endpoint.url.authority() + signable.path;
  if (!call.query.empty()) (request.url += '?') += encode_query(call.query);
  if (call.body == nullptr) {
    if (call.method == "POST" || call.method == "PUT") request.headers.emplace_back("content-length", "0");
    return request;
  }
  if (!is_chunked(call.payload)) {
    request.body = std::make_shared<PlainReader>(call.body);
    return request;
  }
  std::optional<ChunkSigner> chunk_signer;
  if (call.payload != Payload::unsigned_trailer) chunk_signer.emplace(signer_, *credentials_, scope, time, seed);
  request.body = std::make_shared<ChunkedReader>(call.body, std::move(chunk_signer),
                                                 call.payload == Payload::signed_chunks ? std::nullopt : call.checksum);
  return request;
}

void Caller::attempt(const JobPtr& job) {
  HttpRequest request;
  try {
    request = build(*job);
  } catch (const std::exception& error) {
    return fail(job, "Request", error.what());
  }
  ++job->attempts;
  ++in_flight_;
  job->number = ++started_;
  job->generation = generation_;
  {
    const std::lock_guard lock(statistics_mutex_);
    ++statistics_.attempts;
    if (request.body != nullptr) statistics_.bytes_sent += static_cast<long long>(request.body->size());
  }
  driver_.start(std::move(request), job->call.receiver, [this, job](HttpAnswer answer) {
    --in_flight_;
    on_answer(job, std::move(answer));
    pump();
  });
}

void Caller::on_answer(const JobPtr& job, HttpAnswer answer) {
  {
    const std::lock_guard lock(statistics_mutex_);
    statistics_.bytes_received += static_cast<long long>(answer.received);
  }
  if (cancelled_ || answer.failure == HttpFailure::cancelled) return fail(job, "Cancelled", "cancelled");
  if (answer.failure == HttpFailure::receiver) return fail(job, "Receiver", answer.failure_text);
  std::string fault;
  if (answer.failure == HttpFailure::none && answer.status >= 200 && answer.status < 300) {
    try {
      if (job->call.fault) fault = job->call.fault(answer);
    } catch (const std::exception& error) {
      return fail(job, "Receiver", error.what());
    }
    if (fault.empty()) {
      window_ = std::min<double>(options_.connections, window_ + 1 / window_);
      retry_tokens_ = std::min(kRetryTokens, retry_tokens_ + std::max(1, job->cost));
      return job->done(std::move(answer));
    }
  }
  ServiceError error;
  if (answer.failure == HttpFailure::none) error = service_.error(answer);
  const Kind kind = fault.empty() ? classify(*job, answer, error) : Kind::transient;
  if (kind == Kind::throttle) {
    if (job->number > last_cut_) {
      window_ = std::max(1.0, window_ / 2);
      last_cut_ = started_;
    }
    const std::lock_guard lock(statistics_mutex_);
    ++statistics_.throttled;
  }
  const int cost = kind == Kind::timeout ? kTimeoutCost : kRetryCost;
  const bool counts = kind == Kind::transient || kind == Kind::timeout || kind == Kind::throttle;
  const bool out_of_attempts = counts && job->attempts >= max_attempts_;
  const bool out_of_tokens = counts && !out_of_attempts && retry_tokens_ < cost;
  if (kind != Kind::fatal && !out_of_attempts && !out_of_tokens) {
    job->cost = counts ? cost : 0;
    if (counts) retry_tokens_ -= cost;
    return again(job, kind, answer);
  }
  std::string why;
  if (!fault.empty()) {
    why = fault;
    error.code = "Integrity";
  } else if (answer.failure != HttpFailure::none) {
    why = answer.failure_text;
    error.code = answer.failure == HttpFailure::timeout ? "Timeout" : "Connection";
  } else {
    why = "HTTP " + std::to_string(answer.status) + (error.code.empty() ? "" : " " + error.code) +
          (error.message.empty() ? "" : ": " + error.message);
  }
  if (out_of_tokens) why += " (too many calls fail for more retries)";
  fail(job, error.code, why, answer.status, error.request_id);
}

Caller::Kind Caller::classify(Job& job, const HttpAnswer& answer, const ServiceError& error) {
  if (answer.failure == HttpFailure::timeout) return Kind::timeout;
  if (answer.failure == HttpFailure::connection) return Kind::transient;
  if (answer.failure != HttpFailure::none) return Kind::fatal;
  if (follow_redirect(job, answer, error)) return Kind::redirect;
  if (is_one_of(error.code, kThrottles) || answer.status == 429 || answer.status == 509) return Kind::throttle;
  if (is_one_of(error.code, kSkews)) {
    const std::string* date = find_header(answer.headers, "date");
    const auto there = date == nullptr ? std::nullopt : parse_http_time(*date);
    if (there && !job.unskewed && std::abs(*there / 1'000 - now()) > kSkew) {
      clock_offset_ = *there / 1'000 - unix_now();
      job.unskewed = true;
      return Kind::skew;
    }
    return Kind::fatal;
  }
  if (is_one_of(error.code, kExpired) && !job.renewed && options_.signing == Signing::credentials) {
    job.renewed = true;
    return Kind::expired;
  }
  if (is_one_of(error.code, kTransients) || answer.status == 307) return Kind::transient;
  if (answer.status == 503 && error.code.empty()) return Kind::throttle;
  return answer.status == 500 || answer.status == 502 || answer.status == 503 || answer.status == 504 ? Kind::transient
                                                                                                      : Kind::fatal;
}

// Goes to the region that is named, never to a host that is: what is signed must not go elsewhere.
bool Caller::follow_redirect(Job& job, const HttpAnswer& answer, const ServiceError& error) {
  const bool redirect = answer.status == 301 || answer.status == 302 || answer.status == 307 ||
                        error.code == "PermanentRedirect" || error.code == "AuthorizationHeaderMalformed" ||
                        error.code == "IllegalLocationConstraintException" ||
                        (job.call.method == "HEAD" && answer.status == 400);
  if (!redirect || job.redirected || job.call.bucket.empty()) return false;
  const std::string* header = find_header(answer.headers, "x-amz-bucket-region");
  const std::string region = header != nullptr ? *header : error.region;
  const auto known = bucket_regions_.find(job.call.bucket);
  if (!is_dns_label(region) || region == (known == bucket_regions_.end() ? region_ : known->second)) return false;
  bucket_regions_[job.call.bucket] = region;
  job.redirected = true;
  return true;
}

void Caller::again(const JobPtr& job, Kind kind, const HttpAnswer& answer) {
  {
    const std::lock_guard lock(statistics_mutex_);
    ++statistics_.retries;
  }
  if (kind == Kind::expired) {
    // Another call may have had them renewed meanwhile.
    if (!renewing_ && job->generation == generation_) credentials_.reset();
    queue_.push_front(job);
    return;
  }
  if (kind == Kind::skew || kind == Kind::redirect) {
    queue_.push_front(job);
    return;
  }
  const double unit =
      static_cast<double>(options_.backoff.count()) * (kind == Kind::throttle ? service_.throttle_factor : 1);
  const double longest = std::min<double>(unit * std::ldexp(1.0, std::min(job->attempts - 1, 30)),
                                          static_cast<double>(kLongestWait.count()));
  const milliseconds jitter(static_cast<milliseconds::rep>(std::uniform_real_distribution<>(0, longest)(random_)));
  driver_.post(
      [this, job] {
        queue_.push_back(job);
        pump();
      },
      std::max(jitter, retry_after(answer)));
}

void Caller::fail(const JobPtr& job, const std::string& code, const std::string& why, int status,
                  const std::string& request_id) {
  std::string message = job->call.what + ": " + why;
  if (!request_id.empty()) message += " (request " + request_id + ")";
  if (job->attempts > 1) message += ", after " + std::to_string(job->attempts) + " attempts";
  if (code == "InvalidObjectState") {
    message += "; it is archived: restore it first (`aws s3api restore-object`)";
  } else if (code == "AccessDenied" || status == 403) {
    message += "; check the permissions of these credentials and the region";
  }
  job->done(CallError(message, {.status = status, .code = code, .request_id = request_id, .attempts = job->attempts}));
}

}  // namespace aid::io::aws
