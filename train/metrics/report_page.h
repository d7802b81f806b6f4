// Internal: report_page.html, which is built into the program.
#pragma once

#include <string_view>

namespace aid::train {

std::string_view report_page();

}  // namespace aid::train
