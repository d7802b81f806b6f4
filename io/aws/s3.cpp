#include "io/aws/s3.h"

#include <algorithm>
#include <charconv>
#include <future>

#include "io/aws/caller.h"
#include "io/aws/s3_xml.h"
#include "io/aws/times.h"

namespace aid::io::aws {
namespace {

constexpr std::uint64_t kMiB = 1 << 20, kUsualPart = 8 * kMiB, kMostParts = 10'000, kLargestPart = 5120 * kMiB;
constexpr long kSlowestObject = 100;  // bytes a second: a body that drips more slowly is given up and asked for again

ServiceError s3_error(const HttpAnswer& answer) {
  XmlError parsed = parse_error(answer.body);
  if (parsed.code.empty()) {  // an answer to HEAD has no body
    parsed.code = answer.status == 404   ? "NotFound"
                  : answer.status == 403 ? "AccessDenied"
                  : answer.status == 412 ? "PreconditionFailed"
                                         : "";
  }
  if (parsed.request_id.empty()) {
    if (const std::string* id = find_header(answer.headers, "x-amz-request-id")) parsed.request_id = *id;
  }
  return {.code = parsed.code, .message = parsed.message, .request_id = parsed.request_id, .region = parsed.region};
}

Service s3_service() {
  return {.name = "s3",
          .variable = "S3",
          .path_rule = PathRule::as_sent,
          .throttle_factor = 20,
          .endpoint = s3_endpoint,
          .error = s3_error};
}

std::string text_of(const Pairs& headers, std::string_view name) {
  const std::string* value = find_header(headers, name);
  return value == nullptr ? "" : *value;
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && !text.empty() ? std::optional(value)
                                                                                   : std::nullopt;
}

std::string unquoted(std::string text) {
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
  return text;
}

// "bytes 0-9/443"
struct ContentRange {
  std::uint64_t first = 0, last = 0, total = 0;
};
std::optional<ContentRange> parse_content_range(std::string_view text) {
  const std::size_t dash = text.find('-'), slash = text.find('/');
  if (!text.starts_with("bytes ") || dash == std::string_view::npos || slash == std::string_view::npos ||
      dash > slash) {
    return std::nullopt;
  }
  const auto first = parse_number(text.substr(6, dash - 6)),
             last = parse_number(text.substr(dash + 1, slash - dash - 1)), total = parse_number(text.substr(slash + 1));
  if (!first || !last || !total) return std::nullopt;
  return ContentRange{*first, *last, *total};
}

ObjectInfo info_of(const Pairs& headers) {
  ObjectInfo info;
  info.size = parse_number(text_of(headers, "content-length")).value_or(0);
  if (const auto range = parse_content_range(text_of(headers, "content-range"))) info.size = range->total;
  info.etag = unquoted(text_of(headers, "etag"));
  info.last_modified = parse_http_time(text_of(headers, "last-modified")).value_or(0);
  info.content_type = text_of(headers, "content-type");
  info.storage_class = text_of(headers, "x-amz-storage-class");
  info.version_id = text_of(headers, "x-amz-version-id");
  const bool composite = text_of(headers, "x-amz-checksum-type") == "COMPOSITE";
  // The cheapest of those that are strong enough goes first.
  for (const ChecksumAlgorithm algorithm :
       {ChecksumAlgorithm::crc64nvme, ChecksumAlgorithm::crc32c, ChecksumAlgorithm::crc32, ChecksumAlgorithm::sha1,
        ChecksumAlgorithm::sha256}) {
    const std::string value = text_of(headers, "x-amz-checksum-" + std::string(name_of(algorithm)));
    if (!value.empty() && !composite && value.find('-') == std::string::npos)
      info.checksums.push_back({algorithm, value});
  }
  const std::string encryption = text_of(headers, "x-amz-server-side-encryption");
  info.etag_is_md5 = info.etag.size() == 32 && info.etag.find_first_not_of("0123456789abcdef") == std::string::npos &&
                     !encryption.starts_with("aws:") &&
                     find_header(headers, "x-amz-server-side-encryption-customer-algorithm") == nullptr;
  return info;
}

// Passes an object's bytes on and knows whether they are those that S3 meant.
class ObjectReceiver final : public HttpReceiver {
 public:
  explicit ObjectReceiver(const GetRequest& request)
      : range_(request.range), verify_(request.verify), sink_(request.sink) {}

  bool begin(int status, const Pairs& headers) override {
    if (status != 200 && status != 206) return false;
    received_ = 0;
    checksum_.reset();
    info_ = info_of(headers);
    fault_.clear();
    const auto length = parse_number(text_of(headers, "content-length"));
    expected_ = length.value_or(0);
    if (!length) fault_ = "the answer does not say its length";
    if (range_) {
      const auto got = parse_content_range(text_of(headers, "content-range"));
      if (status != 206 || !got || got->first != range_->first || got->last - got->first + 1 != expected_ ||
          expected_ > range_->count || (expected_ < range_->count && got->last + 1 != got->total)) {
        fault_ = "the answer is not the range that was asked for";
      }
    } else if (status != 200) {
      fault_ = "the answer is a part of the object; expected all of it";
    } else if (verify_ == Verify::strongest) {
      if (!info_.checksums.empty()) {
        wanted_ = info_.checksums.front().base64;
        checksum_.emplace(info_.checksums.front().algorithm);
      } else if (info_.etag_is_md5) {
        wanted_ = info_.etag;
        checksum_.emplace(ChecksumAlgorithm::md5);
      }
    }
    if (fault_.empty()) sink_->begin(info_);
    return true;
  }

  void write(std::span<const std::byte> bytes) override {
    received_ += bytes.size();
    if (!fault_.empty()) return;
    if (checksum_) checksum_->update(bytes);
    sink_->write(bytes);
  }

  std::string fault() const {
    if (!fault_.empty()) return fault_;
    if (received_ != expected_) {
      return "the object came with " + std::to_string(received_) + " bytes; expected " + std::to_string(expected_);
    }
    if (!checksum_) return "";
    const bool md5 = checksum_->algorithm() == ChecksumAlgorithm::md5;
    const std::string got = md5 ? checksum_->hex() : checksum_->base64();
    if (got == wanted_) return "";
    return std::string(md5 ? "the MD5 of what came" : "the checksum ") +
           (md5 ? "" : std::string(name_of(checksum_->algorithm())) + " of what came") + " is " + got + "; expected " +
           wanted_;
  }
  const ObjectInfo& info() const { return info_; }

 private:
  const std::optional<ByteRange> range_;
  const Verify verify_;
  const std::shared_ptr<ObjectSink> sink_;
  ObjectInfo info_;
  std::uint64_t received_ = 0, expected_ = 0;
  std::optional<Checksum> checksum_;
  std::string wanted_, fault_;
};

std::string path_of(const std::string& key) { return "/" + percent_encode(key, Slash::kept); }

Call object_call(const char* operation, const char* method, const std::string& bucket, const std::string& key) {
  Call call;
  call.what = std::string(operation) + " s3://" + bucket + "/" + key;
  call.method = method;
  call.bucket = bucket;
  call.path = key.empty() ? "/" : path_of(key);
  return call;
}

// A fault where `parse` throws for the answer's body.
template <class Parse>
auto faults_of(Parse parse) {
  return [parse](const HttpAnswer& answer) -> std::string {
    try {
      parse(answer.body);
      return "";
    } catch (const Error& error) {
      return error.what();
    }
  };
}

template <class T, class Convert>
Done<HttpAnswer> converted(Done<T> done, Convert convert) {
  return [done = std::move(done), convert = std::move(convert)](Outcome<HttpAnswer> outcome) {
    if (!outcome.ok()) return done(outcome.error());
    done(convert(outcome.value()));
  };
}

// Blocks until the `done` that it gives to `start` is called.
template <class T, class Start>
T wait_for(Start start) {
  std::promise<Outcome<T>> promise;
  start([&promise](Outcome<T> outcome) { promise.set_value(std::move(outcome)); });
  return std::move(promise.get_future().get().value());
}

}  // namespace

class S3Client::Implementation {
 public:
  explicit Implementation(const ClientOptions& options) : caller(options, s3_service()) {}
  Caller caller;
};

S3Client::S3Client(const ClientOptions& options) : implementation_(std::make_unique<Implementation>(options)) {}
S3Client::~S3Client() = default;
void S3Client::cancel() { implementation_->caller.cancel(); }
Statistics S3Client::statistics() const { return implementation_->caller.statistics(); }

void S3Client::list(const ListRequest& request, Done<ListPage> done) {
  Call call = object_call("ListObjectsV2", "GET", request.bucket, "");
  call.what += request.prefix;
  call.query = {{"list-type", "2"},
                {"encoding-type", "url"},
                {"max-keys", std::to_string(request.max_keys)},
                {"prefix", request.prefix}};
  if (!request.delimiter.empty()) call.query.emplace_back("delimiter", request.delimiter);
  if (!request.start_after.empty()) call.query.emplace_back("start-after", request.start_after);
  if (!request.token.empty()) call.query.emplace_back("continuation-token", request.token);
  // Parsed once: for its faults, and kept for `done`.
  const auto page = std::make_shared<ListPage>();
  call.fault = faults_of([page, token = request.token](const std::string& body) {
    *page = parse_list(body);
    if (!token.empty() && page->next_token == token)
      throw Error("the list goes round in circles: the same token again");
  });
  implementation_->caller.start(std::move(call),
                                converted<ListPage>(std::move(done), [page](HttpAnswer&) { return std::move(*page); }));
}

void S3Client::get(const GetRequest& request, Done<ObjectInfo> done) {
  Call call = object_call("GetObject", "GET", request.bucket, request.key);
  if (!request.version_id.empty()) call.query.emplace_back("versionId", request.version_id);
  if (request.range) {
    call.headers.emplace_back("range", "bytes=" + std::to_string(request.range->first) + "-" +
                                           std::to_string(request.range->first + request.range->count - 1));
  } else {
    call.headers.emplace_back("x-amz-checksum-mode", "ENABLED");
  }
  if (!request.if_match.empty()) call.headers.emplace_back("if-match", "\"" + request.if_match + "\"");
  call.slowest = kSlowestObject;
  const auto receiver = std::make_shared<ObjectReceiver>(request);
  call.receiver = receiver;
  call.fault = [receiver](const HttpAnswer&) { return receiver->fault(); };
  implementation_->caller.start(
      std::move(call), converted<ObjectInfo>(std::move(done), [receiver](HttpAnswer&) { return receiver->info(); }));
}

void S3Client::head(const HeadRequest& request, Done<ObjectInfo> done) {
  Call call = object_call("HeadObject", "HEAD", request.bucket, request.key);
  if (!request.version_id.empty()) call.query.emplace_back("versionId", request.version_id);
  call.headers.emplace_back("x-amz-checksum-mode", "ENABLED");
  implementation_->caller.start(std::move(call), converted<ObjectInfo>(std::move(done), [](HttpAnswer& answer) {
                                  return info_of(answer.headers);
                                }));
}

void S3Client::head_bucket(const std::string& bucket, Done<BucketInfo> done) {
  implementation_->caller.start(object_call("HeadBucket", "HEAD", bucket, ""),
                                converted<BucketInfo>(std::move(done), [](HttpAnswer& answer) {
                                  return BucketInfo{.region = text_of(answer.headers, "x-amz-bucket-region")};
                                }));
}

void S3Client::put(const PutRequest& request, Done<PutResult> done) {
  Call call = object_call("PutObject", "PUT", request.bucket, request.key);
  call.headers.emplace_back("content-type", request.content_type);
  if (!request.if_none_match.empty()) call.headers.emplace_back("if-none-match", request.if_none_match);
  call.body = request.body;
  call.payload = request.payload;
  call.checksum = request.checksum;
  implementation_->caller.start(std::move(call), converted<PutResult>(std::move(done), [](HttpAnswer& answer) {
                                  return PutResult{.etag = unquoted(text_of(answer.headers, "etag")),
                                                   .version_id = text_of(answer.headers, "x-amz-version-id")};
                                }));
}

void S3Client::create_upload(const CreateUploadRequest& request, Done<std::string> done) {
  Call call = object_call("CreateMultipartUpload", "POST", request.bucket, request.key);
  call.query = {{"uploads", ""}};
  call.headers = {{"content-type", request.content_type},
                  {"x-amz-checksum-algorithm", "CRC64NVME"},
                  {"x-amz-checksum-type", "FULL_OBJECT"}};
  call.fault = faults_of([](const std::string& body) { parse_upload_id(body); });
  implementation_->caller.start(std::move(call), converted<std::string>(std::move(done), [](HttpAnswer& answer) {
                                  return parse_upload_id(answer.body);
                                }));
}

void S3Client::upload_part(const UploadPartRequest& request, Done<UploadedPart> done) {
  Call call = object_call("UploadPart", "PUT", request.bucket, request.key);
  call.query = {{"partNumber", std::to_string(request.part)}, {"uploadId", request.upload_id}};
  call.body = request.body;
  call.payload = request.payload;
  call.checksum = ChecksumAlgorithm::crc64nvme;
  implementation_->caller.start(std::move(call),
                                converted<UploadedPart>(std::move(done), [part = request.part](HttpAnswer& answer) {
                                  return UploadedPart{.part = part,
                                                      .etag = unquoted(text_of(answer.headers, "etag")),
                                                      .crc64nvme = text_of(answer.headers, "x-amz-checksum-crc64nvme")};
                                }));
}

void S3Client::complete_upload(const CompleteUploadRequest& request, Done<PutResult> done) {
  Call call = object_call("CompleteMultipartUpload", "POST", request.bucket, request.key);
  call.query = {{"uploadId", request.upload_id}};
  call.headers = {{"content-type", "application/xml"}, {"x-amz-checksum-type", "FULL_OBJECT"}};
  call.body = std::make_shared<MemoryBody>(complete_xml(request.parts));
  call.fault = faults_of([](const std::string& body) { parse_completed(body); });
  implementation_->caller.start(std::move(call), converted<PutResult>(std::move(done), [](HttpAnswer& answer) {
                                  PutResult result = parse_completed(answer.body);
                                  result.version_id = text_of(answer.headers, "x-amz-version-id");
                                  return result;
                                }));
}

void S3Client::abort_upload(const std::string& bucket, const std::string& key, const std::string& upload_id,
                            Done<std::monostate> done) {
  Call call = object_call("AbortMultipartUpload", "DELETE", bucket, key);
  call.query = {{"uploadId", upload_id}};
  implementation_->caller.start(
      std::move(call), converted<std::monostate>(std::move(done), [](HttpAnswer&) { return std::monostate(); }));
}

void S3Client::list_uploads(const ListUploadsRequest& request, Done<std::vector<PendingUpload>> done) {
  Call call = object_call("ListMultipartUploads", "GET", request.bucket, "");
  call.what += request.prefix;
  call.query = {{"uploads", ""}, {"encoding-type", "url"}, {"prefix", request.prefix}};
  call.fault = faults_of([](const std::string& body) { parse_uploads(body); });
  implementation_->caller.start(std::move(call),
                                converted<std::vector<PendingUpload>>(
                                    std::move(done), [](HttpAnswer& answer) { return parse_uploads(answer.body); }));
}

void S3Client::list_parts(const ListPartsRequest& request, Done<std::vector<UploadedPart>> done) {
  Call call = object_call("ListParts", "GET", request.bucket, request.key);
  call.query = {{"uploadId", request.upload_id}};
  call.fault = faults_of([](const std::string& body) { parse_parts(body); });
  implementation_->caller.start(std::move(call),
                                converted<std::vector<UploadedPart>>(
                                    std::move(done), [](HttpAnswer& answer) { return parse_parts(answer.body); }));
}

void S3Client::remove(const DeleteRequest& request, Done<std::vector<DeleteFailure>> done) {
  Call call = object_call("DeleteObjects", "POST", request.bucket, "");
  const std::string xml = delete_xml(request.keys);
  Checksum md5(ChecksumAlgorithm::md5);  // S3 wants it for a list of deletions
  md5.update(xml);
  call.query = {{"delete", ""}};
  call.headers = {{"content-type", "application/xml"}, {"content-md5", md5.base64()}};
  call.body = std::make_shared<MemoryBody>(xml);
  call.fault = faults_of([](const std::string& body) { parse_deleted(body); });
  implementation_->caller.start(std::move(call),
                                converted<std::vector<DeleteFailure>>(
                                    std::move(done), [](HttpAnswer& answer) { return parse_deleted(answer.body); }));
}

ListPage S3Client::list(const ListRequest& request) {
  return wait_for<ListPage>([&](auto done) { list(request, done); });
}
ObjectInfo S3Client::get(const GetRequest& request) {
  return wait_for<ObjectInfo>([&](auto done) { get(request, done); });
}
ObjectInfo S3Client::head(const HeadRequest& request) {
  return wait_for<ObjectInfo>([&](auto done) { head(request, done); });
}
BucketInfo S3Client::head_bucket(const std::string& bucket) {
  return wait_for<BucketInfo>([&](auto done) { head_bucket(bucket, done); });
}
PutResult S3Client::put(const PutRequest& request) {
  return wait_for<PutResult>([&](auto done) { put(request, done); });
}
std::string S3Client::create_upload(const CreateUploadRequest& request) {
  return wait_for<std::string>([&](auto done) { create_upload(request, done); });
}
UploadedPart S3Client::upload_part(const UploadPartRequest& request) {
  return wait_for<UploadedPart>([&](auto done) { upload_part(request, done); });
}
PutResult S3Client::complete_upload(const CompleteUploadRequest& request) {
  return wait_for<PutResult>([&](auto done) { complete_upload(request, done); });
}
void S3Client::abort_upload(const std::string& bucket, const std::string& key, const std::string& upload_id) {
  wait_for<std::monostate>([&](auto done) { abort_upload(bucket, key, upload_id, done); });
}
std::vector<PendingUpload> S3Client::list_uploads(const ListUploadsRequest& request) {
  return wait_for<std::vector<PendingUpload>>([&](auto done) { list_uploads(request, done); });
}
std::vector<UploadedPart> S3Client::list_parts(const ListPartsRequest& request) {
  return wait_for<std::vector<UploadedPart>>([&](auto done) { list_parts(request, done); });
}
std::vector<DeleteFailure> S3Client::remove(const DeleteRequest& request) {
  return wait_for<std::vector<DeleteFailure>>([&](auto done) { remove(request, done); });
}

S3Uri parse_s3_uri(const std::string& uri) {
  constexpr std::string_view kScheme = "s3://";
  const std::string rest = uri.starts_with(kScheme) ? uri.substr(kScheme.size()) : "";
  // An access point's ARN has one slash of its own.
  const std::size_t from = rest.starts_with("arn:") ? std::min(rest.find('/'), rest.size() - 1) + 1 : 0;
  const std::size_t slash = std::min(rest.find('/', from), rest.size());
  if (slash == 0) throw Error("'" + uri + "' is no S3 address; expected s3://BUCKET/PREFIX");
  return {.bucket = rest.substr(0, slash), .key = rest.substr(std::min(slash + 1, rest.size()))};
}

std::uint64_t part_size_for(std::uint64_t object_size) {
  const std::uint64_t least = (object_size + kMostParts - 1) / kMostParts;
  const std::uint64_t size = std::max(kUsualPart, (least + kMiB - 1) / kMiB * kMiB);
  if (size > kLargestPart) {
    throw Error("an object of " + std::to_string(object_size) + " bytes is larger than S3 keeps (48.8 TiB)");
  }
  return size;
}

}  // namespace aid::io::aws
