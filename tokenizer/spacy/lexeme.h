#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

namespace aid::tokenizer::spacy {

/// MurmurHash64A (Appleby; murmurhash/MurmurHash2.cpp).
uint64_t murmur_hash_64a(std::string_view bytes, uint64_t seed);

/// The 64 bits by which spaCy's StringStore knows a string (spacy/strings.pyx): 0 for the empty one, a small number for
/// the 456 of its symbol table, else MurmurHash64A with seed 1.
uint64_t string_id(std::string_view text);

/// What textcat's layers read of a word: string ids, as doc.to_array() gives them.
struct Lexeme {
  uint64_t orth = 0;   // the word
  uint64_t lower = 0;  // str.lower()
  uint64_t norm = 0;   // an exception's NORM, or the table's, or spaCy's for quotes, dashes and currencies, or lower
  uint64_t shape = 0;  // "Xxxx-dd": letters, capitals and digits by kind, runs cut at four; "LONG" from 100 code points
  uint64_t prefix = 0;    // the first code point
  uint64_t suffix = 0;    // the last three code points
  bool is_space = false;  // nothing but white space

  bool operator==(const Lexeme&) const = default;
};

/// The table lexeme_norm of vocab/lookups.bin: norms by the word's id.
using Norms = std::unordered_map<uint64_t, std::string>;

/// The lexeme of a word of valid UTF-8, not empty (spacy/lang/lex_attrs.py, spacy/vocab.pyx).
Lexeme make_lexeme(std::string_view word, const Norms& norms);

/// Whether nothing decides the lexemes and the tokens of a language's pipelines but their files.
bool is_plain_language(std::string_view code);

}  // namespace aid::tokenizer::spacy
