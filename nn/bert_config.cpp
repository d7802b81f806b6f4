#include "nn/bert_config.h"

namespace aid::nn {
namespace {

void check_dropout(const char* which, float p) {
  AID_CHECK(0 <= p && p < 1, which, " dropout is ", p, "; expected 0 or more and below 1");
}

}  // namespace

void check_config(const BertConfig& c) {
  AID_CHECK(c.vocab_size > 0 && c.hidden > 0 && c.layers > 0 && c.heads > 0 && c.intermediate > 0 &&
                c.max_positions > 0 && c.labels > 0,
            "vocab_size ", c.vocab_size, ", hidden ", c.hidden, ", layers ", c.layers, ", heads ", c.heads,
            ", intermediate ", c.intermediate, ", max_positions ", c.max_positions, ", labels ", c.labels,
            "; expected every one above 0");
  AID_CHECK(c.hidden % c.heads == 0, "hidden size ", c.hidden, " is not a multiple of the ", c.heads, " heads");
  AID_CHECK(c.max_positions <= 65536, "max_positions ", c.max_positions, "; expected at most 65536");
  // Dropout's sites: nn/layers/dropout.h.
  AID_CHECK(c.heads <= 256 && c.layers <= 250, c.layers, " layers of ", c.heads,
            " heads; expected at most 250 of at most 256");
  const bool bert = c.architecture == BertConfig::Architecture::bert;
  AID_CHECK(bert ? c.types > 0 : c.types == 0, c.types, " token types; expected ",
            bert ? "at least 1 for BERT" : "0 for DistilBERT, which has none");
  AID_CHECK(c.activation != Activation::none, "the feed-forward layers need an activation");
  AID_CHECK(c.layer_norm_eps > 0, "layer_norm_eps is ", c.layer_norm_eps, "; expected more than 0");
  AID_CHECK(-1 <= c.padding_idx && c.padding_idx < c.vocab_size, "padding_idx ", c.padding_idx,
            " is not in the vocabulary of ", c.vocab_size);
  check_dropout("hidden", c.hidden_dropout);
  check_dropout("attention", c.attention_dropout);
  check_dropout("classifier", c.classifier_dropout);
}

}  // namespace aid::nn
