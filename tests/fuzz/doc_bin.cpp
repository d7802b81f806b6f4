// A .spacy file, decompressed.
#include "train/spacy/training/doc_bin.h"
#include "io/error.h"
#include "tests/fuzz/fuzz.h"
#include "tokenizer/error.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    aid::train::parse_doc_bin(aid::fuzz::text_of(data, size), "fuzz.spacy");
  } catch (const aid::io::Error&) {
  } catch (const aid::tokenizer::Error&) {
  }
  return 0;
}
