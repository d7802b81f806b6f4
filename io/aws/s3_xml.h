// Internal: S3's XML. Each throws Error for a document that is not whole and of the kind expected.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "io/aws/s3.h"

namespace aid::io::aws {

ListPage parse_list(std::string_view xml);
std::string parse_upload_id(std::string_view xml);
std::vector<PendingUpload> parse_uploads(std::string_view xml);
std::vector<UploadedPart> parse_parts(std::string_view xml);
PutResult parse_completed(std::string_view xml);  // S3 may answer 200 with an <Error> inside: thrown
std::vector<DeleteFailure> parse_deleted(std::string_view xml);

struct XmlError {
  std::string code, message, request_id, region;  // empty where it is no <Error>
};
XmlError parse_error(std::string_view xml);

std::string complete_xml(const std::vector<UploadedPart>& parts);
// Throws Error for a key with a character that XML 1.0 cannot hold.
std::string delete_xml(const std::vector<std::string>& keys);

}  // namespace aid::io::aws
