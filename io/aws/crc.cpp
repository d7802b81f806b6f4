#include "io/aws/crc.h"

#include <array>
#include <bit>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace aid::io::aws {
namespace {

using Table = std::array<std::array<std::uint64_t, 256>, 8>;

// Entry [k][b]: what byte b leaves in the register after k more bytes.
Table make_table(std::uint64_t polynomial) {
  Table table;
  for (std::uint64_t b = 0; b < 256; ++b) {
    std::uint64_t r = b;
    for (int bit = 0; bit < 8; ++bit) r = (r >> 1) ^ ((r & 1) != 0 ? polynomial : 0);
    table[0][b] = r;
  }
  for (std::size_t k = 1; k < 8; ++k) {
    for (std::size_t b = 0; b < 256; ++b) table[k][b] = (table[k - 1][b] >> 8) ^ table[0][table[k - 1][b] & 255];
  }
  return table;
}

const Table& table_of(const Crc& crc) {
  static const Table crc32 = make_table(kCrc32.polynomial), crc32c = make_table(kCrc32c.polynomial),
                     crc64 = make_table(kCrc64Nvme.polynomial);
  return crc.bits == 64 ? crc64 : crc.polynomial == kCrc32.polynomial ? crc32 : crc32c;
}

std::uint64_t load(const std::byte* at) {
  std::uint64_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

// Eight bytes a step (Kounavis and Berry, "Novel table lookup-based algorithms for high-performance CRC generation").
std::uint64_t extend_by_table(const Table& table, std::uint64_t r, std::span<const std::byte> bytes) {
  const std::byte* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 8; at += 8, left -= 8) {
    const std::uint64_t word = load(at) ^ r;
    r = 0;
    for (std::size_t k = 0; k < 8; ++k) r ^= table[7 - k][word >> (8 * k) & 255];
  }
  for (; left > 0; ++at, --left) r = (r >> 8) ^ table[0][(r ^ std::to_integer<std::uint64_t>(*at)) & 255];
  return r;
}

// a * b modulo the polynomial; a reflected number's highest bit stands for x^0.
std::uint64_t multiply(const Crc& crc, std::uint64_t a, std::uint64_t b) {
  std::uint64_t product = 0;
  for (std::uint64_t bit = std::uint64_t{1} << (crc.bits - 1); bit != 0; bit >>= 1) {
    if ((a & bit) != 0) product ^= b;
    b = (b >> 1) ^ ((b & 1) != 0 ? crc.polynomial : 0);
  }
  return product;
}

// x^n modulo the polynomial.
std::uint64_t power_of_x(const Crc& crc, std::uint64_t n) {
  std::uint64_t result = std::uint64_t{1} << (crc.bits - 1), square = result >> 1;
  for (; n != 0; n >>= 1) {
    if ((n & 1) != 0) result = multiply(crc, result, square);
    square = multiply(crc, square, square);
  }
  return result;
}

#if defined(__x86_64__)

bool has_carryless_multiply() {
  static const bool has = __builtin_cpu_supports("pclmul") != 0 && __builtin_cpu_supports("sse4.1") != 0;
  return has;
}

// Folds 64 bytes a step by carry-less multiplication (Gopal et al., "Fast CRC Computation for Generic Polynomials Using
// PCLMULQDQ Instruction", 2009), down to 16 bytes that have the same CRC as all of them; those go through the table, so
// that the method is one for every polynomial. Moving 64 bits of a reflected remainder past d bits multiplies them by
// x^(d-1): the product of two reflected 64-bit numbers comes out one bit low.
struct Fold {
  // Over 2048 bits for 16 lanes side by side, over 512 bits for four, over 128 bits within a lane; first for the lower
  // half of a lane.
  std::uint64_t widest[2], wide[2], narrow[2];
};

Fold make_fold(const Crc& crc) {
  const auto constant = [&](std::uint64_t bits) {
    // A 32-bit remainder stands in the upper half of the 64-bit operand.
    return power_of_x(crc, bits) << (64 - crc.bits);
  };
  return {.widest = {constant(2048 + 64 - 1), constant(2048 - 1)},
          .wide = {constant(512 + 64 - 1), constant(512 - 1)},
          .narrow = {constant(128 + 64 - 1), constant(128 - 1)}};
}

const Fold& fold_of(const Crc& crc) {
  static const Fold crc32 = make_fold(kCrc32), crc32c = make_fold(kCrc32c), crc64 = make_fold(kCrc64Nvme);
  return crc.bits == 64 ? crc64 : crc.polynomial == kCrc32.polynomial ? crc32 : crc32c;
}

__attribute__((target("pclmul,sse4.1"))) inline __m128i folded(__m128i lane, __m128i constants, __m128i next) {
  return _mm_xor_si128(
      _mm_xor_si128(_mm_clmulepi64_si128(lane, constants, 0x00), _mm_clmulepi64_si128(lane, constants, 0x11)), next);
}

bool has_wide_carryless_multiply() {
  static const bool has = __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("vpclmulqdq") != 0;
  return has;
}

__attribute__((target("avx512f,vpclmulqdq"))) inline __m512i folded(__m512i lanes, __m512i constants, __m512i next) {
  constexpr int kXorOfThree = 0x96;
  return _mm512_ternarylogic_epi64(_mm512_clmulepi64_epi128(lanes, constants, 0x00),
                                   _mm512_clmulepi64_epi128(lanes, constants, 0x11), next, kXorOfThree);
}

__attribute__((target("avx512f,vpclmulqdq"))) inline __m512i repeated(const std::uint64_t (&constants)[2]) {
  const auto low = static_cast<long long>(constants[0]), high = static_cast<long long>(constants[1]);
  return _mm512_set4_epi64(high, low, high, low);
}

// Folds all whole blocks of 256 bytes into the first four lanes; the first block's are in `lanes` already. At least
// one.
__attribute__((target("avx512f,vpclmulqdq"))) void fold_blocks(const Fold& fold, __m128i (&lanes)[4],
                                                               std::span<const std::byte> blocks) {
  __m512i quads[4];
  quads[0] = _mm512_loadu_si512(lanes);
  for (std::size_t i = 1; i < 4; ++i) quads[i] = _mm512_loadu_si512(blocks.data() + 64 * i);
  const __m512i widest = repeated(fold.widest), wide = repeated(fold.wide);
  for (std::size_t at = 256; at < blocks.size(); at += 256) {
    for (std::size_t i = 0; i < 4; ++i) {
      quads[i] = folded(quads[i], widest, _mm512_loadu_si512(blocks.data() + at + 64 * i));
    }
  }
  for (std::size_t i = 1; i < 4; ++i) quads[0] = folded(quads[0], wide, quads[i]);
  _mm512_storeu_si512(lanes, quads[0]);
}

__attribute__((target("pclmul,sse4.1"))) std::uint64_t extend_by_folding(const Crc& crc, std::uint64_t r,
                                                                         std::span<const std::byte> bytes) {
  const Fold& fold = fold_of(crc);
  const std::byte* at = bytes.data();
  std::size_t left = bytes.size();
  const auto lane_at = [&](std::size_t offset) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at + offset));
  };
  __m128i lanes[4] = {_mm_xor_si128(lane_at(0), _mm_set_epi64x(0, static_cast<long long>(r))), lane_at(16), lane_at(32),
                      lane_at(48)};
  if (has_wide_carryless_multiply()) {
    const std::size_t blocks = left / 256 * 256;
    fold_blocks(fold, lanes, {at, blocks});
    at += blocks, left -= blocks;
  } else {
    at += 64, left -= 64;
  }
  const __m128i wide = _mm_set_epi64x(static_cast<long long>(fold.wide[1]), static_cast<long long>(fold.wide[0]));
  for (; left >= 64; at += 64, left -= 64) {
    for (std::size_t i = 0; i < 4; ++i) lanes[i] = folded(lanes[i], wide, lane_at(16 * i));
  }
  const __m128i narrow = _mm_set_epi64x(static_cast<long long>(fold.narrow[1]), static_cast<long long>(fold.narrow[0]));
  __m128i lane = lanes[0];
  for (std::size_t i = 1; i < 4; ++i) lane = folded(lane, narrow, lanes[i]);
  std::byte rest[16];
  _mm_storeu_si128(reinterpret_cast<__m128i*>(rest), lane);
  return extend_by_table(table_of(crc), extend_by_table(table_of(crc), 0, rest), {at, left});
}

#endif

}  // namespace

std::uint64_t Crc::extend(std::uint64_t crc, std::span<const std::byte> bytes) const {
  const std::uint64_t ones = bits == 64 ? ~std::uint64_t{0} : 0xFFFFFFFFu;
#if defined(__x86_64__)
  if (bytes.size() >= 256 && has_carryless_multiply()) return extend_by_folding(*this, crc ^ ones, bytes) ^ ones;
#endif
  return extend_by_table(table_of(*this), crc ^ ones, bytes) ^ ones;
}

std::uint64_t Crc::combine(std::uint64_t a, std::uint64_t b, std::uint64_t size_of_b) const {
  // x^(8n) as n multiplications of x^8 by squaring: 8 * size_of_b could overflow.
  std::uint64_t shift = std::uint64_t{1} << (bits - 1), square = power_of_x(*this, 8);
  for (std::uint64_t n = size_of_b; n != 0; n >>= 1) {
    if ((n & 1) != 0) shift = multiply(*this, shift, square);
    square = multiply(*this, square, square);
  }
  return multiply(*this, a, shift) ^ b;
}

}  // namespace aid::io::aws
