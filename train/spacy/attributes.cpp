#include "train/spacy/attributes.h"

#include <algorithm>
#include <iterator>

namespace aid::train {
namespace {

struct Attribute {
  uint64_t number;
  const char* name;
};
constexpr uint64_t kIsSpace = 6, kOrth = 65, kLower = 66, kNorm = 67, kShape = 68, kPrefix = 69, kSuffix = 70,
                   kSpacy = 81;
constexpr Attribute kAttributes[] = {{kIsSpace, "IS_SPACE"}, {kOrth, "ORTH"},   {kLower, "LOWER"},
                                     {kNorm, "NORM"},        {kShape, "SHAPE"}, {kPrefix, "PREFIX"},
                                     {kSuffix, "SUFFIX"},    {kSpacy, "SPACY"}};

}  // namespace

std::optional<uint64_t> attribute_number(std::string_view name) {
  for (const Attribute& attribute : kAttributes) {
    if (attribute.name == name) return attribute.number;
  }
  return std::nullopt;
}

bool is_attribute(uint64_t number) {
  return std::any_of(std::begin(kAttributes), std::end(kAttributes),
                     [number](const Attribute& attribute) { return attribute.number == number; });
}

std::string attribute_name(uint64_t number) {
  return std::find_if(std::begin(kAttributes), std::end(kAttributes),
                      [number](const Attribute& attribute) { return attribute.number == number; })
      ->name;
}

std::string attribute_names() {
  std::string names;
  for (const Attribute& attribute : kAttributes) names += (names.empty() ? "" : ", ") + std::string(attribute.name);
  return names;
}

uint64_t attribute_of(const tokenizer::spacy::Token& token, uint64_t number) {
  switch (number) {
    case kIsSpace:
      return token.lexeme.is_space ? 1 : 0;
    case kLower:
      return token.lexeme.lower;
    case kNorm:
      return token.lexeme.norm;
    case kShape:
      return token.lexeme.shape;
    case kPrefix:
      return token.lexeme.prefix;
    case kSuffix:
      return token.lexeme.suffix;
    case kSpacy:
      return token.space ? 1 : 0;
    default:
      return token.lexeme.orth;
  }
}

}  // namespace aid::train
