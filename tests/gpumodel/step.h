// A step of BETO, or the ops of spaCy's text categorizer, on the software GPU, counted: which ops ran, which kernels
// they launched, what those asked of the device. The shapes are the real ones; of each kernel some blocks run and stand
// for all (LaunchOptions::sampled_blocks), and the libraries' products are not computed.
#pragma once

#include <string>
#include <vector>

#include "kernels/core/dtype.h"
#include "tests/softgpu/runtime/control.h"

namespace aid::gpumodel {

struct StepShape {
  DType compute = DType::bf16;
  bool training = false;  // dropout on, AdamW of all parameters with clipping; else inference
  int64_t batch = 8, length = 128;
  int64_t layers = 12;
  uint64_t sampled_blocks = 16;
};

// One call of an op. bytes, flops: what its algorithm must do at least, as the op itself says (kernels/core/profile.h);
// flops of an op that begins with "linear" are those of the library's product.
struct Op {
  std::string name;
  int64_t bytes = 0, flops = 0;
  std::vector<softgpu::Launch> launches;

  bool is_product() const { return name.starts_with("linear") && flops > 0; }
};

// In the order of their ends. What belongs to no op comes last, as "other".
std::vector<Op> count_step(const StepShape& shape);
// Forward and backward of each op that spaCy's text categorizers have and BETO has not, once, as in training with 64
// documents of 128 tokens, 96 columns and 12 labels.
std::vector<Op> count_textcat(uint64_t sampled_blocks);

// "residual_layer_norm_forward_kernel<bf16, RowTile<32, 4, 24>>": without namespaces, result and parameters.
std::string short_name(const std::string& demangled);

}  // namespace aid::gpumodel
