#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <system_error>

#include "io/aws/body.h"
#include "io/error.h"
#include "io/sync/content.h"
#include "io/sync/manifest.h"
#include "io/sync/plan.h"
#include "io/sync/session.h"

namespace aid::io::sync {
namespace {

namespace fs = std::filesystem;
using aws::CallError;
using aws::Outcome;

constexpr std::uint64_t kInOnePiece = 16 << 20;
constexpr std::size_t kDeletedAtOnce = 1'000;
// A file that is younger can change once more without getting another time: clocks of disks tick.
constexpr std::int64_t kSettled = 50'000'000;  // nanoseconds

struct Source {
  std::string path;
  LocalFile file;
  bool settled = false;    // its time tells whether it has changed since
  bool restarted = false;  // its multipart upload was gone
};

// For the manifest. Without its time the file is compared by its content in the next run.
SyncedFile entry_of(const Source& source, const std::string& etag) {
  return {.etag = etag, .size = source.file.size, .mtime = source.settled ? source.file.mtime : 0};
}

// A file that is sent in parts.
struct Parts {
  Source source;
  PartialTransfer transfer;
  int left = 0;
  bool failed = false;
};

std::int64_t nanoseconds_of(fs::file_time_type time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::file_clock::to_sys(time).time_since_epoch())
      .count();
}

std::int64_t nanoseconds_now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

class Uploader final : private Session {
 public:
  Uploader(aws::S3Client& client, const Upload& upload, const Options& options)
      : Session(client, options), upload_(upload) {}
  Report run();

 private:
  void open_source();
  void request_page(const std::string& token);
  void walk();
  void consider(const Source& source);
  void begin_transfer(const Source& source);
  void end_upload(const std::string& path, std::function<void()> then);
  void end_without_parts(const PartialTransfer& old, std::function<void()> then);
  void put(const Source& source);
  void create_parts(const Source& source);
  void send_parts(const std::shared_ptr<Parts>& parts);
  void part_ended(const std::shared_ptr<Parts>& parts);
  void complete(const std::shared_ptr<Parts>& parts);
  void sent(const Source& source, const std::string& etag);
  void remove_extras();
  void conclude();
  std::optional<LocalFile> state_of(const std::string& path, std::error_code& error) const;
  std::string key_of(const std::string& path) const { return upload_.prefix + path; }
  void forget_partial(const std::string& path) {
    if (manifest_) manifest_->forget_partial(path);
  }
  void abort_upload(
      const PartialTransfer& transfer, std::function<void()> then = [] {}) {
    client_.abort_upload(transfer.bucket, transfer.key, transfer.id,
                         on_end<std::monostate>([this, transfer, then = std::move(then)](auto& outcome) {
                           if (!outcome.ok()) not_ended(transfer, outcome.error());
                           then();
                         }));
  }
  void not_ended(const PartialTransfer& transfer, const CallError& error) {
    if (error.code() == "NoSuchUpload" || error.code() == "Cancelled") return;
    report_.left.push_back({"s3://" + transfer.bucket + "/" + transfer.key, error.what()});
  }

  const Upload& upload_;
  std::optional<ManifestWriter> manifest_;
  Manifest known_;                              // where there is no writer
  std::map<std::string, ObjectState> objects_;  // by path: what is below the prefix already
  std::optional<CallError> list_error_;
  std::map<std::string, bool> sources_;  // paths that are there, wanted or not
  bool changed_ = false;
};

Report Uploader::run() {
  open_source();
  request_page("");
  work([] {});
  if (list_error_) throw *list_error_;
  if (stopped_) return std::move(report_);
  walk();
  work([this] {
    if (manifest_) manifest_->flush();
  });
  conclude();
  return std::move(report_);
}

void Uploader::open_source() {
  std::error_code error;
  if (!fs::is_directory(upload_.source, error)) {
    throw Error("'" + upload_.source.string() + "' is no folder that can be read; expected the one to send");
  }
  if (is_real()) {
    try {
      manifest_.emplace(upload_.source);
      return;
    } catch (const Error&) {
      // A folder that cannot be written to is sent all the same: its files are then compared by content.
      if (::access(upload_.source.c_str(), W_OK) == 0) throw;
    }
  }
  known_ = read_manifest(upload_.source).value_or(Manifest());
}

void Uploader::request_page(const std::string& token) {
  client_.list({.bucket = upload_.bucket, .prefix = upload_.prefix, .token = token},
               on_end<aws::ListPage>([this](Outcome<aws::ListPage>& outcome) {
                 if (!outcome.ok()) {
                   list_error_ = outcome.error();
                   return;
                 }
                 const aws::ListPage& page = outcome.value();
                 for (const aws::ListedObject& object : page.objects) {
                   objects_[object.key.substr(upload_.prefix.size())] = {.etag = object.etag, .size = object.size};
                 }
                 if (!page.next_token.empty() && !stopped_) request_page(page.next_token);
               }));
}

std::optional<LocalFile> Uploader::state_of(const std::string& path, std::error_code& error) const {
  const fs::path file = upload_.source / path;
  const std::uint64_t size = fs::file_size(file, error);
  const fs::file_time_type time = error ? fs::file_time_type() : fs::last_write_time(file, error);
  if (error) return std::nullopt;
  return LocalFile{.size = size, .mtime = nanoseconds_of(time)};
}

// Links to files are sent as what they lead to; links to folders are not, since they could lead round in circles.
void Uploader::walk() {
  std::error_code error;
  for (fs::recursive_directory_iterator it(upload_.source, error), end; !error && it != end; it.increment(error)) {
    if (it->path().filename() == kStateFolder) {
      it.disable_recursion_pending();
      continue;
    }
    const std::string path = it->path().lexically_relative(upload_.source).generic_string();
    std::error_code ignored;
    const fs::file_status status = it->status(ignored);
    if (fs::is_directory(status)) {
      if (it->is_symlink(ignored) && is_wanted(options_.filters, path)) {
        problem(path, "a link to a folder; links to folders are not followed");
      }
      continue;
    }
    if (is_wanted(options_.filters, path) && !fs::is_regular_file(status)) {
      problem(path, fs::exists(status) ? "no regular file" : "a link that leads nowhere");
    }
    sources_[path] = fs::is_regular_file(status);
  }
  if (error) throw Error("cannot list the folder '" + upload_.source.string() + "': " + error.message());
  if (sources_.empty() && !objects_.empty() && options_.extra == Extra::removed) {
    throw Error("'" + upload_.source.string() + "' is empty: to remove all that is below s3://" + upload_.bucket + "/" +
                upload_.prefix + " is refused; is it the right folder?");
  }
  if (manifest_) {
    for (const auto& [path, transfer] : manifest_->content().partials) {
      if (sources_.contains(path) || transfer.bucket.empty()) continue;
      ready_.push_back([this, path = path] { end_upload(path, [] {}); });
    }
  }
  for (const auto& [path, regular] : sources_) {
    if (!regular || !is_wanted(options_.filters, path)) continue;
    if (options_.interrupted && options_.interrupted()) return;
    if (const std::string why = why_unsafe(path); !why.empty()) {
      problem(path, why);
    } else if (const auto file = state_of(path, error)) {
      consider({.path = path, .file = *file, .settled = file->mtime + kSettled < nanoseconds_now()});
    } else {
      problem(path, "cannot be read: " + error.message());
    }
  }
}

void Uploader::consider(const Source& source) {
  const Manifest& known = manifest_ ? manifest_->content() : known_;
  const auto noted = known.files.find(source.path);
  const auto object = objects_.find(source.path);
  switch (step_for(object == objects_.end() ? std::nullopt : std::optional(object->second),
                   noted == known.files.end() ? nullptr : &noted->second, source.file)) {
    case Step::none:
      ++report_.unchanged;
      return;
    case Step::compare: {
      const int file = ::open((upload_.source / source.path).c_str(), O_RDONLY | O_CLOEXEC);
      const Descriptor descriptor(file);
      if (descriptor && compare_content(descriptor.get(), source.file.size, object->second.etag) == Content::same) {
        ++report_.adopted;
        if (!manifest_) return;
        const auto adopt = [this, source, etag = object->second.etag] {
          manifest_->set_file(source.path, entry_of(source, etag));
        };
        if (!manifest_->content().partials.contains(source.path)) return adopt();
        ready_.push_back([this, source, adopt] { end_upload(source.path, adopt); });
        return;
      }
      break;
    }
    case Step::transfer:
      break;
  }
  ++totals_.objects;
  totals_.bytes += static_cast<long long>(source.file.size);
  if (!is_real()) return tell("would send", source.path);
  changed_ = true;
  ready_.push_back([this, source] { begin_transfer(source); });
}

void Uploader::begin_transfer(const Source& source) {
  const bool in_parts = source.file.size > kInOnePiece;
  try {
    if (manifest_ && manifest_->content().partials.contains(source.path)) {
      const PartialTransfer& old = manifest_->content().partials.at(source.path);
      if (in_parts && old.bucket == upload_.bucket && old.key == key_of(source.path) && !old.id.empty() &&
          old.size == source.file.size && old.mtime == source.file.mtime &&
          old.part_size == aws::part_size_for(old.size)) {
        return send_parts(std::make_shared<Parts>(Parts{.source = source, .transfer = old}));
      }
      return end_upload(source.path, [this, source] { begin_transfer(source); });
    }
    if (in_parts) return create_parts(source);
    put(source);
  } catch (const Error& error) {
    problem(source.path, error.what());
  }
}

// Ends what an earlier run began to send, here or elsewhere, and nobody goes on with: the bucket would keep its parts,
// unseen, for ever.
void Uploader::end_upload(const std::string& path, std::function<void()> then) {
  const PartialTransfer old = manifest_->content().partials.at(path);
  auto ended = [this, path, then = std::move(then)] {
    if (stopped_) return;  // the next run does it
    manifest_->forget_partial(path);
    then();
  };
  if (old.bucket.empty()) return ended();  // it was fetched
  if (old.id.empty()) return end_without_parts(old, std::move(ended));
  abort_upload(old, std::move(ended));
}

// For a run that was cut off before it knew the id. Its upload has no part. One that somebody else began for this very
// key has, but for the moment before its first part: then it is taken for ours, and fails as unknown to S3.
void Uploader::end_without_parts(const PartialTransfer& old, std::function<void()> then) {
  client_.list_uploads(
      {.bucket = old.bucket, .prefix = old.key},
      on_end<std::vector<aws::PendingUpload>>([this, old, then = std::move(then)](auto& uploads) {
        if (!uploads.ok()) not_ended(old, uploads.error());
        const auto left = std::make_shared<int>(1);
        const std::function<void()> ended = [left, then] {
          if (--*left == 0) then();
        };
        for (const aws::PendingUpload& upload : uploads.ok() ? uploads.value() : std::vector<aws::PendingUpload>()) {
          if (upload.key != old.key) continue;
          ++*left;
          PartialTransfer found = old;
          found.id = upload.upload_id;
          client_.list_parts({.bucket = found.bucket, .key = found.key, .upload_id = found.id},
                             on_end<std::vector<aws::UploadedPart>>([this, found, ended](auto& parts) {
                               if (parts.ok() && parts.value().empty()) return abort_upload(found, ended);
                               if (!parts.ok()) not_ended(found, parts.error());
                               ended();
                             }));
        }
        ended();
      }));
}

void Uploader::put(const Source& source) {
  const auto body = std::make_shared<aws::FileBody>(upload_.source / source.path, 0, source.file.size);
  client_.put({.bucket = upload_.bucket, .key = key_of(source.path), .body = body},
              on_end<aws::PutResult>([this, source](Outcome<aws::PutResult>& outcome) {
                if (!outcome.ok()) return problem(source.path, outcome.error());
                totals_.bytes_done += static_cast<long long>(source.file.size);
                sent(source, outcome.value().etag);
              }));
}

void Uploader::create_parts(const Source& source) {
  const auto parts = std::make_shared<Parts>();
  parts->source = source;
  parts->transfer = {.bucket = upload_.bucket,
                     .key = key_of(source.path),
                     .size = source.file.size,
                     .mtime = source.file.mtime,
                     .part_size = aws::part_size_for(source.file.size)};
  // Known to the next run before S3 has anything that this one could leave behind.
  const auto note = [this, parts] {
    if (!manifest_) return;
    manifest_->begin_partial(parts->source.path, parts->transfer);
    manifest_->flush();
  };
  note();
  client_.create_upload({.bucket = parts->transfer.bucket, .key = parts->transfer.key},
                        on_end<std::string>([this, parts, note](Outcome<std::string>& outcome) {
                          if (!outcome.ok()) return problem(parts->source.path, outcome.error());
                          parts->transfer.id = outcome.value();
                          note();
                          send_parts(parts);
                        }));
}

void Uploader::send_parts(const std::shared_ptr<Parts>& parts) {
  const PartialTransfer& transfer = parts->transfer;
  const int count = part_count(transfer.size, transfer.part_size);
  parts->left = 1;
  for (int part = count; part >= 1; --part) {
    const PartRange range = part_range(transfer.size, transfer.part_size, part);
    if (transfer.parts.contains(part)) {
      totals_.bytes_done += static_cast<long long>(range.count);
      continue;
    }
    ++parts->left;
    ready_.push_front([this, parts, part, range] {
      try {
        client_.upload_part(
            {.bucket = parts->transfer.bucket,
             .key = parts->transfer.key,
             .upload_id = parts->transfer.id,
             .part = part,
             .body = std::make_shared<aws::FileBody>(upload_.source / parts->source.path, range.first, range.count)},
            on_end<aws::UploadedPart>([this, parts, part, range](Outcome<aws::UploadedPart>& outcome) {
              if (outcome.ok()) {
                totals_.bytes_done += static_cast<long long>(range.count);
                parts->transfer.parts[part] = outcome.value().etag;
                if (manifest_) {
                  PartialTransfer transfer_alone = parts->transfer;
                  transfer_alone.parts.clear();
                  manifest_->add_part(parts->source.path, transfer_alone, part, outcome.value().etag);
                }
              } else if (outcome.error().code() == "NoSuchUpload" && !parts->source.restarted) {
                parts->source.restarted = parts->failed = true;  // it ended meanwhile: once more from the front
                forget_partial(parts->source.path);
                ready_.push_back([this, source = parts->source] { begin_transfer(source); });
              } else if (!std::exchange(parts->failed, true)) {
                problem(parts->source.path, outcome.error());
              }
              part_ended(parts);
            }));
      } catch (const Error& error) {
        if (!std::exchange(parts->failed, true)) problem(parts->source.path, error.what());
        part_ended(parts);
      }
    });
  }
  part_ended(parts);
}

void Uploader::part_ended(const std::shared_ptr<Parts>& parts) {
  if (--parts->left > 0 || stopped_) return;
  if (!parts->failed) return complete(parts);
  if (!manifest_) abort_upload(parts->transfer);  // no other run can go on with it
}

void Uploader::complete(const std::shared_ptr<Parts>& parts) {
  std::vector<aws::UploadedPart> list;
  for (const auto& [part, etag] : parts->transfer.parts) list.push_back({.part = part, .etag = etag});
  client_.complete_upload(
      {.bucket = parts->transfer.bucket, .key = parts->transfer.key, .upload_id = parts->transfer.id, .parts = list},
      on_end<aws::PutResult>([this, parts](Outcome<aws::PutResult>& outcome) {
        if (!outcome.ok()) {
          if (outcome.error().code() != "Cancelled") {
            abort_upload(parts->transfer);
            forget_partial(parts->source.path);
          }
          return problem(parts->source.path, outcome.error());
        }
        sent(parts->source, outcome.value().etag);
      }));
}

void Uploader::sent(const Source& source, const std::string& etag) {
  std::error_code error;
  const std::optional<LocalFile> now = state_of(source.path, error);
  if (!now || now->size != source.file.size || now->mtime != source.file.mtime) {
    forget_partial(source.path);
    return problem(source.path, "changed while it was sent; run again");
  }
  if (manifest_) manifest_->set_file(source.path, entry_of(source, etag));
  ++report_.transferred;
  ++totals_.objects_done;
  report_.bytes += static_cast<long long>(source.file.size);
  tell("send", source.path);
}

void Uploader::remove_extras() {
  std::vector<std::string> extras;
  for (const auto& [path, object] : objects_) {
    if (is_wanted(options_.filters, path) && !sources_.contains(path)) extras.push_back(path);
  }
  for (const std::string& path : extras) tell(is_real() ? "remove" : "would remove", path);
  report_.removed = static_cast<long long>(extras.size());
  if (!is_real()) return;
  for (std::size_t at = 0; at < extras.size(); at += kDeletedAtOnce) {
    std::vector<std::string> keys;
    for (std::size_t i = at; i < std::min(extras.size(), at + kDeletedAtOnce); ++i) keys.push_back(key_of(extras[i]));
    for (const aws::DeleteFailure& failure : client_.remove({.bucket = upload_.bucket, .keys = keys})) {
      --report_.removed;
      problem(failure.key, "could not be removed: " + failure.code + " " + failure.message);
    }
  }
}

void Uploader::conclude() {
  const bool whole = report_.problems.empty() && !report_.interrupted;
  if (whole && options_.extra == Extra::removed) remove_extras();
  if (!manifest_) return;
  std::vector<std::string> gone;
  for (const auto& [path, file] : manifest_->content().files) {
    if (!sources_.contains(path)) gone.push_back(path);
  }
  for (const std::string& path : gone) manifest_->forget_file(path);
  const SyncedFolder now{
      .from = "s3://" + upload_.bucket + "/" + upload_.prefix,
      .time =
          std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count(),
      .complete = whole && options_.filters.empty()};
  const auto before = manifest_->content().folders.find("");
  if (changed_ || before == manifest_->content().folders.end() || before->second.from != now.from ||
      before->second.complete != now.complete) {
    manifest_->set_folder("", now);
  }
  manifest_->finish();
}

}  // namespace

Report upload(aws::S3Client& client, const Upload& upload, const Options& options) {
  return Uploader(client, upload, options).run();
}

}  // namespace aid::io::sync
