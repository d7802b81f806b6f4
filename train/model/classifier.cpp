#include "train/model/classifier.h"

#include "io/error.h"
#include "tokenizer/spacy/rules.h"
#include "train/model/bert_classifier.h"
#include "train/model/textcat_classifier.h"

namespace aid::train {

DType compute_type(Precision precision, const Stream& stream) {
  switch (precision) {
    case Precision::f32:
      return DType::f32;
    case Precision::bf16:
      return DType::bf16;
    case Precision::f16:
      if (stream.device() != Device::cuda)
        throw io::Error(
            "--precision f16: the CPU computes in f32 or bf16; expected --device cuda, or --precision bf16");
      return DType::f16;
    case Precision::best:
      break;
  }
  return stream.target() >= Target::cpu_avx512_bf16 ? DType::bf16 : DType::f32;
}

std::unique_ptr<Classifier> open_classifier(const std::filesystem::path& folder, const OpenOptions& options) {
  if (tokenizer::spacy::is_pipeline(folder)) return open_textcat_classifier(folder, options);
  return open_bert_classifier(folder, options);
}

}  // namespace aid::train
