// A confusion matrix as a picture of its own, for documents and slides.
#pragma once

#include <string>

#include "train/workflow/workflow_metrics.h"

namespace aid::train::workflow {

// An SVG: a row per true typology, a column per prediction and one for "no prediction". Each cell has its count; its
// shade is the count's share of the row. Self-contained; text stays text.
std::string heat_map_svg(const LabelReport& report, const std::string& title);

}  // namespace aid::train::workflow
