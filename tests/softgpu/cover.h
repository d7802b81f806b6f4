#pragma once
#include <cmath>
#include <cstdint>

// Functions that are compiled twice, by the host's compiler and by nvcc: the machine must give what the processor
// gives.
#ifdef __CUDACC__
#define SOFTGPU_BOTH __host__ __device__ inline
#else
#define SOFTGPU_BOTH inline
#endif

namespace cover {

__extension__ typedef __int128 Int128;
__extension__ typedef unsigned __int128 UInt128;

constexpr int kIntegers = 48, kFloats = 34;

SOFTGPU_BOTH int switched(int k, int a, int b) {
  switch (k) {
    case 0:
      return int(uint32_t(a) + uint32_t(b));
    case 1:
      return int(uint32_t(a) - uint32_t(b));
    case 2:
      return int(uint32_t(a) * uint32_t(b));
    case 3:
      return a ^ b;
    case 4:
      return a | b;
    case 5:
      return a & b;
    case 6:
      return a > b ? a : b;
    case 7:
      return a < b ? a : b;
    default:
      return ~a;
  }
}

SOFTGPU_BOTH void integers(int a, int b, int64_t* r) {
  const uint32_t ua = uint32_t(a), ub = uint32_t(b);
  const int64_t la = int64_t(a) * b, lb = (int64_t(ua) << 20) ^ b;
  int k = 0;
  r[k++] = ua + ub;
  r[k++] = ua - ub;
  r[k++] = ua * ub;
  r[k++] = b == 0 || b == -1 ? 0 : a / b;
  r[k++] = b == 0 || b == -1 ? 0 : a % b;
  r[k++] = ub ? ua / ub : 0;
  r[k++] = ub ? ua % ub : 0;
  r[k++] = a >> (b & 31);
  r[k++] = ua >> (b & 31);
  r[k++] = ua << (b & 31);
  r[k++] = la >> (b & 63);
  r[k++] = int64_t(uint64_t(lb) << (a & 63));
  r[k++] = uint64_t(lb) >> (a & 63);
  r[k++] = lb ? la / lb : 0;
  r[k++] = lb ? la % lb : 0;
  r[k++] = uint64_t(la) % 1000003u;
  r[k++] = a % 7;
  r[k++] = ua / 10u;
  r[k++] = a < b;
  r[k++] = ua < ub;
  r[k++] = la < lb;
  r[k++] = uint64_t(la) < uint64_t(lb);
  r[k++] = a < b ? a : b;
  r[k++] = ua > ub ? ua : ub;
  r[k++] = la < lb ? la : lb;
  r[k++] = int8_t(a);
  r[k++] = uint8_t(a);
  r[k++] = int16_t(a);
  r[k++] = uint16_t(a);
  r[k++] = int64_t(int8_t(b)) * uint16_t(a);
  r[k++] = int64_t(float(a));
  r[k++] = int64_t(double(a) * 1e-2);
  r[k++] = int(float(a) * 1e-3f);
  r[k++] = unsigned(float(ua >> 1));
  r[k++] = switched(a & 15, a, b);
  r[k++] = switched(b & 7, b, a);
  r[k++] = (a & b) | (~a & 0x0f0f0f0f);
  r[k++] = a ^ b ^ int(ua << 3);
  r[k++] = int64_t((uint64_t(ua) * ub) >> 32);
  r[k++] = int64_t((Int128(la) * lb) >> 64);                                      // mul.hi
  r[k++] = int64_t((UInt128(uint64_t(la)) * uint64_t(lb) + uint64_t(lb)) >> 37);  // mad.cc, addc
  r[k++] = int64_t(((Int128(la) << 17) - (Int128(lb) << 50)) >> 40);              // sub.cc, subc
  uint32_t h = ua;
  for (int q = 0; q < (b & 15); ++q) {
    h ^= h >> 16;
    h *= 0x85ebca6bu;
    if (h & 1) continue;
    h += uint32_t(q);
  }
  r[k++] = h;
  int local[16];
  for (int q = 0; q < 16; ++q) local[q] = int(ua * uint32_t(q));
  r[k++] = local[b & 15];
  r[k++] = int((ua >> 5) & 0x3ff);
  r[k++] = int16_t(a) + int16_t(b);
  r[k++] = int16_t(int16_t(a) >> (b & 7));
  r[k++] = (a > 0 && b > 0) || a < -100;
}

SOFTGPU_BOTH void floats(float a, float b, float* r) {
  int k = 0;
  r[k++] = a + b;
  r[k++] = a - b;
  r[k++] = a * b;
  r[k++] = a / b;
  r[k++] = fmaf(a, b, a);
  r[k++] = sqrtf(fabsf(a));
  r[k++] = expf(a);
  r[k++] = logf(fabsf(a) + 1e-3f);
  r[k++] = sinf(a);
  r[k++] = cosf(b);
  r[k++] = tanhf(a);
  r[k++] = erff(a);
  r[k++] = powf(fabsf(a) + 0.1f, b);
  r[k++] = exp2f(b);
  r[k++] = log2f(fabsf(b) + 1e-3f);
  r[k++] = fminf(a, b);
  r[k++] = fmaxf(a, b);
  r[k++] = floorf(a);
  r[k++] = ceilf(b);
  r[k++] = rintf(a);
  r[k++] = truncf(b);
  r[k++] = roundf(a);
  r[k++] = fabsf(a);
  r[k++] = copysignf(a, b);
  r[k++] = fmodf(a, b);
  r[k++] = a > b ? a : -b;
  r[k++] = a < b && a > -1.f ? 1.f : 2.f;
  r[k++] = cbrtf(a);
  const double d = double(a) * b + 1.0 / 3;
  r[k++] = float(d);
  r[k++] = float(sqrt(fabs(d)));
  r[k++] = float(exp(d * 0.1));
  r[k++] = float(int64_t(d * 1e6));
  r[k++] = float(uint32_t(fabs(d)));
  float local[8];
  for (int q = 0; q < 8; ++q) local[q] = fmaf(a, float(q), b);
  r[k++] = local[int(fabsf(b) * 16) & 7];
}

}  // namespace cover
