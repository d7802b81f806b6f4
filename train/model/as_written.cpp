#include "train/model/as_written.h"

#include <charconv>

namespace aid::train {

std::string text_of(float value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

double as_written(float value) {
  const std::string text = text_of(value);
  double result = 0;
  std::from_chars(text.data(), text.data() + text.size(), result);
  return result;
}

}  // namespace aid::train
