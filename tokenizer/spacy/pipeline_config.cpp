#include "tokenizer/spacy/pipeline_config.h"

#include <nlohmann/json.hpp>

#include "tokenizer/error.h"
#include "tokenizer/spacy/lexeme.h"

namespace aid::tokenizer::spacy {

void check_tokenizer_is_spacys(const ConfigFile& config) {
  using Json = nlohmann::json;
  if (!config.has("nlp")) throw Error(config.name() + ": has no section [nlp]; it is not a spaCy 3 pipeline's");
  const auto shown = [](const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); };

  const Json tokenizer = config.value("nlp", "tokenizer");
  if (tokenizer != Json{{"@tokenizers", "spacy.Tokenizer.v1"}}) {
    config.refuse("nlp", "tokenizer is " + shown(tokenizer) +
                             "; only {\"@tokenizers\":\"spacy.Tokenizer.v1\"}, whose rules are all in the file "
                             "\"tokenizer\", can be reproduced");
  }
  const Json language = config.value("nlp", "lang");
  if (!language.is_string() || !is_plain_language(language.get<std::string>())) {
    config.refuse("nlp", "lang is " + shown(language) +
                             "; expected a language of spaCy's without code of its own in tokenizer or norms, as "
                             "\"es\"");
  }
  for (const char* callback : {"before_creation", "after_creation", "after_pipeline_creation"}) {
    if (const Json value = config.value("nlp", callback); !value.is_null()) {
      config.refuse("nlp", std::string(callback) + " is " + shown(value) +
                               ", Python code that may change the tokenizer; expected null: apply it in spaCy, save "
                               "the pipeline and take the key out");
    }
  }
}

}  // namespace aid::tokenizer::spacy
