// A node of a thinc model as config.cfg makes it: what thinc_model.h matches a component's file with.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace aid::train {

struct ThincNode {
  struct Parameter {
    std::string name;
    std::vector<int64_t> shape;
    std::string target;  // the parameter of aid's model that it is the value of
  };
  std::string name;  // empty: nodes of others are called by all that is below them
  std::vector<Parameter> parameters;
  nlohmann::json attributes;  // those that decide what the node computes: an object
  std::vector<ThincNode> children;
};

ThincNode leaf(std::string name, nlohmann::json attributes = nlohmann::json::object(),
               std::vector<ThincNode::Parameter> parameters = {});
// A node of other nodes: chain(), concatenate(), residual(), with_array()...
ThincNode composite(std::vector<ThincNode> children, nlohmann::json attributes = nlohmann::json::object());
// concatenate() and clone() of one are the one.
ThincNode composite_unless_one(std::vector<ThincNode> children);

// The order of a file's nodes: thinc.model.Model.walk().
std::vector<const ThincNode*> breadth_first(const ThincNode& tree);

}  // namespace aid::train
