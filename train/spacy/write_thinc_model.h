#pragma once

#include <map>
#include <string>
#include <vector>

#include "train/spacy/thinc_model.h"

namespace aid::train {

// The bytes of a COMPONENT/model that spaCy loads (thinc.model.Model.from_bytes()): the tree's nodes breadth first,
// each with the extents of its parameters and the attributes that decide what it computes. values: by target, as many
// as the parameter has.
std::string thinc_model_bytes(const ThincNode& tree, const std::map<std::string, std::vector<float>>& values);

}  // namespace aid::train
