// Fails a test during which the software GPU reported anything: races, bounds, uninitialised reads, misused calls,
// leaks.
#include <gtest/gtest.h>

#include "tests/softgpu/runtime/control.h"

namespace aid::test {
namespace {

class Listener : public testing::EmptyTestEventListener {
  void OnTestEnd(const testing::TestInfo&) override {
    softgpu::finish_runtime();
    if (softgpu::reports().empty()) return;
    ADD_FAILURE() << softgpu::reports_text();
    softgpu::clear_reports();
    softgpu::reset_runtime();  // a lost device is the next test's no more
  }
};

[[maybe_unused]] const bool listening = [] {
  testing::UnitTest::GetInstance()->listeners().Append(new Listener);  // GoogleTest deletes it
  return true;
}();

}  // namespace
}  // namespace aid::test
