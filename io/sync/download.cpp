#include <fcntl.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>

#include "io/error.h"
#include "io/sync/committer.h"
#include "io/sync/content.h"
#include "io/sync/manifest.h"
#include "io/sync/plan.h"
#include "io/sync/session.h"
#include "io/sync/sinks.h"

namespace aid::io::sync {
namespace {

namespace fs = std::filesystem;
using aws::CallError;
using aws::ObjectInfo;
using aws::Outcome;

constexpr std::uint64_t kInMemory = 128 << 10;  // smaller objects go to the committer as bytes
constexpr std::size_t kMostWaiting = 20'000;    // objects that are listed and not begun: the lists pause beyond
constexpr int kShown = 20;                      // names in an error

struct Object {
  std::string path, key;
  std::string etag;
  std::uint64_t size = 0;
  std::int64_t modified = 0;  // milliseconds
  bool restarted = false;     // it had changed since it was listed
};

// One of the folders, page by page.
struct Listing {
  std::string folder;  // "" for the target itself
  std::string prefix;  // of its keys
  std::string token;
  bool paused = false, ended = false;
  std::string under() const { return folder.empty() ? "" : folder + "/"; }
};

// An object that comes in parts.
struct Large {
  Object object;
  PartialTransfer transfer;
  std::shared_ptr<Descriptor> file;
  std::optional<aws::ChecksumValue> expected;  // of the whole
  std::vector<std::string> digests;            // of the parts that came in this run
  int left = 0;                                // parts that have not come to their end
  std::optional<CallError> error;              // of the first part that failed
};

std::optional<aws::ChecksumValue> strongest_of(const ObjectInfo& info) {
  if (!info.checksums.empty()) return info.checksums.front();
  if (!info.etag_is_md5) return std::nullopt;
  std::string digest;
  for (std::size_t i = 0; i < info.etag.size(); i += 2) {
    digest += static_cast<char>(std::stoi(info.etag.substr(i, 2), nullptr, 16));
  }
  return aws::ChecksumValue{aws::ChecksumAlgorithm::md5, aws::base64_of(digest)};
}

bool is_crc(aws::ChecksumAlgorithm algorithm) {
  return algorithm == aws::ChecksumAlgorithm::crc32 || algorithm == aws::ChecksumAlgorithm::crc32c ||
         algorithm == aws::ChecksumAlgorithm::crc64nvme;
}

std::int64_t seconds_now() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

class Downloader final : private Session {
 public:
  Downloader(aws::S3Client& client, const Download& download, const Options& options);
  Report run();

 private:
  [[noreturn]] void fail_for_nothing(const Listing& listing);
  void open_target();
  void request_page(Listing& listing);
  void pump();
  void take(Listing& listing, const aws::ListPage& page);
  void consider(const Listing& listing, const aws::ListedObject& listed);
  bool is_same_content(const Object& object, const LocalFile& file);
  void begin_transfer(const Object& object);
  void get_small(const Object& object);
  void get_medium(const Object& object);
  void begin_large(const Object& object);
  void get_parts(const std::shared_ptr<Large>& large);
  void get_part(const std::shared_ptr<Large>& large, int part);
  void part_ended(const std::shared_ptr<Large>& large);
  void failed(const Object& object, const CallError& error);
  void arrived(const Object& object, Arrival arrival);
  void note_change();
  void look_for_extras(const Listing& listing);
  void conclude();

  const Download& download_;
  std::optional<ManifestWriter> manifest_;
  Manifest known_;  // in a dry run
  std::optional<Tree> tree_;
  std::optional<Committer> committer_;
  std::optional<NameSet> names_;
  std::deque<Listing> listings_;
  std::atomic<long long> received_{0};
  long long temporaries_ = 0;
  bool changed_ = false;
};

Downloader::Downloader(aws::S3Client& client, const Download& download, const Options& options)
    : Session(client, options), download_(download) {
  for (const std::string& folder : download.folders) {
    const std::string why = folder.empty() ? "" : why_unsafe(folder);
    if (!why.empty()) throw Error("'" + printable(folder) + "' cannot be a folder: " + why);
    for (const Listing& other : listings_) {
      const std::string a = folder + "/", b = other.folder + "/";
      if (folder.empty() || other.folder.empty() || a.starts_with(b) || b.starts_with(a)) {
        throw Error("'" + printable(folder) + "' and '" + printable(other.folder) + "' hold the same: name one");
      }
    }
    Listing listing{.folder = folder};
    listing.prefix = download.prefix + listing.under();
    listings_.push_back(listing);
  }
}

Report Downloader::run() {
  // Nothing is begun before each folder is known to be there.
  std::vector<aws::ListPage> pages(listings_.size());
  std::optional<CallError> error;
  for (std::size_t i = 0; i < pages.size(); ++i) {
    client_.list({.bucket = download_.bucket, .prefix = listings_[i].prefix},
                 on_end<aws::ListPage>([&, i](Outcome<aws::ListPage>& outcome) {
                   if (outcome.ok()) {
                     pages[i] = std::move(outcome.value());
                   } else if (!error) {
                     error = outcome.error();
                   }
                 }));
  }
  work([] {});
  if (report_.interrupted) return std::move(report_);
  if (error) throw *error;
  for (std::size_t i = 0; i < pages.size(); ++i) {
    if (pages[i].objects.empty() && pages[i].next_token.empty()) fail_for_nothing(listings_[i]);
  }
  open_target();
  for (std::size_t i = 0; i < pages.size(); ++i) take(listings_[i], pages[i]);
  work([this] { pump(); });
  committer_.reset();
  conclude();
  return std::move(report_);
}

void Downloader::fail_for_nothing(const Listing& listing) {
  const std::string address = "s3://" + download_.bucket + "/";
  std::string message = "nothing is below '" + printable(address + listing.prefix) + "'";
  // The nearest folder above that has something in it.
  for (std::string above = listing.prefix; !above.empty();) {
    above.pop_back();
    above.resize(above.rfind('/') == std::string::npos ? 0 : above.rfind('/') + 1);
    const aws::ListPage page = client_.list({.bucket = download_.bucket, .prefix = above, .delimiter = "/"});
    std::vector<std::string> names = page.common_prefixes;
    for (const aws::ListedObject& object : page.objects) names.push_back(object.key);
    if (names.empty()) continue;
    message += "; '" + printable(address + above) + "' has";
    for (std::size_t i = 0; i < std::min<std::size_t>(names.size(), kShown); ++i) {
      message += (i == 0 ? " " : ", ") + printable(names[i].substr(std::min(above.size(), names[i].size())));
    }
    if (names.size() > kShown || !page.next_token.empty()) message += ", ...";
    throw Error(message);
  }
  throw Error(message + ": the bucket is empty");
}

void Downloader::open_target() {
  if (!is_real()) {
    std::error_code ignored;
    names_.emplace(NameCase::sensitive);
    if (!fs::is_directory(download_.target, ignored)) return;
    tree_.emplace(download_.target);
    known_ = read_manifest(download_.target).value_or(Manifest());
    return;
  }
  std::error_code error;
  fs::create_directories(download_.target, error);
  if (error) throw Error("cannot make the folder '" + download_.target.string() + "': " + error.message());
  manifest_.emplace(download_.target);
  tree_.emplace(download_.target);
  tree_->clean_temporaries([this](const std::string& name) {
    const auto& partials = manifest_->content().partials;
    return std::any_of(partials.begin(), partials.end(), [&](const auto& entry) { return entry.second.id == name; });
  });
  names_.emplace(tree_->name_case());
  committer_.emplace(download_.target);
}

void Downloader::request_page(Listing& listing) {
  client_.list({.bucket = download_.bucket, .prefix = listing.prefix, .token = listing.token},
               on_end<aws::ListPage>([this, &listing](Outcome<aws::ListPage>& outcome) {
                 if (outcome.ok()) return take(listing, outcome.value());
                 listing.ended = true;
                 problem(listing.prefix, outcome.error());
               }));
}

void Downloader::pump() {
  for (Listing& listing : listings_) {
    if (listing.paused && ready_.size() < kMostWaiting / 2) {
      listing.paused = false;
      request_page(listing);
    }
  }
  totals_.bytes_done = received_;
  if (manifest_) manifest_->flush();
}

void Downloader::take(Listing& listing, const aws::ListPage& page) {
  listing.token = page.next_token;
  listing.ended = page.next_token.empty();
  // The next page comes while this one is gone through.
  if (!listing.ended && !stopped_) {
    listing.paused = ready_.size() >= kMostWaiting;
    if (!listing.paused) request_page(listing);
  }
  for (const aws::ListedObject& object : page.objects) {
    if (stopped_) return;
    consider(listing, object);
  }
}

void Downloader::consider(const Listing& listing, const aws::ListedObject& listed) {
  Object object{.path = listing.under() + listed.key.substr(listing.prefix.size()),
                .key = listed.key,
                .etag = listed.etag,
                .size = listed.size,
                .modified = listed.last_modified};
  if (!is_wanted(options_.filters, object.path)) return;
  const bool marker = object.size == 0 && (object.path.empty() || object.path.ends_with('/'));
  const std::string folder = marker ? object.path.substr(0, object.path.size() - !object.path.empty()) : "";
  if (marker && folder.empty()) return;  // of the prefix itself
  std::string why = why_unsafe(marker ? folder : object.path);
  if (why.empty() && !marker) why = names_->add(object.path);
  if (!why.empty()) return problem(object.path, why);
  try {
    if (marker) {
      if (is_real()) tree_->make_folder(folder);
      return;
    }
    const std::optional<LocalFile> file = tree_ ? tree_->find(object.path) : std::nullopt;
    const SyncedFile* known = nullptr;
    if (manifest_) {
      known = manifest_->find(object.path);
    } else if (const auto at = known_.files.find(object.path); at != known_.files.end()) {
      known = &at->second;
    }
    switch (step_for(ObjectState{.etag = object.etag, .size = object.size}, known, file)) {
      case Step::none:
        ++report_.unchanged;
        return;
      case Step::compare:
        if (is_same_content(object, *file)) return;
        [[fallthrough]];
      case Step::transfer:
        break;
    }
  } catch (const Error& error) {
    return problem(object.path, error.what());
  }
  ++totals_.objects;
  totals_.bytes += static_cast<long long>(object.size);
  if (!is_real()) return tell("would get", object.path);
  note_change();
  ready_.push_back([this, object] { begin_transfer(object); });
}

bool Downloader::is_same_content(const Object& object, const LocalFile& file) {
  const Descriptor descriptor = tree_->open_file(object.path);
  if (compare_content(descriptor.get(), object.size, object.etag) != Content::same) return false;
  ++report_.adopted;
  if (is_real()) {
    note_change();
    manifest_->set_file(object.path,
                        {.etag = object.etag, .size = object.size, .mtime = file.mtime, .modified = object.modified});
  }
  return true;
}

// From the first change on until the end the folders are known not to be complete.
void Downloader::note_change() {
  if (std::exchange(changed_, true)) return;
  for (const Listing& listing : listings_) {
    manifest_->set_folder(
        listing.folder,
        {.from = "s3://" + download_.bucket + "/" + listing.prefix, .time = seconds_now(), .complete = false});
  }
}

void Downloader::begin_transfer(const Object& object) {
  if (object.size > options_.part_size) return begin_large(object);
  return object.size <= kInMemory ? get_small(object) : get_medium(object);
}

void Downloader::get_small(const Object& object) {
  const auto sink = std::make_shared<MemorySink>(received_);
  client_.get({.bucket = download_.bucket, .key = object.key, .if_match = object.etag, .sink = sink},
              on_end<ObjectInfo>([this, object, sink](Outcome<ObjectInfo>& outcome) {
                if (!outcome.ok()) return failed(object, outcome.error());
                arrived(object, {.bytes = sink->take()});
              }));
}

void Downloader::get_medium(const Object& object) {
  const std::string temporary = "whole-" + std::to_string(temporaries_++);
  const auto file = std::make_shared<Descriptor>(tree_->create_temporary(temporary));
  client_.get({.bucket = download_.bucket,
               .key = object.key,
               .if_match = object.etag,
               .sink = std::make_shared<FileSink>(received_, file, 0, std::nullopt)},
              on_end<ObjectInfo>([this, object, temporary](Outcome<ObjectInfo>& outcome) {
                if (outcome.ok()) return arrived(object, {.temporary = temporary});
                tree_->remove_temporary(temporary);
                failed(object, outcome.error());
              }));
}

void Downloader::begin_large(const Object& object) {
  // What the object's checksum is, only HEAD tells: an answer with a part of it does not.
  client_.head({.bucket = download_.bucket, .key = object.key},
               on_end<ObjectInfo>([this, object](Outcome<ObjectInfo>& outcome) {
                 if (!outcome.ok()) return failed(object, outcome.error());
                 const ObjectInfo& info = outcome.value();
                 if (info.etag != object.etag) {
                   return failed(object, CallError("it changed", {.code = "PreconditionFailed"}));
                 }
                 const auto large = std::make_shared<Large>();
                 large->object = object;
                 large->expected = strongest_of(info);
                 get_parts(large);
               }));
}

void Downloader::get_parts(const std::shared_ptr<Large>& large) {
  const Object& object = large->object;
  const auto& partials = manifest_->content().partials;
  const auto before = partials.find(object.path);
  PartialTransfer& transfer = large->transfer;
  const std::uint64_t part_size = options_.part_size;
  const int parts = part_count(object.size, part_size);
  try {
    if (before != partials.end()) {
      const PartialTransfer& old = before->second;
      if (old.etag == object.etag && old.size == object.size && old.part_size == part_size) {
        transfer = old;
        large->file = std::make_shared<Descriptor>(tree_->open_temporary(old.id));
      }
      if (!large->file || !*large->file) {
        tree_->remove_temporary(old.id);
        manifest_->forget_partial(object.path);
        large->file = nullptr;
      }
    }
    if (!large->file) {
      aws::Checksum name(aws::ChecksumAlgorithm::sha256);
      name.update(object.path + '\n' + object.etag);
      transfer = {
          .id = "parts-" + name.hex().substr(0, 32), .etag = object.etag, .size = object.size, .part_size = part_size};
      tree_->remove_temporary(transfer.id);  // of an attempt none of whose parts came
      large->file = std::make_shared<Descriptor>(tree_->create_temporary(transfer.id));
      // Any other error: the disk cannot reserve; writing will tell.
      if (::fallocate(large->file->get(), 0, 0, static_cast<off_t>(object.size)) != 0 && errno == ENOSPC) {
        tree_->remove_temporary(transfer.id);
        throw Error("the disk has no room for its " + std::to_string(object.size) + " bytes");
      }
    }
  } catch (const Error& error) {
    return problem(object.path, error.what());
  }
  large->digests.resize(static_cast<std::size_t>(parts));
  std::vector<int> missing;
  for (int part = 1; part <= parts; ++part) {
    if (transfer.parts.contains(part)) {
      received_ += static_cast<long long>(part_range(object.size, part_size, part).count);
    } else {
      missing.push_back(part);
    }
  }
  large->left = static_cast<int>(missing.size()) + 1;
  // Before what else waits: the sooner a large object is whole, the less is lost when the run ends early.
  for (auto part = missing.rbegin(); part != missing.rend(); ++part) {
    ready_.push_front([this, large, part = *part] { get_part(large, part); });
  }
  part_ended(large);
}

void Downloader::get_part(const std::shared_ptr<Large>& large, int part) {
  const Object& object = large->object;
  const PartRange range = part_range(object.size, large->transfer.part_size, part);
  std::optional<aws::ChecksumAlgorithm> algorithm;
  if (large->expected && is_crc(large->expected->algorithm)) algorithm = large->expected->algorithm;
  const auto sink = std::make_shared<FileSink>(received_, large->file, range.first, algorithm);
  client_.get({.bucket = download_.bucket,
               .key = object.key,
               .range = aws::ByteRange{.first = range.first, .count = range.count},
               .if_match = object.etag,
               .sink = sink},
              on_end<ObjectInfo>([this, large, part, sink](Outcome<ObjectInfo>& outcome) {
                if (!outcome.ok()) {
                  if (!large->error) large->error = outcome.error();
                  return part_ended(large);
                }
                large->digests[static_cast<std::size_t>(part) - 1] = sink->digest();
                Arrival arrival{.temporary = large->transfer.id};
                arrival.done = on_committed(0, [this, large, part](const std::string& error) {
                  if (error.empty()) {
                    manifest_->add_part(large->object.path, large->transfer, part, "");
                  } else if (!large->error) {
                    large->error = CallError(error, {.code = "Disk"});
                  }
                  part_ended(large);
                });
                committer_->add(std::move(arrival));
              }));
}

void Downloader::part_ended(const std::shared_ptr<Large>& large) {
  if (--large->left > 0) return;
  const Object& object = large->object;
  if (large->error) return failed(object, *large->error);
  Arrival arrival{.temporary = large->transfer.id, .size = object.size};
  std::string digest;
  std::uint64_t part_size = large->transfer.part_size;
  bool all = large->expected && is_crc(large->expected->algorithm);
  for (std::size_t i = 0; all && i < large->digests.size(); ++i) {
    const std::string& next = large->digests[i];
    all = !next.empty();
    if (!all) break;
    const std::uint64_t count = part_range(object.size, part_size, static_cast<int>(i) + 1).count;
    digest = i == 0 ? next : aws::combine_crcs(large->expected->algorithm, digest, next, count);
  }
  // What came in an earlier run is read again, from the disk.
  if (!all || aws::base64_of(digest) != large->expected->base64) arrival.verify = large->expected;
  arrived(object, std::move(arrival));
}

void Downloader::failed(const Object& object, const CallError& error) {
  if (error.code() != "PreconditionFailed" || object.restarted || stopped_) return problem(object.path, error);
  // It has changed since it was listed: as it is now, once more.
  client_.head({.bucket = download_.bucket, .key = object.key},
               on_end<ObjectInfo>([this, object](Outcome<ObjectInfo>& outcome) {
                 if (!outcome.ok()) return problem(object.path, outcome.error());
                 Object now = object;
                 now.restarted = true;
                 now.etag = outcome.value().etag;
                 now.size = outcome.value().size;
                 now.modified = outcome.value().last_modified;
                 totals_.bytes += static_cast<long long>(now.size) - static_cast<long long>(object.size);
                 ready_.push_front([this, now] { begin_transfer(now); });
               }));
}

void Downloader::arrived(const Object& object, Arrival arrival) {
  arrival.path = object.path;
  arrival.mtime = (object.modified != 0 ? object.modified : seconds_now() * 1'000) * 1'000'000;
  const SyncedFile file{.etag = object.etag, .size = object.size, .mtime = arrival.mtime, .modified = object.modified};
  arrival.done = on_committed(arrival.bytes.size(), [this, file, path = object.path](const std::string& error) {
    if (!error.empty()) {
      manifest_->forget_partial(path);
      return problem(path, error);
    }
    manifest_->set_file(path, file);
    ++report_.transferred;
    ++totals_.objects_done;
    report_.bytes += static_cast<long long>(file.size);
    tell("get", path);
  });
  committer_->add(std::move(arrival));
}

// What the folder has and the prefix has not.
void Downloader::look_for_extras(const Listing& listing) {
  if (manifest_) {
    std::vector<std::string> gone;
    const auto& files = manifest_->content().files;
    for (auto at = files.lower_bound(listing.under()); at != files.end() && at->first.starts_with(listing.under());
         ++at) {
      if (is_wanted(options_.filters, at->first) && !names_->contains(at->first)) gone.push_back(at->first);
    }
    if (!gone.empty()) note_change();
    for (const std::string& path : gone) manifest_->forget_file(path);
  }
  const fs::path folder = download_.target / listing.folder;
  if (options_.extra == Extra::kept || !tree_ || !fs::is_directory(fs::symlink_status(folder))) return;
  std::vector<std::string> extras;
  for (fs::recursive_directory_iterator it(folder), end; it != end; ++it) {
    if (it->path().filename() == kStateFolder) {
      it.disable_recursion_pending();
      continue;
    }
    if (it->is_directory() && !it->is_symlink()) continue;
    const std::string path = it->path().lexically_relative(download_.target).generic_string();
    if (is_wanted(options_.filters, path) && !names_->contains(path)) extras.push_back(path);
  }
  std::sort(extras.begin(), extras.end());
  for (const std::string& path : extras) {
    tell(is_real() ? "remove" : "would remove", path);
    ++report_.removed;
    if (!is_real()) continue;
    note_change();
    tree_->remove_file(path);
  }
}

void Downloader::conclude() {
  const bool whole = report_.problems.empty() && !report_.interrupted;
  if (whole) {
    for (const Listing& listing : listings_) look_for_extras(listing);
  }
  if (!manifest_) return;
  for (const Listing& listing : listings_) {
    const SyncedFolder now{.from = "s3://" + download_.bucket + "/" + listing.prefix,
                           .time = seconds_now(),
                           .complete = whole && options_.filters.empty()};
    const auto before = manifest_->content().folders.find(listing.folder);
    if (changed_ || before == manifest_->content().folders.end() || before->second.from != now.from ||
        before->second.complete != now.complete) {
      manifest_->set_folder(listing.folder, now);
    }
  }
  manifest_->finish();
}

}  // namespace

Report download(aws::S3Client& client, const Download& download, const Options& options) {
  return Downloader(client, download, options).run();
}

}  // namespace aid::io::sync
