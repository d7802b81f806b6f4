// Where a request goes: the public endpoint rules of S3 and of services with one host a region (botocore's
// endpoint-rule-set-1.json of s3 and dynamodb).
#pragma once

#include <string>

#include "io/aws/uri.h"

namespace aid::io::aws {

struct EndpointQuery {
  std::string region;
  std::string bucket;      // a name, or an access point's ARN; empty: the service itself
  std::string custom_url;  // empty: AWS
  bool path_style = false, dual_stack = false, fips = false, accelerate = false, global = false;
};

struct Endpoint {
  Url url;  // an object's path is url.path + "/" + its encoded key
  std::string signing_region;
};

// Throws Error: the region is no host name's label, or what was asked for does not go together, or the bucket is of a
// kind that is not supported (Outposts, Object Lambda, multi-region access points, directory buckets), by its name.
Endpoint s3_endpoint(const EndpointQuery& query);

// Of a service with one host a region: "dynamodb", "sts".
Endpoint regional_endpoint(const std::string& service, const EndpointQuery& query);

// A bucket's name that can be the first label of a host: 3 to 63 of a-z, 0-9 and '-', a letter or digit at both ends.
bool is_virtual_hostable(const std::string& bucket);

}  // namespace aid::io::aws
