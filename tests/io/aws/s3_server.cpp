#include "tests/io/aws/s3_server.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <stdexcept>

#include "io/aws/checksum.h"

namespace aid::io::aws::test {
namespace {

std::int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string time_text(std::int64_t milliseconds, const char* format) {
  const std::time_t seconds = milliseconds / 1000;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[64];
  return {text, std::strftime(text, sizeof text, format, &parts)};
}

std::string md5_of(std::string_view bytes) {
  Checksum md5(ChecksumAlgorithm::md5);
  md5.update(bytes);
  return md5.digest();
}

std::string xml_escaped(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '&') {
      escaped += "&amp;";
    } else if (c == '<') {
      escaped += "&lt;";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

std::string between(const std::string& text, const std::string& from, const std::string& to, std::size_t& at) {
  const std::size_t start = text.find(from, at);
  if (start == std::string::npos) return at = std::string::npos, "";
  const std::size_t end = text.find(to, start);
  at = end;
  return text.substr(start + from.size(), end - start - from.size());
}

std::string value_of(const std::map<std::string, std::string>& query, const std::string& name) {
  const auto found = query.find(name);
  return found == query.end() ? "" : found->second;
}

// "METHOD /bucket/key?a=b HTTP/1.1" and the headers.
ServerRequest parse_head(std::string_view head) {
  ServerRequest request;
  const std::size_t line_end = head.find("\r\n");
  std::string_view line = head.substr(0, line_end);
  request.method = line.substr(0, line.find(' '));
  line.remove_prefix(std::min(line.size(), request.method.size() + 1));
  std::string_view target = line.substr(0, line.find(' '));
  std::string_view query;
  if (const std::size_t mark = target.find('?'); mark != std::string_view::npos) {
    query = target.substr(mark + 1);
    target = target.substr(0, mark);
  }
  target.remove_prefix(std::min<std::size_t>(1, target.size()));
  const std::size_t slash = std::min(target.find('/'), target.size());
  request.bucket = percent_decode(target.substr(0, slash)).value_or("");
  request.key = percent_decode(target.substr(std::min(slash + 1, target.size()))).value_or("");
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    const std::size_t equals = std::min(pair.find('='), pair.size());
    request.query[percent_decode(pair.substr(0, equals), Plus::space).value_or("")] =
        percent_decode(pair.substr(std::min(equals + 1, pair.size())), Plus::space).value_or("");
  }
  for (std::size_t at = line_end + 2; at < head.size();) {
    const std::size_t end = std::min(head.find("\r\n", at), head.size());
    const std::string_view header = head.substr(at, end - at);
    if (const std::size_t colon = header.find(':'); colon != std::string_view::npos) {
      request.headers.emplace_back(lower_case(header.substr(0, colon)), trimmed(header.substr(colon + 1)));
    }
    at = end + 2;
  }
  return request;
}

}  // namespace

StoredObject stored(std::string bytes) {
  StoredObject object;
  Checksum crc(ChecksumAlgorithm::crc64nvme);
  crc.update(bytes);
  object.etag = hex_of(md5_of(bytes));
  object.crc64nvme = crc.base64();
  object.modified = now_ms();
  object.size = bytes.size();
  object.bytes = std::make_shared<const std::string>(std::move(bytes));
  return object;
}

struct S3Server::Connection {
  int socket = -1;
  SSL* tls = nullptr;
  std::string buffer;

  ssize_t read(char* bytes, std::size_t count) {
    return tls != nullptr ? ::SSL_read(tls, bytes, static_cast<int>(count)) : ::recv(socket, bytes, count, 0);
  }
  bool write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t put = tls != nullptr ? ::SSL_write(tls, bytes.data(), static_cast<int>(bytes.size()))
                                         : ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (put <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(put));
    }
    return true;
  }
  bool more() {
    char bytes[65536];
    const ssize_t got = read(bytes, sizeof bytes);
    if (got > 0) buffer.append(bytes, static_cast<std::size_t>(got));
    return got > 0;
  }
  // False where the connection ends.
  bool next(ServerRequest& request) {
    std::size_t end;
    while ((end = buffer.find("\r\n\r\n")) == std::string::npos) {
      if (!more()) return false;
    }
    request = parse_head(std::string_view(buffer).substr(0, end));
    buffer.erase(0, end + 4);
    const std::string* length = find_header(request.headers, "content-length");
    const std::size_t size = length == nullptr ? 0 : std::stoul(*length);
    if (find_header(request.headers, "expect") != nullptr && !write("HTTP/1.1 100 Continue\r\n\r\n")) return false;
    while (buffer.size() < size) {
      if (!more()) return false;
    }
    request.body = buffer.substr(0, size);
    buffer.erase(0, size);
    return true;
  }
};

S3Server::S3Server(Options options) : options_(std::move(options)) {
  std::signal(SIGPIPE, SIG_IGN);  // TLS has no MSG_NOSIGNAL
  if (!options_.certificate.empty()) {
    tls_ = ::SSL_CTX_new(::TLS_server_method());
    if (::SSL_CTX_use_certificate_file(tls_, options_.certificate.c_str(), SSL_FILETYPE_PEM) != 1 ||
        ::SSL_CTX_use_PrivateKey_file(tls_, options_.key.c_str(), SSL_FILETYPE_PEM) != 1) {
      throw std::runtime_error("the server's certificate cannot be read");
    }
    // As S3 does: the server's order counts, so that all clients get the same cipher.
    ::SSL_CTX_set_options(tls_, SSL_OP_CIPHER_SERVER_PREFERENCE);
    ::SSL_CTX_set_ciphersuites(tls_, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384");
  }
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(options_.port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    throw std::runtime_error("the server's port cannot be had");
  }
  ::listen(listener_, 1024);
  socklen_t size = sizeof address;
  ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_all(); });
}

S3Server::~S3Server() {
  stopping_ = true;
  acceptor_.join();
  {
    std::unique_lock lock(sockets_mutex_);
    for (const int socket : sockets_) ::shutdown(socket, SHUT_RDWR);
    ended_.wait(lock, [this] { return sockets_.empty(); });
  }
  ::close(listener_);
  ::SSL_CTX_free(tls_);
}

std::string S3Server::url() const {
  return std::string(tls_ != nullptr ? "https" : "http") + "://127.0.0.1:" + std::to_string(port_);
}

void S3Server::put(const std::string& bucket, const std::string& key, StoredObject object) {
  const std::lock_guard lock(mutex_);
  buckets_[bucket][key] = std::move(object);
}

void S3Server::put(const std::string& bucket, const std::string& key, std::string bytes) {
  put(bucket, key, stored(std::move(bytes)));
}

void S3Server::remove(const std::string& bucket, const std::string& key) {
  const std::lock_guard lock(mutex_);
  buckets_[bucket].erase(key);
}

std::map<std::string, StoredObject> S3Server::objects(const std::string& bucket) const {
  const std::lock_guard lock(mutex_);
  const auto found = buckets_.find(bucket);
  return found == buckets_.end() ? std::map<std::string, StoredObject>() : found->second;
}

std::size_t S3Server::uploads() const {
  const std::lock_guard lock(mutex_);
  return uploads_.size();
}

void S3Server::set_fault(std::function<Fault(const ServerRequest&)> fault) {
  const std::lock_guard lock(mutex_);
  fault_ = std::move(fault);
}

int S3Server::count(const std::string& operation) const {
  const std::lock_guard lock(mutex_);
  const auto found = counts_.find(operation);
  return found == counts_.end() ? 0 : found->second;
}

void S3Server::reset_counts() {
  const std::lock_guard lock(mutex_);
  counts_.clear();
}

void S3Server::accept_all() {
  while (!stopping_) {
    pollfd ready = {.fd = listener_, .events = POLLIN, .revents = 0};
    if (::poll(&ready, 1, 20) <= 0) continue;
    const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) continue;
    const int on = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    {
      const std::lock_guard lock(sockets_mutex_);
      sockets_.insert(socket);
    }
    std::thread([this, socket] { run(socket); }).detach();
  }
}

void S3Server::run(int socket) {
  Connection connection{.socket = socket};
  bool open = true;
  if (tls_ != nullptr) {
    connection.tls = ::SSL_new(tls_);
    ::SSL_set_fd(connection.tls, socket);
    open = ::SSL_accept(connection.tls) == 1;
  }
  if (open) serve(connection);
  ::SSL_free(connection.tls);
  const std::lock_guard lock(sockets_mutex_);  // until after the notice: then the server may be gone
  sockets_.erase(socket);
  ::close(socket);
  ended_.notify_all();
}

void S3Server::serve(Connection& connection) {
  for (ServerRequest request; connection.next(request);) {
    Answer made;
    bool half = false, silent = false;
    {
      const std::lock_guard lock(mutex_);
      const Fault fault = fault_ ? fault_(request) : Fault{};
      half = fault.status == -1;
      silent = fault.status == -2;
      made = fault.status > 0 ? error(fault.status, fault.code) : answer(request);
    }
    while (silent && connection.more()) {
    }
    if (silent || !send(connection, request, made, half) || half) return;
  }
}

S3Server::Answer S3Server::error(int status, const std::string& code) {
  return {.status = status, .body = "<Error><Code>" + code + "</Code><Message>as a test wants it</Message></Error>"};
}

S3Server::Answer S3Server::answer(const ServerRequest& request) {
  const bool read = request.method == "GET" || request.method == "HEAD";
  if (request.method == "GET" && (request.query.contains("uploads") || request.query.contains("uploadId"))) {
    return ++counts_["UPLOADS"], list_uploads(request);
  }
  if (request.key.empty() && request.method == "GET") return ++counts_["LIST"], list(request);
  if (request.key.empty() && request.method == "HEAD") {
    ++counts_["HEAD"];
    return buckets_.contains(request.bucket) ? Answer{.headers = "x-amz-bucket-region: us-east-1\r\n"}
                                             : error(404, "NoSuchBucket");
  }
  ++counts_[request.query.contains("partNumber") ? "PART" : request.method];
  return read ? get(request) : change(request);
}

S3Server::Answer S3Server::list(const ServerRequest& request) {
  const auto bucket = buckets_.find(request.bucket);
  if (bucket == buckets_.end()) return error(404, "NoSuchBucket");
  const std::string prefix = value_of(request.query, "prefix"), delimiter = value_of(request.query, "delimiter");
  const std::string asked = value_of(request.query, "max-keys");
  const int most = std::min(options_.page, asked.empty() ? 1000 : std::stoi(asked));
  const bool encoded = value_of(request.query, "encoding-type") == "url";
  const auto name = [&](const std::string& text) {
    return encoded ? percent_encode(text, Slash::kept) : xml_escaped(text);
  };
  // The token is the last key of the page before.
  const std::string after =
      std::max(value_of(request.query, "continuation-token"), value_of(request.query, "start-after"));
  std::string contents, prefixes, last, last_prefix;
  int count = 0;
  bool truncated = false;
  auto at = after.empty() ? bucket->second.lower_bound(prefix) : bucket->second.upper_bound(std::max(after, prefix));
  if (!after.empty() && after < prefix) at = bucket->second.lower_bound(prefix);
  for (; at != bucket->second.end() && at->first.starts_with(prefix); ++at) {
    const std::size_t cut = delimiter.empty() ? std::string::npos : at->first.find(delimiter, prefix.size());
    const std::string common = cut == std::string::npos ? "" : at->first.substr(0, cut + delimiter.size());
    if (!common.empty() && (common == last_prefix || after.starts_with(common))) {
      last = at->first;
      continue;
    }
    if (count == most) {
      truncated = true;
      break;
    }
    ++count;
    last = at->first;
    if (!common.empty()) {
      prefixes += "<CommonPrefixes><Prefix>" + name(common) + "</Prefix></CommonPrefixes>";
      last_prefix = common;
      continue;
    }
    const StoredObject& object = at->second;
    contents += "<Contents><Key>" + name(at->first) + "</Key><LastModified>" +
                time_text(object.modified, "%Y-%m-%dT%H:%M:%S.000Z") + "</LastModified><ETag>&quot;" + object.etag +
                "&quot;</ETag><Size>" + std::to_string(object.size) +
                "</Size><StorageClass>STANDARD</StorageClass></Contents>";
  }
  std::string body =
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult "
      "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>" +
      request.bucket + "</Name><Prefix>" + name(prefix) + "</Prefix><KeyCount>" + std::to_string(count) +
      "</KeyCount><MaxKeys>" + std::to_string(most) + "</MaxKeys>";
  if (encoded) body += "<EncodingType>url</EncodingType>";
  body += std::string("<IsTruncated>") + (truncated ? "true" : "false") + "</IsTruncated>";
  if (truncated) body += "<NextContinuationToken>" + xml_escaped(last) + "</NextContinuationToken>";
  return {.headers = "Content-Type: application/xml\r\n", .body = body + contents + prefixes + "</ListBucketResult>"};
}

// Those of a bucket, or the parts of one.
S3Server::Answer S3Server::list_uploads(const ServerRequest& request) const {
  std::string body;
  if (request.query.contains("uploadId")) {
    const auto upload = uploads_.find(value_of(request.query, "uploadId"));
    if (upload == uploads_.end()) return error(404, "NoSuchUpload");
    for (const auto& [part, bytes] : upload->second.parts) {
      body += "<Part><PartNumber>" + std::to_string(part) + "</PartNumber><ETag>&quot;" + hex_of(md5_of(bytes)) +
              "&quot;</ETag><Size>" + std::to_string(bytes.size()) + "</Size></Part>";
    }
    return {.body = "<ListPartsResult>" + body + "</ListPartsResult>"};
  }
  for (const auto& [id, upload] : uploads_) {
    if (upload.bucket != request.bucket || !upload.key.starts_with(value_of(request.query, "prefix"))) continue;
    body +=
        "<Upload><Key>" + percent_encode(upload.key, Slash::kept) + "</Key><UploadId>" + id + "</UploadId></Upload>";
  }
  return {.body =
              "<ListMultipartUploadsResult><EncodingType>url</EncodingType>" + body + "</ListMultipartUploadsResult>"};
}

S3Server::Answer S3Server::get(const ServerRequest& request) {
  const auto bucket = buckets_.find(request.bucket);
  if (bucket == buckets_.end()) return error(404, "NoSuchBucket");
  const auto found = bucket->second.find(request.key);
  if (found == bucket->second.end()) return error(404, "NoSuchKey");
  const StoredObject& object = found->second;
  const std::string* match = find_header(request.headers, "if-match");
  if (match != nullptr && *match != "\"" + object.etag + "\"") return error(412, "PreconditionFailed");
  Answer answer{.object = object, .count = object.size};
  answer.headers = "ETag: \"" + object.etag +
                   "\"\r\nLast-Modified: " + time_text(object.modified, "%a, %d %b %Y %H:%M:%S GMT") +
                   "\r\nContent-Type: binary/octet-stream\r\nAccept-Ranges: bytes\r\n";
  if (const std::string* range = find_header(request.headers, "range")) {
    const std::size_t dash = range->find('-');
    const std::uint64_t first = std::stoull(range->substr(6, dash - 6));
    if (first >= object.size) return error(416, "InvalidRange");
    const std::uint64_t last = dash + 1 == range->size()
                                   ? object.size - 1
                                   : std::min<std::uint64_t>(object.size - 1, std::stoull(range->substr(dash + 1)));
    answer.status = 206;
    answer.first = first;
    answer.count = last - first + 1;
    answer.headers += "Content-Range: bytes " + std::to_string(first) + "-" + std::to_string(last) + "/" +
                      std::to_string(object.size) + "\r\n";
  } else if (!object.crc64nvme.empty() && find_header(request.headers, "x-amz-checksum-mode") != nullptr) {
    answer.headers += "x-amz-checksum-crc64nvme: " + object.crc64nvme + "\r\nx-amz-checksum-type: FULL_OBJECT\r\n";
  }
  return answer;
}

// PUT, POST and DELETE.
S3Server::Answer S3Server::change(const ServerRequest& request) {
  auto& bucket = buckets_[request.bucket];
  const std::string upload = value_of(request.query, "uploadId");
  if (!upload.empty()) {
    const auto found = uploads_.find(upload);
    if (found == uploads_.end() || found->second.bucket != request.bucket || found->second.key != request.key)
      return error(404, "NoSuchUpload");
  }
  if (request.query.contains("delete")) {
    for (std::size_t at = 0; at != std::string::npos;) {
      const std::string key = between(request.body, "<Key>", "</Key>", at);
      if (at != std::string::npos) bucket.erase(key);
    }
    return {.body = "<DeleteResult></DeleteResult>"};
  }
  if (request.query.contains("uploads")) {
    const std::string id = "upload-" + std::to_string(next_upload_++);
    uploads_[id] = {.bucket = request.bucket, .key = request.key, .parts = {}};
    return {.body = "<InitiateMultipartUploadResult><UploadId>" + id + "</UploadId></InitiateMultipartUploadResult>"};
  }
  if (request.method == "PUT") {
    const std::string etag = "ETag: \"" + hex_of(md5_of(request.body)) + "\"\r\n";
    if (upload.empty()) {
      bucket[request.key] = stored(request.body);
    } else {
      uploads_[upload].parts[std::stoi(value_of(request.query, "partNumber"))] = request.body;
    }
    return {.headers = etag};
  }
  if (request.method == "DELETE") {
    if (upload.empty()) {
      bucket.erase(request.key);
    } else {
      uploads_.erase(upload);
    }
    return {.status = 204};
  }
  std::string bytes, digests;
  for (const auto& [part, content] : uploads_[upload].parts) {
    bytes += content;
    digests += md5_of(content);
  }
  StoredObject object = stored(std::move(bytes));
  object.etag = hex_of(md5_of(digests)) + "-" + std::to_string(uploads_[upload].parts.size());
  uploads_.erase(upload);
  bucket[request.key] = object;
  return {.body = "<CompleteMultipartUploadResult><ETag>&quot;" + object.etag +
                  "&quot;</ETag></CompleteMultipartUploadResult>"};
}

bool S3Server::send(Connection& connection, const ServerRequest& request, const Answer& answer, bool half) {
  const bool object = answer.object.bytes != nullptr;
  std::uint64_t left = object ? answer.count : answer.body.size();
  std::string head = "HTTP/1.1 " + std::to_string(answer.status) + " OK\r\nContent-Length: " + std::to_string(left) +
                     "\r\nx-amz-request-id: TEST\r\nServer: test\r\n" + answer.headers + "\r\n";
  if (request.method == "HEAD" || answer.status == 204) return connection.write(head);
  if (half) left /= 2;
  if (!object) return connection.write(head + answer.body.substr(0, left));
  const std::string& bytes = *answer.object.bytes;
  if (left <= 64 << 10 && answer.first + left <= bytes.size()) {  // one packet train for small ones
    head.append(bytes, answer.first, left);
    return connection.write(head);
  }
  if (!connection.write(head)) return false;
  for (std::uint64_t at = answer.first; left > 0;) {
    const std::uint64_t from = at % bytes.size(), count = std::min<std::uint64_t>({left, bytes.size() - from, 1 << 20});
    if (!connection.write(std::string_view(bytes).substr(from, count))) return false;
    at += count;
    left -= count;
  }
  return true;
}

void make_certificate(const std::string& certificate_file, const std::string& key_file) {
  EVP_PKEY* const key = ::EVP_EC_gen("P-256");
  X509* const certificate = ::X509_new();
  ::X509_set_version(certificate, 2);
  ::ASN1_INTEGER_set(::X509_get_serialNumber(certificate), 1);
  ::X509_gmtime_adj(::X509_getm_notBefore(certificate), -3600);
  ::X509_gmtime_adj(::X509_getm_notAfter(certificate), 24 * 3600);
  ::X509_set_pubkey(certificate, key);
  X509_NAME* const name = ::X509_get_subject_name(certificate);
  ::X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("127.0.0.1"), -1, -1,
                               0);
  ::X509_set_issuer_name(certificate, name);
  for (const auto& [kind, value] : {std::pair(NID_subject_alt_name, "IP:127.0.0.1,DNS:localhost"),
                                    std::pair(NID_basic_constraints, "critical,CA:TRUE")}) {
    X509_EXTENSION* const extension = ::X509V3_EXT_conf_nid(nullptr, nullptr, kind, value);
    ::X509_add_ext(certificate, extension, -1);
    ::X509_EXTENSION_free(extension);
  }
  ::X509_sign(certificate, key, ::EVP_sha256());
  std::FILE* file = std::fopen(certificate_file.c_str(), "w");
  ::PEM_write_X509(file, certificate);
  std::fclose(file);
  file = std::fopen(key_file.c_str(), "w");
  ::PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
  std::fclose(file);
  ::X509_free(certificate);
  ::EVP_PKEY_free(key);
}

}  // namespace aid::io::aws::test
