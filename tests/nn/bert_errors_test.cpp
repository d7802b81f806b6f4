// What is refused, and what the message says.
#include <gtest/gtest.h>

#include "tests/nn/golden.h"

namespace aid {
namespace {

using nn::BertClassifier;
using nn::BertConfig;
using nn::Mode;
using nn::TokenBatch;
using test::Golden;

template <class F>
std::string message_of(F f) {
  try {
    f();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "nothing was thrown";
}

#define EXPECT_MESSAGE(part, ...) EXPECT_PRED_FORMAT2(testing::IsSubstring, part, message_of([&] { __VA_ARGS__; }))

class BertErrors : public testing::Test {
 protected:
  Golden golden_{"bert_h24"};
  Stream s_{{.threads = 2}};
  BertClassifier model_ = golden_.model(s_, DType::f32, Mode::training);
};

TEST_F(BertErrors, Batches) {
  const TokenBatch good = golden_.batch(0);
  const auto with = [&](auto change) {
    TokenBatch batch = good;
    change(batch);
    return batch;
  };
  EXPECT_MESSAGE("the batch holds no text", model_.forward(s_, {}));
  EXPECT_MESSAGE("the batch holds no text", model_.forward(s_, {.cu_seqlens = {0}}));
  EXPECT_MESSAGE(
      "text 1 of the batch has 0 tokens",
      model_.forward(s_, with([](TokenBatch& b) { b.cu_seqlens.insert(b.cu_seqlens.begin() + 1, b.cu_seqlens[1]); })));
  EXPECT_MESSAGE("text 0 of the batch has 22 tokens; the model takes 21",
                 model_.forward(s_, {.ids = std::vector<int32_t>(22, 5), .cu_seqlens = {0, 22}}));
  EXPECT_MESSAGE("cu_seqlens runs from 0 to 44; expected 0 to the number of ids, 43",
                 model_.forward(s_, with([](TokenBatch& b) { b.ids.pop_back(); })));
  EXPECT_MESSAGE("token types for", model_.forward(s_, with([](TokenBatch& b) { b.types.pop_back(); })));
  EXPECT_MESSAGE("43", model_.forward(s_, with([](TokenBatch& b) { b.ids[3] = 43; })));
  EXPECT_MESSAGE("-1", model_.forward(s_, with([](TokenBatch& b) { b.ids[3] = -1; })));
  EXPECT_MESSAGE("2", model_.forward(s_, with([](TokenBatch& b) { b.types[3] = 2; })));
  EXPECT_MESSAGE("sequence ids for 5 texts",
                 model_.forward_training(s_, with([](TokenBatch& b) { b.sequence_ids.pop_back(); }), {1, 1}));
  EXPECT_MESSAGE("sequence id 65536; expected 0 to 65535",
                 model_.forward_training(s_, with([](TokenBatch& b) { b.sequence_ids[2] = 65536; }), {1, 1}));
  model_.forward(s_, good);  // and the model still works
}

TEST_F(BertErrors, OrderOfCalls) {
  const Tensor dlogits = Tensor::zeros(DType::f32, 5, 3);
  EXPECT_MESSAGE("no forward_training before it", model_.backward(s_, dlogits));
  model_.forward_training(s_, golden_.batch(0), nn::kNoDropout);
  EXPECT_MESSAGE("gradient of 5 x 2 for logits of 5 x 3", model_.backward(s_, dlogits.span().col_slice(0, 2)));
  BertClassifier inference = golden_.model(s_, DType::f32, Mode::inference);
  EXPECT_MESSAGE("the model was made for inference", inference.forward_training(s_, golden_.batch(0), nn::kNoDropout));
  EXPECT_MESSAGE("only a model made for training is drawn", inference.initialise(inference.parameters()[0], 1));
  BertClassifier empty(golden_.config(), DType::f32, Mode::inference);
  EXPECT_MESSAGE("parameter bert.embeddings.word_embeddings.weight has no value yet", empty.update_weights(s_));
  const Tensor wrong = Tensor::zeros(DType::f32, 43, 23);
  EXPECT_MESSAGE("parameter bert.embeddings.word_embeddings.weight takes 43 x 24 f32",
                 empty.set_value(empty.parameters()[0], wrong));
}

TEST_F(BertErrors, Configurations) {
  const auto make = [&](auto change, DType compute = DType::f32) {
    BertConfig config = golden_.config();
    change(config);
    BertClassifier model(config, compute, Mode::inference);
  };
  EXPECT_MESSAGE("expected every one above 0", make([](BertConfig& c) { c.layers = 0; }));
  EXPECT_MESSAGE("hidden size 24 is not a multiple of the 5 heads", make([](BertConfig& c) { c.heads = 5; }));
  EXPECT_MESSAGE("expected at least 1 for BERT", make([](BertConfig& c) { c.types = 0; }));
  EXPECT_MESSAGE("expected 0 for DistilBERT",
                 make([](BertConfig& c) { c.architecture = BertConfig::Architecture::distilbert; }));
  EXPECT_MESSAGE("need an activation", make([](BertConfig& c) { c.activation = Activation::none; }));
  EXPECT_MESSAGE("attention dropout is 1", make([](BertConfig& c) { c.attention_dropout = 1; }));
  EXPECT_MESSAGE("padding_idx 43", make([](BertConfig& c) { c.padding_idx = 43; }));
  EXPECT_MESSAGE("layer_norm_eps", make([](BertConfig& c) { c.layer_norm_eps = 0; }));
  EXPECT_MESSAGE("computes in f16", make([](BertConfig&) {}, DType::f16));
}

}  // namespace
}  // namespace aid
