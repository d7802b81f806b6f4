// Amazon S3 over its REST interface, and whatever speaks it. Each operation is there twice: blocking, which throws
// CallError, and with a `done` that is called with its Outcome on the client's thread. `done` and sinks must not block
// for long (other transfers wait for them) and must not call blocking operations; they may start others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/aws/body.h"
#include "io/aws/checksum.h"
#include "io/aws/error.h"
#include "io/aws/options.h"

namespace aid::io::aws {

template <class T>
using Done = std::function<void(Outcome<T>)>;

struct ListRequest {
  std::string bucket;
  std::string prefix;
  std::string delimiter;  // "/": what lies deeper comes as common prefixes
  std::string start_after;
  std::string token;  // ListPage::next_token of the page before
  int max_keys = 1000;
};
struct ListedObject {
  std::string key;  // bytes as stored: encoding-type=url is undone
  std::uint64_t size = 0;
  std::string etag;                // without its quotes
  std::int64_t last_modified = 0;  // milliseconds since 1970-01-01 UTC
  std::string storage_class;
};
struct ListPage {
  std::vector<ListedObject> objects;  // in the order of the keys' bytes
  std::vector<std::string> common_prefixes;
  std::string next_token;  // empty: this was the last page
};

struct ObjectInfo {
  std::uint64_t size = 0;  // of the whole object, also where a range was asked for
  std::string etag;
  std::int64_t last_modified = 0;  // milliseconds since 1970-01-01 UTC; 0: not said
  std::string content_type, storage_class, version_id;
  std::vector<ChecksumValue> checksums;  // of the whole object; composite ones are left out
  bool etag_is_md5 = false;              // 32 hex digits, and no encryption that makes them something else
};

// Takes the bytes of an object, on a thread of the client's: those of one attempt all on the same, and all that before
// the operation's `done`. What it throws ends the operation.
class ObjectSink {
 public:
  virtual ~ObjectSink() = default;
  // Before the first byte of each attempt: what came before is void.
  virtual void begin(const ObjectInfo& info) = 0;
  virtual void write(std::span<const std::byte> bytes) = 0;
};

struct ByteRange {
  std::uint64_t first = 0, count = 0;  // count > 0
};
// Which check a whole object must pass besides its length, which is always checked. A range has only its length and
// if_match: its reader combines the CRCs of the ranges (combine_crcs).
enum class Verify { strongest, length };

struct GetRequest {
  std::string bucket, key, version_id;
  std::optional<ByteRange> range;
  std::string if_match;  // etag: the error has code "PreconditionFailed" where the object has another one by now
  Verify verify = Verify::strongest;  // a checksum where the object has one, else its etag where that is an MD5
  std::shared_ptr<ObjectSink> sink;
};
struct HeadRequest {
  std::string bucket, key, version_id;
};

// How the body's integrity is put under the signature. automatic: unsigned over TLS, signed_hash over plain HTTP.
enum class Payload { automatic, signed_hash, unsigned_body, signed_chunks, unsigned_trailer, signed_trailer };

struct PutRequest {
  std::string bucket, key;
  std::shared_ptr<const BodySource> body;
  std::string content_type = "application/octet-stream";
  std::optional<ChecksumAlgorithm> checksum = ChecksumAlgorithm::crc64nvme;  // sent along and kept by S3
  std::string if_none_match;                                                 // "*": only where the key is free
  Payload payload = Payload::automatic;
};
struct PutResult {
  std::string etag, version_id;
};

struct CreateUploadRequest {
  std::string bucket, key;
  std::string content_type = "application/octet-stream";
};
struct UploadPartRequest {
  std::string bucket, key, upload_id;
  int part = 1;  // 1 to 10,000
  std::shared_ptr<const BodySource> body;
  Payload payload = Payload::automatic;
};
struct UploadedPart {
  int part = 0;
  std::string etag;
  std::string crc64nvme;  // base64
};
struct CompleteUploadRequest {
  std::string bucket, key, upload_id;
  std::vector<UploadedPart> parts;  // by rising number
};

struct ListUploadsRequest {
  std::string bucket, prefix;
};
// A multipart upload that was begun and not ended.
struct PendingUpload {
  std::string key, upload_id;
};
struct ListPartsRequest {
  std::string bucket, key, upload_id;
};

struct DeleteRequest {
  std::string bucket;
  std::vector<std::string> keys;  // at most 1,000
};
struct DeleteFailure {
  std::string key, code, message;
};

struct BucketInfo {
  std::string region;
};

// A client is made for many calls: it keeps connections, the signing key, each bucket's region. All of it may be used
// from several threads. Its destructor cancels what is under way and waits for the last `done`.
class S3Client {
 public:
  explicit S3Client(const ClientOptions& options = {});
  ~S3Client();
  S3Client(const S3Client&) = delete;
  S3Client& operator=(const S3Client&) = delete;

  ListPage list(const ListRequest& request);
  ObjectInfo get(const GetRequest& request);
  ObjectInfo head(const HeadRequest& request);
  BucketInfo head_bucket(const std::string& bucket);
  PutResult put(const PutRequest& request);
  std::string create_upload(const CreateUploadRequest& request);  // the upload's id
  UploadedPart upload_part(const UploadPartRequest& request);
  PutResult complete_upload(const CompleteUploadRequest& request);
  void abort_upload(const std::string& bucket, const std::string& key, const std::string& upload_id);
  std::vector<PendingUpload> list_uploads(const ListUploadsRequest& request);  // the first 1,000, by rising key
  std::vector<UploadedPart> list_parts(const ListPartsRequest& request);       // the first 1,000, by rising number
  std::vector<DeleteFailure> remove(const DeleteRequest& request);             // what could not be deleted

  void list(const ListRequest& request, Done<ListPage> done);
  void get(const GetRequest& request, Done<ObjectInfo> done);
  void head(const HeadRequest& request, Done<ObjectInfo> done);
  void head_bucket(const std::string& bucket, Done<BucketInfo> done);
  void put(const PutRequest& request, Done<PutResult> done);
  void create_upload(const CreateUploadRequest& request, Done<std::string> done);
  void upload_part(const UploadPartRequest& request, Done<UploadedPart> done);
  void complete_upload(const CompleteUploadRequest& request, Done<PutResult> done);
  void abort_upload(const std::string& bucket, const std::string& key, const std::string& upload_id,
                    Done<std::monostate> done);
  void list_uploads(const ListUploadsRequest& request, Done<std::vector<PendingUpload>> done);
  void list_parts(const ListPartsRequest& request, Done<std::vector<UploadedPart>> done);
  void remove(const DeleteRequest& request, Done<std::vector<DeleteFailure>> done);

  // Ends every call under way with code "Cancelled", and all later ones.
  void cancel();
  Statistics statistics() const;

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

// "s3://BUCKET/KEY": the key may be empty. Throws Error.
struct S3Uri {
  std::string bucket, key;
};
S3Uri parse_s3_uri(const std::string& uri);

// The size of the parts of a multipart upload: 8 MiB, or what keeps an object of this size to 10,000 parts, in whole
// MiB. Throws Error beyond S3's 48.8 TiB.
std::uint64_t part_size_for(std::uint64_t object_size);

}  // namespace aid::io::aws
