#include "kernels/core/target.h"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>

#include "kernels/core/check.h"
#include "kernels/device/runtime.h"

namespace aid {

namespace {

// Not every compiler's __builtin_cpu_supports() knows the name "f16c".
bool has_f16c() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}

// The processor has AMX for bf16, and Linux lets this process save its tiles: 8 KiB more in each thread's state, which
// a process has to ask for (Documentation/arch/x86/xstate.rst).
bool has_amx_bf16() {
  constexpr unsigned kAmxBf16 = 1u << 22, kAmxTile = 1u << 24;
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
  if ((edx & kAmxBf16) == 0 || (edx & kAmxTile) == 0) return false;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  static const bool permitted = syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  return permitted;
}

}  // namespace

const char* name_of(Target target) {
  switch (target) {
    case Target::cpu_avx2:
      return "avx2";
    case Target::cpu_avx512:
      return "avx512";
    case Target::cpu_avx512_bf16:
      return "avx512_bf16";
    case Target::cpu_amx:
      return "amx";
    case Target::cuda:
      return "cuda";
  }
  return "?";
}

bool supported(Target target) {
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512cd");
  const bool avx512_bf16 = avx512 && __builtin_cpu_supports("avx512bf16");
  switch (target) {
    case Target::cpu_avx2:
      return avx2;
    case Target::cpu_avx512:
      return avx512;
    case Target::cpu_avx512_bf16:
      return avx512_bf16;
    case Target::cpu_amx:
      return avx512_bf16 && has_amx_bf16();
    case Target::cuda:
      return cuda::unavailable().empty();
  }
  return false;
}

Target default_target() {
  constexpr Target kBestFirst[] = {Target::cpu_amx, Target::cpu_avx512_bf16, Target::cpu_avx512, Target::cpu_avx2};
  if (const char* wanted = std::getenv("AID_ISA"); wanted != nullptr && *wanted != '\0') {
    for (const Target target : kBestFirst) {
      if (std::string_view(wanted) != name_of(target)) continue;
      AID_CHECK(supported(target), "AID_ISA=", wanted,
                ": this processor does not have it; leave AID_ISA unset to use the best it has");
      return target;
    }
    AID_CHECK(false, "AID_ISA=", wanted, ": unknown; expected avx2, avx512, avx512_bf16 or amx");
  }
  for (const Target target : kBestFirst) {
    if (supported(target)) return target;
  }
  AID_CHECK(false, "this processor has no AVX2, FMA and F16C, the least that aid's kernels need");
  return Target::cpu_avx2;
}

}  // namespace aid
