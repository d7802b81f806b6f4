#include "train/console/interrupt.h"

#include <csignal>

namespace aid::train {
namespace {

volatile std::sig_atomic_t requested = 0;

constexpr int kSignals[] = {SIGINT, SIGTERM};

}  // namespace

InterruptScope::InterruptScope() {
  requested = 0;
  struct sigaction action = {};
  action.sa_handler = [](int) { requested = 1; };
  action.sa_flags = SA_RESTART | static_cast<int>(SA_RESETHAND);
  for (const int signal : kSignals) sigaction(signal, &action, nullptr);
}

InterruptScope::~InterruptScope() {
  for (const int signal : kSignals) std::signal(signal, SIG_DFL);
}

bool interrupt_requested() { return requested != 0; }

}  // namespace aid::train
