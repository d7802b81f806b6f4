#include "train/spacy/thinc_node.h"

#include <utility>

namespace aid::train {

ThincNode leaf(std::string name, nlohmann::json attributes, std::vector<ThincNode::Parameter> parameters) {
  return {std::move(name), std::move(parameters), std::move(attributes), {}};
}

ThincNode composite(std::vector<ThincNode> children, nlohmann::json attributes) {
  return {"", {}, std::move(attributes), std::move(children)};
}

ThincNode composite_unless_one(std::vector<ThincNode> children) {
  if (children.size() == 1) return std::move(children.front());
  return composite(std::move(children));
}

std::vector<const ThincNode*> breadth_first(const ThincNode& tree) {
  std::vector<const ThincNode*> order = {&tree};
  for (size_t i = 0; i < order.size(); ++i) {
    for (const ThincNode& child : order[i]->children) order.push_back(&child);
  }
  return order;
}

}  // namespace aid::train
