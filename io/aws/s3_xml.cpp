#include "io/aws/s3_xml.h"

#include <charconv>
#include <pugixml.hpp>

#include "io/aws/times.h"
#include "io/aws/uri.h"
#include "io/error.h"

namespace aid::io::aws {
namespace {

constexpr unsigned kParseOptions = pugi::parse_default | pugi::parse_ws_pcdata_single;

pugi::xml_node open(pugi::xml_document& document, std::string_view xml, const char* expected) {
  const pugi::xml_parse_result result =
      document.load_buffer(xml.data(), xml.size(), kParseOptions, pugi::encoding_utf8);
  if (!result) {
    throw Error("the answer is not whole XML: " + std::string(result.description()) + " at byte " +
                std::to_string(result.offset));
  }
  const pugi::xml_node root = document.document_element();
  if (root.name() == std::string_view(expected)) return root;
  if (root.name() == std::string_view("Error")) {
    throw Error(std::string(root.child_value("Code")) + ": " + root.child_value("Message"));
  }
  throw Error("the answer is <" + std::string(root.name()) + ">; expected <" + expected + ">");
}

std::string without_quotes(std::string_view etag) {
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') etag = etag.substr(1, etag.size() - 2);
  return std::string(etag);
}

std::uint64_t number(std::string_view text, const char* what) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw Error("the answer's <" + std::string(what) + "> is no number");
  }
  return value;
}

// Some servers answer with raw keys although asked for encoded ones; they then do not name an encoding.
std::string decoded(const pugi::xml_node& root, const char* key) {
  if (root.child_value("EncodingType") != std::string_view("url")) return key;
  auto text = percent_decode(key, Plus::space);
  if (!text) throw Error("the answer's key '" + std::string(key) + "' is not URL-encoded");
  return *std::move(text);
}

void append_escaped(std::string& out, std::string_view text) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 32 && c != '\t' && c != '\n' && c != '\r') {
      throw Error("the key '" + std::string(text) +
                  "' has a control character, which XML cannot hold: S3 deletes no such key in a list");
    }
    if (c == '&' || c == '<' || c == '>' || byte < 32) {
      out += "&#" + std::to_string(byte) + ";";
    } else {
      out += c;
    }
  }
}

}  // namespace

ListPage parse_list(std::string_view xml) {
  pugi::xml_document document;
  const pugi::xml_node root = open(document, xml, "ListBucketResult");
  ListPage page;
  for (const pugi::xml_node entry : root.children("Contents")) {
    const pugi::xml_node key = entry.child("Key");
    if (!key || !entry.child("Size")) throw Error("the answer has an object without <Key> or <Size>");
    ListedObject object;
    object.key = decoded(root, key.child_value());
    object.size = number(entry.child_value("Size"), "Size");
    object.etag = without_quotes(entry.child_value("ETag"));
    object.last_modified = parse_iso_time(entry.child_value("LastModified")).value_or(0);
    object.storage_class = entry.child_value("StorageClass");
    page.objects.push_back(std::move(object));
  }
  for (const pugi::xml_node entry : root.children("CommonPrefixes")) {
    page.common_prefixes.push_back(decoded(root, entry.child_value("Prefix")));
  }
  const std::string_view truncated = root.child_value("IsTruncated");
  if (truncated != "true" && truncated != "false") throw Error("the answer does not say <IsTruncated>");
  if (truncated == "true") {
    page.next_token = root.child_value("NextContinuationToken");
    if (page.next_token.empty()) throw Error("the answer is truncated, but has no <NextContinuationToken>");
  }
  return page;
}

std::string parse_upload_id(std::string_view xml) {
  pugi::xml_document document;
  std::string id = open(document, xml, "InitiateMultipartUploadResult").child_value("UploadId");
  if (id.empty()) throw Error("the answer has no <UploadId>");
  return id;
}

std::vector<PendingUpload> parse_uploads(std::string_view xml) {
  pugi::xml_document document;
  const pugi::xml_node root = open(document, xml, "ListMultipartUploadsResult");
  std::vector<PendingUpload> uploads;
  for (const pugi::xml_node entry : root.children("Upload")) {
    uploads.push_back({.key = decoded(root, entry.child_value("Key")), .upload_id = entry.child_value("UploadId")});
    if (uploads.back().upload_id.empty()) throw Error("the answer has an upload without <UploadId>");
  }
  return uploads;
}

std::vector<UploadedPart> parse_parts(std::string_view xml) {
  pugi::xml_document document;
  std::vector<UploadedPart> parts;
  for (const pugi::xml_node entry : open(document, xml, "ListPartsResult").children("Part")) {
    parts.push_back({.part = static_cast<int>(number(entry.child_value("PartNumber"), "PartNumber")),
                     .etag = without_quotes(entry.child_value("ETag")),
                     .crc64nvme = entry.child_value("ChecksumCRC64NVME")});
  }
  return parts;
}

PutResult parse_completed(std::string_view xml) {
  pugi::xml_document document;
  return {.etag = without_quotes(open(document, xml, "CompleteMultipartUploadResult").child_value("ETag")),
          .version_id = ""};
}

std::vector<DeleteFailure> parse_deleted(std::string_view xml) {
  pugi::xml_document document;
  std::vector<DeleteFailure> failures;
  for (const pugi::xml_node entry : open(document, xml, "DeleteResult").children("Error")) {
    failures.push_back(
        {.key = entry.child_value("Key"), .code = entry.child_value("Code"), .message = entry.child_value("Message")});
  }
  return failures;
}

XmlError parse_error(std::string_view xml) {
  pugi::xml_document document;
  document.load_buffer(xml.data(), xml.size(), kParseOptions, pugi::encoding_utf8);
  const pugi::xml_node root = document.document_element();
  if (root.name() != std::string_view("Error")) return {};
  return {.code = root.child_value("Code"),
          .message = root.child_value("Message"),
          .request_id = root.child_value("RequestId"),
          .region = root.child_value("Region")};
}

std::string complete_xml(const std::vector<UploadedPart>& parts) {
  std::string xml = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
  for (const UploadedPart& part : parts) {
    xml += "<Part><PartNumber>" + std::to_string(part.part) + "</PartNumber><ETag>\"";
    append_escaped(xml, part.etag);
    xml += "\"</ETag></Part>";
  }
  return xml + "</CompleteMultipartUpload>";
}

std::string delete_xml(const std::vector<std::string>& keys) {
  std::string xml = "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>";
  for (const std::string& key : keys) {
    xml += "<Object><Key>";
    append_escaped(xml, key);
    xml += "</Key></Object>";
  }
  return xml + "</Delete>";
}

}  // namespace aid::io::aws
