#include "tests/softgpu/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <sstream>

#include "tests/softgpu/report.h"
#include "tests/softgpu/shadow.h"

namespace softgpu {
namespace {

constexpr size_t kRegion = size_t(64) << 30;
constexpr size_t kPage = 4096;
constexpr size_t kRedZone = 256;  // before and after each allocation
constexpr size_t kPages = kRegion / kPage;

void* reserve(size_t bytes) {
  void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) throw std::bad_alloc();
  return p;
}

// The region is used in one direction, so a freed allocation is recognised until the addresses wrap around. A table by
// page gives the allocation of an address without a lock.
struct Memory {
  std::byte* region = static_cast<std::byte*>(reserve(kRegion));
  std::atomic<Allocation*>* pages = static_cast<std::atomic<Allocation*>*>(reserve(kPages * sizeof(void*)));
  std::mutex mutex;
  std::map<size_t, Allocation*> by_page;  // first page -> allocation, freed ones too
  size_t next = 1;
  uint64_t serial = 0;
  MemoryUse use{0, 0, size_t(16) << 30};
};
Memory& memory() {
  static Memory* m = new Memory;
  return *m;
}

size_t pages_of(size_t bytes) { return (bytes + 2 * kRedZone + kPage - 1) / kPage; }
size_t page_of(const Memory& m, const void* p) { return size_t(static_cast<const std::byte*>(p) - m.region) / kPage; }

void forget(Memory& m, std::map<size_t, Allocation*>::iterator it) {
  Allocation* a = it->second;
  for (size_t i = 0; i < pages_of(a->size); ++i) m.pages[it->first + i] = nullptr;
  m.by_page.erase(it);
  delete a;
}

// n pages in a row that no live allocation holds; freed ones there are forgotten. 0: none.
size_t place(Memory& m, size_t n) {
  for (int pass = 0; pass < 2; ++pass) {
    size_t at = pass == 0 ? m.next : 1;
    while (at + n <= kPages) {
      auto it = m.by_page.upper_bound(at);
      if (it != m.by_page.begin()) {
        const auto before = std::prev(it);
        if (before->first + pages_of(before->second->size) > at) it = before;
      }
      size_t blocked = 0;
      while (it != m.by_page.end() && it->first < at + n) {
        if (!it->second->freed) {
          blocked = it->first + pages_of(it->second->size);
          break;
        }
        const auto gone = it++;
        forget(m, gone);
      }
      if (!blocked) return at;
      at = blocked;
    }
  }
  return 0;
}

std::string describe(const Allocation& a, const void* p) {
  std::ostringstream out;
  out << "byte " << static_cast<const std::byte*>(p) - a.base << " of allocation #" << a.serial << " (" << a.what
      << ", " << a.size << " bytes)";
  return out.str();
}

}  // namespace

void Shadow::create(size_t size) {
  bytes = size;
  state = static_cast<uint8_t*>(reserve(size + 16));
  cells = static_cast<Cell*>(reserve((size / 4 + 5) * sizeof(Cell)));
}
void Shadow::destroy() {
  munmap(state, bytes + 16);
  munmap(cells, (bytes / 4 + 5) * sizeof(Cell));
}
void Shadow::clear_cells() { madvise(cells, (bytes / 4 + 5) * sizeof(Cell), MADV_DONTNEED); }

void clear_all_cells() {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  for (const auto& [page, a] : m.by_page)
    if (!a->freed) a->shadow->clear_cells();
}

Allocation* allocate_block(size_t bytes, const char* what, bool owned_by_module) {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  if (bytes > m.use.limit || m.use.live + bytes > m.use.limit) return nullptr;
  const size_t page = place(m, pages_of(bytes));
  if (!page) return nullptr;
  auto* a = new Allocation;
  a->base = m.region + page * kPage + kRedZone;
  a->size = bytes;
  a->serial = ++m.serial;
  a->what = what ? what : "";
  a->owned_by_module = owned_by_module;
  a->shadow = new Shadow;
  a->shadow->create(bytes);
  for (size_t i = 0; i < pages_of(bytes); ++i) m.pages[page + i] = a;
  m.by_page[page] = a;
  m.next = page + pages_of(bytes);
  m.use.live += bytes;
  m.use.peak = std::max(m.use.peak, m.use.live);
  std::memset(a->base, 0xFF, bytes);
  return a;
}

void* allocate(size_t bytes, const char* what) {
  Allocation* a = allocate_block(bytes, what, false);
  return a ? a->base : nullptr;
}

bool free(void* p) {
  const Allocation* found = find(p);
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  if (!found || found->freed || found->base != p) {
    add_report({.kind = Kind::runtime,
                .text = !found ? "free of an address that is no device memory: pass what the allocation returned"
                        : found->freed
                            ? "double free of allocation #" + std::to_string(found->serial) + " (" + found->what + ")"
                            : "free of " + describe(*found, p) + ": pass its start"});
    return false;
  }
  Allocation* a = m.by_page.at(page_of(m, p));
  a->freed = true;
  m.use.live -= a->size;
  a->shadow->destroy();
  delete a->shadow;
  a->shadow = nullptr;
  madvise(a->base - kRedZone, pages_of(a->size) * kPage, MADV_DONTNEED);
  return true;
}

bool is_device_address(const void* p) {
  const Memory& m = memory();
  return size_t(static_cast<const std::byte*>(p) - m.region) < kRegion;
}

const Allocation* find(const void* p) {
  Memory& m = memory();
  return is_device_address(p) ? m.pages[page_of(m, p)].load(std::memory_order_relaxed) : nullptr;
}

namespace {
// The part of [p, p + n) that lies in its allocation, as an offset and a length.
struct Part {
  Allocation* allocation;
  size_t offset, size;
};
Part part_of(const void* p, size_t n) {
  auto* a = const_cast<Allocation*>(find(p));
  if (!a || a->freed) return {nullptr, 0, 0};
  const size_t offset = size_t(static_cast<const std::byte*>(p) - a->base);
  if (offset > a->size) return {nullptr, 0, 0};
  return {a, offset, std::min(n, a->size - offset)};
}
}  // namespace

void mark_written(const void* p, size_t n) {
  const Part part = part_of(p, n);
  if (part.size == 0) return;
  std::memset(part.allocation->shadow->state + part.offset, kWritten, part.size);
}

void mark_unwritten(void* p, size_t n) {
  const Part part = part_of(p, n);
  if (part.size == 0) return;
  std::memset(part.allocation->shadow->state + part.offset, kUnwritten, part.size);
  std::memset(p, 0xFF, part.size);
}

void copy_written(void* to, const void* from, size_t n) {
  const Part source = part_of(from, n), target = part_of(to, n);
  if (source.size && target.size)
    std::memmove(target.allocation->shadow->state + target.offset, source.allocation->shadow->state + source.offset,
                 std::min(source.size, target.size));
}

bool check_host_access(const void* p, size_t n, HostAccess access, const char* who) {
  if (n == 0) return true;
  const Allocation* a = find(p);
  const auto report = [&](Kind kind, const std::string& text) {
    add_report({.kind = kind, .text = std::string(who) + ": " + text});
    return false;
  };
  if (!a)
    return report(is_device_address(p) ? Kind::out_of_bounds : Kind::host_pointer, "the address is no device memory");
  if (a->freed) return report(Kind::use_after_free, describe(*a, p) + ", which was freed");
  const size_t offset = size_t(static_cast<const std::byte*>(p) - a->base);
  if (offset > a->size || n > a->size - offset)
    return report(Kind::out_of_bounds, std::to_string(n) + " bytes from " + describe(*a, p) + " end outside it");
  if (access == HostAccess::read) {
    const uint8_t* state = a->shadow->state + offset;
    for (size_t i = 0; i < n; ++i)
      if (!(state[i] & kWritten))
        return report(Kind::uninitialised, "reads " + describe(*a, a->base + offset + i) + ", which nobody wrote");
  }
  return true;
}

std::vector<Allocation> live_allocations() {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  std::vector<Allocation> list;
  for (const auto& [page, a] : m.by_page)
    if (!a->freed && !a->owned_by_module) list.push_back(*a);
  return list;
}

size_t report_leaks() {
  const std::vector<Allocation> list = live_allocations();
  for (const Allocation& a : list)
    add_report({.kind = Kind::leak,
                .text = "allocation #" + std::to_string(a.serial) + " (" + a.what + ", " + std::to_string(a.size) +
                        " bytes) was never freed"});
  return list.size();
}

MemoryUse memory_use() {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  return m.use;
}

void set_memory_limit(size_t bytes) {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  m.use.limit = bytes;
}

}  // namespace softgpu
