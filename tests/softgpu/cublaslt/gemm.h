#pragma once
// The stand-in's arithmetic: D = epilogue(alpha op(A) op(B) + beta C + bias), one matrix of a batch. Products are
// summed in double and rounded once to the compute type; then what the epilogue does is done in the scale type and
// rounded to D's type.

#include <cublasLt.h>

#include <cstdint>

namespace softgpu::cublaslt {

// Element (r, c) lies at data + (r * row_step + c * col_step) * the type's size.
struct Matrix {
  void* data = nullptr;
  cudaDataType type = CUDA_R_32F;
  int64_t rows = 0, cols = 0;
  int64_t row_step = 1, col_step = 0;
};

struct Gemm {
  Matrix a, b, c, d;  // a is m x k and b is k x n: op() is in their steps
  cublasComputeType_t compute = CUBLAS_COMPUTE_32F;
  double alpha = 1, beta = 0;
  cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  void* bias = nullptr;  // or its gradient
  cudaDataType bias_type = CUDA_R_32F;
  Matrix aux;  // of GELU: its input. Of ReLU: `data` has one bit an element, `col_step` bits a column
};

void run(const Gemm& gemm);

size_t size_of(cudaDataType type);  // bytes; 0: a type that the stand-in does not know
double load(const void* data, cudaDataType type, int64_t index);
void store(void* data, cudaDataType type, int64_t index, double value);

bool has_bias(cublasLtEpilogue_t epilogue);           // reads a vector
bool has_bias_gradient(cublasLtEpilogue_t epilogue);  // writes one
bool uses_aux(cublasLtEpilogue_t epilogue);
bool is_backward(cublasLtEpilogue_t epilogue);  // reads aux
bool is_relu(cublasLtEpilogue_t epilogue);

}  // namespace softgpu::cublaslt
