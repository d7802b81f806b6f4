#include "tests/softgpu/runtime/kernels.h"

#include <cxxabi.h>
#include <elf.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/softgpu/runtime/core.h"
#include "tests/softgpu/runtime/device.h"

namespace softgpu::runtime {
namespace {

// The container that nvcc writes (magic number, header, then entries of PTX or machine code). NVIDIA documents only the
// wrapper (fatbinary_section.h); the entries' fields are those that nvcc 13 writes and cuobjdump prints.
constexpr uint32_t kMagic = 0xBA55ED50;
enum EntryKind : uint16_t { kPtx = 1, kElf = 2 };

struct Wrapper {
  int magic, version;
  const char* data;
  void* extra;
};

struct Header {
  uint32_t magic;
  uint16_t version, header_size;
  uint64_t size;
};

struct Entry {
  uint16_t kind, version;
  uint32_t header_size;
  uint64_t size;
  uint32_t compressed_size, options;
  uint16_t minor, major;
  uint32_t arch;
};

template <class T>
T read(const char* p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "software GPU: %s\n", why.c_str());
  std::exit(2);
}

}  // namespace

Binary::Binary(const void* wrapper) {
  const char* data = static_cast<const Wrapper*>(wrapper)->data;
  const auto header = read<Header>(data);
  if (header.magic != kMagic) give_up("an object file registers device code in an unknown container");
  const char* const end = data + header.header_size + header.size;
  for (const char* p = data + header.header_size; p < end;) {
    const auto entry = read<Entry>(p);
    std::string_view bytes(p + entry.header_size, entry.size);
    if (entry.kind == kPtx) {
      if (bytes.find(".version") == bytes.npos)
        give_up("an object file holds compressed PTX; compile it with nvcc --no-compress");
      ptx_.push_back({static_cast<int>(entry.arch), bytes.substr(0, bytes.find('\0'))});
    } else if (entry.kind == kElf) {
      machine_code_.push_back({static_cast<int>(entry.arch), bytes});
    }
    p += entry.header_size + entry.size;
  }
  if (ptx_.empty()) give_up("an object file holds no PTX; compile it with -gencode arch=compute_80,code=compute_80");
  // The first source file that -lineinfo names.
  const std::string_view text = ptx_.front().bytes;
  const size_t at = text.rfind("\n.file");
  name = "device code";
  if (at != text.npos) {
    const size_t open = text.find('"', text.find("\n.file")), close = text.find('"', open + 1);
    if (close != text.npos) name = text.substr(open + 1, close - open - 1);
  }
}

Module& Binary::module() {
  const DeviceLimits device = limits();
  const int arch = device.major * 10 + device.minor;
  if (module_ && loaded_for_ == arch) return *module_;
  const Code* best = nullptr;
  for (const Code& code : ptx_) {
    if (code.arch <= arch && (!best || code.arch > best->arch)) best = &code;
  }
  if (!best) throw LoadError(name + ": no PTX for compute capability " + std::to_string(device.major) + ".0 or below");
  module_ = Module::load(best->bytes, name);
  loaded_for_ = arch;
  return *module_;
}

// ptxas writes a kernel's register count into the upper byte of its text section's sh_info.
int Binary::registers(const std::string& kernel) const {
  const int arch = limits().major * 10;
  for (const Code& code : machine_code_) {
    if (code.arch != arch || code.bytes.size() < sizeof(Elf64_Ehdr) ||
        std::memcmp(code.bytes.data(), ELFMAG, SELFMAG) != 0)
      continue;
    const char* base = code.bytes.data();
    const auto header = read<Elf64_Ehdr>(base);
    const auto section = [&](size_t i) { return read<Elf64_Shdr>(base + header.e_shoff + i * header.e_shentsize); };
    const char* names = base + section(header.e_shstrndx).sh_offset;
    for (size_t i = 0; i < header.e_shnum; ++i) {
      if (names + section(i).sh_name == ".text." + kernel) return static_cast<int>(section(i).sh_info >> 24);
    }
  }
  return 0;
}

std::string demangle(const std::string& mangled) {
  int status = 0;
  char* text = abi::__cxa_demangle(mangled.c_str(), nullptr, nullptr, &status);
  std::string result = status == 0 ? text : mangled;
  std::free(text);
  return result;
}

std::string Function::name() const { return demangle(mangled); }

std::map<const void*, Function>& functions() {
  static auto* map = new std::map<const void*, Function>;
  return *map;
}

std::map<const void*, Variable>& variables() {
  static auto* map = new std::map<const void*, Variable>;
  return *map;
}

}  // namespace softgpu::runtime

using softgpu::runtime::Binary;

// What nvcc's host code calls before main. crt/host_runtime.h declares them for nvcc alone.
// NOLINTBEGIN(bugprone-reserved-identifier): the names are the runtime's
extern "C" {

void** __cudaRegisterFatBinary(void* wrapper) { return reinterpret_cast<void**>(new Binary(wrapper)); }
void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void**) {}
char __cudaInitModule(void**) { return 1; }

void __cudaRegisterFunction(void** binary, const char* host, char*, const char* name, int, uint3*, uint3*, dim3*, dim3*,
                            int*) {
  softgpu::runtime::functions()[host] = {.binary = reinterpret_cast<Binary*>(binary), .mangled = name};
}

void __cudaRegisterVar(void** binary, char* host, char*, const char* name, int, size_t, int, int) {
  softgpu::runtime::variables()[host] = {reinterpret_cast<Binary*>(binary), name};
}

void __cudaRegisterManagedVar(void**, void**, char*, const char* name, int, size_t, int, int) {
  softgpu::runtime::give_up(std::string("__managed__ variable ") + name + ": managed memory is not modelled");
}
}
// NOLINTEND(bugprone-reserved-identifier)
