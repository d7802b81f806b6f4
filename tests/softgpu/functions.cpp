// Functions that CUDA's device runtime gives: printf and assert; and the copies that a call needs.
#include <cstdio>

#include "tests/softgpu/block.h"
#include "tests/softgpu/decoder.h"

namespace softgpu {
namespace {

std::byte* local_of(const Warp& w, u32 lane) { return w.block->local + u64(w.thread(lane)) * w.block->local_bytes; }

u64 parameter(const Warp& w, u32 lane, u32 offset, u32 bytes) {
  u64 value = 0;
  std::memcpy(&value, local_of(w, lane) + offset, bytes);
  return value;
}
std::string text_at(Warp& w, const Instruction& i, u32 lane, u64 address) {
  std::string text;
  for (char c; (c = char(*locate(w, i, lane, Space::generic, address, 1, Access::read))); ++address) text += c;
  return text;
}

// vprintf(format, arguments): each argument at its own alignment, as nvcc lays them out.
void print(Warp& w, const Instruction& i, u32 mask) {
  for (u32 rest = mask; rest; rest &= rest - 1) {
    const u32 l = u32(std::countr_zero(rest));
    const std::string format = text_at(w, i, l, parameter(w, l, i.table.at(0), 8));
    u64 arguments = parameter(w, l, i.table.at(1), 8);
    std::string& out = w.block->printed;
    int count = 0;
    const auto next = [&](u32 bytes) {
      arguments = (arguments + bytes - 1) / bytes * bytes;
      u64 value = 0;
      std::memcpy(&value, locate(w, i, l, Space::generic, arguments, bytes, Access::read), bytes);
      arguments += bytes;
      ++count;
      return value;
    };
    for (size_t at = 0; at < format.size(); ++at) {
      if (format[at] != '%') {
        out += format[at];
        continue;
      }
      const size_t end = format.find_first_of("diouxXeEfFgGaAcsp%", at + 1);
      if (end == std::string::npos) break;
      std::string one = format.substr(at, end - at + 1);
      const char kind = one.back();
      const bool is_long = one.find('l') != std::string::npos || one.find('z') != std::string::npos;
      char buffer[512];
      at = end;
      if (kind == '%') {
        out += '%';
      } else if (kind == 's') {
        std::snprintf(buffer, sizeof buffer, one.c_str(), text_at(w, i, l, next(8)).c_str());
        out += buffer;
      } else if (std::string("eEfFgGaA").find(kind) != std::string::npos) {
        std::snprintf(buffer, sizeof buffer, one.c_str(), get<double>(next(8)));
        out += buffer;
      } else if (is_long || kind == 'p') {
        std::snprintf(buffer, sizeof buffer, one.c_str(), next(8));
        out += buffer;
      } else {
        std::snprintf(buffer, sizeof buffer, one.c_str(), int(next(4)));
        out += buffer;
      }
    }
    if (i.table.size() > 2) std::memcpy(local_of(w, l) + i.table[2], &count, 4);
  }
}

// __assertfail(message, file, line, function, character size)
void assert_failed(Warp& w, const Instruction& i, u32 mask) {
  const u32 l = u32(std::countr_zero(mask));
  const std::string message = text_at(w, i, l, parameter(w, l, i.table.at(0), 8)),
                    file = text_at(w, i, l, parameter(w, l, i.table.at(1), 8));
  fault(w, i, l, Kind::launch,
        "assertion failed: " + message + ", " + file + ":" + std::to_string(parameter(w, l, i.table.at(2), 4)));
}

}  // namespace

void copy_locals(Warp& w, const Instruction& i, u32 mask) {
  each(mask, [&](u32 l) {
    std::byte* local = local_of(w, l);
    for (size_t n = 0; n + 2 < i.table.size(); n += 3)
      std::memcpy(local + i.table[n + 1], local + i.table[n], i.table[n + 2]);
  });
}

Execute built_in(const std::string& name) {
  return name == "vprintf" ? print : name == "__assertfail" ? assert_failed : nullptr;
}

}  // namespace softgpu
