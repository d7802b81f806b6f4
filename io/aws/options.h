#pragma once

#include <chrono>
#include <string>

namespace aid::io::aws {

enum class Signing { credentials, anonymous };
enum class Addressing { automatic, path, virtual_host };

// How a client finds its service and behaves towards it. What is empty comes from the environment and the profile, in
// the order of the AWS command line: AWS_PROFILE; AWS_REGION, AWS_DEFAULT_REGION, the profile's region;
// AWS_ENDPOINT_URL_<SERVICE>, AWS_ENDPOINT_URL, the profile's services section and endpoint_url; AWS_CA_BUNDLE;
// AWS_USE_DUALSTACK_ENDPOINT, AWS_USE_FIPS_ENDPOINT and the profile's keys of these names; the profile's
// s3.addressing_style and s3.use_accelerate_endpoint; AWS_MAX_ATTEMPTS.
struct ClientOptions {
  std::string profile;
  std::string region;
  std::string endpoint_url;
  std::string ca_bundle;  // PEM file
  Signing signing = Signing::credentials;
  Addressing addressing = Addressing::automatic;
  bool dual_stack = false, fips = false, accelerate = false;

  int max_attempts = 0;                   // per call; 0: the environment's, or 8
  int connections = 64;                   // most calls in flight; throttling lowers it for a while
  std::chrono::milliseconds backoff{50};  // before the first retry at most; doubles with each, to 20 s
  std::chrono::milliseconds connect_timeout{5'000};
  std::chrono::milliseconds stall_timeout{30'000};  // without a byte, on an open connection
};

struct Statistics {
  long long calls = 0, attempts = 0, retries = 0, throttled = 0;
  long long bytes_received = 0, bytes_sent = 0;  // of bodies
};

}  // namespace aid::io::aws
