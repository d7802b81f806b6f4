// spaCy's text categorizers (spacy/ml/models/textcat.py): a bag of n-grams, a convolutional network over words, or
// both.
//   bag(d)     = b + sum over d's n-grams of their count times their two weights, p(d) = bag(d) or its probabilities
//   pooled(d)  = reductions of the network's rows, or a = attention(rows), pooled = a + LN(maxout(a))
//   scores(d)  = softmax or logistic of W [p(d), pooled(d)] + b; of a bag alone p(d)
// In f32, as spaCy computes them. A document without tokens has a pooled vector made of zeros.
#pragma once

#include <memory>
#include <span>

#include "kernels/core/stream.h"
#include "nn/layers/dropout.h"
#include "nn/mode.h"
#include "nn/parameter.h"
#include "nn/textcat_batch.h"
#include "nn/textcat_config.h"

namespace aid::nn {

class TextCat {
 public:
  TextCat(const TextCatConfig& config, Device device, Mode mode = Mode::inference);
  ~TextCat();
  TextCat(TextCat&&) noexcept;
  TextCat& operator=(TextCat&&) noexcept;

  const TextCatConfig& config() const;
  // "bag.weight" [labels * length], "bag.bias", "tok2vec.*" (layers/tok2vec.h), "attention.query",
  // "attention.key.weight", "attention.key.bias", "pooled.maxout.*", "pooled.norm.*", "output.weight" [labels,
  // features], "output.bias".
  std::span<Parameter> parameters();
  // Gives a parameter its value: the host's, f32, the parameter's size. On the CPU it is only referred to.
  void set_value(Parameter& parameter, CSpan value);
  // Gives the weights to the matrix library, after they were set.
  void update_weights(Stream& s);

  // Scores, f32 [documents, labels], in the stream's arena until its release().
  Span forward(Stream& s, const TextCatBatch& batch) const;

  // The same with dropout, whatever is needed for backward kept: one batch at a time. p: of what is dropped.
  Span forward_training(Stream& s, const TextCatBatch& batch, const DropoutKey& key, float p);
  // Adds to the parameters' gradients. dscores: f32 [documents, labels], scores - truth: the gradient of half the
  // squared errors' sum, which spaCy takes for that of softmax's input, too, where a linear layer makes it
  // (cross-entropy's).
  void backward(Stream& s, CSpan dscores);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace aid::nn
