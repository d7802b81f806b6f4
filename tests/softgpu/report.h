#pragma once
#include <cstdint>
#include <string>
#include <vector>

// What the software GPU's checker found. Reports are collected for the whole process: a test reads and clears them.
namespace softgpu {

struct Dim {
  uint32_t x = 1, y = 1, z = 1;
  uint64_t count() const { return uint64_t(x) * y * z; }
  friend bool operator==(const Dim&, const Dim&) = default;
};

enum class Kind {
  out_of_bounds,   // past the end or before the start of an allocation, a shared variable or the launch's shared memory
  host_pointer,    // the address is no device memory at all
  use_after_free,  // the allocation was freed before
  misaligned,      // the address is no multiple of the access's size, or of 16 for ldmatrix
  race,            // two accesses, one of them a write, that nothing orders
  uninitialised,   // read of bytes that nobody wrote
  in_flight,       // read or write of shared memory whose cp.async was not waited for
  divergent_barrier,  // threads of a block wait at different barriers, or some ended
  deadlock,           // nobody can go on
  wrong_mask,         // a warp instruction whose mask lacks the caller or names a thread that ended
  leak,               // allocated and never freed
  launch,             // a launch that a GPU refuses, a trap, a failed assert
  runtime,            // misuse of the CUDA runtime
  library,            // misuse of a CUDA library
};
const char* name(Kind);

struct Report {
  Kind kind{};
  std::string kernel;
  Dim block{0, 0, 0}, thread{0, 0, 0};  // indices
  std::string file;                     // source file and line (nvcc -lineinfo), else the PTX's
  int line = 0;
  std::string text;  // what was found and what would be right

  std::string str() const;  // all of it, one line
};

// Adds a report. A second one of the same kind, kernel and place is dropped.
void add_report(Report);
std::vector<Report> reports();
void clear_reports();
std::string reports_text();  // one a line; "" if there are none

}  // namespace softgpu
