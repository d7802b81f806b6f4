#pragma once

#include <string>
#include <string_view>

namespace aid::io::aws {

// Text that must not be seen: it can be neither printed nor converted by accident, lives in OpenSSL's locked heap,
// which is neither swapped nor part of a core file (where the system allows it), and is wiped when it goes.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string_view text);
  ~Secret();
  Secret(const Secret& other) : Secret(other.reveal()) {}
  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret other) noexcept;

  // The only way to the text; whoever calls this answers for where it goes.
  std::string_view reveal() const { return {data_, size_}; }
  bool empty() const { return size_ == 0; }
  bool operator==(const Secret& other) const { return reveal() == other.reveal(); }

 private:
  char* data_ = nullptr;
  std::size_t size_ = 0;
};

// Overwrites a string that held a secret, so that no optimiser can leave that out.
void wipe(std::string& text);

}  // namespace aid::io::aws
