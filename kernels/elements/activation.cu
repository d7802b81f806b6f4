// Equations: activation.h. Every element is read and written once, in vectors of 16 bytes. Forward and backward share
// the function, so that the y which backward recomputes has the bits of forward's.
#include "kernels/elements/activation.h"

#include "kernels/device/activation.cuh"
#include "kernels/device/elementwise.cuh"

namespace aid::cuda {
namespace {

// Blocks of a multiprocessor, at least; 0: ptxas decides. For scalars it spills registers for the sake of more blocks.
constexpr int least_blocks(int width) { return width == 1 ? 5 : 0; }

template <class Function, class T, int kWidth>
__global__ void __launch_bounds__(kElementBlock, least_blocks(kWidth))
    activation_forward_kernel(ActivationForward a, int64_t rows, int64_t cols) {
  for_elements<kWidth>(rows, cols, [&](int64_t row, int64_t column, auto width) {
    float value[width];
    load(row_of<T>(a.x, row) + column, value);
#pragma unroll
    for (int i = 0; i < width; ++i) value[i] = Function::at(value[i]).value;
    store(value, row_of<T>(a.y, row) + column);
  });
}

template <class Function, class T, int kWidth>
__global__ void __launch_bounds__(kElementBlock, least_blocks(kWidth))
    activation_backward_kernel(ActivationBackward a, int64_t rows, int64_t cols) {
  for_elements<kWidth>(rows, cols, [&](int64_t row, int64_t column, auto width) {
    float x[width], d[width];
    load(row_of<T>(a.x, row) + column, x);
    load(row_of<T>(a.dy, row) + column, d);
#pragma unroll
    for (int i = 0; i < width; ++i) {
      const ValueAndSlope f = Function::at(x[i]);
      d[i] *= f.slope;
      x[i] = f.value;
    }
    store(d, row_of<T>(a.dx, row) + column);
    if (a.y.data != nullptr) store(x, row_of<T>(a.y, row) + column);
  });
}

}  // namespace

void activation_forward(Stream& s, const ActivationForward& a) {
  const ElementGrid grid(a.y, a.x);
  with_float_type(a.x.dtype, [&]<class T>(T) {
    constexpr int kWide = 16 / static_cast<int>(sizeof(T));
    with_activation(a.activation, [&]<class Function>(Function) {
      if (vectors_fit(kWide, a.x, a.y)) {
        launch(s, activation_forward_kernel<Function, T, kWide>, grid.shape(kWide), a, grid.rows, grid.cols);
      } else {
        launch(s, activation_forward_kernel<Function, T, 1>, grid.shape(1), a, grid.rows, grid.cols);
      }
    });
  });
}

void activation_backward(Stream& s, const ActivationBackward& a) {
  const ElementGrid grid(a.dx, a.y, a.dy, a.x);
  with_float_type(a.x.dtype, [&]<class T>(T) {
    constexpr int kWide = 16 / static_cast<int>(sizeof(T));
    with_activation(a.activation, [&]<class Function>(Function) {
      if (vectors_fit(kWide, a.dx, a.y, a.dy, a.x)) {
        launch(s, activation_backward_kernel<Function, T, kWide>, grid.shape(kWide), a, grid.rows, grid.cols);
      } else {
        launch(s, activation_backward_kernel<Function, T, 1>, grid.shape(1), a, grid.rows, grid.cols);
      }
    });
  });
}

}  // namespace aid::cuda
