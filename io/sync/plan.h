// What has to be done about one file and its object.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "io/sync/manifest.h"
#include "io/sync/tree.h"

namespace aid::io::sync {

enum class Step {
  none,      // equal, as far as the manifest and the file's size and time can tell
  compare,   // the sizes are equal and nothing else is known: the content tells
  transfer,  // different
};

struct ObjectState {
  std::string etag;
  std::uint64_t size = 0;
};
// Each of the three may be missing. A side that is missing where it should be copied to makes a transfer.
Step step_for(const std::optional<ObjectState>& object, const SyncedFile* known, const std::optional<LocalFile>& file);

// The last byte-for-byte part of a large object may be shorter; parts count from 1.
struct PartRange {
  std::uint64_t first = 0, count = 0;
};
int part_count(std::uint64_t size, std::uint64_t part_size);
PartRange part_range(std::uint64_t size, std::uint64_t part_size, int part);

}  // namespace aid::io::sync
