#include "tests/softgpu/cublaslt/gemm.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <thread>
#include <vector>

namespace softgpu::cublaslt {
namespace {

// The 10 bits of mantissa that tensor cores read of an f32 in TF32 mode.
double to_tf32(double value) {
  const auto bits = std::bit_cast<uint32_t>(static_cast<float>(value));
  return std::bit_cast<float>((bits + 0x1000) & ~0x1FFFu);
}

double round_input(double value, cublasComputeType_t compute) {
  switch (compute) {
    case CUBLAS_COMPUTE_32F_FAST_16F:
      return __half2float(__float2half(static_cast<float>(value)));
    case CUBLAS_COMPUTE_32F_FAST_16BF:
      return __bfloat162float(__float2bfloat16(static_cast<float>(value)));
    case CUBLAS_COMPUTE_32F_FAST_TF32:
      return to_tf32(value);
    default:
      return value;
  }
}

double round_sum(double value, cublasComputeType_t compute) {
  switch (compute) {
    case CUBLAS_COMPUTE_16F:
    case CUBLAS_COMPUTE_16F_PEDANTIC:
      return __half2float(__double2half(value));
    case CUBLAS_COMPUTE_64F:
    case CUBLAS_COMPUTE_64F_PEDANTIC:
    case CUBLAS_COMPUTE_32I:
    case CUBLAS_COMPUTE_32I_PEDANTIC:
      return value;
    default:
      return static_cast<float>(value);
  }
}

constexpr double kSqrt2OverPi = 0.79788456080286535588, kCubic = 0.044715;

double gelu(double x) { return 0.5 * x * (1 + std::tanh(kSqrt2OverPi * (x + kCubic * x * x * x))); }

double gelu_derivative(double x) {
  const double t = std::tanh(kSqrt2OverPi * (x + kCubic * x * x * x));
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * kSqrt2OverPi * (1 + 3 * kCubic * x * x);
}

template <class F>
void in_parallel(int64_t count, const F& body) {
  const int64_t threads = std::clamp<int64_t>(std::min<int64_t>(std::thread::hardware_concurrency(), count / 4), 1, 16);
  std::vector<std::jthread> team;
  for (int64_t t = 1; t < threads; ++t)
    team.emplace_back([&, t] { body(count * t / threads, count * (t + 1) / threads); });
  body(0, count / threads);
}

constexpr int64_t kRows = 32, kCols = 4;  // of D, whose sums fit into registers

// sum [kCols][kRows] = a [k][kRows] times b [k][kCols]. The compiler's vectors change no result: each element is its
// own sum.
__attribute__((target_clones("avx512f", "avx2", "default"))) void multiply_tile(double* __restrict sum,
                                                                                const double* __restrict a,
                                                                                const double* __restrict b, int64_t k) {
  double total[kCols][kRows] = {};
  for (int64_t p = 0; p < k; ++p) {
    for (int64_t j = 0; j < kCols; ++j) {
      for (int64_t i = 0; i < kRows; ++i) total[j][i] += a[p * kRows + i] * b[p * kCols + j];
    }
  }
  for (int64_t j = 0; j < kCols; ++j) {
    for (int64_t i = 0; i < kRows; ++i) sum[j * kRows + i] = total[j][i];
  }
}

// One element of the epilogue.
double finish(const Gemm& g, double value, int64_t row, int64_t col) {
  const bool relu = is_relu(g.epilogue);
  if (has_bias(g.epilogue)) value += load(g.bias, g.bias_type, row);
  if (is_backward(g.epilogue)) {
    if (relu) {
      const int64_t bit = col * g.aux.col_step + row;
      return static_cast<const uint8_t*>(g.aux.data)[bit / 8] >> (bit % 8) & 1 ? value : 0;
    }
    return value * gelu_derivative(load(g.aux.data, g.aux.type, col * g.aux.col_step + row));
  }
  if (uses_aux(g.epilogue)) {
    const int64_t index = col * g.aux.col_step + row;
    if (relu) {  // columns have whole bytes, and one thread has a column
      auto& byte = static_cast<uint8_t*>(g.aux.data)[index / 8];
      const uint8_t mask = static_cast<uint8_t>(1 << (index % 8));
      byte = static_cast<uint8_t>(value > 0 ? byte | mask : byte & ~mask);
    } else {
      store(g.aux.data, g.aux.type, index, value);
      value = load(g.aux.data, g.aux.type, index);
    }
  }
  if (g.epilogue & CUBLASLT_EPILOGUE_RELU) return std::max(value, 0.0);
  if (g.epilogue & CUBLASLT_EPILOGUE_GELU) return gelu(value);
  return value;
}

}  // namespace

size_t size_of(cudaDataType type) {
  switch (type) {
    case CUDA_R_64F:
      return 8;
    case CUDA_R_32F:
    case CUDA_R_32I:
      return 4;
    case CUDA_R_16F:
    case CUDA_R_16BF:
      return 2;
    case CUDA_R_8I:
      return 1;
    default:
      return 0;
  }
}

double load(const void* data, cudaDataType type, int64_t i) {
  switch (type) {
    case CUDA_R_64F:
      return static_cast<const double*>(data)[i];
    case CUDA_R_32F:
      return static_cast<const float*>(data)[i];
    case CUDA_R_32I:
      return static_cast<const int32_t*>(data)[i];
    case CUDA_R_16F:
      return __half2float(static_cast<const __half*>(data)[i]);
    case CUDA_R_16BF:
      return __bfloat162float(static_cast<const __nv_bfloat16*>(data)[i]);
    default:
      return static_cast<const int8_t*>(data)[i];
  }
}

void store(void* data, cudaDataType type, int64_t i, double value) {
  switch (type) {
    case CUDA_R_64F:
      static_cast<double*>(data)[i] = value;
      break;
    case CUDA_R_32F:
      static_cast<float*>(data)[i] = static_cast<float>(value);
      break;
    case CUDA_R_32I:
      static_cast<int32_t*>(data)[i] = static_cast<int32_t>(value);
      break;
    case CUDA_R_16F:
      static_cast<__half*>(data)[i] = __double2half(value);
      break;
    case CUDA_R_16BF:
      static_cast<__nv_bfloat16*>(data)[i] = __float2bfloat16(static_cast<float>(value));
      break;
    default:
      static_cast<int8_t*>(data)[i] = static_cast<int8_t>(std::clamp(std::nearbyint(value), -128.0, 127.0));
  }
}

bool has_bias(cublasLtEpilogue_t e) { return e & CUBLASLT_EPILOGUE_BIAS; }
bool is_backward(cublasLtEpilogue_t e) { return e & (8 | 64); }  // the bits of DRELU and DGELU
bool has_bias_gradient(cublasLtEpilogue_t e) {
  return (e & 16) || e == CUBLASLT_EPILOGUE_BGRADA || e == CUBLASLT_EPILOGUE_BGRADB;
}
bool uses_aux(cublasLtEpilogue_t e) { return e & 128; }
bool is_relu(cublasLtEpilogue_t e) { return e & (CUBLASLT_EPILOGUE_RELU | 8); }

void run(const Gemm& g) {
  const int64_t m = g.d.rows, n = g.d.cols, k = g.a.cols;
  const auto element = [&g](const Matrix& x, int64_t row, int64_t col) {
    return round_input(load(x.data, x.type, row * x.row_step + col * x.col_step), g.compute);
  };
  const int64_t row_tiles = (m + kRows - 1) / kRows, col_tiles = (n + kCols - 1) / kCols;
  std::vector<double> a(static_cast<size_t>(row_tiles * k * kRows));  // [row_tiles][k][kRows], zero beyond m
  in_parallel(row_tiles, [&](int64_t first, int64_t last) {
    for (int64_t tile = first; tile < last; ++tile) {
      for (int64_t p = 0; p < k; ++p) {
        double* to = a.data() + (tile * k + p) * kRows;
        for (int64_t i = 0; i < std::min(kRows, m - tile * kRows); ++i) to[i] = element(g.a, tile * kRows + i, p);
      }
    }
  });
  const bool reduces_result = is_backward(g.epilogue) && has_bias_gradient(g.epilogue);
  std::vector<double> result(reduces_result ? static_cast<size_t>(m * n) : 0);
  in_parallel(col_tiles, [&](int64_t first, int64_t last) {
    std::vector<double> b(static_cast<size_t>(k * kCols));
    double sum[kCols * kRows];
    for (int64_t tile = first; tile < last; ++tile) {
      const int64_t cols = std::min(kCols, n - tile * kCols);
      for (int64_t p = 0; p < k; ++p) {
        for (int64_t j = 0; j < cols; ++j) b[static_cast<size_t>(p * kCols + j)] = element(g.b, p, tile * kCols + j);
      }
      for (int64_t block = 0; block < row_tiles; ++block) {
        multiply_tile(sum, a.data() + block * k * kRows, b.data(), k);
        for (int64_t j = 0; j < cols; ++j) {
          for (int64_t i = 0; i < std::min(kRows, m - block * kRows); ++i) {
            const int64_t row = block * kRows + i, col = tile * kCols + j;
            double value = g.alpha * round_sum(sum[j * kRows + i], g.compute);
            if (g.beta != 0) value += g.beta * load(g.c.data, g.c.type, row * g.c.row_step + col * g.c.col_step);
            value = finish(g, round_sum(value, g.compute), row, col);
            store(g.d.data, g.d.type, row * g.d.row_step + col * g.d.col_step, value);
            if (reduces_result) result[static_cast<size_t>(col * m + row)] = value;
          }
        }
      }
    }
  });
  if (!has_bias_gradient(g.epilogue)) return;
  const bool of_b = g.epilogue == CUBLASLT_EPILOGUE_BGRADB;
  for (int64_t i = 0; i < (of_b ? n : m); ++i) {
    double sum = 0;
    if (reduces_result) {
      for (int64_t c = 0; c < n; ++c) sum += result[static_cast<size_t>(c * m + i)];
    } else {
      for (int64_t p = 0; p < k; ++p) sum += of_b ? element(g.b, p, i) : element(g.a, i, p);
    }
    store(g.bias, g.bias_type, i, sum);
  }
}

}  // namespace softgpu::cublaslt
