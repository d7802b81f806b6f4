// A component's model file (thinc_file.h) has the nodes of a tree in breadth-first order, their attributes and
// parameters, but not the tree: that is built from config.cfg, as thinc builds it, and matched with the file node by
// node.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "kernels/core/buffer.h"
#include "train/spacy/thinc_node.h"

namespace aid::train {

// Values by target. Throws io::Error where the file's nodes are others than the tree's, naming the first; and one that
// lists every parameter that is missing, spare or of another shape or type, and every attribute that contradicts the
// tree. What MessagePack finds broken is a tokenizer::Error.
std::map<std::string, Tensor> read_thinc_model(const std::filesystem::path& file, const ThincNode& tree);

}  // namespace aid::train
