// What a model is made for: whether its parameters can be trained and its layers keep what backward needs.
#pragma once

#include <cstdint>

namespace aid::nn {

enum class Mode : uint8_t { inference, training };

}  // namespace aid::nn
