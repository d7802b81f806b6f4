#include "io/sync/plan.h"

#include <algorithm>

namespace aid::io::sync {

Step step_for(const std::optional<ObjectState>& object, const SyncedFile* known, const std::optional<LocalFile>& file) {
  if (!object || !file || object->size != file->size) return Step::transfer;
  const bool same_object = known != nullptr && known->etag == object->etag && known->size == object->size;
  const bool same_file = known != nullptr && known->size == file->size && known->mtime == file->mtime;
  if (same_object && same_file) return Step::none;
  // One of the two has changed since, or nothing is known: the bytes may be equal all the same.
  return Step::compare;
}

int part_count(std::uint64_t size, std::uint64_t part_size) {
  return static_cast<int>((size + part_size - 1) / part_size);
}

PartRange part_range(std::uint64_t size, std::uint64_t part_size, int part) {
  const std::uint64_t first = static_cast<std::uint64_t>(part - 1) * part_size;
  return {.first = first, .count = std::min(part_size, size - first)};
}

}  // namespace aid::io::sync
