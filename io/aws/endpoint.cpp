#include "io/aws/endpoint.h"

#include <algorithm>
#include <vector>

#include "io/error.h"

namespace aid::io::aws {
namespace {

struct Partition {
  const char *prefix, *name, *suffix, *dual_stack_suffix;
};
constexpr Partition kPartitions[] = {
    {"cn-", "aws-cn", "amazonaws.com.cn", "api.amazonwebservices.com.cn"},
    {"us-gov-", "aws-us-gov", "amazonaws.com", "api.aws"},
    {"us-iso-", "aws-iso", "c2s.ic.gov", "api.aws.ic.gov"},
    {"us-isob-", "aws-iso-b", "sc2s.sgov.gov", "api.aws.scloud"},
    {"eu-isoe-", "aws-iso-e", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"},
    {"us-isof-", "aws-iso-f", "csp.hci.ic.gov", "api.aws.hci.ic.gov"},
    {"eusc-", "aws-eusc", "amazonaws.eu", "api.amazonwebservices.eu"},
};
constexpr Partition kAws = {"", "aws", "amazonaws.com", "api.aws"};

const Partition& partition_of(const std::string& region) {
  for (const Partition& partition : kPartitions) {
    if (region.starts_with(partition.prefix)) return partition;
  }
  return kAws;
}

bool is_letter_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

Endpoint at(const std::string& url, const std::string& region) {
  return {.url = parse_url(url), .signing_region = region == "aws-global" ? "us-east-1" : region};
}

void check_region(const std::string& region) {
  if (region.empty()) {
    throw Error("no AWS region is set; give --region, AWS_REGION, or a region in the profile");
  }
  if (!is_dns_label(region)) throw Error("Invalid region: '" + region + "' is not a valid DNS name");
}

// "s3-fips.dualstack": the part of the host that says what kind of endpoint it is.
std::string kind_of(const std::string& service, const EndpointQuery& query) {
  return service + (query.fips ? "-fips" : "") + (query.dual_stack ? ".dualstack" : "");
}

std::vector<std::string> split(const std::string& text, const char* separators, std::size_t most) {
  std::vector<std::string> parts;
  std::size_t start = 0;
  while (parts.size() + 1 < most) {
    const std::size_t end = text.find_first_of(separators, start);
    if (end == std::string::npos) break;
    parts.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  parts.push_back(text.substr(start));
  return parts;
}

// arn:PARTITION:s3:REGION:ACCOUNT:accesspoint/NAME
Endpoint access_point(const EndpointQuery& query) {
  const std::string& arn = query.bucket;
  const std::vector<std::string> parts = split(arn, ":", 6);
  const auto refuse = [&](const std::string& why) { return Error("'" + arn + "' cannot be used: " + why); };
  if (parts.size() < 6) throw refuse("an ARN has six parts: arn:PARTITION:s3:REGION:ACCOUNT:accesspoint/NAME");
  const std::string &service = parts[2], &region = parts[3], &account = parts[4];
  if (service == "s3-outposts") throw refuse("S3 on Outposts is not supported");
  if (service == "s3-object-lambda") throw refuse("Object Lambda access points are not supported");
  if (service != "s3") throw refuse("it is of the service '" + service + "'; expected s3");
  const std::vector<std::string> resource = split(parts[5], ":/", 3);
  if (resource.size() != 2 || resource[0] != "accesspoint") throw refuse("expected accesspoint/NAME at its end");
  if (region.empty()) throw refuse("multi-region access points are not supported (they need SigV4a)");
  if (!is_dns_label(resource[1])) throw refuse("an access point's name has letters, digits and hyphens");
  if (account.empty() || !is_dns_label(account)) throw refuse("it has no valid account");
  check_region(region);
  if (query.path_style) throw refuse("an access point has no path-style address");
  if (query.accelerate) throw refuse("an access point has no accelerate endpoint");
  const Partition& partition = partition_of(region);
  if (const char* own = partition_of(query.region).name; std::string_view(own) != partition.name) {
    throw refuse("its region is in the partition " + std::string(partition.name) + ", the region " + query.region +
                 " in " + own);
  }
  if (!query.custom_url.empty()) {
    if (query.dual_stack) throw refuse("a custom endpoint goes together with neither dual-stack nor FIPS");
    Url url = parse_url(query.custom_url);
    url.host = resource[1] + "-" + account + "." + url.host;
    return {.url = std::move(url), .signing_region = region};
  }
  return at("https://" + resource[1] + "-" + account + "." + kind_of("s3-accesspoint", query) + "." + region + "." +
                partition.suffix,
            region);
}

void check_combination(const EndpointQuery& query, const Partition& partition) {
  const bool china = std::string_view(partition.name) == "aws-cn";
  if (query.fips && china) throw Error("FIPS endpoints do not exist in " + std::string(partition.name));
  if (query.accelerate && query.fips) throw Error("S3 Accelerate cannot be used with FIPS");
  if (query.accelerate && china && !query.bucket.empty())
    throw Error("S3 Accelerate does not exist in " + std::string(partition.name));
  if (query.custom_url.empty()) return;
  if (query.dual_stack) throw Error("a custom endpoint cannot be combined with dual-stack");
  if (query.fips) throw Error("a custom endpoint cannot be combined with FIPS");
  if (query.accelerate) throw Error("a custom endpoint cannot be combined with S3 Accelerate");
}

}  // namespace

bool is_virtual_hostable(const std::string& bucket) {
  return bucket.size() >= 3 && bucket.size() <= 63 && is_letter_or_digit(bucket.front()) &&
         is_letter_or_digit(bucket.back()) &&
         std::all_of(bucket.begin(), bucket.end(), [](char c) { return is_letter_or_digit(c) || c == '-'; });
}

Endpoint s3_endpoint(const EndpointQuery& query) {
  check_region(query.region);
  const std::string& bucket = query.bucket;
  if (bucket.ends_with("--x-s3") || bucket.ends_with("--xa-s3")) {
    throw Error("'" + bucket + "' is a directory bucket (S3 Express One Zone), which is not supported");
  }
  if (bucket.starts_with("arn:")) return access_point(query);
  const Partition& partition = partition_of(query.region);
  check_combination(query, partition);

  const auto hostable = [&](std::string_view scheme) {
    if (is_virtual_hostable(bucket)) return true;
    if (scheme == "https" || bucket.size() < 3 || bucket.size() > 63) return false;
    const std::vector<std::string> labels = split(bucket, ".", bucket.size() + 1);  // no certificate to match
    return !is_ip_address(bucket) && std::all_of(labels.begin(), labels.end(), [](const std::string& label) {
      return is_dns_label(label) && lower_case(label) == label;
    });
  };
  if (!query.custom_url.empty()) {
    Endpoint endpoint = at(query.custom_url, query.region);
    if (bucket.empty()) return endpoint;
    if (!query.path_style && !is_ip_address(endpoint.url.host) && hostable(endpoint.url.scheme)) {
      endpoint.url.host = bucket + "." + endpoint.url.host;
    } else {
      endpoint.url.path += "/" + percent_encode(bucket);
    }
    return endpoint;
  }
  const bool virtual_host = !bucket.empty() && !query.path_style && hostable("https");
  if (query.accelerate && !bucket.empty()) {
    if (!virtual_host) throw Error("S3 Accelerate needs a bucket whose name can be a host's: '" + bucket + "' cannot");
    return at("https://" + bucket + ".s3-accelerate" + (query.dual_stack ? ".dualstack." : ".") + partition.suffix,
              query.region);
  }
  const bool global = query.region == "aws-global" || (query.global && query.region == "us-east-1");
  // The global endpoint has neither variant; those are us-east-1's.
  const bool plain_global = global && !query.fips && !query.dual_stack;
  const std::string region = query.region == "aws-global" ? "us-east-1" : query.region;
  const std::string host = kind_of("s3", query) + "." + (plain_global ? "" : region + ".") + partition.suffix;
  if (virtual_host) return at("https://" + bucket + "." + host, region);
  return at("https://" + host + (bucket.empty() ? "" : "/" + percent_encode(bucket)), region);
}

Endpoint regional_endpoint(const std::string& service, const EndpointQuery& query) {
  check_region(query.region);
  const Partition& partition = partition_of(query.region);
  if (!query.custom_url.empty()) {
    check_combination(query, partition);
    return at(query.custom_url, query.region);
  }
  // The plain endpoints of GovCloud are FIPS's.
  const bool fips_by_itself = std::string_view(partition.name) == "aws-us-gov" && !query.dual_stack;
  return at("https://" + service + (query.fips && !fips_by_itself ? "-fips" : "") + "." + query.region + "." +
                (query.dual_stack ? partition.dual_stack_suffix : partition.suffix),
            query.region);
}

}  // namespace aid::io::aws
