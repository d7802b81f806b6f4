// The stand-in for cuBLASLt, opened as programs open the library, against sums in double; and the mistakes that it must
// refuse.
#include <cublasLt.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <dlfcn.h>

#include <cmath>
#include <cstring>
#include <random>
#include <utility>

#include "tests/softgpu/runtime/fixture.h"

namespace softgpu {
namespace {

// Functions of the library by the header's types.
struct Library {
  void* handle = dlopen(SOFTGPU_CUBLASLT, RTLD_NOW | RTLD_LOCAL);
// NOLINTBEGIN(bugprone-macro-parentheses): it is a declaration
#define FUNCTION(name) \
  decltype(&cublasLt##name) name = reinterpret_cast<decltype(&cublasLt##name)>(dlsym(handle, "cublasLt" #name))
  // NOLINTEND(bugprone-macro-parentheses)
  FUNCTION(Create);
  FUNCTION(Destroy);
  FUNCTION(MatmulDescCreate);
  FUNCTION(MatmulDescDestroy);
  FUNCTION(MatmulDescSetAttribute);
  FUNCTION(MatmulDescGetAttribute);
  FUNCTION(MatrixLayoutCreate);
  FUNCTION(MatrixLayoutDestroy);
  FUNCTION(MatrixLayoutSetAttribute);
  FUNCTION(MatmulPreferenceCreate);
  FUNCTION(MatmulPreferenceSetAttribute);
  FUNCTION(MatmulPreferenceDestroy);
  FUNCTION(MatmulAlgoGetHeuristic);
  FUNCTION(Matmul);
  FUNCTION(GetStatusName);
  FUNCTION(GetVersion);
#undef FUNCTION
};

const Library& lt() {
  static const Library library;
  return library;
}

size_t size_of(cudaDataType type) { return type == CUDA_R_64F ? 8 : type == CUDA_R_32F ? 4 : 2; }
double load(const void* p, cudaDataType type, size_t i) {
  switch (type) {
    case CUDA_R_64F:
      return static_cast<const double*>(p)[i];
    case CUDA_R_32F:
      return static_cast<const float*>(p)[i];
    case CUDA_R_16F:
      return __half2float(static_cast<const __half*>(p)[i]);
    default:
      return __bfloat162float(static_cast<const __nv_bfloat16*>(p)[i]);
  }
}
void store(void* p, cudaDataType type, size_t i, double value) {
  switch (type) {
    case CUDA_R_64F:
      static_cast<double*>(p)[i] = value;
      break;
    case CUDA_R_32F:
      static_cast<float*>(p)[i] = static_cast<float>(value);
      break;
    case CUDA_R_16F:
      static_cast<__half*>(p)[i] = __double2half(value);
      break;
    default:
      static_cast<__nv_bfloat16*>(p)[i] = __double2bfloat16(value);
  }
}

// A matrix in device memory with its layout, and the same on the host.
struct Operand {
  cudaDataType type;
  size_t rows, cols, ld, batch;
  bool by_rows;
  std::vector<char> host;
  void* device = nullptr;
  cublasLtMatrixLayout_t layout = nullptr;

  Operand(cudaDataType t, size_t r, size_t c, size_t padding = 0, size_t batch_count = 1, bool row_order = false)
      : type(t),
        rows(r),
        cols(c),
        ld((row_order ? c : r) + padding),
        batch(batch_count),
        by_rows(row_order),
        host(stride() * batch * size_of(t)) {
    EXPECT_EQ(lt().MatrixLayoutCreate(&layout, type, rows, cols, static_cast<int64_t>(ld)), CUBLAS_STATUS_SUCCESS);
    const int32_t order = by_rows ? CUBLASLT_ORDER_ROW : CUBLASLT_ORDER_COL, count = static_cast<int32_t>(batch);
    const auto step = static_cast<int64_t>(stride());
    EXPECT_EQ(lt().MatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_ORDER, &order, sizeof order),
              CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(lt().MatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count),
              CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(lt().MatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &step, sizeof step),
              CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cudaMalloc(&device, host.size()), cudaSuccess);
  }
  ~Operand() {
    lt().MatrixLayoutDestroy(layout);
    cudaFree(device);
  }
  Operand(const Operand&) = delete;
  Operand& operator=(const Operand&) = delete;

  size_t stride() const { return ld * (by_rows ? rows : cols); }
  size_t index(size_t r, size_t c, size_t b = 0) const { return b * stride() + (by_rows ? r * ld + c : c * ld + r); }
  double at(size_t r, size_t c, size_t b = 0) const { return load(host.data(), type, index(r, c, b)); }
  Operand& fill(unsigned seed) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<double> uniform(-1, 1);
    for (size_t i = 0; i < host.size() / size_of(type); ++i) store(host.data(), type, i, uniform(random));
    EXPECT_EQ(cudaMemcpy(device, host.data(), host.size(), cudaMemcpyHostToDevice), cudaSuccess);
    return *this;
  }
  // Brings the elements, not what lies between columns: the library does not write there.
  Operand& fetch() {
    const size_t size = size_of(type), width = (by_rows ? cols : rows) * size;
    for (size_t b = 0; b < batch; ++b) {
      EXPECT_EQ(
          cudaMemcpy2D(host.data() + b * stride() * size, ld * size, static_cast<char*>(device) + b * stride() * size,
                       ld * size, width, by_rows ? rows : cols, cudaMemcpyDeviceToHost),
          cudaSuccess);
    }
    return *this;
  }
};

class CublasLt : public RuntimeTest {
 protected:
  void SetUp() override {
    RuntimeTest::SetUp();
    ASSERT_NE(lt().handle, nullptr) << dlerror();
    ASSERT_EQ(lt().Create(&handle_), CUBLAS_STATUS_SUCCESS);
    describe(CUBLAS_COMPUTE_32F, CUDA_R_32F);
  }
  void TearDown() override {
    lt().MatmulDescDestroy(desc_);
    EXPECT_EQ(lt().Destroy(handle_), CUBLAS_STATUS_SUCCESS);
    RuntimeTest::TearDown();
  }
  void describe(cublasComputeType_t compute, cudaDataType scale) {
    if (desc_) lt().MatmulDescDestroy(desc_);
    ASSERT_EQ(lt().MatmulDescCreate(&desc_, compute, scale), CUBLAS_STATUS_SUCCESS);
  }
  template <class T>
  void set(cublasLtMatmulDescAttributes_t attribute, const T& value) {
    ASSERT_EQ(lt().MatmulDescSetAttribute(desc_, attribute, &value, sizeof value), CUBLAS_STATUS_SUCCESS);
  }
  void set_transposes(bool a, bool b) {
    set(CUBLASLT_MATMUL_DESC_TRANSA, a ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(CUBLASLT_MATMUL_DESC_TRANSB, b ? CUBLAS_OP_T : CUBLAS_OP_N);
  }
  cublasStatus_t multiply(const Operand& a, const Operand& b, const Operand& d, float alpha = 1, float beta = 0,
                          const cublasLtMatmulAlgo_t* algo = nullptr, void* workspace = nullptr, size_t size = 0) {
    return lt().Matmul(handle_, desc_, &alpha, a.device, a.layout, b.device, b.layout, &beta, d.device, d.layout,
                       d.device, d.layout, algo, workspace, size, nullptr);
  }
  cublasLtMatmulHeuristicResult_t heuristic(const Operand& a, const Operand& b, const Operand& d, uint64_t workspace) {
    cublasLtMatmulPreference_t preference = nullptr;
    EXPECT_EQ(lt().MatmulPreferenceCreate(&preference), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(lt().MatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace,
                                                sizeof workspace),
              CUBLAS_STATUS_SUCCESS);
    cublasLtMatmulHeuristicResult_t result{};
    int count = 0;
    EXPECT_EQ(lt().MatmulAlgoGetHeuristic(handle_, desc_, a.layout, b.layout, d.layout, d.layout, preference, 1,
                                          &result, &count),
              CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(count, 1);
    EXPECT_EQ(lt().MatmulPreferenceDestroy(preference), CUBLAS_STATUS_SUCCESS);
    return result;
  }
  // The biggest difference from the sum in double, in units of D's precision and of the sum's size.
  static double error(const Operand& a, const Operand& b, const Operand& d, bool ta, bool tb, double alpha = 1) {
    const double eps = d.type == CUDA_R_16BF  ? 0x1p-8
                       : d.type == CUDA_R_16F ? 0x1p-11
                       : d.type == CUDA_R_32F ? 0x1p-24
                                              : 0x1p-52;
    const size_t k = ta ? a.rows : a.cols;
    double worst = 0;
    for (size_t batch = 0; batch < d.batch; ++batch) {
      for (size_t i = 0; i < d.rows; ++i) {
        for (size_t j = 0; j < d.cols; ++j) {
          double sum = 0, size = 0;
          for (size_t p = 0; p < k; ++p) {
            const double term =
                (ta ? a.at(p, i, batch) : a.at(i, p, batch)) * (tb ? b.at(j, p, batch) : b.at(p, j, batch));
            sum += term;
            size += std::abs(term);
          }
          worst = std::max(worst, std::abs(d.at(i, j, batch) - alpha * sum) / (eps * std::abs(alpha) * size + 1e-30));
        }
      }
    }
    return worst;
  }

  cublasLtHandle_t handle_ = nullptr;
  cublasLtMatmulDesc_t desc_ = nullptr;
};

TEST_F(CublasLt, ProductsOfEveryLayout) {
  for (const bool ta : {false, true}) {
    for (const bool tb : {false, true}) {
      for (const bool rows : {false, true}) {
        Operand a(CUDA_R_32F, ta ? 9 : 5, ta ? 5 : 9, 3, 2, rows), b(CUDA_R_32F, tb ? 7 : 9, tb ? 9 : 7, 1, 2),
            d(CUDA_R_32F, 5, 7, 2, 2, rows);
        a.fill(1), b.fill(2);
        set_transposes(ta, tb);
        ASSERT_EQ(multiply(a, b, d, 0.5f), CUBLAS_STATUS_SUCCESS) << reports_text();
        EXPECT_LE(error(a, b, d.fetch(), ta, tb, 0.5), 1.01) << ta << tb << rows;  // rounded once
      }
    }
  }
}

TEST_F(CublasLt, TypesOfTheTable) {
  const struct {
    cudaDataType in, out;
  } cases[] = {{CUDA_R_16BF, CUDA_R_16BF},
               {CUDA_R_16F, CUDA_R_16F},
               {CUDA_R_16BF, CUDA_R_32F},
               {CUDA_R_16F, CUDA_R_32F},
               {CUDA_R_32F, CUDA_R_32F}};
  for (const auto& [in, out] : cases) {
    Operand a(in, 6, 40), b(in, 40, 3), d(out, 6, 3);
    a.fill(1), b.fill(2);
    ASSERT_EQ(multiply(a, b, d), CUBLAS_STATUS_SUCCESS) << reports_text();
    EXPECT_LE(error(a, b, d.fetch(), false, false), 1.01);
  }
  Operand a(CUDA_R_32F, 6, 4), b(CUDA_R_16BF, 4, 3), d(CUDA_R_32F, 6, 3);
  EXPECT_EQ(multiply(a.fill(1), b.fill(2), d), CUBLAS_STATUS_NOT_SUPPORTED);
  expect_report(Kind::library, "not in the table");
}

TEST_F(CublasLt, AddsToC) {
  Operand a(CUDA_R_32F, 4, 4), b(CUDA_R_32F, 4, 4), d(CUDA_R_32F, 4, 4);
  a.fill(1), b.fill(2), d.fill(3);
  const std::vector<char> before = d.host;
  ASSERT_EQ(multiply(a, b, d, 1, 1), CUBLAS_STATUS_SUCCESS);
  d.fetch();
  for (size_t i = 0; i < 16; ++i)
    store(d.host.data(), CUDA_R_32F, i, load(d.host.data(), CUDA_R_32F, i) - load(before.data(), CUDA_R_32F, i));
  EXPECT_LE(error(a, b, d, false, false), 8);  // the difference of two rounded numbers
}

double gelu(double x) { return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); }

TEST_F(CublasLt, EpiloguesForward) {
  Operand a(CUDA_R_32F, 8, 4), b(CUDA_R_32F, 4, 5), bias(CUDA_R_32F, 8, 1), aux(CUDA_R_32F, 8, 5), d(CUDA_R_32F, 8, 5);
  a.fill(1), b.fill(2), bias.fill(3), aux.fill(4);
  set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias.device);
  set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, aux.device);
  set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, int64_t{8});
  for (const uint32_t epilogue :
       {CUBLASLT_EPILOGUE_BIAS, CUBLASLT_EPILOGUE_RELU_BIAS, CUBLASLT_EPILOGUE_GELU, CUBLASLT_EPILOGUE_GELU_AUX_BIAS}) {
    set(CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue);
    ASSERT_EQ(multiply(a, b, d), CUBLAS_STATUS_SUCCESS) << reports_text();
    d.fetch(), aux.fetch();
    for (size_t i = 0; i < 8; ++i) {
      for (size_t j = 0; j < 5; ++j) {
        double x = epilogue & CUBLASLT_EPILOGUE_BIAS ? bias.at(i, 0) : 0;
        for (size_t p = 0; p < 4; ++p) x += a.at(i, p) * b.at(p, j);
        if (epilogue == CUBLASLT_EPILOGUE_GELU_AUX_BIAS) {
          EXPECT_NEAR(aux.at(i, j), x, 1e-6);
        }
        if (epilogue & CUBLASLT_EPILOGUE_RELU) x = std::max(x, 0.0);
        if (epilogue & CUBLASLT_EPILOGUE_GELU) x = gelu(x);
        EXPECT_NEAR(d.at(i, j), x, 1e-6) << epilogue;  // sums of size 4, eps 6e-8
      }
    }
  }
}

TEST_F(CublasLt, EpiloguesBackward) {
  Operand a(CUDA_R_32F, 8, 4), b(CUDA_R_32F, 4, 5), bias(CUDA_R_32F, 8, 1), aux(CUDA_R_32F, 8, 5), d(CUDA_R_32F, 8, 5);
  a.fill(1), b.fill(2), aux.fill(4);
  set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias.device);
  set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, aux.device);
  set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, int64_t{8});
  set(CUBLASLT_MATMUL_DESC_EPILOGUE, uint32_t{CUBLASLT_EPILOGUE_DGELU_BGRAD});
  ASSERT_EQ(multiply(a, b, d), CUBLAS_STATUS_SUCCESS) << reports_text();
  d.fetch(), bias.fetch();
  for (size_t i = 0; i < 8; ++i) {
    double sum = 0;
    for (size_t j = 0; j < 5; ++j) {
      double x = 0;
      for (size_t p = 0; p < 4; ++p) x += a.at(i, p) * b.at(p, j);
      const double h = 1e-5, slope = (gelu(aux.at(i, j) + h) - gelu(aux.at(i, j) - h)) / (2 * h);
      EXPECT_NEAR(d.at(i, j), x * slope, 1e-6);
      sum += d.at(i, j);
    }
    EXPECT_NEAR(bias.at(i, 0), sum, 1e-6);
  }
  set(CUBLASLT_MATMUL_DESC_EPILOGUE, uint32_t{CUBLASLT_EPILOGUE_BGRADA});
  ASSERT_EQ(multiply(a, b, d), CUBLAS_STATUS_SUCCESS) << reports_text();
  bias.fetch();
  for (size_t i = 0; i < 8; ++i) EXPECT_NEAR(bias.at(i, 0), a.at(i, 0) + a.at(i, 1) + a.at(i, 2) + a.at(i, 3), 1e-6);
}

TEST_F(CublasLt, SplitSumsNeedTheirWorkspace) {
  Operand a(CUDA_R_16BF, 16, 256), b(CUDA_R_16BF, 256, 16), d(CUDA_R_16BF, 16, 16);
  a.fill(1), b.fill(2);
  EXPECT_EQ(heuristic(a, b, d, 0).workspaceSize, 0u);
  const cublasLtMatmulHeuristicResult_t best = heuristic(a, b, d, 1 << 20);
  ASSERT_GT(best.workspaceSize, 0u);
  void* workspace = nullptr;
  ASSERT_EQ(cudaMalloc(&workspace, best.workspaceSize + 256), cudaSuccess);
  EXPECT_EQ(multiply(a, b, d, 1, 0, &best.algo, workspace, best.workspaceSize), CUBLAS_STATUS_SUCCESS)
      << reports_text();
  EXPECT_LE(error(a, b, d.fetch(), false, false), 1.01);
  EXPECT_EQ(multiply(a, b, d, 1, 0, &best.algo, workspace, best.workspaceSize - 1), CUBLAS_STATUS_INVALID_VALUE);
  expect_report(Kind::library, "this algorithm needs " + std::to_string(best.workspaceSize));
  // Planted: a workspace that is not aligned.
  EXPECT_EQ(multiply(a, b, d, 1, 0, &best.algo, static_cast<char*>(workspace) + 16, best.workspaceSize),
            CUBLAS_STATUS_INVALID_VALUE);
  expect_report(Kind::library, "multiple of 256");
  // An algorithm of another problem.
  Operand wider(CUDA_R_16BF, 256, 32), other(CUDA_R_16BF, 16, 32);
  EXPECT_EQ(multiply(a, wider.fill(3), other, 1, 0, &best.algo, workspace, best.workspaceSize),
            CUBLAS_STATUS_INVALID_VALUE);
  expect_report(Kind::library, "chosen for other types, shapes");
  EXPECT_EQ(cudaFree(workspace), cudaSuccess);
}

// Planted: the rows of a transposed matrix given as its leading dimension.
TEST_F(CublasLt, TransposedLeadingDimension) {
  Operand a(CUDA_R_32F, 5, 9), b(CUDA_R_32F, 9, 7), d(CUDA_R_32F, 5, 7);
  a.fill(1), b.fill(2);
  const int64_t wrong = 5;
  ASSERT_EQ(lt().MatrixLayoutSetAttribute(b.layout, CUBLASLT_MATRIX_LAYOUT_LD, &wrong, sizeof wrong),
            CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(multiply(a, b, d), CUBLAS_STATUS_INVALID_VALUE);
  expect_report(Kind::library, "B: leading dimension 5 of a 9 x 7 matrix by columns; at least 9");
  const int64_t too_far = 12;  // legal to the library, past the matrix's end
  ASSERT_EQ(lt().MatrixLayoutSetAttribute(b.layout, CUBLASLT_MATRIX_LAYOUT_LD, &too_far, sizeof too_far),
            CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(multiply(a, b, d), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorIllegalAddress);
  ASSERT_FALSE(reports().empty());
  EXPECT_EQ(reports()[0].kind, Kind::out_of_bounds) << reports_text();
  clear_reports();
}

// Planted: A and B not transposed as their shapes need.
TEST_F(CublasLt, ShapesThatDoNotFit) {
  Operand a(CUDA_R_32F, 5, 9), b(CUDA_R_32F, 9, 7), d(CUDA_R_32F, 5, 7);
  set_transposes(true, false);
  EXPECT_EQ(multiply(a.fill(1), b.fill(2), d), CUBLAS_STATUS_INVALID_VALUE);
  expect_report(Kind::library, "op(A) is 9 x 5, op(B) is 9 x 7");
}

// Planted: epilogues without what they need, or with a bias of another type.
TEST_F(CublasLt, EpiloguesThatLackSomething) {
  Operand a(CUDA_R_16BF, 8, 8), b(CUDA_R_16BF, 8, 8), bias(CUDA_R_32F, 8, 1), d(CUDA_R_16BF, 8, 8);
  a.fill(1), b.fill(2), bias.fill(3);
  set(CUBLASLT_MATMUL_DESC_EPILOGUE, uint32_t{CUBLASLT_EPILOGUE_BIAS});
  EXPECT_EQ(multiply(a, b, d), CUBLAS_STATUS_INVALID_VALUE);
  expect_report(Kind::library, "CUBLASLT_MATMUL_DESC_BIAS_POINTER");
  set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias.device);
  set(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, int32_t{CUDA_R_32F});
  EXPECT_EQ(multiply(a, b, d), CUBLAS_STATUS_NOT_SUPPORTED);
  expect_report(Kind::library, "a bias of type 32F; for these matrices it is 16BF");
  set(CUBLASLT_MATMUL_DESC_EPILOGUE, uint32_t{CUBLASLT_EPILOGUE_DGELU});
  EXPECT_EQ(multiply(a, b, d), CUBLAS_STATUS_INVALID_VALUE);
  expect_report(Kind::library, "AUX_POINTER");
  set(CUBLASLT_MATMUL_DESC_EPILOGUE, uint32_t{3});
  EXPECT_EQ(multiply(a, b, d), CUBLAS_STATUS_INVALID_VALUE);
  expect_report(Kind::library, "epilogue 3 is none");
}

// Planted: a bias along D's columns is not what the epilogue adds: too short, and past its end.
TEST_F(CublasLt, BiasAlongTheWrongSide) {
  Operand a(CUDA_R_32F, 600, 8), b(CUDA_R_32F, 8, 4), bias(CUDA_R_32F, 4, 1), d(CUDA_R_32F, 600, 4);
  a.fill(1), b.fill(2), bias.fill(3);
  set(CUBLASLT_MATMUL_DESC_EPILOGUE, uint32_t{CUBLASLT_EPILOGUE_BIAS});
  set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias.device);
  EXPECT_EQ(multiply(a, b, d), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorIllegalAddress);
  ASSERT_FALSE(reports().empty());
  EXPECT_EQ(reports()[0].kind, Kind::out_of_bounds) << reports_text();
  clear_reports();
}

// Planted: a matrix that nothing wrote.
TEST_F(CublasLt, AnOperandThatNothingWrote) {
  Operand a(CUDA_R_32F, 4, 4), b(CUDA_R_32F, 4, 4), d(CUDA_R_32F, 4, 4);
  EXPECT_EQ(multiply(a.fill(1), b, d), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorIllegalAddress);
  ASSERT_FALSE(reports().empty());
  EXPECT_EQ(reports()[0].kind, Kind::uninitialised) << reports_text();
  clear_reports();
}

// Planted: host memory as a matrix.
TEST_F(CublasLt, AnOperandInHostMemory) {
  Operand a(CUDA_R_32F, 4, 4), b(CUDA_R_32F, 4, 4), d(CUDA_R_32F, 4, 4);
  a.fill(1), b.fill(2);
  void* const device = std::exchange(a.device, a.host.data());
  EXPECT_EQ(multiply(a, b, d), CUBLAS_STATUS_SUCCESS);
  a.device = device;
  EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorIllegalAddress);
  ASSERT_FALSE(reports().empty());
  EXPECT_EQ(reports()[0].kind, Kind::host_pointer) << reports_text();
  clear_reports();
}

TEST_F(CublasLt, RunsInItsStreamsOrderAndFailsOnPurpose) {
  Operand a(CUDA_R_32F, 4, 4), b(CUDA_R_32F, 4, 4), d(CUDA_R_32F, 4, 4);
  a.fill(1), b.fill(2);
  EXPECT_EQ(cudaMemset(d.device, 0, d.host.size()), cudaSuccess);
  EXPECT_EQ(multiply(a, b, d), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(calls("cublasLtMatmul"), 1u);
  EXPECT_LE(error(a, b, d.fetch(), false, false), 1.01);
  fail_call("cublasLtMatmul", 1, cudaErrorUnknown);
  EXPECT_EQ(multiply(a, b, d), CUBLAS_STATUS_EXECUTION_FAILED);
  EXPECT_EQ(cudaGetLastError(), cudaErrorUnknown);
}

}  // namespace
}  // namespace softgpu
