// Ctrl-C and SIGTERM ask for an orderly end: the work at hand is finished and saved. A second one ends the program at
// once.
#pragma once

namespace aid::train {

class InterruptScope {
 public:
  InterruptScope();   // takes the two signals over and forgets earlier requests
  ~InterruptScope();  // gives them back
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;
};

// Whether one of them came since the last InterruptScope began.
bool interrupt_requested();

}  // namespace aid::train
