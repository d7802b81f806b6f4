// A small training, for a GPU or to compare one with.
#pragma once

#include "tests/train/tiny_training.h"

namespace aid::train::test {

// 20 optimizer steps of small batches, dropout on, windows on.
inline TinyRun run_in(const std::filesystem::path& folder, Target target, DType compute = DType::f32) {
  TinyRun run{.folder = folder};
  run.recipe = {.epochs = 2, .lr = 2e-3, .batch_size = 4};
  run.target = target;
  run.compute = compute;
  run.texts = 40;
  run.windows = 2;
  return run;
}

}  // namespace aid::train::test
