// Registers, spills and occupancy against the committed table.
#include "tests/gpumodel/resources.h"

#include <gtest/gtest.h>

#include <fstream>
#include <tuple>

namespace aid::gpumodel {
namespace {

TEST(GpuResources, NoKernelSpills) {
  for (int a = 0; a < kArchitectures; ++a) {
    const auto kernels = assemble(a);
    EXPECT_GT(kernels.size(), 100u) << "kernels of the program";
    for (const auto& [name, resources] : kernels) {
      EXPECT_EQ(resources.spilled, 0) << "bytes that " << name << " spills on " << kArchitecture[a] << " with "
                                      << resources.registers << " registers";
    }
  }
}

// Another ptxas may give another number of registers; fewer blocks a multiprocessor is a loss whoever causes it.
TEST(GpuResources, AsInTheTable) {
  const ResourceTable table = read_table(kTableFile), now = current_table();
  ASSERT_FALSE(table.rows.empty()) << kTableFile;
  if (table.version == now.version) {
    EXPECT_EQ(to_text(now), to_text(table))
        << "./dev gpu-table writes the table anew; its difference belongs to the change";
    return;
  }
  for (const ResourceRow& row : now.rows) {
    for (const ResourceRow& before : table.rows) {
      if (std::tie(before.kernel, before.threads, before.shared) != std::tie(row.kernel, row.threads, row.shared))
        continue;
      for (int a = 0; a < kArchitectures; ++a) {
        EXPECT_GE(row.blocks[a], before.blocks[a])
            << row.kernel << " on " << kArchitecture[a] << ", ptxas " << now.version << " instead of " << table.version;
      }
    }
  }
}

TEST(GpuResources, TheTableReadsBack) {
  const ResourceTable table = read_table(kTableFile);
  const std::string text = to_text(table);
  EXPECT_NE(text.find("residual_layer_norm_forward_kernel<bf16"), text.npos);
  std::ifstream in(kTableFile);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), text);
}

// NVIDIA's tables: 65,536 registers, given to warps in units of 256; shared memory in units of 128 bytes, 1 KiB of each
// block taken by the driver.
TEST(GpuResources, Occupancy) {
  for (int a = 0; a < kArchitectures; ++a) {
    EXPECT_EQ(blocks_per_processor(a, {.registers = 32}, 256, 0), 8);
    EXPECT_EQ(blocks_per_processor(a, {.registers = 33}, 256, 0), 6);
    EXPECT_EQ(blocks_per_processor(a, {.registers = 255}, 128, 0), 2);
    EXPECT_EQ(blocks_per_processor(a, {.registers = 32, .shared = 20 << 10}, 128, 31 << 10), a == 0 ? 3 : 4);
  }
}

}  // namespace
}  // namespace aid::gpumodel
