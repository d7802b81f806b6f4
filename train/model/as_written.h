// Numbers for files: an f32 is written with the fewest digits that give it back, 0.1 and not 0.10000000149011612.
#pragma once

#include <string>

namespace aid::train {

std::string text_of(float value);
double as_written(float value);  // the double that prints like that

}  // namespace aid::train
