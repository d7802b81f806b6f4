#include "io/aws/secret.h"

#include <openssl/crypto.h>

#include <cstring>
#include <mutex>
#include <new>
#include <utility>

namespace aid::io::aws {
namespace {

constexpr std::size_t kHeapBytes = 1 << 18, kSmallestBlock = 32;

// Where memory cannot be locked (a container's limit), OpenSSL uses its ordinary heap instead.
void open_locked_heap() {
  static std::once_flag once;
  std::call_once(once, [] { CRYPTO_secure_malloc_init(kHeapBytes, kSmallestBlock); });
}

}  // namespace

Secret::Secret(std::string_view text) : size_(text.size()) {
  if (text.empty()) return;
  open_locked_heap();
  data_ = static_cast<char*>(OPENSSL_secure_malloc(size_));
  if (data_ == nullptr) data_ = static_cast<char*>(OPENSSL_malloc(size_));  // the locked heap is full
  if (data_ == nullptr) throw std::bad_alloc();
  std::memcpy(data_, text.data(), size_);
}

Secret::~Secret() { OPENSSL_secure_clear_free(data_, size_); }

Secret::Secret(Secret&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Secret& Secret::operator=(Secret other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

void wipe(std::string& text) {
  OPENSSL_cleanse(text.data(), text.size());
  text.clear();
}

}  // namespace aid::io::aws
